"""The learner's objective as a plain loss of weights and rows, for whoever trains by other means than `fit`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from framework.causal import graphs, inputs
from framework.causal.learn import acyclicity


def objective(
    penalty: float | jax.Array = 0.02, mu: float | jax.Array = 1.0
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """mu (1 / 2n |X - X W|^2 + penalty |W|_1) + h(W), h the matrix exponential's, which is finite for all weights.

    Args:
      penalty: of the weights' sizes.
      mu: what the data count next to acyclicity.

    Returns:
      (weights `[d, d]`, rows `[n, d]`, centred) -> `[]`, to be differentiated.

    Raises:
      ValueError: if a number is negative or not finite.

    Reference: Zheng et al., "DAGs with NO TEARS", arXiv 1803.01422; the weighting of arXiv 2209.08037.
    """

    inputs.check_numbers(penalty=penalty, mu=mu)

    def loss(weights: jax.Array, rows: jax.Array) -> jax.Array:
        graphs.require_square(weights=weights)
        weights = weights * (1 - jnp.eye(weights.shape[-1], dtype=weights.dtype))
        misfit = 0.5 * jnp.square(rows - rows @ weights).sum(-1).mean()
        return mu * (misfit + penalty * jnp.abs(weights).sum()) + acyclicity.exponential(weights).value

    return loss


def dag(weights: jax.Array, cut: float | jax.Array = 0.3) -> jax.Array:
    """The graph that weights stand for, `[d, d]` bool: entries above `cut` in size, less the weakest of each cycle."""
    graphs.require_square(weights=weights)
    inputs.check_numbers(cut=cut)
    size = weights.shape[-1]
    strong = (jnp.abs(weights) > cut) & ~jnp.eye(size, dtype=bool)
    return graphs.break_cycles(jnp.where(strong, weights, 0)) != 0
