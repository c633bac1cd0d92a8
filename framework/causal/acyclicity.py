"""Acyclicity of a weighted graph as a smooth function."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Acyclicity(NamedTuple):
    """A value of an acyclicity function with its gradient."""

    value: jax.Array  # [], 0 up to rounding for a DAG and positive otherwise, wherever `inside` holds
    gradient: jax.Array  # [d, d]
    inside: jax.Array  # [] bool: whether the weights lie in the domain of the function


def log_det(weights: jax.Array, s: float | jax.Array = 1.0) -> Acyclicity:
    """The log-determinant function h(W) = -log det(sI - W o W) + d log s, with gradient 2 W o (sI - W o W)^-T.

    Its domain are the W for which sI - W o W is an M-matrix, that is, the spectral radius of W o W is below s. There
    the inverse has no negative entry, which is what `inside` tests: a finite log-determinant proves nothing, since it
    exists on the far side of the barrier too.

    Args:
      weights: W, `[d, d]`; float64, as the test on the inverse needs it.
      s: the radius of the domain, above 0; may be traced.

    Reference: arXiv 2209.08037, equation 5 and lemma 2.
    """
    size = weights.shape[-1]
    identity = jnp.eye(size, dtype=weights.dtype)
    factors = jax.scipy.linalg.lu_factor(s * identity - weights * weights)
    inverse = jax.scipy.linalg.lu_solve(factors, identity)
    log_determinant = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(factors[0]))))
    tolerance = 1e3 * jnp.finfo(weights.dtype).eps * jnp.max(jnp.abs(inverse))
    inside = jnp.all(inverse >= -tolerance) & jnp.all(jnp.isfinite(inverse))
    return Acyclicity(size * jnp.log(s) - log_determinant, 2 * weights * inverse.T, inside)
