import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.discrete import ancestry, hill_climbing

pytestmark = pytest.mark.usefixtures("float64")

SAMPLES = 60
CLIMB = jax.jit(hill_climbing.hill_climb, static_argnames="equal")


def table(seed, nodes):
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.normal(size=(nodes, nodes)) * (rng.uniform(size=(nodes, nodes)) < 0.6), 1)
    x = rng.normal(size=(SAMPLES, nodes)) @ np.linalg.inv(np.eye(nodes) - weights)
    return x - x.mean(0)


def plain_score(x, graph, cost, equal, ancestors=None):
    """The oracle: the profiled log likelihood by least squares, node by node, less what edges and paths cost."""
    residual = []
    for j in range(x.shape[1]):
        parents = np.flatnonzero(graph[:, j])
        fitted = x[:, parents] @ np.linalg.lstsq(x[:, parents], x[:, j], rcond=None)[0] if len(parents) else 0
        residual.append(np.mean((x[:, j] - fitted) ** 2))
    fit = x.shape[1] * np.log(np.sum(residual)) if equal else np.sum(np.log(residual))
    paths = 0 if ancestors is None else np.sum(ancestors[np.asarray(graphs.reachability(jnp.asarray(graph)))])
    return -len(x) / 2 * fit - np.sum(cost[graph]) - paths


def neighbours(graph):
    """All DAGs one step away: an edge more, one fewer, one turned round."""
    for i, j in itertools.permutations(range(len(graph)), 2):
        updated = graph.copy()
        updated[i, j] = ~updated[i, j]
        turned = updated.copy()
        turned[j, i] = graph[i, j]
        for candidate in (updated, turned) if graph[i, j] else (updated,):
            if bool(graphs.is_dag(candidate)):
                yield candidate


def plain_climb(x, graph, *prices):
    while True:
        best = max(neighbours(graph), key=lambda g: plain_score(x, g, *prices))
        if plain_score(x, best, *prices) <= plain_score(x, graph, *prices) + 1e-7:
            return graph
        graph = best


def edges(nodes, cost, **masks):
    anywhere, none = ~jnp.eye(nodes, dtype=bool), jnp.zeros((nodes, nodes), bool)
    return hill_climbing.Edges(jnp.asarray(cost), masks.get("allowed", anywhere), masks.get("required", none))


