"""Causal orders read off a covariance."""

import jax
import jax.numpy as jnp

from framework.causal import graphs


def top_down(covariance: jax.Array) -> jax.Array:
    """The order under equal noise variances: next comes the column that those chosen so far leave the least variance.

    A source has the noise's variance, any other column more, and conditioning on the columns before it leaves each the
    noise's alone; so the order is the true one wherever the covariance is, at the cost of one Cholesky factorisation.

    Args:
      covariance: S, `[d, d]`.

    Returns:
      `[d, d]` bool, whether i comes before j.

    Reference: Chen, Drton and Wang, "On causal discovery with an equal-variance assumption", arXiv 1807.03419.
    """
    size = len(covariance)

    def choose(count: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, rank = carry
        spread = jnp.where(rank == size, jnp.diagonal(left), jnp.inf)
        chosen = graphs.greatest(-spread)
        column = left @ chosen.astype(left.dtype)
        variance = jnp.maximum(spread.min(), jnp.finfo(left.dtype).tiny)
        return left - jnp.outer(column, column) / variance, jnp.where(chosen, count, rank)

    start = (covariance, jnp.full(size, size, jnp.int32))
    _, rank = jax.lax.fori_loop(jnp.int32(0), jnp.int32(size), choose, start)
    return rank[:, None] < rank[None, :]
