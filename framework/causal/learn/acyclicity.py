"""Acyclicity of a weighted graph as a smooth function of A = W o W, the strengths of its edges."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Acyclicity(NamedTuple):
    """A value of an acyclicity function with its derivatives."""

    value: jax.Array  # [], 0 up to rounding for a DAG and positive otherwise, wherever `inside` holds
    slope: jax.Array  # [d, d], the derivative with respect to A
    gradient: jax.Array  # [d, d], with respect to W: 2 W o slope
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
    return _of(weights, size * jnp.log(s) - log_determinant, inverse.T, inside)


def exponential(weights: jax.Array) -> Acyclicity:
    """The matrix exponential, h(W) = tr exp(W o W) - d, with gradient 2 W o exp(W o W)'.

    Reference: Zheng et al., "DAGs with NO TEARS", arXiv 1803.01422, theorem 1.
    """
    power = jax.scipy.linalg.expm(weights * weights)
    return _of(weights, jnp.trace(power) - weights.shape[-1], power.T, jnp.all(jnp.isfinite(power)))


def polynomial(weights: jax.Array) -> Acyclicity:
    """The polynomial h(W) = tr (I + W o W / d)^d - d, with gradient 2 W o (I + W o W / d)^(d - 1)'.

    Reference: Yu et al., "DAG-GNN", arXiv 1904.10098, section 3.4.
    """
    size = weights.shape[-1]
    base = jnp.eye(size, dtype=weights.dtype) + weights * weights / size
    power = jnp.linalg.matrix_power(base, size - 1)
    return _of(weights, jnp.sum(power * base.T) - size, power.T, jnp.all(jnp.isfinite(power)))


FUNCTIONS = {"log_det": log_det, "exponential": exponential, "polynomial": polynomial}


def spectral_radius(strengths: jax.Array) -> jax.Array:
    """The largest absolute eigenvalue of a matrix without negative entries, `[]`; 0 for a DAG.

    By Gelfand's formula with 2^12 powers, from above, to a relative 1e-3.
    """

    def square(_, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        power, log_scale = carry
        norm = jnp.max(jnp.sum(power, axis=1))
        power = power / jnp.where(norm > 0, norm, 1)
        return power @ power, 2 * (log_scale + jnp.log(norm))

    zero = jnp.zeros((), strengths.dtype)
    power, log_scale = jax.lax.fori_loop(jnp.int32(0), jnp.int32(12), square, (strengths, zero))
    return jnp.exp((log_scale + jnp.log(jnp.max(jnp.sum(power, axis=1)))) / 2**12)


def _of(weights: jax.Array, value: jax.Array, slope: jax.Array, inside: jax.Array) -> Acyclicity:
    return Acyclicity(value, slope, 2 * weights * slope, inside)
