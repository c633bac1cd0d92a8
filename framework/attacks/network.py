"""A caller's network as it is now: traced once, whatever kind of object it is, with its errors in words."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from framework.core import programs
from framework.core.tracing import is_traced

_TRAINING = (
    "the network changes a state of its own while it is called, as in training: call it in evaluation mode "
    "(flax nnx: call its method eval; keras: lambda x: network(x, training=False); flax linen: train=False)"
)
_UNTRACEABLE = (
    "JAX cannot trace the network: attacks need jax.numpy from the images to the logits; a function of NumPy, keras' "
    "model.predict (take the model itself) or a branch on the images' values hides what it computes"
)
_SPOILED = "an object that keeps traced values must be made again"


def snapshot(apply: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    """The network as it is now; later changes of its weights, its mode or what it closes over do not reach it.

    Args:
      apply: images -> logits: a function, a bound method, a flax nnx, equinox or keras (on JAX) model, a
        `jax.tree_util.Partial`, any object that can be called.

    Raises:
      ValueError: at its first call, if the network cannot be traced, changes a state of its own (training mode), or
        gives something else than one array.
    """

    def logits(images: jax.Array) -> jax.Array:
        with _keras_in_scope():
            return in_words(apply)(images)

    return programs.snapshot(logits, _no_tracers)


def in_words(apply: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    """The network with its errors in words; raises as `snapshot`."""

    def logits(images: jax.Array) -> jax.Array:
        with _errors_in_words():
            return _one_array(apply(images))

    return logits


def _no_tracers(constants: list[Any]) -> None:
    if is_traced(constants):
        raise ValueError(f"{_TRAINING}; {_SPOILED}")


@contextlib.contextmanager
def _errors_in_words() -> Iterator[None]:
    """Turns what JAX and flax raise for networks that cannot be traced into one line."""
    hidden = (
        jax.errors.TracerArrayConversionError,
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerIntegerConversionError,
        jax.errors.NonConcreteBooleanIndexError,
    )
    try:
        yield
    except hidden as error:
        raise ValueError(_UNTRACEABLE) from error
    except Exception as error:
        if "Tracer" in f"{type(error).__name__}: {error}":
            raise ValueError(f"{_TRAINING}; {_SPOILED}") from error
        if type(error).__name__ == "TraceContextError":  # flax's, of nnx; linen raises ModifyScopeVariableError
            raise ValueError(_TRAINING) from error
        if type(error).__name__ in ("ModifyScopeVariableError", "InvalidRngError"):
            raise ValueError(f"{_TRAINING}; flax says: {str(error).splitlines()[0]}") from error
        raise


@contextlib.contextmanager
def _keras_in_scope() -> Iterator[None]:
    """Keeps keras from writing traced values into its own variables, which would spoil the model for good."""
    keras = sys.modules.get("keras")
    if keras is None or not hasattr(keras, "StatelessScope"):
        yield
        return
    with keras.StatelessScope() as scope:
        outer = dict(getattr(scope.original_scope, "state_mapping", {}))  # of a caller's own scope
        scope.state_mapping.update(outer)
        yield
    if any(value is not outer.get(name) for name, value in scope.state_mapping.items()):
        raise ValueError(_TRAINING)


def _one_array(found: Any) -> jax.Array:
    if isinstance(found, jax.Array):
        return found
    if isinstance(found, tuple | list | dict):
        raise ValueError(
            f"the network must give one array, logits [N, classes], got a {type(found).__name__} of {len(found)}: "
            "take the logits out of it, such as lambda x: network(x)[0]"
        )
    try:
        return jnp.asarray(found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the network must give logits [N, classes], got {type(found).__name__}") from error
