"""Edge search: adds, deletes and reverses single edges of a linear Gaussian graph while its penalised likelihood rises.

    maximise  log likelihood(G) - sum of cost_ij over the edges of G - sum of ancestors_ij over its paths

with the likelihood profiled over weights and noise: -n d / 2 log(sum_j RSS_j) where all noise has one variance, and
-n / 2 sum_j log RSS_j where it has not. A cost of log(n) / 2 an edge makes it the BIC.

Where nothing raises it, an edge is turned round that leaves it as it is: the likelihood does not tell equivalent graphs
apart, but from one of them there may be a way up. No pair is turned for nothing twice.

A step costs O(d^2) for each parent of the one or two nodes whose parents change, and a few passes over matrices of
that size: those nodes are refitted by sweeping in their parents one after another, and the counts of paths, which
tell what would close a cycle, follow by rank-one updates.

Reference: the local search after a continuous learner of Wei, Gao and Yu, "DAGs with No Fears", arXiv 2010.09133; the
equal-variance likelihood of Peters and Buehlmann, "Identifiability of Gaussian structural equation models with equal
error variances", arXiv 1205.2536; Goodnight, "A tutorial on the SWEEP operator", The American Statistician 33 (1979).
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.causal.discrete import ancestry

_TINY = 1e-9  # of a column's variance, or of log likelihood a row: less than that is rounding
_EXACT = 2.0**53  # path counts below are exact
_STEEPEST = 300.0  # a cost of so many powers of e outweighs every likelihood, and two of them stay finite


class Table(NamedTuple):
    """What a search knows of the data."""

    correlation: jax.Array  # [d, d]; a column that does not vary is uncorrelated noise
    spread: jax.Array  # [d], the columns' variances
    samples: jax.Array  # n, []


class Edges(NamedTuple):
    """What a search may do."""

    cost: jax.Array  # [d, d], of each edge, in units of log likelihood; finite
    allowed: jax.Array  # [d, d] bool, where an edge may stand
    required: jax.Array  # [d, d] bool, edges that stay


class SearchResult(NamedTuple):
    """The end of a search."""

    graph: jax.Array  # [d, d] bool, a DAG
    score: jax.Array  # [], its penalised log likelihood, up to a constant of the data


# The matrices below share one layout, so that a step reads them side by side: entry (a, b) is about the steps that make
# room for a before b, which are a -> b comes, b -> a goes, and b -> a turns into a -> b.


class Fits(NamedTuple):
    """What is left of each node by its present parents; gain and loss as shares of that where `equal` is not set."""

    gain: jax.Array  # [d, d], what the residual of b falls by if a -> b comes; -inf where it stands
    loss: jax.Array  # [d, d], what the residual of a rises by if b -> a goes; inf where it does not stand
    residual: jax.Array  # [d], RSS / n


class Prices(NamedTuple):
    """The factors that costs put on the residual, as `_factors` wants them; inf where a step is never allowed."""

    come: jax.Array  # [d, d]
    go: jax.Array  # [d, d]
    turn: jax.Array  # [d, d]


class Step(NamedTuple):
    """One step of a search."""

    a: jax.Array  # [] int32
    b: jax.Array  # [] int32
    comes: jax.Array  # [] bool, whether a -> b is new
    goes: jax.Array  # [] bool, whether b -> a is gone; both where it is turned round
    possible: jax.Array  # [] bool; no step is where this is not set

    @property
    def turns(self) -> jax.Array:
        """Whether b -> a is turned round, [] bool."""
        return self.comes & self.goes


class State(NamedTuple):
    """Where a search stands."""

    graph: jax.Array  # [d, d] bool, a DAG
    parents: jax.Array  # [d] int32, how many each node has
    fits: Fits
    counts: jax.Array  # [d, d], how many paths lead from b to a, 1 from a node to itself
    tried: jax.Array  # [d, d] bool, symmetric: pairs that were turned round for nothing
    score: jax.Array  # [], the penalised log likelihood above that of the start
    peak: jax.Array  # [], the highest so far
    moving: jax.Array  # [] bool, whether the last step was taken


def hill_climb(
    graph: jax.Array,
    covariance: jax.Array,
    samples: jax.Array,
    edges: Edges,
    equal: bool,
    ancestors: jax.Array | None = None,
) -> SearchResult:
    """Takes the best single step, again and again, until none raises the penalised likelihood.

    Args:
      graph: where to begin, `[d, d]` bool, a DAG that keeps to `edges`.
      covariance: S = X'X / n, `[d, d]` float64.
      samples: n, `[]`; no node gets more than n - 2 parents.
      edges: costs and what may be touched.
      equal: whether all noise has one variance.
      ancestors: the cost of a path from i to j, in units of log likelihood, `[d, d]`, below 0 where one is believed in;
        None costs no time, and a matrix O(d^2) for each edge in every step.

    Reference: arXiv 2010.09133, section 4, with the likelihood for its score.
    """
    graph, edges = jax.tree.map(jnp.asarray, (graph, edges))
    table = score_table(covariance, samples)
    fits = Fits(jnp.zeros_like(table.correlation), jnp.zeros_like(table.correlation), table.spread)
    write = lambda node, fits: _write_fits(fits, node, _fit(node, graph[:, node], table, equal))
    fits = jax.lax.fori_loop(jnp.int32(0), jnp.int32(len(graph)), write, fits)
    counts, zero = ancestry.path_counts(graph.T), jnp.zeros_like(table.samples)
    parents, tried = graph.sum(0, dtype=jnp.int32), jnp.zeros_like(graph)
    start = State(graph, parents, fits, counts, tried, zero, zero, jnp.array(True))
    prices = _prices(edges, _scale(table, equal))
    body = lambda state: _step(state, table, edges, prices, equal, ancestors)
    end = jax.lax.while_loop(lambda state: state.moving, body, start)
    score = _likelihood(end.fits.residual, table, equal) - jnp.sum(jnp.where(end.graph, edges.cost, 0))
    if ancestors is not None:
        score -= ancestry.total(ancestry.path_counts(end.graph), ancestors)
    return SearchResult(end.graph, score)


def refit(graph: jax.Array, covariance: jax.Array) -> jax.Array:
    """Least-squares weights of each node on its parents, `[d, d]`, 0 off the graph."""
    table = score_table(covariance, jnp.ones(()))
    nodes = (jnp.arange(len(graph), dtype=jnp.int32), graph.T)
    slopes = jax.lax.map(lambda arguments: _swept(arguments[1], table.correlation)[arguments[0]], nodes).T
    deviation = jnp.sqrt(table.spread)
    return jnp.where(graph, slopes * deviation / deviation[:, None], 0)


def log_likelihood(graph: jax.Array, table: Table, equal: bool) -> jax.Array:
    """The profiled log likelihood of a graph, `[]`, up to a constant of the data.

    Args:
      graph: `[d, d]` bool, a DAG.
      table: what `score_table` gives.
      equal: whether all noise has one variance.
    """
    nodes = (jnp.arange(len(graph), dtype=jnp.int32), graph.T)
    residual = jax.lax.map(lambda arguments: _swept(arguments[1], table.correlation)[arguments[0], arguments[0]], nodes)
    return _likelihood(jnp.maximum(residual, _TINY) * table.spread, table, equal)


def score_table(covariance: jax.Array, samples: jax.Array) -> Table:
    """What a search takes of a covariance `[d, d]` of so many rows."""
    still = jnp.diagonal(covariance) <= 0
    spread = jnp.where(still, 1.0, jnp.diagonal(covariance))
    correlation = jnp.where(still | still[:, None], 0, covariance / jnp.sqrt(spread * spread[:, None]))
    correlation = jnp.where(jnp.eye(len(spread), dtype=bool), 1.0, correlation)
    return Table(correlation, spread, jnp.asarray(samples, spread.dtype))


def _swept(parents: jax.Array, correlation: jax.Array) -> jax.Array:
    """The correlation R with the parents swept in, one after another: `[d, d]`.

    Afterwards it holds, off the parents, the partial covariance given them; between a parent and another column that
    column's slope on the parent; and on a parent's diagonal 2 - [(R_pp)^-1]_ii. Sweeping in k is one rank-one update,

        R - (r - e_k) (r - e_k)' / r_k,     r the row k of R,

    which adds 2 to the diagonal of the usual sweep, where nothing reads it.

    Reference: Goodnight, The American Statistician 33 (1979).
    """
    places = np.arange(len(correlation), dtype=np.int32)

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        left, swept = carry
        here = places == jnp.min(jnp.where(left, places, places.size - 1))
        one = here.astype(swept.dtype)
        row = one @ swept  # a slice would be taken again for each entry below
        edge = row - one
        return left & ~here, swept - edge[:, None] * (edge / jnp.maximum(row @ one, _TINY))

    return jax.lax.while_loop(lambda carry: jnp.any(carry[0]), body, (parents, correlation))[1]


def _fit(node: jax.Array, parents: jax.Array, table: Table, equal: bool) -> Fits:
    """The fit of one node: its gain `[d]`, its loss `[d]`, its residual `[]`."""
    swept = _swept(parents, table.correlation)
    variances, shared = jnp.diagonal(swept), swept[node]
    # a parent's 2 - own is an element of an inverse correlation, so at least 1
    change = shared**2 / jnp.where(parents, jnp.maximum(2 - variances, 1), jnp.maximum(variances, _TINY))
    residual = jnp.maximum(shared[node], _TINY)
    change = change * table.spread[node] if equal else change / residual
    return Fits(
        jnp.where(parents, -jnp.inf, change), jnp.where(parents, change, jnp.inf), residual * table.spread[node]
    )


def _write_fits(fits: Fits, node: jax.Array, new: Fits) -> Fits:
    """The fits with those of one node put in."""
    return Fits(
        fits.gain.at[:, node].set(new.gain), fits.loss.at[node].set(new.loss), fits.residual.at[node].set(new.residual)
    )


def _scale(table: Table, equal: bool) -> jax.Array:
    """The log likelihood is minus this times the logarithm of the residuals' sum, or product."""
    return table.samples * (len(table.spread) if equal else 1) / 2


