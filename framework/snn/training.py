"""Gradients of spiking networks over a batch, in parts that fit the cache of a CPU."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from framework.core.types import Params


def value_and_grad(loss: Callable[..., tuple[jax.Array, Any]], parts: int = 1) -> Callable[..., tuple[Any, Params]]:
    """Computes a loss and its gradient over a batch, one part of the batch after another.

    The values stored for the backward pass are those of one part, which fit the cache of a CPU: a convolutional network
    trains several times faster in parts of a few images. A norm uses the statistics of its part.

    Args:
      loss: (params, inputs `[T, B, ...]`, labels `[B, ...]`) -> a mean over the batch, and a pytree of further means.
      parts: number of parts, a divisor of B; with 1 this is `jax.value_and_grad(loss, has_aux=True)`.

    Returns:
      (params, inputs, labels) -> ((mean, further means), gradient).

    Raises:
      ValueError: when called, if the batch does not divide.
    """
    one = jax.value_and_grad(loss, has_aux=True)

    def all_parts(params: Params, inputs: jax.Array, labels: jax.Array):
        steps, size = inputs.shape[:2]
        if parts < 1 or size % parts:
            raise ValueError(f"a batch of {size} does not divide into {parts} parts")
        inputs = inputs.reshape(steps, parts, size // parts, *inputs.shape[2:]).swapaxes(0, 1)
        labels = labels.reshape(parts, size // parts, *labels.shape[1:])
        nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(one, params, inputs[0], labels[0]))
        add = lambda total, part: (jax.tree.map(jnp.add, total, one(params, *part)), None)
        return jax.tree.map(lambda leaf: leaf / parts, lax.scan(add, nothing, (inputs, labels))[0])

    return one if parts == 1 else all_parts
