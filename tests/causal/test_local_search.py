import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs, local_search

SAMPLES = 60


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def table(seed, nodes):
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.normal(size=(nodes, nodes)) * (rng.uniform(size=(nodes, nodes)) < 0.6), 1)
    x = rng.normal(size=(SAMPLES, nodes)) @ np.linalg.inv(np.eye(nodes) - weights)
    return x - x.mean(0)


def plain_score(x, graph, cost, equal):
    """The oracle: the profiled log likelihood by least squares, node by node."""
    residual = []
    for j in range(x.shape[1]):
        parents = np.flatnonzero(graph[:, j])
        fitted = x[:, parents] @ np.linalg.lstsq(x[:, parents], x[:, j], rcond=None)[0] if len(parents) else 0
        residual.append(np.mean((x[:, j] - fitted) ** 2))
    fit = x.shape[1] * np.log(np.sum(residual)) if equal else np.sum(np.log(residual))
    return -len(x) / 2 * fit - np.sum(cost[graph])


def neighbours(graph):
    """All DAGs one step away: an edge more, one fewer, one turned round."""
    for i, j in itertools.permutations(range(len(graph)), 2):
        moved = graph.copy()
        moved[i, j] = ~moved[i, j]
        turned = moved.copy()
        turned[j, i] = graph[i, j]
        for candidate in (moved, turned) if graph[i, j] else (moved,):
            if bool(graphs.is_dag(candidate)):
                yield candidate


def plain_climb(x, graph, cost, equal):
    while True:
        best = max(neighbours(graph), key=lambda g: plain_score(x, g, cost, equal))
        if plain_score(x, best, cost, equal) <= plain_score(x, graph, cost, equal) + 1e-7:
            return graph
        graph = best


def edges(nodes, cost, **masks):
    anywhere, none = ~jnp.eye(nodes, dtype=bool), jnp.zeros((nodes, nodes), bool)
    return local_search.Edges(jnp.asarray(cost), masks.get("allowed", anywhere), masks.get("required", none))


def climb(x, start, given, equal):
    covariance = jnp.asarray(x.T @ x / len(x))
    return local_search.climb(jnp.asarray(start), covariance, jnp.asarray(float(len(x))), given, equal)


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_it_climbs_as_a_plain_search_over_all_neighbours_does(seed, equal):
    x = table(seed, 4)
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0.5, 4, size=(4, 4))
    start = np.triu(rng.uniform(size=(4, 4)) < 0.5, 1)
    found = climb(x, start, edges(4, cost), equal)
    expected = plain_climb(x, start, cost, equal)
    np.testing.assert_array_equal(found.graph, expected)
    assert float(found.score) == pytest.approx(plain_score(x, expected, cost, equal), rel=1e-6)


def test_forbidden_edges_never_appear_and_required_ones_never_go():
    for seed in range(10):
        x, rng = table(seed, 6), np.random.default_rng(seed)
        allowed = jnp.asarray((rng.uniform(size=(6, 6)) < 0.5) & ~np.eye(6, dtype=bool))
        required = jnp.asarray(np.triu(rng.uniform(size=(6, 6)) < 0.2, 1)) & allowed
        given = edges(6, np.full((6, 6), 3.0), allowed=allowed, required=required)
        found = climb(x, required, given, equal=False).graph
        assert not jnp.any(found & ~allowed)
        assert not jnp.any(required & ~found)
        assert graphs.is_dag(found)


def test_fewer_rows_than_columns_bound_the_parents():
    x = np.random.default_rng(0).normal(size=(5, 8))
    given = edges(8, np.full((8, 8), -1.0))
    found = climb(x - x.mean(0), np.zeros((8, 8), bool), given, equal=False)
    assert int(found.graph.sum(0).max()) == 3
    assert np.isfinite(float(found.score))


def test_duplicate_and_constant_columns_end_the_search_with_numbers():
    x = table(0, 3)
    x = np.concatenate([x, x[:, :1], np.zeros((SAMPLES, 1))], axis=1)
    for equal in (True, False):
        found = climb(x, np.zeros((5, 5), bool), edges(5, np.full((5, 5), 2.0)), equal)
        assert graphs.is_dag(found.graph)
        assert np.isfinite(float(found.score))
        assert not jnp.any(found.graph[4]) | jnp.any(found.graph[:, 4])


def test_refitted_weights_are_least_squares():
    x = table(1, 5)
    graph = np.triu(np.random.default_rng(1).uniform(size=(5, 5)) < 0.6, 1)
    weights = np.asarray(local_search.refit(jnp.asarray(graph), jnp.asarray(x.T @ x / len(x))))
    for j in range(5):
        parents = np.flatnonzero(graph[:, j])
        plain = np.linalg.lstsq(x[:, parents], x[:, j], rcond=None)[0] if len(parents) else []
        np.testing.assert_allclose(weights[parents, j], plain, rtol=1e-6)
    assert not weights[~graph].any()


def test_many_searches_at_once_end_as_each_alone():
    tables = np.stack([table(seed, 5) for seed in range(6)])
    covariances = jnp.asarray(np.einsum("bni,bnj->bij", tables, tables) / SAMPLES)
    given, start = edges(5, np.full((5, 5), 2.0)), jnp.zeros((5, 5), bool)
    one = lambda covariance: local_search.climb(start, covariance, jnp.asarray(60.0), given, True).graph
    np.testing.assert_array_equal(jax.vmap(one)(covariances), jnp.stack([one(c) for c in covariances]))
