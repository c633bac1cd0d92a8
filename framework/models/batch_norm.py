"""Batch normalisation as two functions; the running statistics are leaves called `mean` and `var`."""

import jax
import jax.numpy as jnp
from jax import lax

from framework.core.types import Params

EPSILON, MOMENTUM = 1e-5, 0.9  # of torch, whose momentum is the other part


def init(channels: int) -> Params:
    """Scale 1, shift 0, running mean 0 and variance 1; `[channels]` each."""
    ones, zeros = jnp.ones(channels), jnp.zeros(channels)
    return {"scale": ones, "shift": zeros, "mean": zeros, "var": ones}


def apply(own: Params, x: jax.Array, train: bool) -> tuple[jax.Array, Params]:
    """Each channel to mean 0 and variance 1, by the batch where it trains, else by the running statistics.

        y = (x - mean) / sqrt(var + epsilon) scale + shift

    Args:
      own: of `init`.
      x: `[..., channels]`.
      train: by the batch, and the running statistics move a tenth of the way to it; the variance unbiased, as torch's.

    Returns:
      y, and the parameters with the statistics moved.
    """
    if not train:
        return (x - own["mean"]) * (lax.rsqrt(own["var"] + EPSILON) * own["scale"]) + own["shift"], own
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // x.shape[-1]
    seen = lax.stop_gradient({"mean": mean, "var": var * (count / max(count - 1, 1))})
    moved = {name: MOMENTUM * own[name] + (1 - MOMENTUM) * seen[name] for name in seen}
    return (x - mean) * (lax.rsqrt(var + EPSILON) * own["scale"]) + own["shift"], own | moved
