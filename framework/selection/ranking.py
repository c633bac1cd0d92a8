"""The ends of a ranking, and mixtures of both ends."""

import jax
import jax.numpy as jnp
from jax import lax

from framework.core import keys
from framework.core.precision import x64
from framework.core.types import Key
from framework.selection.inputs import check_size, check_vector


def largest(scores: jax.Array, size: int, key: Key | None = None) -> jax.Array:
    """The points of the largest scores, the largest first; equal ones in an order drawn by the key.

    Args:
      scores: `[N]`, without NaN; compared in the precision they have.
      size: k, static.
      key: of the order of equal scores; without one they keep that of their indices, in which classes often stand.

    Returns:
      `[k]` int32.

    Raises:
      ValueError: if there are fewer points than asked for, or a score is NaN.
    """
    check_vector(scores, "the score")
    check_size(size, len(scores))
    with x64():
        return _first(jnp.asarray(scores), size, key)


def smallest(scores: jax.Array, size: int, key: Key | None = None) -> jax.Array:
    """The points of the smallest scores, the smallest first. As `largest` else."""
    check_vector(scores, "the score")
    check_size(size, len(scores))
    with x64():
        scores = jnp.asarray(scores)
        turned = ~scores if jnp.issubdtype(scores.dtype, jnp.integer) else -scores  # -x of the least integer is itself
        return _first(turned, size, key)


def order(key: Key | None, count: int) -> jax.Array:
    """The order in which equal points come, `[N]` int32: drawn by the key, or that of their indices without one."""
    if key is None:
        return jnp.arange(count, dtype=jnp.int32)
    keys.check(key)
    return jax.random.permutation(key, jnp.arange(count, dtype=jnp.int32))


def mixture(scores: jax.Array, size: int, beta: float, key: Key | None = None) -> jax.Array:
    """A share beta of the smallest scores and the rest of the largest: floor(beta k) and k - floor(beta k) points.

    Args:
      scores: `[N]`, without NaN; entropies in the paper.
      size: k, static.
      beta: in `[0, 1]`; 0 gives the largest alone, 1 the smallest.
      key: as for `largest`.

    Returns:
      `[k]` int32: both ends of one ranking, from the smallest on, then from the largest.

    Raises:
      ValueError: if beta lies outside `[0, 1]`, there are fewer points than asked for, or a score is NaN.

    Reference: arXiv 2106.04784, its deterministic variant.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta, the share of the smallest scores, must lie in [0, 1], got {beta}")
    check_size(size, len(scores))
    few, ranking = int(beta * size + 1e-9), smallest(scores, len(scores), key)
    return jnp.concatenate([ranking[:few], ranking[len(scores) - size + few :][::-1]])


def _first(scores: jax.Array, size: int, key: Key | None) -> jax.Array:
    """The points of the largest scores; of equal ones those that come first in `order`."""
    if key is None:
        return lax.top_k(scores, size)[1].astype(jnp.int32)
    places = order(key, len(scores))
    return places[lax.top_k(scores[places], size)[1]].astype(jnp.int32)
