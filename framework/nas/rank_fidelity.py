"""Rank fidelity: how well cheap accuracies rank architectures compared with full ones.

Reference: Kendall, "The treatment of ties in ranking problems" (1945), for tau-b.
"""

import jax
import jax.numpy as jnp

from framework.core import keys
from framework.core.types import Key


def kendall(x: jax.Array, y: jax.Array) -> jax.Array:
    """Kendall's tau-b: pairs in the same order less pairs in the other, over the geometric mean of the untied ones.

        tau = sum_{i<j} sgn(x_i - x_j) sgn(y_i - y_j) / sqrt(#{x_i != x_j} #{y_i != y_j})

    Args:
      x, y: `[N]`, numbers of any kind.

    Returns:
      `[]` in `[-1, 1]`; 0 where all of x or all of y are the same.

    Raises:
      ValueError: if they are not as many.

    Example:
      >>> from framework.nas import rank_fidelity
      >>> round(float(rank_fidelity.kendall(jnp.array([1, 2, 3, 4]), jnp.array([1, 3, 2, 4]))), 3)
      0.667
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"two rankings must be [N] each, got {x.shape} and {y.shape}")
    # with a sign, or their differences would wrap
    x, y = (ranks.astype(jnp.result_type(ranks, jnp.int8)) for ranks in (x, y))
    first, second = (jnp.sign(ranks[:, None] - ranks) for ranks in (x, y))
    untied = jnp.sqrt((first != 0).sum() * 1.0) * jnp.sqrt((second != 0).sum() * 1.0)
    return jnp.where(untied > 0, (first * second).sum() / jnp.maximum(untied, 1), 0.0)


def bootstrap(key: Key, rankings: jax.Array, truth: jax.Array, draws: int = 1000) -> jax.Array:
    """tau-b of several rankings on architectures drawn with replacement, the same ones for all rankings.

    The spread of a column is that of its tau; of two columns' difference, that of a comparison.

    Args:
      key: of the draws.
      rankings: `[M, N]`, accuracies of N architectures by M ways to measure them.
      truth: `[N]`.
      draws: how many.

    Returns:
      `[draws, M]`.

    Raises:
      ValueError: if shapes do not fit, there is no draw, or it is no key.

    Reference: Efron, "Bootstrap methods: another look at the jackknife" (1979).
    """
    keys.check(key)
    rankings, truth = jnp.asarray(rankings), jnp.asarray(truth)
    if rankings.ndim != 2 or not rankings.size or truth.shape != rankings.shape[1:] or draws < 1:
        raise ValueError(
            f"rankings must be [M, N] and the truth [N], drawn at least once; got {rankings.shape}, {truth.shape} and "
            f"{draws} draws"
        )
    count = len(truth)
    rows = jax.random.randint(key, (draws, count), 0, count)
    of_draw = lambda row: jax.vmap(lambda ranking: kendall(ranking[row], truth[row]))(rankings)
    return jax.lax.map(of_draw, rows, batch_size=min(draws, 64))
