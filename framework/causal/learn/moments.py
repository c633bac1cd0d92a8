"""Second moments of a table, the only thing that a linear learner needs to know of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

TRANSFORMS = ("center", "standardize", "log_standardize", "none")
LOG_SHIFT = 10.0  # log_standardize takes ln(x + 10), the habit of flow cytometry


class Table(NamedTuple):
    """A transformed table, and how to get back from it."""

    values: jax.Array  # [n, d]
    share: jax.Array  # [n], the weight of each row; they sum to 1
    location: jax.Array  # [d], what was subtracted, after the logarithm where there is one
    scale: jax.Array  # [d], what was divided by; 0 for a column that does not vary and should


def transform_table(x: jax.Array, transform: str, counts: jax.Array | None = None) -> Table:
    """A table with its columns transformed.

    Args:
      x: `[n, d]`.
      transform: `center` subtracts each column's mean; `standardize` divides by its standard deviation too;
        `log_standardize` does so after ln(x + 10); `none` leaves the columns as they are.
      counts: how often each row stands in a resample, `[n]`; by default once each.

    Raises:
      ValueError: for another transform.
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}: take one of {', '.join(TRANSFORMS)}")
    x = take_logarithm(x, transform)
    share = jnp.ones(x.shape[0], x.dtype) if counts is None else counts.astype(x.dtype)
    share = share / share.sum()
    location, scale = jnp.zeros(x.shape[1], x.dtype), jnp.ones(x.shape[1], x.dtype)
    if transform != "none":
        location = share @ x
    values = x - location
    if transform in ("standardize", "log_standardize"):
        spread = share @ values**2
        still = spread <= (16 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=0, initial=0)) ** 2
        scale = jnp.where(still | (spread <= 0), 0, jnp.sqrt(spread))  # NaN varies
        values = values / jnp.where(scale == 0, jnp.inf, scale)
    return Table(values, share, location, scale)


def take_logarithm(x: jax.Array, transform: str) -> jax.Array:
    """ln(x + 10) where the transform wants it."""
    return jnp.log(x + LOG_SHIFT) if transform == "log_standardize" else x


def second(table: Table) -> jax.Array:
    """S = X'X / n of a transformed table, `[d, d]`; a column whose scale is 0 is uncorrelated noise of variance 1."""
    product = (table.share[:, None] * table.values).T @ table.values
    return product + jnp.diag(jnp.where(table.scale == 0, 1.0, 0.0).astype(product.dtype))


def covariance(x: jax.Array, transform: str, counts: jax.Array | None = None) -> jax.Array:
    """S of the columns of x transformed, `[d, d]`; arguments as `transform_table`."""
    return second(transform_table(x, transform, counts))
