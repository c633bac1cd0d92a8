"""Linear structural equations: weights on the edges of a known graph, noise at its nodes."""

import jax
import jax.numpy as jnp

from framework.causal.synthetic.noise import Noise
from framework.core import keys
from framework.core.types import Key


def edge_weights(key: Key, graph: jax.Array, low: float = 0.5, high: float = 2.0) -> jax.Array:
    """Weights on the edges of a graph, uniform on [-high, -low] and [low, high].

    Args:
      key: a typed key.
      graph: `[d, d]` bool.
      low: the smallest magnitude, at least 0.
      high: the largest.

    Returns:
      `[d, d]`, 0 where there is no edge.
    """
    keys.check(key)
    magnitude_key, sign_key = jax.random.split(key)
    magnitude = jax.random.uniform(magnitude_key, graph.shape, minval=low, maxval=high)
    return jnp.where(graph, magnitude * jax.random.rademacher(sign_key, graph.shape, magnitude.dtype), 0.0)


def linear(key: Key, weights: jax.Array, samples: int, noise: Noise) -> jax.Array:
    """Draws from x_j = sum_i x_i W_ij + e_j with independent noise e, that is, X = E (I - W)^-1.

    Args:
      key: a typed key.
      weights: W of a DAG, `[d, d]`.
      samples: n, rows to draw.
      noise: E, such as `noise.gaussian()`, or `noise.rescale(noise.gaussian(), scales)` for unequal variances.

    Returns:
      X, `[samples, d]`.
    """
    keys.check(key, samples=samples)
    size = weights.shape[-1]
    errors = noise(key, (samples, size)).astype(weights.dtype)
    return jnp.linalg.solve((jnp.eye(size, dtype=weights.dtype) - weights).T, errors.T).T