def _likelihood(residual: jax.Array, table: Table, equal: bool) -> jax.Array:
    return -_scale(table, equal) * (jnp.log(residual.sum()) if equal else jnp.log(residual).sum())


def _prices(edges: Edges, scale: jax.Array, changes: jax.Array | None = None) -> Prices:
    """The prices of all steps; `changes` are what steps change besides the edges' costs, as `ancestry.changes`."""
    come, go = edges.cost, -edges.cost.T
    turn = come + go
    if changes is not None:
        come, go, turn = come + changes[0], go + changes[1].T, turn + changes[2].T
    factor = lambda cost, open: jnp.where(open, jnp.exp(jnp.clip(cost / scale, -_STEEPEST, _STEEPEST)), jnp.inf)
    free = ~edges.required.T
    return Prices(factor(come, edges.allowed), factor(go, free), factor(turn, free & edges.allowed))


def _factors(
    fits: Fits, counts: jax.Array, prices: Prices, room: jax.Array, whole: jax.Array, equal: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What a -> b comes, b -> a goes, and b -> a turned round would make of the `whole` residual, prices included.

    The penalised likelihood rises by -n d / 2 or -n / 2 times the logarithm of that by the whole: the least is the
    best, and no logarithm needs to be taken. Each is inf where a step is not possible.
    """
    fewer, more = jnp.maximum(whole - fits.gain, _TINY * whole), whole + fits.loss
    both = jnp.maximum(more - fits.gain, _TINY * whole) if equal else more * fewer
    return (
        jnp.where(room & (counts == 0), fewer * prices.come, jnp.inf),
        more * prices.go,
        jnp.where(room & (counts == 1), both * prices.turn, jnp.inf),  # the edge itself is the only path
    )


def _best(state: State, table: Table, prices: Prices, equal: bool) -> Step:
    """The best step: its row first, by plain minima, and then its place in the row."""
    whole = state.fits.residual.sum() if equal else jnp.ones_like(table.samples)
    room = state.parents < table.samples - 2
    # what was turned for nothing once has to bring twice what rounding may
    again = jnp.exp(2 * _TINY * table.samples / _scale(table, equal))
    prices = prices._replace(turn=jnp.where(state.tried, again, 1) * prices.turn)
    factors = lambda fits, counts, prices: _factors(fits, counts, prices, room, whole, equal)
    matrices = (state.fits, state.counts, prices)
    # unlike jnp.min, this becomes one loop with what it reduces on a CPU
    smaller = lambda one, other: jnp.where(one < other, one, other)
    least = jax.lax.reduce(reduce(smaller, factors(*matrices)), jnp.full_like(whole, jnp.inf), smaller, (1,))
    a = graphs.position(graphs.greatest(-least))
    row = jax.tree.map(lambda matrix: matrix[a], matrices)
    chosen = graphs.greatest(-jnp.stack(factors(*row)))
    comes, goes, turns = chosen.any(1)
    return Step(a, graphs.position(chosen.any(0)), comes | turns, goes | turns, least[a] < jnp.inf)


def _if_any(needed: jax.Array, function: Callable[[Any], Any], argument: Any, otherwise: Any) -> Any:
    """`function(given)` where it is needed: a `lax.cond` that is skipped under `vmap` too, where no member needs it.

    What is given goes through the loop and changes there: XLA moves work that does not change out of loops.
    """
    body = lambda carry: (jnp.zeros_like(needed), jax.tree.map(jnp.zeros_like, carry[1]), function(carry[1]))
    return jax.lax.while_loop(lambda carry: carry[0], body, (needed, argument, otherwise))[2]


def _refit(fits: Fits, graph: jax.Array, step: Step, table: Table, equal: bool) -> Fits:
    """The fits after a step to `graph`: b has a new parent, or a has lost one, or both."""
    node = jnp.where(step.comes, step.b, step.a)
    new = _fit(node, graph[:, node], table, equal)
    other = jnp.where(step.turns, step.a, node)
    also = _if_any(step.turns, lambda parents: _fit(other, parents, table, equal), graph[:, other], new)
    return _write_fits(_write_fits(fits, node, new), other, also)


def _update_path_counts(counts: jax.Array, graph: jax.Array, step: Step, sound: jax.Array) -> jax.Array:
    """The path counts after a step to `graph`; counted from scratch where an edge goes and a count is not exact.

    So no count is ever wrongly 0 or 1: small ones are sums of exact numbers, and none is a difference of inexact ones.
    """
    a, b = step.a, step.b
    into, out = jnp.where(step.goes, counts[:, a], 0), counts[b]
    row, column = counts[a] - into[a] * out, jnp.where(step.comes, counts[:, b] - into * out[b], 0)
    updated = counts - into[:, None] * out + column[:, None] * row
    vague = step.goes & (counts.max() >= _EXACT) & sound
    return _if_any(vague, lambda argument: ancestry.path_counts(argument.T), graph, updated)


def _step(state: State, table: Table, edges: Edges, prices: Prices, equal: bool, ancestors: jax.Array | None) -> State:
    """The state after the best step; where that is not taken the graph as it was, no longer moving.

    Whether it is worth taking is read off the new fits: what rounding promised could go in circles for ever.
    """
    if ancestors is not None:
        prices = _prices(edges, _scale(table, equal), ancestry.changes(state.graph, ancestors, state.counts.T))
    step = _best(state, table, prices, equal)
    a, b = step.a, step.b
    graph = state.graph.at[b, a].min(~step.goes).at[a, b].max(step.comes)
    fits = _refit(state.fits, graph, step, table, equal)
    before, after = (_likelihood(residual, table, equal) for residual in (state.fits.residual, fits.residual))
    # the counts wait for the fits: two loops side by side can starve each other of threads on a small CPU (jax 0.10)
    counts = _update_path_counts(state.counts, graph, step, jnp.isfinite(after))
    cost = jnp.where(step.comes, edges.cost[a, b], 0) - jnp.where(step.goes, edges.cost[b, a], 0)
    if ancestors is not None:
        cost += ancestry.total(counts.T, ancestors) - ancestry.total(state.counts.T, ancestors)
    score, rounding = state.score + after - before - cost, _TINY * table.samples
    rises = score > state.peak + rounding
    sideways = step.turns & ~state.tried[a, b] & (score >= state.score - rounding) & ~rises
    taken = step.possible & (rises | sideways)
    keep = lambda new, old: jnp.where(taken, new, old)
    return State(
        keep(graph, state.graph),
        state.parents.at[b].add(step.comes.astype(jnp.int32)).at[a].add(-step.goes.astype(jnp.int32)),
        fits._replace(residual=keep(fits.residual, state.fits.residual)),
        counts,
        state.tried.at[a, b].max(sideways).at[b, a].max(sideways),
        score,
        jnp.maximum(score, state.peak),
        taken,
    )
