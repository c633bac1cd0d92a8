"""Edge search: adds, deletes and reverses single edges of a linear Gaussian graph while its penalised likelihood rises.

    maximise  log likelihood(G) - sum of cost_ij over the edges of G

with the likelihood profiled over weights and noise: -n d / 2 log(sum_j RSS_j) where all noise has one variance, and
-n / 2 sum_j log RSS_j where it has not. A cost of log(n) / 2 an edge makes it the BIC.

Reference: the local search after a continuous learner of Wei, Gao and Yu, "DAGs with No Fears", arXiv 2010.09133; the
equal-variance likelihood of Peters and Buehlmann, "Identifiability of Gaussian structural equation models with equal
error variances", arXiv 1205.2536.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.causal import graphs

_TINY = 1e-9  # of a column's variance: what is left of less than that is rounding


class State(NamedTuple):
    """Where a search stands; columns j of the matrices belong to target j with its present parents."""

    graph: jax.Array  # [d, d] bool, a DAG
    gain: jax.Array  # [d, d], what RSS_j / n falls by if i becomes a parent of j
    loss: jax.Array  # [d, d], what RSS_j / n rises by if i is a parent no more
    residual: jax.Array  # [d], RSS_j / n
    rising: jax.Array  # [] bool, whether the last step found anything
    steps: jax.Array  # [] int32


class Edges(NamedTuple):
    """What a search may do."""

    cost: jax.Array  # [d, d], of each edge, in units of log likelihood
    allowed: jax.Array  # [d, d] bool, where an edge may stand
    required: jax.Array  # [d, d] bool, edges that stay


class Found(NamedTuple):
    """The end of a search."""

    graph: jax.Array  # [d, d] bool, a DAG
    score: jax.Array  # [], its penalised log likelihood, up to a constant of the data


def climb(graph: jax.Array, covariance: jax.Array, samples: jax.Array, edges: Edges, equal: bool) -> Found:
    """Takes the best single step until none raises the penalised likelihood.

    Args:
      graph: where to begin, `[d, d]` bool, a DAG that keeps to `edges`.
      covariance: S = X'X / n, `[d, d]` float64.
      samples: n, `[]`; no node gets more than n - 2 parents.
      edges: costs and what may be touched.
      equal: whether all noise has one variance.

    Reference: arXiv 2010.09133, section 4, with the likelihood for its score.
    """
    still = jnp.diagonal(covariance) <= 0
    covariance = covariance + jnp.diag(jnp.where(still, 1.0, 0.0))  # a column that does not vary: uncorrelated noise
    gain, loss, residual = jax.vmap(_column, in_axes=(0, 1, None), out_axes=(1, 1, 0))(
        jnp.arange(len(graph), dtype=jnp.int32), graph, covariance
    )
    start = State(graph, gain, loss, residual, jnp.array(True), jnp.zeros((), jnp.int32))
    most = 4 * graph.size
    body = lambda state: _step(state, covariance, samples, edges, equal)
    end = jax.lax.while_loop(lambda state: state.rising & (state.steps < most), body, start)
    fit = len(graph) * jnp.log(end.residual.sum()) if equal else jnp.log(end.residual).sum()
    return Found(end.graph, -samples / 2 * fit - jnp.sum(jnp.where(end.graph, edges.cost, 0)))


def refit(graph: jax.Array, covariance: jax.Array) -> jax.Array:
    """Least-squares weights of each node on its parents, `[d, d]`, 0 off the graph."""
    return jax.vmap(lambda parents, target: _precision(parents, covariance) @ target, in_axes=1, out_axes=1)(
        graph, covariance
    )


def _precision(parents: jax.Array, covariance: jax.Array) -> jax.Array:
    """The inverse of the covariance of the parents, `[d, d]`, 0 elsewhere."""
    both = parents[:, None] & parents[None, :]
    spread = jnp.diagonal(covariance)
    block = jnp.where(both, covariance, 0) + jnp.diag(jnp.where(parents, _TINY * spread, 1))
    return jnp.where(both, jnp.linalg.inv(block), 0)


def _column(target: jax.Array, parents: jax.Array, covariance: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What one more or one fewer parent does to the residual of one target: gain `[d]`, loss `[d]`, residual `[]`."""
    precision = _precision(parents, covariance)
    explained = precision @ covariance
    spread = jnp.diagonal(covariance)
    left = covariance[:, target] - covariance @ explained[:, target]
    free = jnp.maximum(spread - jnp.sum(covariance * explained, axis=0), _TINY * spread)
    gain = jnp.where(parents, 0, left**2 / free)
    diagonal = jnp.diagonal(precision)
    loss = jnp.where(parents, explained[:, target] ** 2 / jnp.where(parents, diagonal, 1), 0)
    return gain, loss, jnp.maximum(left[target], _TINY * spread[target])


def _rise(before: jax.Array, change: jax.Array) -> jax.Array:
    """log(before) - log(before + change), with what would fall to nothing stopped at a trace."""
    return -jnp.log(jnp.maximum(1 + change / before, _TINY))


def _moves(state: State, samples: jax.Array, edges: Edges, equal: bool) -> jax.Array:
    """What each step raises the penalised likelihood by, -inf where it may not be taken: `[3, d, d]`.

    Of edge i -> j: adding it, deleting it, turning it round.
    """
    graph, gain, loss, residual, *_ = state
    if equal:
        scale, total = samples * len(graph) / 2, residual.sum()
        add, delete = scale * _rise(total, -gain), scale * _rise(total, loss)
        turn = scale * _rise(total, loss - gain.T)
    else:
        scale = samples / 2
        add, delete = scale * _rise(residual, -gain), scale * _rise(residual, loss)
        turn = delete + add.T
    paths = graphs.reachability(graph)
    room = graph.sum(0) < samples - 2
    may_go = graph & ~edges.required
    may_come = edges.allowed & ~graph & ~paths.T & room[None, :]
    may_turn = may_go & edges.allowed.T & ~graphs.compose(graph, paths) & room[:, None]
    return jnp.stack(
        [
            jnp.where(may_come, add - edges.cost, -jnp.inf),
            jnp.where(may_go, delete + edges.cost, -jnp.inf),
            jnp.where(may_turn, turn + edges.cost - edges.cost.T, -jnp.inf),
        ]
    )


def _step(state: State, covariance: jax.Array, samples: jax.Array, edges: Edges, equal: bool) -> State:
    """The state after the best move; the same, no longer rising, where none helps."""
    moves = _moves(state, samples, edges, equal)
    rising = moves.max() > _TINY * samples
    chosen = graphs.greatest(moves)
    added, deleted, turned = chosen
    graph = (state.graph | added | turned.T) & ~deleted & ~turned
    source, target = (graphs.place(chosen.any(0).any(axis)) for axis in (1, 0))
    columns = jnp.stack([target, source])  # only these have new parents
    gain, loss, residual = jax.vmap(_column, in_axes=(0, 1, None), out_axes=(1, 1, 0))(
        columns, graph[:, columns], covariance
    )
    moved = State(
        graph,
        state.gain.at[:, columns].set(gain),
        state.loss.at[:, columns].set(loss),
        state.residual.at[columns].set(residual),
        rising,
        state.steps + 1,
    )
    return jax.tree.map(lambda new, old: jnp.where(rising, new, old), moved, state._replace(rising=rising))
