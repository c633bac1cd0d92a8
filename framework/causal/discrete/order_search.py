"""Order search: moves one column after another to its best place in a causal order while the likelihood rises.

    maximise  log likelihood(G) - sum of cost_ij over the edges of G

the score of `local_search`, here over orders of the columns. Along an order each column chooses its parents for itself
among those before it, adding or dropping the best one at a time. When a column moves, the others that it passes choose
again, from the parents they have: its children, and those that it would pay as a parent. What a parent is worth stands
in the correlations swept by the other parents; to add or drop one is an update of rank one.

Reference: Wienoebst, Henckel and Weichwald, "Embracing discrete search" (FLOP), arXiv 2510.04970; Andrews et al., the
best order score search (BOSS), arXiv 2310.17679.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.causal.discrete.hill_climbing import Edges, SearchResult, score_table
from framework.core.types import Key

_TINY = 1e-9  # of a column's variance: what is left of less than that is rounding
_ROUNDS = 64  # turns of a column, at most
_NOTHING, _EAGER, _PARENT = np.arange(3, dtype=np.int8)
_UP, _DOWN, _OTHERS, _DONE = np.arange(4, dtype=np.int32)


class Problem(NamedTuple):
    """What a search is given."""

    correlation: jax.Array  # [d, d]
    spread: jax.Array  # [d], the columns' variances
    samples: jax.Array  # n, []
    edges: Edges
    equal: bool  # static


class Choices(NamedTuple):
    """Parents that columns chose, one choice a row."""

    role: jax.Array  # [rows, d] int8: what each column is to the one that chose: a parent, worth being one, nothing
    residual: jax.Array  # [rows], RSS / TSS


class State(NamedTuple):
    """Where a search stands."""

    rank: jax.Array  # [d] int32, the columns' places in the order
    choices: Choices  # row j: of column j
    idle: jax.Array  # [] int32, turns since the score rose
    turns: jax.Array  # [] int32


class Turn(NamedTuple):
    """One column's look for a better place."""

    state: State  # before it
    mover: jax.Array  # [] int32, the column
    here: jax.Array  # [] int32, its place
    rest: jax.Array  # [d] int32, the places of the others without it
    low: jax.Array  # [] int32, the first place it may go to
    high: jax.Array  # [] int32, the last one
    outside: jax.Array  # [d], variance left in the other columns over the column's own; 0 where noise is not equal


class Walk(NamedTuple):
    """Where a turn stands: the mover walks up the order, then down, then the others that it passed choose."""

    matrix: jax.Array  # [d, d], the correlation swept by `parents`
    parents: jax.Array  # [d] bool, of the target, so far
    start: jax.Array  # [d] bool, parents to begin with that are not in yet
    pool: jax.Array  # [d] bool, what the target may choose from
    steps: jax.Array  # [] int32, of this choice
    target: jax.Array  # [] int32, the column that is choosing
    position: jax.Array  # [] int32, where the mover is
    phase: jax.Array  # [] int32
    waiting: jax.Array  # [d] bool, who has yet to choose
    candidates: Choices  # [2 d] rows: of each column, were the mover on its other side; of the mover at each place
    origin: jax.Array  # [d] int32, for each place the row that holds there for the mover, or -1


def search_orders(
    order: jax.Array,
    covariance: jax.Array,
    samples: jax.Array,
    edges: Edges,
    equal: bool,
    *,
    restarts: int = 0,
    key: Key | None = None,
) -> SearchResult:
    """Moves columns in turn to better places until none of them finds one.

    Before that each chooses its parents where it stands. It then goes to the nearest of the best places, or, where none
    is better but others are as good, to the farthest of those, which leads off most plateaus. Works under `jit` and
    `vmap`.

    Args:
      order: where to begin, `[d]` int, the columns from causes to effects; it keeps to the required edges.
      covariance: S = X'X / n, `[d, d]` float64.
      samples: n, `[]`; no column chooses more than n - 2 parents.
      edges: costs and what may be touched; the required edges form a DAG.
      equal: whether all noise has one variance.
      restarts: climbs to follow, each from the best order so far with round(log d) pairs of columns swapped.
      key: for the swaps, a typed key; not needed without restarts.

    Raises:
      ValueError: if restarts are asked for without a key.

    Reference: arXiv 2510.04970, search and restarts; sweeps take the place of its Cholesky updates.
    """
    if restarts and key is None:
        raise ValueError(f"order_search.climb: {restarts} restarts need a key for their swaps, got None")
    problem, size = _problem(covariance, samples, edges, equal), len(order)
    best = _ascend(jnp.zeros(size, jnp.int32).at[order].set(np.arange(size, dtype=np.int32)), problem)

    def again(best: State, number: jax.Array) -> tuple[State, None]:
        other = _ascend(_swap(best.rank, jax.random.fold_in(key, number), problem), problem)
        wins = _score(other.choices, problem) > _score(best.choices, problem)
        return jax.tree.map(lambda new, old: jnp.where(wins, new, old), other, best), None

    if restarts:
        best, _ = jax.lax.scan(again, best, np.arange(restarts, dtype=np.int32))
    parents = best.choices.role == _PARENT
    exact = jax.lax.map(lambda row: _residual(*row, problem), (parents, np.arange(size, dtype=np.int32)))
    return SearchResult(parents.T, _score(best.choices._replace(residual=exact), problem))


