"""Selection of the ends of a ranking by score, and of mixtures of both ends."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Int, Shaped

from framework.core import checks, keys
from framework.core.precision import x64
from framework.core.types import Array, Key
from framework.selection.inputs import check_size, check_vector


def largest(scores: Shaped[Array, " n"], size: int, key: Key | None = None) -> Int[Array, " k"]:
    """The points of the largest scores, the largest first.

    Args:
      scores: `[N]`, without NaN; compared in their own precision.
      size: k, static.
      key: orders equal scores at random; without one they keep the order of their indices, in which data sets often
        sort classes.

    Returns:
      `[k]` int32.

    Raises:
      ValueError: if there are fewer points than requested, or a score is NaN.
    """
    check_vector(scores, "the score")
    check_size(size, len(scores))
    with x64():
        return _first(jnp.asarray(scores), size, key)


def smallest(scores: Shaped[Array, " n"], size: int, key: Key | None = None) -> Int[Array, " k"]:
    """The points of the smallest scores, the smallest first.

    Args:
      scores: as for `largest`.
      size: k, static.
      key: as for `largest`.

    Returns:
      `[k]` int32.

    Raises:
      ValueError: as `largest`.
    """
    check_vector(scores, "the score")
    check_size(size, len(scores))
    with x64():
        scores = jnp.asarray(scores)
        negative = ~scores if jnp.issubdtype(scores.dtype, jnp.integer) else -scores  # -x of the least integer is x
        return _first(negative, size, key)


def tie_order(key: Key | None, count: int) -> Int[Array, " n"]:
    """The order of equal points: a random permutation, or that of their indices without a key.

    Args:
      key: of the permutation, or None.
      count: N.

    Returns:
      `[N]` int32.

    Raises:
      ValueError: for an invalid key.
    """
    if key is None:
        return jnp.arange(count, dtype=jnp.int32)
    keys.check(key)
    return jax.random.permutation(key, jnp.arange(count, dtype=jnp.int32))


def mixture(scores: Shaped[Array, " n"], size: int, beta: float, key: Key | None = None) -> Int[Array, " k"]:
    """Both ends of one ranking: floor(beta k) points of the smallest scores and k - floor(beta k) of the largest.

    Args:
      scores: `[N]`, without NaN; entropies in the paper.
      size: k, static.
      beta: in `[0, 1]`; 0 gives only the largest, 1 only the smallest.
      key: as for `largest`.

    Returns:
      `[k]` int32: from the smallest on, then from the largest.

    Raises:
      ValueError: if beta lies outside `[0, 1]`, there are fewer points than requested, or a score is NaN.

    Reference: arXiv 2106.04784, its deterministic variant.
    """
    checks.in_interval("beta, the share of the smallest scores,", beta, "[0, 1]")
    check_size(size, len(scores))
    low, order = int(beta * size + 1e-9), smallest(scores, len(scores), key)
    return jnp.concatenate([order[:low], order[len(scores) - size + low :][::-1]])


def _first(scores: jax.Array, size: int, key: Key | None) -> jax.Array:
    """The points of the largest scores; of equal ones those that come first in `tie_order`."""
    if key is None:
        return lax.top_k(scores, size)[1].astype(jnp.int32)
    order = tie_order(key, len(scores))
    return order[lax.top_k(scores[order], size)[1]].astype(jnp.int32)
