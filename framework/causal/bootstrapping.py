"""Bootstrap frequencies of edges: how often the data join and direct each pair of columns over resamples."""

import dataclasses
import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from framework.causal import graphs, inputs, learner
from framework.causal.config import Config
from framework.causal.discrete import orientation, search
from framework.causal.knowledge import Knowledge
from framework.causal.learn.problems import Problem
from framework.causal.learner import Result
from framework.core import keys
from framework.core.precision import x64
from framework.core.types import Key


class Bootstrap(NamedTuple):
    """Frequencies over equivalence classes; of each pair of columns joined = directed + directed.T + open."""

    joined: jax.Array  # [d, d], symmetric: an edge, whatever its direction
    directed: jax.Array  # [d, d]: i -> j, by the data, knowledge, the prior or the model's assumption
    open: jax.Array  # [d, d], symmetric: an edge whose direction nothing tells
    result: Result  # of all rows, or the graph of a resample where that explains all rows better


def resample(key: Key, rows: int, resamples: int) -> jax.Array:
    """How often each row stands in each resample of as many rows drawn with replacement, `[resamples, rows]` int32.

    Raises:
      ValueError: for less than 1 resample, or what is no key.
    """
    keys.check(key)
    if not isinstance(resamples, numbers.Integral) or resamples < 1:
        raise ValueError(f"a bootstrap needs at least 1 resample, a whole number, got {resamples!r}")
    drawn = jax.random.randint(key, (resamples, rows), 0, rows, jnp.int32)
    return jax.vmap(lambda d: jnp.zeros(rows, jnp.int32).at[d].add(1))(drawn)


def bootstrap(
    key: Key,
    x: Any,
    resamples: int,
    knowledge: Knowledge | None = None,
    config: Config = Config(),
) -> Bootstrap:
    """Fits bootstrap resamples and counts how each pair of columns is joined, by one vmapped call.

    Frequencies are of Markov equivalence classes, the most that data can tell: an edge counts as directed in a resample
    where its direction is told there (`orientation.directions`), and as open where the reverse would explain the
    resample as well; no frequency of an arrow comes from a choice that nothing supports. The transform of the config is
    taken of each resample, so that its columns are standardised by their own moments.

    Args:
      key: a typed key.
      x: the table, `[n, d]`, or a DataFrame.
      resamples: how many, at least 1.
      knowledge, config: as for `fit`.

    Returns:
      A `Bootstrap`: `joined`, `directed` and `open`, `[d, d]` float64 in [0, 1] each, and the `result` of all rows, a
      graph that no resample's graph beats on them; of NumPy arrays in a plain call.

    Raises:
      ValueError: as `fit`, for less than 1 resample, or what is no key.

    Warns:
      AssumptionWarning: as `fit`.

    Example:
      >>> from framework import causal
      >>> x, e, f = np.random.default_rng(0).normal(size=(3, 500))
      >>> found = causal.bootstrap(jax.random.key(0), np.stack([x, 2 * x + e, f], axis=1), 20)
      >>> float(found.joined[0, 1]), float(found.directed[0, 1]), float(found.open[0, 1])  # x and y, but which causes?
      (1.0, 0.0, 1.0)

    Reference: Friedman, Goldszmidt and Wyner, "Data analysis with Bayesian networks: a bootstrap approach", UAI 1999.
    """
    x, knowledge, names = inputs.check(x, knowledge, config)
    counts = resample(key, x.shape[0], resamples)
    with x64():
        outcome = inputs.on_host(_bootstrap(config, *inputs.in_float64((x, knowledge)), counts))
    return outcome._replace(result=dataclasses.replace(outcome.result, names=names))


@jax.jit
def _bootstrap(config, x, knowledge, counts) -> Bootstrap:
    counts = jnp.concatenate([jnp.ones_like(counts[:1]), counts])  # all rows first, by the same program
    problem = lambda count: learner.problem(x, knowledge, config, counts=count)
    fits = jax.vmap(lambda count: learner.solve(problem(count), config))(counts)
    return summarize(fits, problem(counts[0]), config)


def summarize(fits: Result, problem: Problem, config: Config) -> Bootstrap:
    """The frequencies of fits, and the best of their graphs.

    Args:
      fits: leaves `[1 + resamples, ...]`, first the fit of all rows.
      problem: that of all rows.
      config: of the fits.
    """
    is_directed = fits.graph & (fits.direction != orientation.OPEN)
    share = lambda edges: jnp.sum(edges[1:], axis=0, dtype=jnp.float64) / (len(edges) - 1)
    directed, undirected = share(is_directed), share(fits.graph & ~is_directed)
    undirected += undirected.T
    best = jax.tree.map(lambda leaf: leaf[0], fits)
    if config.finish != "cut":
        best = _best(best, fits.graph, problem, config)
    return Bootstrap(directed + directed.T + undirected, directed, undirected, best)


def _best(result: Result, candidates: jax.Array, problem: Problem, config: Config) -> Result:
    """The result with the graph of greatest score among candidates `[n, d, d]`, whose first is the result's own."""
    scores = jax.lax.map(lambda graph: search.score(graph, problem, config), candidates)
    scores -= jnp.where(jnp.arange(len(scores)) > 0, search.ROUNDING * problem.samples, 0)
    chosen = graphs.position(graphs.greatest(scores))
    best = learner.of_graph(
        candidates[chosen], search.compelled_by_data(candidates[chosen], problem, config), problem, config
    )
    return jax.tree.map(lambda new, old: jnp.where(chosen > 0, new, old), dataclasses.replace(result, **best), result)
