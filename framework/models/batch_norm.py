"""Batch normalisation as two functions; the running statistics are leaves called `mean` and `var`."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from framework.core.types import Array, Params

EPSILON, MOMENTUM = 1e-5, 0.9  # torch's; its own momentum is 1 - MOMENTUM


def init(channels: int) -> Params:
    """Scale 1, shift 0, running mean 0 and variance 1; `[channels]` each."""
    ones, zeros = jnp.ones(channels), jnp.zeros(channels)
    return {"scale": ones, "shift": zeros, "mean": zeros, "var": ones}


def apply(params: Params, x: Float[Array, "... channels"], train: bool) -> tuple[jax.Array, Params]:
    """Normalises each channel to mean 0 and variance 1.

        y = (x - mean) / sqrt(var + epsilon) scale + shift

    Args:
      params: of `init`.
      x: `[..., channels]`.
      train: True uses the statistics of the batch and moves the running statistics a tenth of the way to them, with
        the unbiased variance as in torch; False uses the running statistics.

    Returns:
      y, and the params with updated statistics.
    """
    if not train:
        return (x - params["mean"]) * (lax.rsqrt(params["var"] + EPSILON) * params["scale"]) + params["shift"], params
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // x.shape[-1]
    batch = lax.stop_gradient({"mean": mean, "var": var * (count / max(count - 1, 1))})
    running = {name: MOMENTUM * params[name] + (1 - MOMENTUM) * batch[name] for name in batch}
    return (x - mean) * (lax.rsqrt(var + EPSILON) * params["scale"]) + params["shift"], params | running