def _problem(covariance: jax.Array, samples: jax.Array, edges: Edges, equal: bool) -> Problem:
    edges = jax.tree.map(jnp.asarray, edges)
    edges = edges._replace(allowed=(edges.allowed | edges.required) & ~np.eye(len(covariance), dtype=bool))
    return Problem(*score_table(covariance, samples), edges, equal)


def _price(role: jax.Array, cost: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(role == _PARENT, cost, 0), axis=-1)


def _total(residual: jax.Array, price: jax.Array, problem: Problem) -> jax.Array:
    """The score of columns with these residuals and prices, `[..., d]`."""
    left = problem.spread * residual
    fit = left.shape[-1] * jnp.log(left.sum(-1)) if problem.equal else jnp.log(left).sum(-1)
    return -problem.samples / 2 * fit - price.sum(-1)


def _score(choices: Choices, problem: Problem) -> jax.Array:
    return _total(choices.residual, _price(choices.role, problem.edges.cost.T), problem)


def _swap(rank: jax.Array, key: Key, problem: Problem) -> jax.Array:
    """The order with round(log d) random pairs of columns swapped, save those that required edges keep apart."""
    pairs = jax.random.randint(key, (max(1, round(np.log(len(rank)))), 2), 0, len(rank), jnp.int32)
    for one, other in pairs:
        swapped = jnp.where(rank == one, other, jnp.where(rank == other, one, rank))
        broken = jnp.any(problem.edges.required & (swapped[:, None] > swapped))
        rank = jnp.where(broken, rank, swapped)
    return rank


def _ascend(rank: jax.Array, problem: Problem) -> State:
    """The end of a climb from an order; the columns take their turns along that order."""
    size, zero = len(rank), jnp.zeros((), jnp.int32)
    nothing = Choices(jnp.zeros((size, size), jnp.int8), jnp.ones(size))

    def going(state: State) -> jax.Array:
        return (state.idle < size) & (state.turns < _ROUNDS * size)

    def body(state: State) -> State:
        turn = _turn(state, graphs.position(rank == state.turns % size), problem)
        phase = jnp.where(_fix_order(state, problem), _DOWN, _UP)  # where nothing moves, one way is enough
        return _apply_move(turn, _walk(turn, jnp.where(going(state), phase, _DONE), problem), problem)

    return jax.lax.while_loop(going, body, State(rank, nothing, zero, zero))


def _fix_order(state: State, problem: Problem) -> jax.Array:
    """Whether columns do not move yet, but choose parents: once, or twice where one's residual counts in all scores."""
    return state.turns < (1 + problem.equal) * len(state.rank)


def _turn(state: State, mover: jax.Array, problem: Problem) -> Turn:
    size, required, fixed = len(state.rank), problem.edges.required, _fix_order(state, problem)
    here = state.rank[mover]
    rest = state.rank - (state.rank > here)
    low = jnp.where(fixed, here, jnp.max(jnp.where(required[:, mover], rest + 1, 0)))
    high = jnp.where(fixed, here, jnp.min(jnp.where(required[mover], rest, size - 1)))
    left = problem.spread * state.choices.residual
    outside = (left.sum() - left) / problem.spread if problem.equal else jnp.zeros_like(left)
    return Turn(state, mover, here, rest, low, high, outside)


