"""The search for one architecture: the spike-aware fitness, an evolution under it, and random search next to.

Both evaluate the same number of architectures and none of them twice. Where a space has fewer unseen ones left than a
pool holds, the rest of the pool stays empty. What an evaluation is, the caller says: a supernet, or a table of scores,
with which thousands of searches take seconds and may be `vmap`ped over keys.

Reference: Na et al., arXiv 2201.12738, sections 5.2 and 5.3.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core import checks, extremes, keys
from framework.core.types import Key, Metrics
from framework.nas.autosnn import enumeration
from framework.nas.autosnn.enumeration import Scores
from framework.nas.autosnn.space import Space
from framework.nas.autosnn.supernet import Supernet

ALGORITHMS = ("evolution", "random")
Evaluate = Callable[[jax.Array], Scores]  # [slots] -> accuracy and spikes, []


@dataclasses.dataclass(frozen=True)
class Config:
    """The paper's search: 20 rounds of 20 architectures.

    Args:
      algorithm: `evolution`; or `random`, for which pools are all random.
      rounds: in each of which a pool is evaluated.
      pool: architectures in it.
      top: kept, of all that have been evaluated; whose offspring the next pool is.
      mutants: of the next pool; the rest, and what duplicates leave open, is random.
      crossovers: of the next pool.
      mutation: probability that a slot of a mutant takes another block.
      tries: mutants and crossovers drawn for each that is wanted.

    Raises:
      ValueError: for an unknown algorithm, or a number out of range.
    """

    algorithm: str = "evolution"
    rounds: int = 20
    pool: int = 20
    top: int = 10
    mutants: int = 10
    crossovers: int = 10
    mutation: float = 0.2
    tries: int = 3

    def __post_init__(self):
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}")
        most, least = (self.rounds, self.pool, self.top, self.tries), (self.mutants, self.crossovers)
        whole = all(isinstance(number, numbers.Integral) for number in (*most, *least))
        if not whole or min(most) < 1 or min(least) < 0:
            raise ValueError(
                "rounds, pool, top and tries must be at least 1, mutants and crossovers at least 0, all whole numbers; "
                f"got {most} and {least}"
            )
        if self.mutants + self.crossovers > self.pool:
            got = f"{self.mutants} + {self.crossovers}"
            raise ValueError(f"mutants and crossovers must fit the pool of {self.pool}, got {got}")
        if not 0 <= self.mutation <= 1:
            raise ValueError(f"mutation must be a probability, got {self.mutation}")


class State(NamedTuple):
    """Where a search stands."""

    pool: jax.Array  # [pool, slots] int32, to be evaluated next
    fresh: jax.Array  # [pool] bool, whether there is one
    visited: jax.Array  # [size] bool, architectures that are or were in a pool
    top: jax.Array  # [top, slots] int32, the best so far, the best one first
    scores: Scores  # of the top, [top]
    fitness: jax.Array  # of the top, [top]; -1 where there is none yet
    history: jax.Array  # [rounds], the best fitness after each round; -1 before
    evaluations: jax.Array  # [] int32
    round: jax.Array  # [] int32
    guided: jax.Array  # [] bool, whether the best have offspring: False in random search
    key: Key  # of the whole search


class SearchResult(NamedTuple):
    """What a search ends with."""

    architecture: jax.Array  # [slots] int32
    accuracy: jax.Array  # []
    spikes: jax.Array  # []
    fitness: jax.Array  # []
    evaluations: jax.Array  # [] int32
    history: jax.Array  # [rounds], the best fitness after each round


def fitness(accuracy: Any, spikes: Any, lambda_: Any, reference: Any) -> jax.Array:
    """The worth of an architecture.

        accuracy * (spikes / reference)^lambda

    Less than one spike counts as one, so that a silent network has a finite worth under a negative lambda.

    Args:
      accuracy: `[...]` in [0, 1].
      spikes: `[...]`, an image.
      lambda_: at most 0; 0 leaves the accuracy.
      reference: spikes at which the factor is 1; it changes no order.

    Raises:
      ValueError: for a reference that is not positive, or a lambda above 0.

    Reference: arXiv 2201.12738, equation 5.
    """
    checks.in_interval("lambda_", lambda_, "[-inf, 0]")
    checks.positive("reference", reference, finite=False)  # spikes an image
    return accuracy * (jnp.maximum(spikes, 1.0) / reference) ** lambda_


def evolve(
    key: Key,
    supernet: Supernet,
    images: Any,
    labels: Any,
    lambda_: Any = -0.08,
    reference: Any = None,
    config: Config = Config(),
) -> SearchResult:
    """The whole search with a supernet's weights, in one traceable call.

    Args:
      key: a typed key.
      of: a trained supernet.
      images, labels: the validation set, as `enumeration.evaluate` takes it.
      lambda_: of the fitness; may be traced.
      reference: of the fitness, by default the mean spikes of the supernet's last epoch.
      config: sizes, and which algorithm.

    Returns:
      The best of all that were evaluated: `architecture` `[slots]`, its `accuracy`, `spikes` and `fitness`; how many
      `evaluations` there were, and the `history` of the best fitness after each round, `[rounds]`.

    Raises:
      ValueError: for an empty validation set, a reference that is not positive, or a lambda above 0.
    """
    enumeration.check_labels(images, labels, supernet.space.classes, "validation")
    evaluate = lambda architecture: enumeration.evaluate(supernet, architecture, images, labels)
    reference = jnp.maximum(supernet.spikes, 1) if reference is None else reference
    return search(key, supernet.space, evaluate, lambda_, reference, config)


def search(
    key: Key, space: Space, evaluate: Evaluate, lambda_: Any, reference: Any, config: Config = Config()
) -> SearchResult:
    """As `evolve`, with any evaluation: `from_table(space, scores)` looks it up."""
    advance = lambda state, _: step(state, space, evaluate, lambda_, reference, config)
    return finish(lax.scan(advance, init(key, space, config), length=config.rounds)[0])


def from_table(space: Space, table: Scores) -> Evaluate:
    """An evaluation that looks an architecture up among the scores of all, `[space.size]`.

    Raises:
      ValueError: for a table of another size.
    """
    shapes = [np.shape(column) for column in table]
    if shapes != [(space.size,)] * 2:
        raise ValueError(f"a table of this space has {space.size:,} accuracies and spikes, got shapes {shapes}")
    return lambda architecture: jax.tree.map(lambda column: column[space.index(architecture)], table)


def init(key: Key, space: Space, config: Config) -> State:
    """A first pool, all random.

    Raises:
      ValueError: if the space offers no choice.
    """
    if space.size < 2 or len(space.candidates) < 2:
        raise ValueError(f"a search needs at least 2 candidates in at least 1 slot, got {space.size} architectures")
    empty = jnp.zeros((config.top, space.slots), jnp.int32), Scores(*jnp.zeros((2, config.top)))
    nothing = jnp.zeros((config.pool, space.slots), jnp.int32), jnp.zeros(space.size, bool), jnp.zeros((), jnp.int32)
    pool, fresh, visited = _fill(keys.derive(key, "first pool"), space, *nothing)
    zero, guided = jnp.zeros((), jnp.int32), jnp.asarray(config.algorithm == "evolution")
    nothing_yet = jnp.full(config.top, -1, float), jnp.full(config.rounds, -1, float)
    return State(pool, fresh, visited, *empty, *nothing_yet, zero, zero, guided, key)


def step(
    state: State, space: Space, evaluate: Evaluate, lambda_: Any, reference: Any, config: Config
) -> tuple[State, Metrics]:
    """One round: the pool is evaluated, the best are kept, the next pool is made from them.

    Returns:
      The state, and metrics of the best so far: fitness, accuracy, spikes; and evaluations.
    """
    nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(evaluate, state.pool[0]))
    scores = lax.map(
        lambda candidate: lax.cond(candidate[1], evaluate, lambda _: nothing, candidate[0]), (state.pool, state.fresh)
    )
    worth = jnp.where(state.fresh, fitness(*scores, lambda_, reference), -1)
    together = lambda old, new: jnp.concatenate([old, new])
    ranked, order = lax.top_k(together(state.fitness, worth), config.top)
    kept = lambda old, new: together(old, new)[order]
    top, scores = kept(state.top, state.pool), jax.tree.map(kept, state.scores, scores)
    key = jax.random.fold_in(state.key, state.round)
    pool, fresh, visited = _next(key, space, config, state, top, (ranked >= 0).sum())
    evaluations = state.evaluations + state.fresh.sum(dtype=jnp.int32)
    best = {"fitness": ranked[0], "accuracy": scores.accuracy[0], "spikes": scores.spikes[0]}
    history = state.history.at[state.round].set(ranked[0])
    new_state = State(pool, fresh, visited, top, scores, ranked, history, evaluations, state.round + 1, *state[-2:])
    return new_state, best | {"evaluations": evaluations}


def finish(state: State) -> SearchResult:
    """The best of all that were evaluated."""
    best = (state.top[0], state.scores.accuracy[0], state.scores.spikes[0], state.fitness[0])
    return SearchResult(*best, state.evaluations, state.history)


def front(table: Scores) -> np.ndarray:
    """The Pareto front of a table: indices of those that no other beats in accuracy and in spikes, by rising spikes."""
    return extremes.front(np.stack([np.asarray(table.spikes), -np.asarray(table.accuracy)], axis=1))


def mutate(key: Key, parents: jax.Array, base: int, probability: float) -> jax.Array:
    """Each slot of `parents [n, slots]` takes another one of `base` blocks with the probability."""
    whether, how = jax.random.split(key)
    turn = jax.random.randint(how, parents.shape, 1, base, parents.dtype)
    return jnp.where(jax.random.bernoulli(whether, probability, parents.shape), (parents + turn) % base, parents)


def crossover(key: Key, first: jax.Array, second: jax.Array, cuts: tuple[int, ...]) -> jax.Array:
    """The beginnings of `first [n, slots]`, the ends of `second`; each of `cuts` is as likely."""
    cut = jax.random.choice(key, jnp.asarray(cuts), (len(first), 1))
    return jnp.where(jnp.arange(first.shape[1]) < cut, first, second)


def _next(key: Key, space: Space, config: Config, state: State, top: jax.Array, known: jax.Array):
    """A pool of mutants, crossovers and random architectures, none of them seen."""
    draw = lambda name, n, high: jax.random.randint(keys.derive(key, name), (config.tries * n,), 0, high)
    parents = top[draw("of whom", config.mutants, known)]
    mutants = mutate(keys.derive(key, "mutation"), parents, len(space.candidates), config.mutation)
    first = draw("first", config.crossovers, known)
    second = (first + 1 + draw("second", config.crossovers, jnp.maximum(known - 1, 1))) % jnp.maximum(known, 1)
    crossovers = crossover(keys.derive(key, "crossover"), top[first], top[second], space.cuts)
    pool = jnp.zeros((config.pool, space.slots), jnp.int32), state.visited, jnp.zeros((), jnp.int32)
    for offered, count in ((mutants, config.mutants), (crossovers, config.crossovers)):
        pool = _accept(space, *pool, offered, jnp.where(state.guided, count, 0))
    return _fill(keys.derive(key, "random"), space, *pool)


def _accept(space: Space, pool, visited, count, offered: jax.Array, quota: jax.Array):
    """The first `wanted` of the offered that no pool has held, behind the `count` that are in the pool."""
    limit = count + quota

    def offer(carry, architecture):
        pool, visited, count = carry
        index = space.index(architecture)
        take = ~visited[index] & (count < limit)
        pool = jnp.where(take, pool.at[count].set(architecture), pool)
        return (pool, visited.at[index].set(visited[index] | take), count + take), None

    return lax.scan(offer, (pool, visited, count), offered)[0]


def _fill(key: Key, space: Space, pool: jax.Array, visited: jax.Array, count: jax.Array):
    """The rest of a pool from what no pool has held, each as likely; empty where nothing is left."""
    size = len(pool)
    order = jnp.argsort(jnp.where(visited, 2.0, jax.random.uniform(key, visited.shape)))
    index = jnp.arange(size) - count
    drawn = order[jnp.clip(index, 0, len(visited) - 1)]
    fresh = (index < 0) | (index < (~visited).sum())
    pool = jnp.where((index < 0)[:, None], pool, space.architecture(drawn).astype(pool.dtype))
    return pool, fresh, visited.at[drawn].max((index >= 0) & fresh)
