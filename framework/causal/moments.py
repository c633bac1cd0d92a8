"""Second moments of a table, the only thing that a linear learner needs to know of it."""

import jax
import jax.numpy as jnp

TRANSFORMS = ("center", "standardize", "log_standardize", "none")
LOG_SHIFT = 10.0  # log_standardize takes ln(x + 10), the habit of flow cytometry


def covariance(x: jax.Array, transform: str, counts: jax.Array | None = None) -> jax.Array:
    """S = X'X / n of the transformed columns.

    Args:
      x: `[n, d]`.
      transform: `center` subtracts each column's mean; `standardize` divides by its standard deviation too, so that S
        is the correlation matrix; `log_standardize` does so after ln(x + 10); `none` leaves the columns as they are.
      counts: how often each row stands in a resample, `[n]`; by default once each.

    Returns:
      S, `[d, d]`. A column that does not vary, in a resample for one, is uncorrelated with all others.

    Raises:
      ValueError: for another transform.
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}: take one of {', '.join(TRANSFORMS)}")
    if transform == "log_standardize":
        x = jnp.log(x + LOG_SHIFT)
    share = jnp.ones(x.shape[0], x.dtype) if counts is None else counts.astype(x.dtype)
    share = share / share.sum()
    if transform != "none":
        x = x - share @ x
    second = (share[:, None] * x).T @ x
    if transform in ("center", "none"):
        return second
    spread = jnp.diagonal(second)
    varies = ~(spread <= (16 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=0, initial=0)) ** 2)  # so NaN varies
    varies &= ~(spread <= 0)
    scale = jnp.where(varies, jnp.sqrt(spread), 1)
    correlation = second / (scale[:, None] * scale[None, :])
    both = varies[:, None] & varies[None, :]
    return jnp.where(both, correlation, jnp.eye(len(spread), dtype=x.dtype))
