"""Nonlinear structural equations, and linear ones with internal standardisation, in causal order.

Each draws x_j = f_j(parents of j) + noise_j node by node; a node without parents is its noise alone. All work under
`jit` and under `vmap` over keys, graphs and weights, with the number of samples static.
"""

from collections.abc import Callable
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.causal.synthetic import linear
from framework.causal.synthetic.noise import Noise
from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Key


def causal_order(graph: jax.Array) -> jax.Array:
    """The nodes of a DAG with every cause before its effects, `[d]` int; the rest of the order is by longest path.

    Args:
      graph: a DAG, `[d, d]`; entries other than 0 are edges.

    Raises:
      ValueError: if the graph is not `[d, d]` or holds a cycle; of a tracer only the shape is checked.
    """
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise ValueError(f"a graph [d, d] is wanted, got shape {graph.shape}")
    if not is_traced(graph):
        cycle = graphs.find_cycle(np.asarray(graph) != 0, [str(node) for node in range(len(graph))])
        if cycle:
            raise ValueError(f"a graph to draw from must not hold a cycle, but {cycle}")
    return _causal_order(jnp.asarray(graph) != 0)


@jax.jit
def _causal_order(graph: jax.Array) -> jax.Array:
    deepen = lambda _, depth: jnp.max(jnp.where(graph, depth[:, None] + 1, 0), axis=0, initial=0)
    depth = jax.lax.fori_loop(0, len(graph), deepen, jnp.zeros(len(graph), jnp.int32))
    return jnp.argsort(depth, stable=True)


def in_order(order: jax.Array, noise: jax.Array, equation: Callable) -> jax.Array:
    """Fills the columns of a table from causes to effects: x_j = equation(j, x, noise_j).

    Args:
      order: of the nodes, as from `causal_order`, `[d]` int.
      noise: one draw an entry, `[n, d]`.
      equation: (node `[]` int, table so far `[n, d]`, noise of the node `[n]`) -> the node's column `[n]`. In the table
        the causes of the node are done; columns not done yet are 0.

    Returns:
      X, `[n, d]`, of the dtype of the noise.
    """
    chex.assert_axis_dimension(noise, 1, len(order))

    def fill(position: jax.Array, x: jax.Array) -> jax.Array:
        node = order[position]
        return x.at[:, node].set(equation(node, x, noise[:, node]).astype(x.dtype))

    return jax.lax.fori_loop(0, len(order), fill, jnp.zeros_like(noise))


def mlp(key: Key, graph: jax.Array, samples: int, noise: Noise, hidden: int = 100) -> jax.Array:
    """Draws from x_j = sigmoid(x_parents V_j) w_j + noise_j, one random hidden layer a node, without biases.

    The entries of V_j `[parents, hidden]` and w_j `[hidden]` are uniform on [-2, -0.5] and [0.5, 2]; see `mlp_weights`.

    Args:
      key: a typed key; noise is drawn from the first half of its `split`, weights from the second.
      graph: a DAG, `[d, d]` bool.
      samples: n, rows to draw.
      noise: as `noise.gaussian()`.
      hidden: units of the layer.

    Returns:
      X, `[samples, d]`.

    Raises:
      ValueError: if the graph is not `[d, d]` or holds a cycle.

    Reference: Zheng et al., arXiv 1909.13189, section 5, and `simulate_nonlinear_sem` of its code.
    """
    keys.check(key, samples=samples)
    order = causal_order(graph)
    noise_key, weights_key = jax.random.split(key)
    return _mlp(weights_key, jnp.asarray(graph) != 0, order, noise(noise_key, (samples, len(order))), hidden)


@partial(jax.jit, static_argnames="hidden")
def _mlp(key: Key, graph: jax.Array, order: jax.Array, noise: jax.Array, hidden: int) -> jax.Array:
    def equation(node: jax.Array, x: jax.Array, e: jax.Array) -> jax.Array:
        first, second = mlp_weights(key, graph, node, hidden)
        return jnp.any(graph[:, node]) * (jax.nn.sigmoid(x @ first) @ second) + e

    return in_order(order, noise, equation)


def mlp_weights(key: Key, graph: jax.Array, node: int | jax.Array, hidden: int = 100) -> tuple[jax.Array, jax.Array]:
    """Samples the random layers of one node of `mlp`.

    Args:
      key: a typed key.
      graph: a DAG, `[d, d]` bool.
      node: the node, from 0 to d - 1; may be traced.
      hidden: units of the layer.

    Returns:
      The first layer `[d, hidden]`, 0 in the rows of all nodes but its parents, and the second `[hidden]`.
    """
    first_key, second_key = jax.random.split(jax.random.fold_in(key, node))
    parents = jnp.broadcast_to(jnp.asarray(graph)[:, node, None], (len(graph), hidden))
    return linear.edge_weights(first_key, parents), linear.edge_weights(second_key, jnp.ones(hidden, bool))


