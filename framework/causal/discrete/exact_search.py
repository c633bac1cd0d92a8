"""Exact search: the DAG of greatest penalised likelihood among all, for tables of few columns.

    maximise  sum over columns j of [ -n / 2 log RSS_j(parents of j) - cost of its edges ]

by dynamic programming over the 2^d sets of columns: the best parents of each column within each set, and the best last
column of each set. A set is an integer whose bit k stands for column k. The residuals of all sets come from the
principal minors of the correlation R, since RSS_j(P) / TSS_j = det R_(P and j) / det R_P.

Reference: Silander and Myllymaki, "A simple approach for finding the globally optimal Bayesian network structure", UAI
2006, arXiv 1206.6875.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal.discrete.hill_climbing import Edges, SearchResult, score_table

MOST_COLUMNS = 12
_TINY = 1e-9  # of a column's variance: what is left of less than that is rounding


class Families(NamedTuple):
    """The best parents of each column within each set."""

    score: jax.Array  # [d, 2^d]
    parents: jax.Array  # [d, 2^d] int32, a set


def memory(columns: int) -> int:
    """Bytes that one search needs, to a factor of a few; 0 where there are too many columns for it."""
    return 64 * columns * 2**columns if columns <= MOST_COLUMNS else 0


def search(covariance: jax.Array, samples: jax.Array, edges: Edges) -> SearchResult:
    """Finds a DAG that no other beats, noise variances being free.

    Args:
      covariance: S = X'X / n, `[d, d]` float64, d at most `MOST_COLUMNS`.
      samples: n, `[]`; no column gets more than n - 2 parents.
      edges: costs and what may be touched; the required edges form a DAG.

    Returns:
      A `Found` with the penalised likelihood as `local_search.climb` counts it.

    Reference: arXiv 1206.6875.
    """
    size, table = len(covariance), score_table(covariance, samples)
    families = _best_families(_local_scores(table.correlation, table.samples, edges))
    sets, everything = np.arange(2**size, dtype=np.int32), 2**size - 1

    def extend(column: jax.Array, carry: tuple[jax.Array, jax.Array], before: jax.Array) -> tuple[jax.Array, jax.Array]:
        best, last = carry
        without = sets & ~(1 << column)
        value = jnp.where(without < sets, before[without] + families.score[column, without], -jnp.inf)
        wins = value > best
        return jnp.where(wins, value, best), jnp.where(wins, column, last)

    def grow(_, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        body = lambda column, inner: extend(column, inner, carry[0])
        return jax.lax.fori_loop(jnp.int32(0), jnp.int32(size), body, carry)

    start = jnp.where(sets == 0, 0.0, -jnp.inf), jnp.zeros(2**size, jnp.int32)
    best, last = jax.lax.fori_loop(jnp.int32(0), jnp.int32(size), grow, start)

    def take(_, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, parents = carry
        column = last[left]
        left &= ~(1 << column)
        return left, parents.at[column].set(families.parents[column, left])

    start = jnp.int32(everything), jnp.zeros(size, jnp.int32)
    parents = jax.lax.fori_loop(jnp.int32(0), jnp.int32(size), take, start)[1]
    graph = ((parents >> np.arange(size, dtype=np.int32)[:, None]) & 1).astype(bool)
    return SearchResult(graph, best[everything] - table.samples / 2 * jnp.log(table.spread).sum())


def _log_minors(correlation: jax.Array) -> jax.Array:
    """log det R_P of every set P of columns, `[2^d]`; column after column is eliminated or left out."""
    logs, matrices = jnp.zeros(1), correlation[None]
    for _ in range(len(correlation)):
        pivot = jnp.maximum(matrices[:, 0, 0], _TINY)
        row, rest = matrices[:, 0, 1:], matrices[:, 1:, 1:]
        eliminated = rest - row[:, :, None] * (row / pivot[:, None])[:, None, :]
        logs, matrices = jnp.concatenate([logs, logs + jnp.log(pivot)]), jnp.concatenate([rest, eliminated])
    return logs


def _local_scores(correlation: jax.Array, samples: jax.Array, edges: Edges) -> jax.Array:
    """The score of each column with each set as its parents, `[d, 2^d]`; -inf where that may not be."""
    size = len(correlation)
    sets, bits = np.arange(2**size, dtype=np.int32), np.arange(size, dtype=np.int32)
    members = (sets[:, None] >> bits) & 1  # [2^d, d]
    logs = _log_minors(correlation)
    residual = logs[sets | (1 << bits[:, None])] - logs
    may = (edges.allowed | edges.required) & ~np.eye(size, dtype=bool)
    outside = members.astype(np.float32) @ (~may).astype(jnp.float32)
    lacking = (1 - members).astype(np.float32) @ edges.required.astype(jnp.float32)
    possible = (outside + lacking == 0) & (members.sum(1) <= jnp.maximum(samples - 2, 0))[:, None]
    price = members.astype(residual.dtype) @ jnp.where(may, edges.cost, 0)
    return jnp.where(possible.T, -samples / 2 * residual - price.T, -jnp.inf)


def _best_families(scores: jax.Array) -> Families:
    """The best subset of each set, by taking the better of a set and it without one column, column by column."""
    sets = np.arange(scores.shape[1], dtype=np.int32)

    def body(column: jax.Array, best: Families) -> Families:
        without = sets & ~(1 << column)
        wins = best.score[:, without] > best.score
        return jax.tree.map(lambda leaf: jnp.where(wins, leaf[:, without], leaf), best)

    start = Families(scores, jnp.broadcast_to(sets, scores.shape))
    return jax.lax.fori_loop(jnp.int32(0), jnp.int32(len(scores)), body, start)
