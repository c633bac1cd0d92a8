"""Records of factories and options, by which units are saved, compared and exported.

A unit, be it a neuron, a code or an activation, is made of functions, which no file can hold. The name of its factory
and a few plain options identify it.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

from framework.core.tracing import is_traced

Options = ParamSpec("Options")
Product = TypeVar("Product")
Unit = TypeVar("Unit")  # a NamedTuple with a field `record`
Record = tuple[str, dict[str, Any]]  # name of a factory, its options with the defaults filled in

PLAIN = (bool, int, float, str, type(None))


def cache_factory(factory: Callable[Options, Product]) -> Callable[Options, Product]:
    """Decorates a factory so that it returns the same object for the same options.

    An object made of functions equals only itself, so `jit` would compile again for a second one. Options without a
    hash, such as traced numbers and arrays, give a new object at each call.
    """
    cache = functools.lru_cache(maxsize=256, typed=True)(factory)

    @functools.wraps(factory)
    def call(*args: Options.args, **kwargs: Options.kwargs) -> Product:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return factory(*args, **kwargs)
        return cache(*args, **kwargs)

    return call


def record_options(factory: Callable[Options, Unit]) -> Callable[Options, Unit]:
    """Decorates a factory so that its units hold the factory's name and options in `record`.

    Numbers are stored as Python's own, which hold each of them exactly. Functions are left out: a surrogate changes
    gradients only, not spikes. `record` is None where an option is neither plain nor a function, such as a traced
    number or an array with axes. Set it to None when you replace a unit's functions by hand. The same options give the
    same unit, as with `cache_factory`.
    """
    signature = inspect.signature(factory)

    @cache_factory
    @functools.wraps(factory)
    def build(*args: Options.args, **kwargs: Options.kwargs) -> Unit:
        unit = factory(*args, **kwargs)
        arguments = signature.bind(*args, **kwargs)
        arguments.apply_defaults()
        return unit._replace(record=_record(factory.__name__, arguments.arguments))

    return build


def rebuild(record: Record, factories: dict[str, Callable[..., Unit]]) -> Unit:
    """Builds the unit that a record describes.

    Args:
      record: name and options; lists may stand for tuples.
      factories: the factories that may be called, by name.

    Returns:
      The unit, the same object as the factory returns for these options.

    Raises:
      ValueError: if no such factory is known, or it does not take these options.
    """
    name, options = record
    if name not in factories:
        raise ValueError(f"there is no {name!r}: known are {', '.join(factories)}")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    try:
        return factories[name](**options)
    except TypeError as error:
        raise ValueError(f"{name} does not take {options}: {error}") from None


def _record(name: str, options: dict[str, Any]) -> Record | None:
    plain = {key: _plain(value) for key, value in options.items() if not callable(value)}
    parts = [part for value in plain.values() for part in (value if isinstance(value, tuple) else (value,))]
    return (name, plain) if all(isinstance(part, PLAIN) for part in parts) else None


def _plain(value: Any) -> Any:
    """Converts a number to Python's own and a sequence to a tuple; returns other values unchanged."""
    if isinstance(value, np.generic | np.ndarray | jax.Array) and not is_traced(value):
        return value.item() if value.ndim == 0 else value
    return tuple(_plain(part) for part in value) if isinstance(value, list | tuple) else value
