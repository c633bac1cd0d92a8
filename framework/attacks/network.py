"""Adapter for a caller's network of any kind: reads it once as it is now and explains its errors.

A network may be a function, a bound method, a model of flax nnx, equinox or keras on JAX, or any other callable.
"""

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
_LEAKED = "an object that keeps traced values must be made again"


def snapshot(apply: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    """The network as it is now; later changes of its weights, its mode or its closure do not affect the result.

    Args:
      apply: images -> logits: a function, a bound method, a flax nnx, equinox or keras (on JAX) model, a
        `jax.tree_util.Partial`, any object that can be called.

    Returns:
      images -> logits. Its first call raises ValueError if the network cannot be traced, changes its own state
      (training mode) or does not return one array.
    """

    def logits(images: jax.Array) -> jax.Array:
        with _keras_scope():
            return explain_errors(apply)(images)

    return programs.snapshot(logits, _refuse_tracers)


def explain_errors(apply: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    """The network with errors of JAX, flax and keras replaced by one line; raises as `snapshot`."""

    def logits(images: jax.Array) -> jax.Array:
        with _translate_errors():
            return _as_array(apply(images))

    return logits


def _refuse_tracers(constants: list[Any]) -> None:
    if is_traced(constants):
        raise ValueError(f"{_TRAINING}; {_LEAKED}")


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Turns what JAX and flax raise for networks that cannot be traced into one line."""
    tracing_errors = (
        jax.errors.TracerArrayConversionError,
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerIntegerConversionError,
        jax.errors.NonConcreteBooleanIndexError,
    )
    try:
        yield
    except tracing_errors as error:
        raise ValueError(_UNTRACEABLE) from error
    except Exception as error:
        if "Tracer" in f"{type(error).__name__}: {error}":
            raise ValueError(f"{_TRAINING}; {_LEAKED}") from error
        if type(error).__name__ == "TraceContextError":  # flax's, of nnx; linen raises ModifyScopeVariableError
            raise ValueError(_TRAINING) from error
        if type(error).__name__ in ("ModifyScopeVariableError", "InvalidRngError"):
            raise ValueError(f"{_TRAINING}; flax says: {str(error).splitlines()[0]}") from error
        raise


@contextlib.contextmanager
def _keras_scope() -> Iterator[None]:
    """Keeps keras from writing traced values into its own variables, which would make the model unusable."""
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


def _as_array(logits: Any) -> jax.Array:
    if isinstance(logits, jax.Array):
        return logits
    if isinstance(logits, tuple | list | dict):
        raise ValueError(
            f"the network must give one array, logits [N, classes], got a {type(logits).__name__} of {len(logits)}: "
            "take the logits out of it, such as lambda x: network(x)[0]"
        )
    try:
        return jnp.asarray(logits)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the network must give logits [N, classes], got {type(logits).__name__}") from error
