"""Causal orders read off a covariance."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs

_RIDGE = 1e-9  # of a column's variance, so that fewer rows than columns have an inverse


def top_down(covariance: jax.Array, required: jax.Array | None = None) -> jax.Array:
    """The order under equal noise variances: next comes the column that those chosen so far leave the least variance.

    A source has the noise's variance, any other column more, and conditioning on the columns before it leaves each the
    noise's alone; so the order is the true one wherever the covariance is, at the cost of one Cholesky factorisation.

    Args:
      covariance: S, `[d, d]`.
      required: edges that the order has to keep to, `[d, d]` bool, a DAG; none by default.

    Returns:
      `[d, d]` bool, whether i comes before j.

    Reference: Chen, Drton and Wang, "On causal discovery with an equal-variance assumption", arXiv 1807.03419.
    """
    size = len(covariance)

    def choose(count: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, rank = carry
        waiting = rank == size
        free = waiting if required is None else waiting & ~jnp.any(required & waiting[:, None], axis=0)
        spread = jnp.where(free, jnp.diagonal(left), jnp.inf)
        chosen = graphs.greatest(-spread)
        column = left @ chosen.astype(left.dtype)
        variance = jnp.maximum(spread.min(), jnp.finfo(left.dtype).tiny)
        return left - jnp.outer(column, column) / variance, jnp.where(chosen, count, rank)

    start = (covariance, jnp.full(size, size, jnp.int32))
    _, rank = jax.lax.fori_loop(jnp.int32(0), jnp.int32(size), choose, start)
    return rank[:, None] < rank[None, :]


def of_graph(graph: jax.Array, covariance: jax.Array) -> jax.Array:
    """A causal order that a graph keeps to: by the number of ancestors, and by R-squared where that is the same.

    R-squared, how well all other columns explain one, tends to grow along the order.

    Args:
      graph: `[d, d]` bool, a DAG.
      covariance: S, `[d, d]`.

    Returns:
      `[d]` int32, the columns from causes to effects.

    Reference: for R-squared Reisach et al., arXiv 2303.18211.
    """
    ancestors = graphs.reachability(graph).sum(axis=0)
    return jnp.argsort(ancestors + _explained_variance(covariance) / 2).astype(jnp.int32)


def by_explained_variance(covariance: jax.Array) -> jax.Array:
    """The rank of each column by R-squared to six digits, the least first; of equal ones the first column is first.

    It decides nothing that data tell: it picks one DAG of an equivalence class, the same under every transformation.

    Args:
      covariance: S, `[d, d]`.

    Returns:
      `[d]` int32, the place of each column.
    """
    order = jnp.argsort(jnp.round(_explained_variance(covariance), 6)).astype(jnp.int32)
    return jnp.zeros_like(order).at[order].set(np.arange(len(order), dtype=np.int32))


def _explained_variance(covariance: jax.Array) -> jax.Array:
    """R-squared of each column given all others, `[d]`; 0 where there is none."""
    spread = jnp.diagonal(covariance)
    precision = jnp.linalg.inv(covariance + jnp.diag(_RIDGE * jnp.where(spread > 0, spread, 1)))
    return jnp.nan_to_num(1 - 1 / (spread * jnp.diagonal(precision)))  # below 1