def _walk(turn: Turn, phase: jax.Array, problem: Problem) -> Walk:
    """The end of a turn's walk."""
    choices, rest = turn.state.choices, turn.rest
    none, zero, role = jnp.zeros(len(rest), bool), jnp.zeros((), jnp.int32), choices.role[:, turn.mover]
    above = (rest < turn.here) & (rest >= turn.low) & (role == _EAGER)
    below = (rest >= turn.here) & (rest < turn.high) & (role == _PARENT)
    candidates, origin = jax.tree.map(lambda rows: jnp.concatenate([rows, rows]), choices), jnp.full_like(rest, -1)
    walk = Walk(problem.correlation, none, none, none, zero, zero, zero, phase, above | below, candidates, origin)
    step = lambda walk: _step(walk, turn, problem)
    return jax.lax.while_loop(lambda walk: walk.phase != _DONE, step, _begin(walk, turn.mover, turn, problem))


def _begin(walk: Walk, target: jax.Array, turn: Turn, problem: Problem) -> Walk:
    """The walk with a column about to choose; another one than the mover, with that on its other side."""
    rank, mover = turn.state.rank, np.arange(len(turn.rest), dtype=np.int32) == turn.mover
    pool = problem.edges.allowed[:, target] & ((rank < rank[target]) ^ mover)
    start = pool & ((turn.state.choices.role[target] == _PARENT) | problem.edges.required[:, target])
    # first from all before it, if there are rows enough: causes that cancel each other pay only together
    start = jnp.where((turn.state.turns < len(rank)) & (pool.sum() < problem.samples / 2), pool, start)
    walk = walk._replace(target=target, position=turn.here, start=start, pool=pool)
    return walk._replace(matrix=problem.correlation, parents=jnp.zeros_like(pool))


def _step(walk: Walk, turn: Turn, problem: Problem) -> Walk:
    """One parent in or out; where none raises the score, on to the next choice."""
    target, parents, edges, size = walk.target, walk.parents, problem.edges, len(turn.rest)
    slots = np.arange(size, dtype=np.int32)
    diagonal, price = jnp.diagonal(walk.matrix), edges.cost[:, target]
    pivot = jnp.where(parents, diagonal, jnp.maximum(diagonal, _TINY))
    residual = jnp.maximum(diagonal[target], _TINY)
    changed = jnp.maximum(residual - walk.matrix[target] ** 2 / pivot, _TINY)
    ratio = (turn.outside[target] + changed) / (turn.outside[target] + residual)
    rise = -problem.samples / 2 * (size if problem.equal else 1) * jnp.log(ratio) + jnp.where(parents, price, -price)
    may_come = edges.allowed[:, target] & (parents.sum() < problem.samples - 2)
    rise = jnp.where(jnp.where(parents, ~edges.required[:, target], may_come), rise, -jnp.inf)
    forced = walk.start | (parents & ~walk.pool)
    value = jnp.where(forced, jnp.inf, jnp.where(parents | walk.pool, rise, -jnp.inf))
    chosen, least = graphs.position(graphs.greatest(value)), _TINY * problem.samples
    moves = (value[chosen] > least) & (forced[chosen] | (walk.steps < 4 * size))
    role = jnp.where(parents, _PARENT, jnp.where(rise > least, _EAGER, _NOTHING))

    def move() -> Walk:
        at, swept = slots == chosen, _swept(walk.matrix, chosen, pivot[chosen])
        return walk._replace(matrix=swept, parents=parents ^ at, start=walk.start & ~at, steps=walk.steps + 1)

    return jax.lax.cond(moves, move, lambda: _settle(walk, Choices(role, residual), turn, problem))


def _swept(matrix: jax.Array, column: jax.Array, pivot: jax.Array) -> jax.Array:
    """The matrix with a column swept in if it was out, and out if it was in: one formula for both."""
    at, line = np.arange(len(matrix), dtype=np.int32) == column, matrix[column]
    edge = jnp.where(at, -1 / pivot, line / jnp.abs(pivot))
    inner = matrix - line[:, None] * (line / pivot)
    return jnp.where(at[:, None], edge, jnp.where(at, edge[:, None], inner))