def climb(x, start, arguments, equal, ancestors=None):
    covariance = jnp.asarray(x.T @ x / len(x))
    return CLIMB(
        jnp.asarray(start), covariance, jnp.asarray(float(len(x))), arguments, equal=equal, ancestors=ancestors
    )


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("believed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_it_climbs_as_a_plain_search_over_all_neighbours_does(seed, believed, equal):
    x = table(seed, 4)
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0.5, 4, size=(4, 4))
    start = np.triu(rng.uniform(size=(4, 4)) < 0.5, 1)
    ancestors = 5 * rng.normal(size=(4, 4)) if believed else None
    result = climb(x, start, edges(4, cost), equal, ancestors)
    expected = plain_climb(x, start, cost, equal, ancestors)
    np.testing.assert_array_equal(result.graph, expected)
    assert float(result.score) == pytest.approx(plain_score(x, expected, cost, equal, ancestors), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("believed", [False, True])
def test_no_step_from_its_end_that_keeps_to_the_rules_is_better(believed, equal):
    for seed in range(4):
        x, rng = table(seed, 6), np.random.default_rng(seed)
        cost, allowed = rng.uniform(0, 5, size=(6, 6)), rng.uniform(size=(6, 6)) < 0.8
        required = np.triu(rng.uniform(size=(6, 6)) < 0.2, 1) & allowed
        ancestors = 5 * rng.normal(size=(6, 6)) if believed else None
        arguments = edges(
            6, cost, allowed=jnp.asarray(allowed & ~np.eye(6, dtype=bool)), required=jnp.asarray(required)
        )
        result = climb(x, required, arguments, equal, ancestors)
        score = plain_score(x, np.asarray(result.graph), cost, equal, ancestors)
        assert float(result.score) == pytest.approx(score, rel=1e-9)
        for near in neighbours(np.asarray(result.graph)):
            if not np.any(near & ~allowed) and not np.any(required & ~near):
                assert plain_score(x, near, cost, equal, ancestors) <= score + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("believed", [False, True])
def test_always_a_dag_that_keeps_hard_constraints(believed, equal):
    rng = np.random.default_rng(0)
    shape = (200, 6, 6)
    tables = np.stack([table(seed, 6) for seed in range(200)])
    covariances = jnp.asarray(np.einsum("bni,bnj->bij", tables, tables) / SAMPLES)
    costs = jnp.asarray(rng.normal(size=shape) * 4)
    allowed = (rng.uniform(size=shape) < 0.7) & ~np.eye(6, dtype=bool)
    start = np.triu(rng.uniform(size=shape) < 0.5, 1) & allowed
    required = start & (rng.uniform(size=shape) < 0.5)
    arguments = hill_climbing.Edges(costs, jnp.asarray(allowed), jnp.asarray(required))
    ancestors = jnp.asarray(5 * rng.normal(size=shape)) if believed else None
    one = lambda graph, covariance, edges, paths: CLIMB(graph, covariance, 60.0, edges, equal=equal, ancestors=paths)
    result = np.asarray(jax.vmap(one)(jnp.asarray(start), covariances, arguments, ancestors).graph)
    assert np.all(jax.vmap(graphs.is_dag)(jnp.asarray(result)))
    assert not np.any(result & ~allowed)
    assert not np.any(required & ~result)


@pytest.mark.slow
def test_one_path_beside_very_many_is_not_forgotten_when_they_go():
    """2^53 paths lead over a chain of diamonds and its last edge, and one leads past: in floats they are 2^53 again."""
    squares = 53
    last = 3 * squares + 1
    kept = np.zeros((last + 1, last + 1), bool)
    for k in range(0, 3 * squares, 3):
        kept[k, k + 1] = kept[k, k + 2] = kept[k + 1, k + 3] = kept[k + 2, k + 3] = True
    kept[0, last] = True
    start, allowed, cost = kept.copy(), kept.copy(), np.zeros(kept.shape)
    start[last - 1, last] = allowed[last - 1, last] = allowed[last, 0] = True
    cost[last - 1, last], cost[last, 0] = 1e3, -1e3  # the last edge goes, and then one back would come
    x = np.random.default_rng(0).normal(size=(200, last + 1))
    assert float(ancestry.path_counts(jnp.asarray(start))[0, last]) == 2.0**53
    arguments = edges(last + 1, cost, allowed=jnp.asarray(allowed), required=jnp.asarray(kept))
    np.testing.assert_array_equal(climb(x, start, arguments, equal=True).graph, kept)


@pytest.mark.slow
def test_it_turns_edges_for_nothing_to_find_a_collider():
    """All complete graphs are equivalent, but only from some of them one deletion leads to a -> c <- b."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    x[:, 2] += x[:, 0] + x[:, 1]
    start = np.zeros((3, 3), bool)
    start[2, 0] = start[2, 1] = start[0, 1] = True
    result = climb(x, start, edges(3, np.full((3, 3), 4.0)), equal=False)
    np.testing.assert_array_equal(np.argwhere(result.graph), [[0, 2], [1, 2]])


def test_renaming_the_columns_renames_the_end():
    x, order = table(3, 6), np.array([3, 0, 5, 4, 1, 2])
    cost = np.random.default_rng(3).uniform(0.5, 4, size=(6, 6))
    result = climb(x, np.zeros((6, 6), bool), edges(6, cost), equal=True)
    again = climb(x[:, order], np.zeros((6, 6), bool), edges(6, cost[order][:, order]), equal=True)
    np.testing.assert_array_equal(again.graph, result.graph[order][:, order])


@pytest.mark.slow
def test_units_do_not_matter_where_noise_is_of_unequal_variance():
    x, units = table(4, 6), 10.0 ** np.arange(-3, 3)
    cost = np.random.default_rng(4).uniform(0.5, 4, size=(6, 6))
    result, scaled = (climb(data, np.zeros((6, 6), bool), edges(6, cost), equal=False) for data in (x, x * units))
    np.testing.assert_array_equal(scaled.graph, result.graph)
    covariances = [jnp.asarray(data.T @ data / SAMPLES) for data in (x, x * units)]
    plain, rescaled = (hill_climbing.refit(result.graph, covariance) for covariance in covariances)
    np.testing.assert_allclose(rescaled, plain * units / units[:, None], rtol=1e-9)


@pytest.mark.slow
def test_fewer_rows_than_columns_bound_the_parents():
    x = np.random.default_rng(0).normal(size=(5, 8))
    arguments = edges(8, np.full((8, 8), -1.0))
    result = climb(x - x.mean(0), np.zeros((8, 8), bool), arguments, equal=False)
    assert int(result.graph.sum(0).max()) == 3
    assert np.isfinite(float(result.score))


@pytest.mark.slow
def test_duplicate_and_constant_columns_give_finite_scores():
    x = table(0, 3)
    x = np.concatenate([x, x[:, :1], np.zeros((SAMPLES, 1))], axis=1)
    for equal in (True, False):
        result = climb(x, np.zeros((5, 5), bool), edges(5, np.full((5, 5), 2.0)), equal)
        assert graphs.is_dag(result.graph)
        assert np.isfinite(float(result.score))
        assert not jnp.any(result.graph[4]) | jnp.any(result.graph[:, 4])


@pytest.mark.slow
def test_refitted_weights_are_least_squares():
    x = table(1, 5)
    graph = np.triu(np.random.default_rng(1).uniform(size=(5, 5)) < 0.6, 1)
    weights = np.asarray(hill_climbing.refit(jnp.asarray(graph), jnp.asarray(x.T @ x / len(x))))
    for j in range(5):
        parents = np.flatnonzero(graph[:, j])
        plain = np.linalg.lstsq(x[:, parents], x[:, j], rcond=None)[0] if len(parents) else []
        np.testing.assert_allclose(weights[parents, j], plain, rtol=1e-6)
    assert not weights[~graph].any()


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
def test_many_searches_at_once_end_as_each_alone(equal):
    tables = np.stack([table(seed, 5) for seed in range(6)])
    covariances = jnp.asarray(np.einsum("bni,bnj->bij", tables, tables) / SAMPLES)
    cost = np.random.default_rng(0).uniform(0.5, 4, size=(5, 5))
    arguments, start = edges(5, cost), jnp.zeros((5, 5), bool)
    one = lambda covariance: CLIMB(start, covariance, jnp.asarray(60.0), arguments, equal=equal)
    together = jax.vmap(one)(covariances)
    for k, covariance in enumerate(covariances):
        np.testing.assert_array_equal(together.graph[k], one(covariance).graph)
        assert float(together.score[k]) == pytest.approx(float(one(covariance).score))
