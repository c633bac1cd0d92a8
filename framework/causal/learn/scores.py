"""Smooth scores of weights given the data, with their gradients."""

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
    residual, product = _residual(weights, covariance)
    return 0.5 * jnp.sum(residual * product), -product


def golem_ev(weights: jax.Array, covariance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The Gaussian likelihood under one noise variance: d/2 log tr(R' S R) - log |det R| with R = I - W.

    Args and Returns as `least_squares`.

    Reference: Ng, Ghassami and Zhang, "GOLEM", arXiv 2006.10201, equation 3; up to a constant of n.
    """
    residual, product = _residual(weights, covariance)
    size, total = weights.shape[-1], jnp.sum(residual * product)
    volume, slope = _log_volume(residual)
    return 0.5 * size * jnp.log(total) - volume, -size * product / total + slope


def golem_nv(weights: jax.Array, covariance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The Gaussian likelihood under any noise variances: 1/2 sum_j log (R' S R)_jj - log |det R| with R = I - W.

    Args and Returns as `least_squares`.

    Reference: arXiv 2006.10201, equation 2; up to a constant of n.
    """
    residual, product = _residual(weights, covariance)
    columns = jnp.sum(residual * product, axis=0)
    volume, slope = _log_volume(residual)
    return 0.5 * jnp.sum(jnp.log(columns)) - volume, -product / columns + slope


def logistic(weights: jax.Array, x: jax.Array, share: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean negative log likelihood of columns of 0 and 1, sum_j log(1 + exp(m_j)) - x_j m_j with m = x W.

    Args:
      weights: W, `[d, d]`.
      x: `[n, d]` of 0 and 1.
      share: the weight of each row, `[n]`.

    Returns:
      The score `[]` and its gradient `[d, d]`.

    Reference: the logistic loss of the code of arXiv 1803.01422.
    """
    logits = x @ weights
    value = jnp.sum(share @ (jax.nn.softplus(logits) - x * logits))
    return value, x.T @ (share[:, None] * (jax.nn.sigmoid(logits) - x))


def sparsity(
    weights: jax.Array,
    penalty: jax.Array,
    prior: jax.Array,
    confidence: jax.Array,
    prior_weight: jax.Array,
    similarity: str = "magnitude",
) -> tuple[jax.Array, jax.Array]:
    """The L1 penalty with the similarity penalty towards a prior, and a subgradient.

        l1 sum |W_ij| + l_sim sum C_ij | min(|W_ij|, 1) - K_ij |

    For |W| < 1 and K in {0, 1} this is, up to a constant, the weighted lasso with l1 + l_sim C (1 - 2K) on each edge.

    Args:
      weights: W, `[d, d]`.
      penalty: l1, `[]`, or one an edge, `[d, d]`.
      prior: K, `[d, d]` in [0, 1], how likely each edge is thought to be.
      confidence: C, `[d, d]` in [0, 1]; 0 where nothing is known.
      prior_weight: l_sim, `[]`; up to l1 the sum stays convex on |W| < 1, above it edges of the prior are rewarded.
      similarity: `magnitude` as above; `signed` takes clip(W, 0, 1) for min(|W|, 1), as the paper writes it: a negative
        weight then has no gradient, and no penalty where the prior says that there is no edge.

    Returns:
      The penalty `[]` and a subgradient `[d, d]`, 0 where W is 0; for `signed` the right-hand derivative there.

    Reference: arXiv 2311.11212, section 4.
    """
    magnitude = jnp.abs(weights)
    pull = prior_weight * confidence
    if similarity == "signed":
        distance = jnp.clip(weights, 0, 1) - prior
        slope = pull * jnp.sign(distance) * ((weights >= 0) & (weights < 1))
    else:
        distance = jnp.minimum(magnitude, 1) - prior
        slope = pull * jnp.sign(distance) * (magnitude < 1) * jnp.sign(weights)
    value = jnp.sum(penalty * magnitude) + jnp.sum(pull * jnp.abs(distance))
    return value, penalty * jnp.sign(weights) + slope


def _residual(weights: jax.Array, covariance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """R = I - W and S R."""
    residual = jnp.eye(weights.shape[-1], dtype=weights.dtype) - weights
    return residual, covariance @ residual


def _log_volume(residual: jax.Array) -> tuple[jax.Array, jax.Array]:
    """log |det R|, and what its negative grows by with W = I - R: R^-T."""
    return jnp.linalg.slogdet(residual)[1], jnp.linalg.inv(residual).T
