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

from framework.causal import graphs
from framework.causal.config import Config
from framework.causal.discrete import (
    ancestry,
    equivalence,
    exact_search,
    hill_climbing,
    order_search,
    ordering,
    orientation,
    trust,
)
from framework.causal.discrete.hill_climbing import Edges, SearchResult
from framework.causal.learn.problems import Problem

ROUNDS = 3  # of trust and search by turns
_MOST_TRUST = 1e3  # l_sim / l1 counts as no more
ROUNDING = 1e-8  # of a log likelihood a row


def search(graph: jax.Array, problem: Problem, config: Config) -> tuple[jax.Array, jax.Array]:
    """Finds the best graph, and what the data say of its directions.

    Args:
      graph: what the path ended with, `[d, d]` bool, a DAG that keeps to hard knowledge.
      problem, config: of the fit.

    Returns:
      The graph, `[d, d]` bool, a DAG that satisfies the hard constraints, and the directions that the data compel, as
      `compelled_by_data` gives them; where trust is calibrated, of the graph that is found without beliefs.
    """
    prices = _plain(problem)
    if problem.prior_weight is not None:
        result = _from_data(graph, prices.plus(_fixed_prices(problem)), problem, config)
        return result, compelled_by_data(result, problem, config)
    data_graph = _from_data(graph, prices, problem, config)
    fixed = hard_directions(problem)
    return _with_prior(data_graph, problem, config), orientation.compelled_by_data(data_graph, fixed)