def gaussian_process(
    key: Key,
    graph: jax.Array,
    samples: int,
    noise: Noise,
    length_scale: float | jax.Array = 1.0,
    jitter: float | jax.Array | None = None,
) -> jax.Array:
    """Draws from x_j = f_j(parents) + noise_j, each f_j one function of a Gaussian process at all rows together.

        f_j ~ N(0, K + jitter I),   K_ab = exp(-|x_a - x_b|^2 / (2 length_scale^2)) over the parents of j

    Costs samples^3 operations and samples^2 numbers of memory a node (a thousand rows are fine, ten thousand are not).

    Args:
      key: a typed key; noise is drawn from the first half of its `split`, functions from the second.
      graph: a DAG, `[d, d]` bool.
      samples: n, rows to draw.
      noise: as `noise.gaussian()`.
      length_scale: of the kernel, above 0; may be traced.
      jitter: added to the diagonal so that K has a Cholesky factor; by default 10 n times the spacing of the dtype at
        1, which for a thousand rows is 2e-12 in float64 and 1e-3 in float32 (as much as noise of deviation 0.03).

    Returns:
      X, `[samples, d]`; NaN from the first node on whose K + jitter I has no factor.

    Raises:
      ValueError: if the graph is not `[d, d]` or holds a cycle.

    Reference: Peters et al., "Causal discovery with continuous additive noise models", JMLR 15 (2014); the case `gp` of
    `simulate_nonlinear_sem` of arXiv 1909.13189's code.
    """
    keys.check(key, samples=samples)
    order = causal_order(graph)
    noise_key, function_key = jax.random.split(key)
    errors = noise(noise_key, (samples, len(order)))
    jitter = 10 * samples * float(jnp.finfo(errors.dtype).eps) if jitter is None else jitter
    return _gaussian_process(function_key, jnp.asarray(graph) != 0, order, errors, length_scale, jitter)


@jax.jit
def _gaussian_process(key, graph, order, noise, length_scale, jitter) -> jax.Array:
    rows = len(noise)

    def equation(node: jax.Array, x: jax.Array, e: jax.Array) -> jax.Array:
        standard = jax.random.normal(jax.random.fold_in(key, node), (rows,), x.dtype)
        parents = graph[:, node]
        kernel = rbf(jnp.where(parents, x, 0) / length_scale) + jitter * jnp.eye(rows, dtype=x.dtype)
        return jnp.where(jnp.any(parents), jnp.linalg.cholesky(kernel) @ standard, 0) + e

    return in_order(order, noise, equation)


def rbf(x: jax.Array) -> jax.Array:
    """exp(-|x_a - x_b|^2 / 2) of the rows of `[n, d]`, `[n, n]`, by differences, which lose nothing to cancellation."""
    square = lambda total, column: (total + (column[:, None] - column[None, :]) ** 2, None)
    return jnp.exp(-0.5 * jax.lax.scan(square, jnp.zeros((len(x), len(x)), x.dtype), x.T)[0])


def iscm(key: Key, weights: jax.Array, samples: int, noise: Noise) -> jax.Array:
    """Draws from a linear model that standardises each variable before its effects are drawn from it.

        z_j = sum_i x_i W_ij + noise_j,   x_j = (z_j - mean z_j) / std z_j

    Mean and standard deviation are those of the drawn rows (divided by n, the reference divides by n - 1), so that each
    column has mean 0 and variance 1 exactly, no order of variances is left, and rows are independent only up to 1 / n.

    Args:
      key: a typed key, from which the noise is drawn.
      weights: W of a DAG, `[d, d]`.
      samples: n, rows to draw, at least 2.
      noise: as `noise.gaussian()`.

    Returns:
      X, `[samples, d]`.

    Raises:
      ValueError: if the weights are not `[d, d]`, hold a cycle, or less than 2 rows are wanted.

    Reference: Ormaniec et al., "Standardizing structural causal models", ICLR 2025, arXiv 2406.11601, algorithm 1.
    """
    keys.check(key, samples=samples)
    if samples < 2:
        raise ValueError(f"at least 2 rows are needed to standardise a column, got {samples}")
    order = causal_order(weights)
    return _iscm(jnp.asarray(weights), order, noise(key, (samples, len(order))))


@jax.jit
def _iscm(weights: jax.Array, order: jax.Array, noise: jax.Array) -> jax.Array:
    def equation(node: jax.Array, x: jax.Array, e: jax.Array) -> jax.Array:
        z = x @ weights[:, node] + e
        z = z - z.mean()
        return z / jnp.sqrt(jnp.mean(z**2))

    return in_order(order, noise, equation)
