"""How a unit was made: the name and the options of its factory, so that it can be saved, compared and exported.

A unit, be it a neuron, a code or an activation, is made of functions, which no file can hold. Its factory and a few
plain options say the same.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

from framework.core.tracing import is_traced

Options = ParamSpec("Options")
Made = TypeVar("Made")
Unit = TypeVar("Unit")  # a NamedTuple with a field `made`
Record = tuple[str, dict[str, Any]]  # name of a factory, its options with the defaults filled in

PLAIN = (bool, int, float, str, type(None))


def once(factory: Callable[Options, Made]) -> Callable[Options, Made]:
    """A factory that gives one and the same thing for the same options, so that a program compiled for it serves again.

    What is made of functions equals only itself, and `jit` compiles anew for another. Options that have no hash, as
    traced numbers and arrays, give another thing each time.
    """
    kept = functools.lru_cache(maxsize=256, typed=True)(factory)

    @functools.wraps(factory)
    def giving(*args: Options.args, **kwargs: Options.kwargs) -> Made:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return factory(*args, **kwargs)
        return kept(*args, **kwargs)

    return giving


def recorded(factory: Callable[Options, Unit]) -> Callable[Options, Unit]:
    """A factory whose units hold in `made` how they were made.

    Numbers are kept as Python's own, which hold each of them exactly. Functions are left out: a surrogate changes no
    spike, only gradients. `made` is None where an option is neither plain nor a function, as a traced number or an
    array with axes is; who replaces a unit's functions by hand sets it to None, too. The same options give the same
    unit, as by `once`.
    """
    signature = inspect.signature(factory)

    @once
    @functools.wraps(factory)
    def making(*args: Options.args, **kwargs: Options.kwargs) -> Unit:
        unit = factory(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return unit._replace(made=_record(factory.__name__, bound.arguments))

    return making


def remade(record: Record, factories: dict[str, Callable[..., Unit]]) -> Unit:
    """The unit that a record tells of.

    Args:
      record: name and options; lists may stand for tuples.
      factories: those that may be called, by name.

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
    kept = {key: _plain(value) for key, value in options.items() if not callable(value)}
    each = [part for value in kept.values() for part in (value if isinstance(value, tuple) else (value,))]
    return (name, kept) if all(isinstance(part, PLAIN) for part in each) else None


def _plain(value: Any) -> Any:
    """A number as Python's own, a sequence as a tuple, and what is neither as it is."""
    if isinstance(value, np.generic | np.ndarray | jax.Array) and not is_traced(value):
        return value.item() if value.ndim == 0 else value
    return tuple(_plain(each) for each in value) if isinstance(value, list | tuple) else value
