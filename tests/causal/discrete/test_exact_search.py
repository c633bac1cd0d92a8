import itertools

import jax
import numpy as np
import pytest

from framework import causal
from framework.causal.discrete import exact_search, hill_climbing, order_search
from framework.causal.discrete.hill_climbing import Edges
from tests.causal.dags import every_dag, random_dag

pytestmark = pytest.mark.usefixtures("float64")

SEARCH = jax.jit(exact_search.search)


def table(dag, seed, rows):
    """The covariance of a linear Gaussian table of a DAG."""
    rng, size = np.random.default_rng(seed), len(dag)
    weights = dag * rng.uniform(0.5, 1.5, dag.shape) * rng.choice([-1, 1], dag.shape)
    x = rng.normal(size=(rows, size)) * rng.uniform(0.5, 2, size) @ np.linalg.inv(np.eye(size) - weights)
    return np.cov(x.T, bias=True)


def plain_score(graph, covariance, rows, cost):
    """The oracle: the log likelihood of least squares with free noise variances, less the cost of the edges."""
    left = 0.0
    for j in range(len(graph)):
        p = np.flatnonzero(graph[:, j])
        explained = covariance[j, p] @ np.linalg.solve(covariance[np.ix_(p, p)], covariance[p, j]) if len(p) else 0
        left += np.log(covariance[j, j] - explained)
    return -rows / 2 * left - cost[graph].sum()


def constraints(rng, size, hard):
    """Random costs, and where hard constraints are wanted some edges forbidden and one required."""
    cost, off = rng.uniform(-2, 12, (size, size)), ~np.eye(size, dtype=bool)
    required = np.zeros((size, size), bool)
    if not hard:
        return Edges(cost, off, required)
    required[0, size - 1] = True
    return Edges(cost, off & (rng.uniform(size=(size, size)) < 0.6), required)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "hard"), [(2, False), (3, False), (4, False), (2, True), (3, True), (4, True)])
def test_no_dag_scores_higher(size, hard):
    """The oracle: every DAG there is, with edges of any price."""
    every = every_dag(size)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        covariance, edges = table(random_dag(seed, size, 1), seed, 60), constraints(rng, size, hard)
        result = SEARCH(covariance, 60.0, edges)
        legal = (every <= (edges.allowed | edges.required)) & (every >= edges.required)
        scores = [plain_score(dag, covariance, 60, edges.cost) for dag in every[legal.all((1, 2))]]
        assert result.score == pytest.approx(max(scores), abs=1e-8)
        assert plain_score(np.asarray(result.graph), covariance, 60, edges.cost) == pytest.approx(max(scores), abs=1e-8)


@pytest.mark.slow
def test_of_five_columns_no_dag_scores_higher():
    """The oracle: all 29,281 DAGs, each scored as the sum of least-squares fits of its columns."""
    every, cost = every_dag(5), np.full((5, 5), np.log(300) / 2 + np.log(5))
    sets = every.swapaxes(1, 2) @ (1 << np.arange(5))  # of each column's parents
    for seed in range(6):
        covariance, families = table(random_dag(seed, 5), seed, 300), np.zeros((5, 32))
        for j, members in itertools.product(range(5), range(32)):
            alone = np.zeros((5, 5), bool)  # a graph in which only column j has parents
            alone[:, j] = (members >> np.arange(5)) & 1
            if not alone[j, j]:
                others = np.log(np.delete(np.diag(covariance), j)).sum() * -150
                families[j, members] = plain_score(alone, covariance, 300, cost) - others
        best = families[np.arange(5), sets].sum(1).max()
        assert SEARCH(covariance, 300.0, Edges(cost, ~np.eye(5, dtype=bool), cost < 0)).score == pytest.approx(best)


@pytest.mark.slow
@pytest.mark.parametrize("size", [6, 9, 12])
def test_no_other_search_and_no_truth_scores_higher(size):
    cost = np.full((size, size), np.log(500) / 2 + np.log(size))
    edges = Edges(cost, ~np.eye(size, dtype=bool), np.zeros((size, size), bool))
    orders = jax.jit(
        lambda covariance: order_search.search_orders(np.arange(size, dtype=np.int32), covariance, 500.0, edges, False)
    )
    below = 0
    for seed in range(8):
        dag = random_dag(seed, size)
        covariance = table(dag, seed, 500)
        best = SEARCH(covariance, 500.0, edges).score
        assert best >= plain_score(dag, covariance, 500, cost) - 1e-8
        assert best >= orders(covariance).score - 1e-8
        below += orders(covariance).score < best - 1e-8
    assert below or size == 6  # else the comparison would show nothing


def test_one_column_has_no_edge():
    edges = Edges(np.zeros((1, 1)), np.zeros((1, 1), bool), np.zeros((1, 1), bool))
    result = SEARCH(np.full((1, 1), 4.0), 10.0, edges)
    assert not result.graph.any()
    assert result.score == pytest.approx(-5 * np.log(4.0))


def test_no_column_gets_more_parents_than_rows_allow():
    covariance = table(random_dag(0, 6, 2), 0, 4)
    edges = Edges(np.full((6, 6), -50.0), ~np.eye(6, dtype=bool), np.zeros((6, 6), bool))
    assert SEARCH(covariance, 4.0, edges).graph.sum(0).max() == 2


def test_the_score_is_that_of_the_local_search():
    covariance, edges = table(random_dag(1, 5), 1, 200), constraints(np.random.default_rng(0), 5, False)
    result = SEARCH(covariance, 200.0, edges)
    stays = hill_climbing.hill_climb(result.graph, covariance, 200.0, edges, False)
    np.testing.assert_array_equal(stays.graph, result.graph)
    assert stays.score == pytest.approx(float(result.score), abs=1e-8)


def test_a_batch_is_searched_as_each_alone():
    covariances = np.stack([table(random_dag(seed, 7), seed, 300) for seed in range(4)])
    edges = Edges(np.full((7, 7), 5.0), ~np.eye(7, dtype=bool), np.zeros((7, 7), bool))
    batch = jax.vmap(lambda covariance: SEARCH(covariance, 300.0, edges))(covariances)
    for covariance, graph in zip(covariances, batch.graph, strict=True):
        np.testing.assert_array_equal(graph, SEARCH(covariance, 300.0, edges).graph)


@pytest.mark.slow
def test_a_fit_never_scores_below_the_truth():
    """200 random tables of 4 to 8 columns."""
    for size in range(4, 9):
        dags = [random_dag(seed, size) for seed in range(40)]
        for seed, dag in enumerate(dags):
            rng = np.random.default_rng(seed)
            weights = dag * rng.uniform(0.5, 1.5, dag.shape) * rng.choice([-1, 1], dag.shape)
            x = rng.normal(size=(2000, size)) * rng.uniform(0.5, 2, size) @ np.linalg.inv(np.eye(size) - weights)
            covariance, cost = np.corrcoef(x.T), np.full((size, size), np.log(2000) / 2 + np.log(size))
            result = causal.fit(x).graph
            assert plain_score(result, covariance, 2000, cost) >= plain_score(dag, covariance, 2000, cost) - 1e-6
