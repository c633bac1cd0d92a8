import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.discrete import trust

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def graph():
    return graphs.erdos_renyi(jax.random.key(0), 20, 2)


def trusted(size=20):
    return jnp.ones((size, size)) - jnp.eye(size)


def plain_likelihood(claims, confidence, graph):
    """The oracle: pair by pair, with the rates by counting, less the same for no edges."""
    base = (np.sum(confidence * claims) + 0.5) / (np.sum(confidence) + 1)
    state = lambda i, j: "edge" if graph[i, j] else "turned" if graph[j, i] else "apart"
    rates = {}
    for kinds in (("edge",), ("turned",), ("apart",), ("edge", "turned")):
        cells = [(i, j) for i, j in itertools.permutations(range(len(graph)), 2) if state(i, j) in kinds]
        weight, pseudo = sum(confidence[cell] for cell in cells), len(kinds) * trust.PSEUDO_CLAIMS
        rates[kinds] = (sum(confidence[c] * claims[c] for c in cells) + pseudo * base) / (weight + pseudo)
    blind = rates["turned",] > rates["edge",]
    rates = {
        kind: rates["edge", "turned"] if blind and kind != "apart" else rates[kind,]
        for kind in ("edge", "turned", "apart")
    }
    total = sum(trust.PSEUDO_CLAIMS * (base * np.log(p) + (1 - base) * np.log(1 - p)) for p in rates.values())
    for i, j in itertools.permutations(range(len(graph)), 2):
        rate = rates[state(i, j)]
        total += confidence[i, j] * (claims[i, j] * np.log(rate) + (1 - claims[i, j]) * np.log(1 - rate))
    return total


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_silence_less_costs_is_the_likelihood_of_the_claims(seed):
    rng = np.random.default_rng(seed)
    graph = np.triu(rng.uniform(size=(6, 6)) < 0.4, 1)
    claims, confidence = rng.uniform(size=(6, 6)), rng.uniform(size=(6, 6)) * (1 - np.eye(6))
    worth = trust.of_edges(jnp.asarray(claims), jnp.asarray(confidence), jnp.asarray(graph))
    assert float(worth.silence - jnp.sum(worth.costs * graph)) == pytest.approx(
        plain_likelihood(claims, confidence, graph), rel=1e-10
    )


@pytest.mark.slow
def test_a_true_witness_is_believed(graph):
    edges = np.asarray(graph)
    costs = trust.of_edges(graph * 1.0, trusted(), graph).costs
    assert costs[edges].max() < -2
    assert costs[edges.T].min() > costs[edges].max() + 2
    assert costs[~(edges | edges.T | np.eye(20, dtype=bool))].min() > 1


def test_a_reversed_witness_says_who_is_joined_but_not_which_way(graph):
    edges = np.asarray(graph)
    costs = trust.of_edges(graph.T * 1.0, trusted(), graph).costs
    np.testing.assert_allclose(costs, costs.T, atol=1e-12)
    assert costs[edges].max() < -0.5
    assert costs[~(edges | edges.T | np.eye(20, dtype=bool))].min() > 0.5


def test_a_witness_who_claims_at_random_is_worth_little(graph):
    apart = trust.of_edges(graph * 1.0, trusted(), graph).costs
    claims = jax.random.uniform(jax.random.key(1), (20, 20)) < 0.1
    random = trust.of_edges(claims * 1.0, trusted(), graph).costs
    assert jnp.abs(random).max() < 0.4 * jnp.abs(apart).max()
    assert jnp.abs(jnp.median(random)) < 0.1


def test_without_confidence_nothing_is_worth_anything(graph):
    worth = trust.of_edges(graph * 1.0, jnp.zeros((20, 20)), graph)
    np.testing.assert_array_equal(worth.costs, 0)


@pytest.mark.slow
def test_paths_are_worth_what_the_paths_of_the_graph_bear_out(graph):
    paths = graphs.reachability(graph)
    costs = trust.of_paths(paths * 1.0, trusted(), paths).costs
    assert costs[np.asarray(paths)].max() < -1
    assert costs[np.asarray(~paths & ~jnp.eye(20, dtype=bool))].min() > 1


def test_undecided_directions_are_no_evidence_for_or_against():
    """Where all directions are undecided the rates with an edge and against it are one."""
    rng = np.random.default_rng(0)
    graph, confidence = np.triu(np.ones((5, 5), bool), 1), 1.0 - np.eye(5)
    claims = rng.uniform(size=(5, 5)) * confidence
    for stands in (graph, graph.T):
        worth = trust.of_edges(claims, confidence, stands, stands)
        np.testing.assert_allclose(worth.costs, trust.of_edges(claims, confidence, graph, graph).costs)
        assert not worth.blind
    half = trust.of_edges(claims, confidence, graph, np.zeros_like(graph))
    np.testing.assert_allclose(half.costs, trust.of_edges(claims, confidence, graph).costs)
    wrong = graph.T.astype(float)
    assert trust.of_edges(wrong, confidence, graph).blind
    assert not trust.of_edges(wrong, confidence, graph, graph).blind
