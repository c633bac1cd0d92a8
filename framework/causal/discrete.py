"""The search that ends a fit: the graph of best penalised likelihood near the path's end.

    maximise  log likelihood(G) - sum over edges of [ log(n) / 2 + log(d) + the prior's cost ]

which without a prior is the EBIC. A prior of fixed weight costs log(d) (l_sim / l1) C (1 - 2K) an edge: it takes the
place of the belief in sparse graphs as it takes that of the penalty on the path. Where no weight is given, the search
is done without the prior first, and `trust` prices the prior by what that found.

Reference: Chen and Chen, "Extended Bayesian information criteria", Biometrika 95 (2008); the search after a continuous
learner of arXiv 2010.09133.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.causal import graphs, local_search, order_search, ordering, trust
from framework.causal.config import Config
from framework.causal.local_search import Edges, Found
from framework.causal.problems import Problem

ROUNDS = 3  # of trust and search by turns
_MOST_TRUST = 1e3  # l_sim / l1 counts as no more
_ROUNDING = 1e-6  # of a log likelihood a row


def search(graph: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """The best graph found, `[d, d]` bool, a DAG that keeps to hard knowledge.

    Args:
      graph: what the path ended with, `[d, d]` bool, a DAG that keeps to hard knowledge.
      problem, config: of the fit.
    """
    plain = jnp.log(problem.samples) / 2 + jnp.log(len(graph)) + jnp.zeros(graph.shape)
    if problem.prior_weight is not None:
        return _from_data(graph, Prices(plain, None).plus(_fixed(problem)), problem, config)
    alone = _from_data(graph, Prices(plain, None), problem, config)
    return _with_prior(alone, Prices(plain, None), problem, config)


class Prices(NamedTuple):
    """What a graph pays, in units of log likelihood."""

    edges: jax.Array  # [d, d], for each edge
    paths: jax.Array | None  # [d, d], for each pair with a directed path from i to j; None where none has a price

    def plus(self, other: "Prices") -> "Prices":
        """Both together."""
        return Prices(self.edges + other.edges, other.paths if self.paths is None else self.paths)


def _fixed(problem: Problem) -> Prices:
    """What a prior of fixed weight costs."""
    trusted = jnp.clip(problem.prior_weight / problem.penalty, 0, _MOST_TRUST)
    worth = jnp.where(problem.prior_weight > 0, trusted, 0) * jnp.log(len(problem.prior))
    paths = None
    if problem.ancestors is not None:
        paths = worth * problem.ancestor_confidence * (1 - 2 * problem.ancestors)
    return Prices(worth * problem.confidence * (1 - 2 * problem.prior), paths)


def _with_prior(alone: jax.Array, prices: Prices, problem: Problem, config: Config) -> jax.Array:
    """The graph and the trust in the prior that explain data and prior together best.

    From the graph that the data alone gave, and from the one that the prior claims: trust by the graph, a search at the
    prices that follow, and so on.
    """
    believed = problem.prior * problem.confidence * problem.allowed * (problem.prior > 0.5)
    claimed = graphs.break_cycles(believed + problem.required, problem.required) != 0
    claimed = jnp.where(jnp.any(believed > 0), claimed, alone)
    climb = jax.vmap(lambda graph: _trusting(graph, prices, problem, config))
    start = Found(jnp.stack([alone, claimed]), jnp.zeros(2))
    trusting = _best(jax.lax.scan(lambda ends, _: (climb(ends.graph), None), start, length=ROUNDS)[0], problem)
    believed = jnp.any(problem.confidence > 0)
    if problem.ancestors is not None:
        believed |= jnp.any(problem.ancestor_confidence > 0)
    return jnp.where(believed, trusting, alone)  # who knows nothing changes nothing


def _trusting(graph: jax.Array, prices: Prices, problem: Problem, config: Config) -> Found:
    """A search from a graph with the prior at the price that it earned there; its score counts the claims too."""
    edges = trust.of_edges(problem.prior, problem.confidence, graph)
    paths = None
    if problem.ancestors is not None:
        paths = trust.of_paths(problem.ancestors, problem.ancestor_confidence, graphs.reachability(graph))
    prices = prices.plus(Prices(edges.costs, None if paths is None else paths.costs))
    found = _climb(graph, problem.allowed, prices, problem, config)
    return found._replace(score=found.score + edges.silence + (0 if paths is None else paths.silence))


def _from_data(graph: jax.Array, prices: Prices, problem: Problem, config: Config) -> jax.Array:
    """From the path's end, and from what the covariance says of the order.

    Over edges, the second search starts with the required ones alone; where noise has one variance it adds its first
    edges along the top-down order, and is free from there on.
    """
    everywhere = jnp.stack([problem.allowed] * 2)
    climb = jax.vmap(lambda start, allowed: _climb(start, allowed, prices, problem, config))
    if config.finish == "order":
        return _best(climb(jnp.stack([graph, problem.required]), everywhere), problem)
    free = problem.allowed
    if _equal(config):
        free &= ordering.top_down(problem.covariance, problem.required)
    start = Found(jnp.stack([graph, problem.required]), jnp.zeros(2))
    allowed = jnp.stack([jnp.stack([problem.allowed, free]), everywhere])
    return _best(jax.lax.scan(lambda ends, allowed: (climb(ends.graph, allowed), None), start, allowed)[0], problem)


def _climb(graph: jax.Array, allowed: jax.Array, prices: Prices, problem: Problem, config: Config) -> Found:
    """The end of a search from a graph; over orders it starts from one that the graph keeps to."""
    edges, equal = Edges(prices.edges, allowed, problem.required), _equal(config)
    given = problem.covariance, problem.samples, edges, equal
    if config.finish == "order":
        found = order_search.climb(ordering.of_graph(graph, problem.covariance), *given)
        if prices.paths is None:
            return found
        graph = found.graph  # orders know nothing of paths: single edges make up for it
    return local_search.climb(graph, *given, ancestors=prices.paths)


def _best(ends: Found, problem: Problem) -> jax.Array:
    """The graph of the greatest score; of ends that differ by no more than rounding, such as equivalent graphs, the
    first."""
    margin = _ROUNDING * problem.samples * jnp.arange(len(ends.score))
    return jnp.any(ends.graph & graphs.greatest(ends.score - margin)[:, None, None], axis=0)


def _equal(config: Config) -> bool:
    return config.noise == "equal"
