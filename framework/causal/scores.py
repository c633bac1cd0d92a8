"""How well weights explain data, as a smooth function with its gradient."""

import jax
import jax.numpy as jnp


def least_squares(weights: jax.Array, covariance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Half the mean squared residual, 1/2 tr((I - W)' S (I - W)), and its gradient -S (I - W).

    Args:
      weights: W, `[d, d]`.
      covariance: S = X'X / n, `[d, d]`, symmetric.

    Returns:
      The score `[]` and its gradient `[d, d]`.

    Reference: Zheng et al., "DAGs with NO TEARS", arXiv 1803.01422, section 2, with S for the data.
    """
    residual = jnp.eye(weights.shape[-1], dtype=weights.dtype) - weights
    product = covariance @ residual
    return 0.5 * jnp.sum(residual * product), -product


def sparsity(
    weights: jax.Array,
    penalty: jax.Array,
    prior: jax.Array,
    confidence: jax.Array,
    prior_weight: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The L1 penalty with the similarity penalty towards a prior, and a subgradient.

        l1 sum |W_ij| + l_sim sum C_ij | min(|W_ij|, 1) - K_ij |

    For |W| < 1 and K in {0, 1} this is, up to a constant, the weighted lasso with l1 + l_sim C (1 - 2K) on each edge.

    Args:
      weights: W, `[d, d]`.
      penalty: l1, `[]`.
      prior: K, `[d, d]` in [0, 1], how likely each edge is thought to be.
      confidence: C, `[d, d]` in [0, 1]; 0 where nothing is known.
      prior_weight: l_sim, `[]`; up to l1 the sum stays convex on |W| < 1, above it edges of the prior are rewarded.

    Returns:
      The penalty `[]` and a subgradient `[d, d]`, 0 where W is 0.

    Reference: arXiv 2311.11212, section 4, with |W| for W: the signed form gives no gradient at a negative weight.
    """
    magnitude = jnp.abs(weights)
    distance = jnp.minimum(magnitude, 1) - prior
    pull = prior_weight * confidence
    value = penalty * jnp.sum(magnitude) + jnp.sum(pull * jnp.abs(distance))
    slope = penalty + pull * jnp.sign(distance) * (magnitude < 1)
    return value, slope * jnp.sign(weights)