def compelled_by_data(graph: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """The edges of a graph whose direction follows from v-structures that no hard constraint and no belief favours,
    `[d, d]` bool."""
    return orientation.compelled_by_data(graph, hard_directions(problem) | (gain(graph, problem, config) > 0))


def score(graph: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """The penalised log likelihood of a graph, claims included: what `search` maximises, `[]`."""
    table = hill_climbing.score_table(problem.covariance, problem.samples)
    prices, silence = _plain(problem), 0.0
    if problem.prior_weight is None:
        worth, silence = _calibrate(graph, problem, config)
        prices = prices.plus(worth)
    else:
        prices = prices.plus(_fixed_prices(problem))
    paid = jnp.sum(jnp.where(graph, prices.edges, 0))
    if prices.paths is not None:
        paid += ancestry.total(ancestry.path_counts(graph), prices.paths)
    return hill_climbing.log_likelihood(graph, table, _equal(config)) - paid + silence


def gain(graph: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """What beliefs say for i -> j over j -> i in a graph, `[d, d]`; 0 where their source proved to know no directions.

    A belief in a path counts on the shortest walks between its ends.
    """
    prices = _calibrate(graph, problem, config)[0] if problem.prior_weight is None else _fixed_prices(problem)
    return _preference(graph, prices.claims, None if prices.paths is None else -prices.paths)


def _preference(graph: jax.Array, edges: jax.Array, paths: jax.Array | None) -> jax.Array:
    """What worths of edges and of paths, `[d, d]` each, say for i -> j over j -> i in a graph."""
    if paths is not None:
        edges = edges + ancestry.along_shortest(graph, jnp.maximum(paths - paths.T, 0))
    return edges - edges.T


def _plain(problem: Problem) -> "Prices":
    """The price of an edge without beliefs."""
    shape = problem.covariance.shape
    return Prices(jnp.log(problem.samples) / 2 + jnp.log(shape[0]) + jnp.zeros(shape), None, jnp.zeros(shape))


class Prices(NamedTuple):
    """What a graph pays, in units of log likelihood."""

    edges: jax.Array  # [d, d], for each edge
    paths: jax.Array | None  # [d, d], for each pair with a directed path from i to j; None where none has a price
    claims: jax.Array  # [d, d], what decides directions that the likelihood leaves open: the greater of (i, j), (j, i)

    def plus(self, other: "Prices") -> "Prices":
        """Both together."""
        paths = other.paths if self.paths is None else self.paths
        return Prices(self.edges + other.edges, paths, self.claims + other.claims)


def _fixed_prices(problem: Problem) -> Prices:
    """What a prior of fixed weight costs."""
    trusted = jnp.clip(problem.prior_weight / problem.penalty, 0, _MOST_TRUST)
    worth = jnp.where(problem.prior_weight > 0, trusted, 0) * jnp.log(len(problem.prior))
    paths = None
    if problem.ancestors is not None:
        paths = worth * problem.ancestor_confidence * (1 - 2 * problem.ancestors)
    cost = worth * problem.confidence * (1 - 2 * problem.prior)
    return Prices(cost, paths, -cost)


def _calibrate(graph: jax.Array, problem: Problem, config: Config) -> tuple[Prices, jax.Array]:
    """The prices of beliefs at the rates that a graph gives their source, and the log likelihood of its silence.

    Directions that the data leave open tell nothing of the source, for it or against it. Unless it proved wrong about
    others more often than right, they are its to choose.
    """
    undecided = None
    if not _equal(config):
        known = equivalence.v_structures(graph) | (graph & hard_directions(problem))
        undecided = graph & ~equivalence.closure(known, graph)
    edges = trust.of_edges(problem.prior, problem.confidence, graph, undecided)
    claims = jnp.where(edges.blind, 0, problem.prior * problem.confidence)
    if problem.ancestors is None:
        return Prices(edges.costs, None, claims), edges.silence
    paths = trust.of_paths(problem.ancestors, problem.ancestor_confidence, graphs.reachability(graph))
    return Prices(edges.costs, paths.costs, claims), edges.silence + paths.silence


def _with_prior(data_graph: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """The graph and the trust in the prior that explain data and prior together best.

    From the graph that the data alone gave, and from the one that the prior claims: trust by the graph, a search at the
    prices that follow, and so on. Directions that the data leave open are no evidence against the prior: both graphs
    first take those that it claims.
    """
    believed = problem.prior * problem.confidence * problem.allowed * (problem.prior > 0.5)
    claimed = graphs.break_cycles(believed + problem.required, problem.required) != 0
    claimed = jnp.where(jnp.any(believed > 0), claimed, data_graph)
    start = jnp.stack([data_graph, claimed])
    if not _equal(config):
        paths = None if problem.ancestors is None else problem.ancestors * problem.ancestor_confidence
        claims = lambda graph: _preference(graph, problem.prior * problem.confidence, paths)
        start = jax.vmap(lambda graph: _orient(graph, claims(graph), problem))(start)
    climb = jax.vmap(lambda graph: _trusting(graph, problem, config))
    start = SearchResult(start, jnp.zeros(2))
    trusting = _best(jax.lax.scan(lambda ends, _: (climb(ends.graph), None), start, length=ROUNDS)[0], problem)
    believed = jnp.any(problem.confidence > 0)
    if problem.ancestors is not None:
        believed |= jnp.any(problem.ancestor_confidence > 0)
    return jnp.where(believed, trusting, data_graph)  # who knows nothing changes nothing


def _trusting(graph: jax.Array, problem: Problem, config: Config) -> SearchResult:
    """A search from a graph with the prior at the price that it earned there; its score counts the claims too."""
    worth, silence = _calibrate(graph, problem, config)
    result = _climb(graph, problem.allowed, _plain(problem).plus(worth), problem, config)
    return result._replace(score=result.score + silence)


def _from_data(graph: jax.Array, prices: Prices, problem: Problem, config: Config) -> jax.Array:
    """From the path's end, and from what the covariance says of the order.

    Over edges, the second search starts with the required ones alone; where noise has one variance it adds its first
    edges along the top-down order, and is free from there on. An exact search needs no start.
    """
    if _exact(problem, config):
        return _climb(graph, problem.allowed, prices, problem, config).graph
    everywhere = jnp.stack([problem.allowed] * 2)
    climb = jax.vmap(lambda start, allowed: _climb(start, allowed, prices, problem, config, config.restarts))
    if config.finish == "order":
        return _best(climb(jnp.stack([graph, problem.required]), everywhere), problem)
    free = problem.allowed
    if _equal(config):
        free &= ordering.top_down(problem.covariance, problem.required)
    start = SearchResult(jnp.stack([graph, problem.required]), jnp.zeros(2))
    allowed = jnp.stack([jnp.stack([problem.allowed, free]), everywhere])
    return _best(jax.lax.scan(lambda ends, allowed: (climb(ends.graph, allowed), None), start, allowed)[0], problem)


def _climb(
    graph: jax.Array, allowed: jax.Array, prices: Prices, problem: Problem, config: Config, restarts: int = 0
) -> SearchResult:
    """The end of a search from a graph, oriented by the prices where the likelihood is the same for a whole class."""
    edges, equal = Edges(prices.edges, allowed, problem.required), _equal(config)
    table = problem.covariance, problem.samples
    if _exact(problem, config):
        result = exact_search.search(*table, edges)
    elif config.finish == "order":
        order, key = ordering.of_graph(graph, problem.covariance), jax.random.key(0)
        result = order_search.search_orders(order, *table, edges, equal, restarts=restarts, key=key)
    else:
        result = hill_climbing.hill_climb(graph, *table, edges, equal, ancestors=prices.paths)
    if not equal and (prices.paths is None or config.finish == "order"):
        oriented = _orient(result.graph, prices.claims - prices.claims.T, problem)
        paid = lambda graph: jnp.sum(jnp.where(graph, edges.cost, 0))
        result = SearchResult(oriented, result.score + paid(result.graph) - paid(oriented))
    if prices.paths is None or config.finish != "order":
        return result
    return hill_climbing.hill_climb(
        result.graph, *table, edges, equal, ancestors=prices.paths
    )  # orders know nothing of paths


def _orient(graph: jax.Array, preference: jax.Array, problem: Problem) -> jax.Array:
    """The member of a graph's class that hard constraints and preferences ask for, and elsewhere R-squared."""
    fixed = hard_directions(problem)
    rank = ordering.by_explained_variance(problem.covariance)
    return orientation.orient(graph, orientation.Preferences(fixed, preference, rank))


def hard_directions(problem: Problem) -> jax.Array:
    """The edges that hard constraints allow in no other direction, `[d, d]` bool."""
    return problem.required | (problem.allowed & ~problem.allowed.T)


def _best(ends: SearchResult, problem: Problem) -> jax.Array:
    """The graph of the greatest score; of ends that differ by no more than rounding, such as equivalent graphs, the
    first."""
    margin = ROUNDING * problem.samples * jnp.arange(len(ends.score))
    return jnp.any(ends.graph & graphs.greatest(ends.score - margin)[:, None, None], axis=0)


def _equal(config: Config) -> bool:
    return config.noise == "equal"


def _exact(problem: Problem, config: Config) -> bool:
    """True if the search is over all DAGs."""
    few = len(problem.covariance) <= exact_search.MOST_COLUMNS
    return few and config.finish == "order" and not _equal(config)
