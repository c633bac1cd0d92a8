"""Sortability of simulated data, and the sort-and-regress baselines that exploit it.

In data from simulated linear models the variance tends to grow along the causal order. A learner that beats none of
the baselines here has learned no more than this order.

Reference: Reisach, Seiler and Weichwald, "Beware of the simulated DAG!", arXiv 2102.13647; Reisach et al., "A
scale-invariant sorting criterion to find a causal order in additive noise models", arXiv 2303.18211.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import inputs
from framework.core import keys
from framework.core.precision import x64
from framework.core.tracing import is_traced
from framework.core.types import Key

TOLERANCE = 1e-9
ROUNDINGS = 16  # columns of one variance up to so many roundings of the table's own dtype are ties too


def varsortability(x: Any, graph: Any) -> jax.Array:
    """Computes the share of causal paths along which the variance grows.

    For each length k = 1 .. d - 1 a pair counts once if a path of exactly k edges leads from i to j: 1 if
    Var_i < Var_j, 1/2 if the two are equal up to a relative 1e-9 (for a float32 table 16 roundings, 2e-6). Computes in
    float64 whatever the caller's setting; works under `jit` and `vmap`.

    Args:
      x: the table, `[n, d]`.
      graph: the true DAG, `[d, d]`; entries other than 0 are edges.

    Returns:
      `[]` float64 in [0, 1]: 1 if sorting by variance is a causal order, 1/2 if variance tells nothing, as for columns
      that are standardised, and for a graph without edges. A NumPy array in a plain call.

    Raises:
      ValueError: if x is not `[n, d]` and finite, or the graph not `[d, d]`.
    """
    tolerance = _tolerance(x)
    _check_shapes(x, graph)
    with x64():
        score = jnp.var(jnp.asarray(x, jnp.float64), axis=0)
        slack = tolerance * jnp.maximum(score[:, None], score[None, :])
        return inputs.on_host(_agreement(jnp.asarray(graph) != 0, score, slack))


def r2_sortability(x: Any, graph: Any) -> jax.Array:
    """As `varsortability`, by how well the other columns explain a column, which no scale changes.

    Two shares of explained variance are equal up to 1e-9 (for a float32 table 2e-6), both being numbers from 0 to 1.

    Args:
      x: the table, `[n, d]`.
      graph: the true DAG, `[d, d]`; entries other than 0 are edges.

    Returns:
      `[]` float64 in [0, 1]; 1/2 for a graph without edges. A NumPy array in a plain call.

    Raises:
      ValueError: if x is not `[n, d]` and finite, or the graph not `[d, d]`.
    """
    tolerance = _tolerance(x)
    _check_shapes(x, graph)
    with x64():
        score = _r2_scores(jnp.asarray(x, jnp.float64))
        return inputs.on_host(_agreement(jnp.asarray(graph) != 0, score, tolerance))


def r2_scores(x: Any) -> jax.Array:
    """The share of each column's variance that a linear regression on all others explains, 1 - 1 / (C^-1)_jj.

    C is the correlation matrix, its eigenvalues held above rounding: a column that others determine has 1, and a
    constant one 0.

    Args:
      x: the table, `[n, d]`.

    Returns:
      `[d]` float64 in [0, 1], a NumPy array in a plain call.

    Raises:
      ValueError: if x is not `[n, d]` and finite.
    """
    _check_table(x)
    with x64():
        return inputs.on_host(_r2_scores(jnp.asarray(x, jnp.float64)))


def sort_regress(x: Any, criterion: Any) -> np.ndarray:
    """Sorts the columns by a criterion, smallest first, and regresses each on all before it by an adaptive lasso.

    The lasso, its penalty chosen by BIC, is of columns that are multiplied by the size of their least-squares weight.

    Args:
      x: the table, `[n, d]` with n > d.
      criterion: a number for each column, `[d]`; of equal ones the first column goes first.

    Returns:
      Weights, `[d, d]` float64, (i, j) for i -> j: always a DAG.

    Raises:
      ValueError: if the table has no more rows than columns, or another number of columns than the criterion.
    """
    from sklearn.linear_model import LassoLarsIC, LinearRegression

    x, criterion = np.asarray(x, np.float64), np.asarray(criterion)
    if x.ndim != 2 or x.shape[0] <= x.shape[1]:
        raise ValueError(f"a table [n, d] with more rows than columns is wanted, got shape {x.shape}")
    if criterion.shape != x.shape[1:]:
        raise ValueError(f"{x.shape[1]} columns need as many numbers to sort by, got shape {criterion.shape}")
    order = np.argsort(criterion, kind="stable")
    weights = np.zeros((x.shape[1], x.shape[1]))
    for position in range(1, len(order)):
        before, target = order[:position], order[position]
        size = np.abs(LinearRegression().fit(x[:, before], x[:, target]).coef_)
        weights[before, target] = LassoLarsIC(criterion="bic").fit(x[:, before] * size, x[:, target]).coef_ * size
    return weights


def var_sort_regress(x: Any) -> np.ndarray:
    """`sort_regress` by variance: weights, `[d, d]`, of a table `[n, d]`."""
    return sort_regress(x, np.var(np.asarray(x, np.float64), axis=0))


def r2_sort_regress(x: Any) -> np.ndarray:
    """`sort_regress` by the share of variance that other columns explain: weights, `[d, d]`, of a table `[n, d]`."""
    return sort_regress(x, r2_scores(np.asarray(x, np.float64)))


def random_sort_regress(key: Key, x: Any) -> np.ndarray:
    """Applies `sort_regress` in a random order.

    Args:
      key: a typed key.
      x: the table, `[n, d]` with n > d.

    Returns:
      Weights, `[d, d]` float64, (i, j) for i -> j: always a DAG.
    """
    keys.check(key)
    return sort_regress(x, jax.random.permutation(key, np.shape(x)[1]))


def _tolerance(x: Any) -> float:
    # a list or a frame holds Python's own numbers
    dtype = getattr(x, "dtype", np.dtype(np.float64))
    return max(TOLERANCE, ROUNDINGS * float(jnp.finfo(dtype).eps)) if jnp.issubdtype(dtype, jnp.floating) else TOLERANCE


def _check_table(x: Any) -> None:
    if np.ndim(x) != 2:
        raise ValueError(f"a table [n, d] is wanted, got shape {np.shape(x)}")
    if not is_traced(x) and not np.isfinite(np.asarray(x, np.float64)).all():
        raise ValueError("a table to measure must be finite")


def _check_shapes(x: Any, graph: Any) -> None:
    _check_table(x)
    if np.shape(graph) != (np.shape(x)[1],) * 2:
        raise ValueError(
            f"a table [n, d] and a graph [d, d] are wanted, got shapes {np.shape(x)} and {np.shape(graph)}"
        )


@jax.jit
def _r2_scores(x: jax.Array) -> jax.Array:
    centred = x - x.mean(0)
    scale = jnp.sqrt(jnp.mean(centred**2, axis=0))
    standard = centred / jnp.where(scale > 0, scale, 1)
    size = x.shape[1]
    correlation = jnp.where(jnp.eye(size, dtype=bool), 1, standard.T @ standard / x.shape[0])
    values, vectors = jnp.linalg.eigh(correlation)
    smallest = size * jnp.finfo(x.dtype).eps
    return jnp.clip(1 - 1 / (vectors**2 @ (1 / jnp.maximum(values, smallest))), 0, 1)


@jax.jit
def _agreement(graph: jax.Array, score: jax.Array, slack: jax.Array | float) -> jax.Array:
    difference = score[None, :] - score[:, None]
    credit = jnp.where(jnp.abs(difference) <= slack, 0.5, difference > 0)
    edges = graph.astype(score.dtype)

    def lengthen(paths: jax.Array, _: None) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        return jnp.minimum(paths @ edges, 1), (jnp.sum(paths), jnp.sum(paths * credit))

    counts, credits = jax.lax.scan(lengthen, edges, length=max(len(edges) - 1, 0))[1]
    total = counts.sum()
    return jnp.where(total > 0, credits.sum() / jnp.maximum(total, 1), 0.5)