def _residual(parents: jax.Array, target: jax.Array, problem: Problem) -> jax.Array:
    """RSS / TSS of a column with these parents, swept afresh."""

    def sweep(column: jax.Array, matrix: jax.Array) -> jax.Array:
        swept = _swept(matrix, column, jnp.maximum(matrix[column, column], _TINY))
        return jnp.where(parents[column], swept, matrix)

    end = jax.lax.fori_loop(jnp.int32(0), jnp.int32(len(parents)), sweep, problem.correlation)
    return jnp.maximum(end[target, target], _TINY)


def _settle(walk: Walk, choice: Choices, turn: Turn, problem: Problem) -> Walk:
    """The walk with the target's choice written down, at the next place, phase or target."""
    target, size, rest = walk.target, len(turn.rest), turn.rest
    slots = np.arange(size, dtype=np.int32)
    up, down, others = (walk.phase == phase for phase in (_UP, _DOWN, _OTHERS))
    # a choice of the mover holds up to its last parent, and down to the next column that would pay as one
    above = jnp.max(jnp.where(choice.role == _PARENT, rest, -1))
    below = jnp.min(jnp.where((choice.role == _EAGER) & (rest >= walk.position), rest, size))
    goes = (up & (above >= turn.low)) | (down & (below < turn.high))
    until = jnp.where(goes & down, below, walk.position)  # further down nothing is to be gained
    holds = (slots <= until) & (slots >= jnp.where(up, jnp.maximum(above + 1, turn.low), walk.position)) & ~others
    waiting = walk.waiting & ~(others & (slots == target)) & ~(down & ~goes & (rest >= walk.position))
    first = jnp.min(jnp.where(waiting, rest, size))
    phase = jnp.where(goes | others, walk.phase, walk.phase + 1)
    row = jnp.where(others, target, size + walk.position)
    walk = walk._replace(
        steps=jnp.zeros_like(walk.steps),
        phase=jnp.where((phase == _OTHERS) & (first == size), _DONE, phase),
        waiting=waiting,
        candidates=jax.tree.map(lambda rows, new: rows.at[row].set(new), walk.candidates, choice),
        origin=jnp.where(holds, row, walk.origin),
    )
    position = jnp.where(up, above, below + 1)
    onward = walk._replace(position=position, pool=problem.edges.allowed[:, target] & (rest < position))
    afresh = _begin(walk, jnp.where(phase == _DOWN, target, graphs.position(waiting & (rest == first))), turn, problem)
    return jax.tree.map(lambda one, other: jnp.where(goes, one, other), onward, afresh)


def _apply_move(turn: Turn, walk: Walk, problem: Problem) -> State:
    """The state after a turn."""
    state, here, rest, size = turn.state, turn.here, turn.rest, len(turn.rest)
    slots, cost = np.arange(size, dtype=np.int32), problem.edges.cost.T
    slot_column, mover, old = slots[:, None], slots == turn.mover, state.choices
    passed = ((slot_column <= rest) & (rest < here)) | ((here <= rest) & (rest < slot_column))
    new, mover_choice = (jax.tree.map(lambda rows, r=rows_: rows[r], walk.candidates) for rows_ in (slots, walk.origin))
    blend = lambda mine, new, old: jnp.where(mover, mine[:, None], jnp.where(passed, new, old))
    residual = blend(mover_choice.residual, new.residual, old.residual)
    price = blend(_price(mover_choice.role, cost[turn.mover]), _price(new.role, cost), _price(old.role, cost))
    rise = jnp.where(walk.origin >= 0, _total(residual, price, problem) - _score(old, problem), -jnp.inf)
    distance, least = jnp.abs(slots - here) / size, _TINY * problem.samples
    better = jnp.any(rise > least) | _fix_order(
        state, problem
    )  # a first choice counts even where required edges cost more
    level = (rise > -least / (2 * size)) & (slots != here)  # d of them lose less than a rise brings
    value = jnp.where(better, rise - least * distance, jnp.where(level, distance, -jnp.inf))
    chosen = graphs.position(graphs.greatest(value))
    role = jnp.where(mover[:, None], mover_choice.role[chosen], jnp.where(passed[chosen][:, None], new.role, old.role))
    rank = jnp.where(mover, chosen, rest + (rest >= chosen))
    moves = better | level.any()
    rank, role, residual = (
        jnp.where(moves, one, other)
        for one, other in ((rank, state.rank), (role, old.role), (residual[chosen], old.residual))
    )
    return State(rank, Choices(role, residual), jnp.where(better, 0, state.idle + 1), state.turns + 1)
