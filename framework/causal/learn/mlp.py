"""The nonlinear model: an MLP from all columns to each, whose first layer says which columns count.

    x_j = b_j + sum_h v_jh sigmoid(c_jh + sum_i x_i u_ijh) + e_j          A_ij = sum_h u_ijh^2

A is what the acyclicity function sees, and sqrt(A) what stands for |W|. The score is the Gaussian likelihood under one
noise variance, d / 2 log(mean squared residual).

Reference: Zheng et al., "Learning sparse nonparametric DAGs", arXiv 1909.13189; the score as in DAGMA, arXiv
2209.08037, section 4.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal.config import Config
from framework.causal.learn import acyclicity, scores
from framework.causal.learn.linear import Terms, soft_weight
from framework.causal.learn.problems import Problem

_TINY = 1e-12  # under a square root


class Network(NamedTuple):
    """The parameters, one small network a target j."""

    first: jax.Array  # u, [d, d, hidden]: from column i, for target j
    offset: jax.Array  # c, [d, hidden]
    second: jax.Array  # v, [d, hidden]
    bias: jax.Array  # b, [d]


def start(problem: Problem, config: Config) -> Network:
    """Faint edges everywhere, drawn from a fixed key, so that equal problems start alike.

    A first layer of 0 would never see a column whose effect is even, such as a square; this one keeps A's rows below
    1/4 in sum, well inside the domain of the log-determinant.
    """
    size = len(problem.covariance)
    draw = lambda key, *shape: jax.random.uniform(key, shape, jnp.float64, -1, 1)
    first, offset, second = jax.random.split(jax.random.key(0), 3)
    return Network(
        draw(first, size, size, config.hidden) / (2 * np.sqrt(size * config.hidden)),
        draw(offset, size, config.hidden),
        draw(second, size, config.hidden) / np.sqrt(config.hidden),
        jnp.zeros(size),
    )


def predict(network: Network, x: jax.Array) -> jax.Array:
    """Each column from all others, `[n, d]`."""
    inner = jnp.einsum("ni,ijh->njh", x, network.first) + network.offset
    return jnp.sum(jax.nn.sigmoid(inner) * network.second, axis=-1) + network.bias


def terms(network: Network, problem: Problem, config: Config, last: jax.Array) -> Terms:
    """The objective's terms at some parameters."""
    del last
    cycles = acyclicity.FUNCTIONS[config.acyclicity](adjacency(network))
    none = jax.tree.map(jnp.zeros_like, network)
    gradient = none._replace(first=2 * network.first * cycles.slope[:, :, None])
    return Terms(
        jax.value_and_grad(_score)(network, problem),
        jax.value_and_grad(_penalty)(network, problem, config),
        (cycles.value, gradient),
        cycles.inside,
    )


def project(network: Network, problem: Problem, config: Config) -> Network:
    """The nearest parameters that keep to hard knowledge."""
    del config
    return network._replace(first=jnp.where(problem.allowed[:, :, None], network.first, 0))


def adjacency(network: Network) -> jax.Array:
    """sqrt(A), `[d, d]`."""
    return jnp.sqrt(jnp.sum(network.first**2, axis=-1))


def _score(network: Network, problem: Problem) -> jax.Array:
    error = problem.share @ (problem.table - predict(network, problem.table)) ** 2
    return 0.5 * len(error) * jnp.log(jnp.mean(error))


def _penalty(network: Network, problem: Problem, config: Config) -> jax.Array:
    """L1 on the first layer, L2 on all, and the similarity of sqrt(A) to the prior."""
    sparse = problem.penalty * jnp.sum(jnp.where(problem.required[:, :, None], 0, jnp.abs(network.first)))
    decay = 0.5 * config.weight_decay * sum(jnp.sum(leaf**2) for leaf in network)
    strength = jnp.sqrt(jnp.sum(network.first**2, axis=-1) + _TINY)
    none = jnp.zeros_like(problem.penalty)
    similar, _ = scores.sparsity(strength, none, problem.prior, problem.confidence, soft_weight(problem))
    return sparse + decay + similar
