import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.discrete import ordering
from framework.causal.synthetic import linear
from framework.core import keys


def plain_order(covariance):
    """The oracle: residual variances by a regression on all columns chosen so far, one after another."""
    chosen = []
    while len(chosen) < len(covariance):
        left = {}
        for j in set(range(len(covariance))) - set(chosen):
            block = covariance[np.ix_(chosen, chosen)]
            left[j] = covariance[j, j] - covariance[j, chosen] @ np.linalg.solve(block, covariance[chosen, j])
        chosen.append(min(left, key=left.get))
    return chosen


@pytest.mark.slow
def test_it_is_the_order_of_plain_regressions():
    with jax.enable_x64(True):
        for seed in range(10):
            x = np.random.default_rng(seed).normal(size=(30, 6)) @ np.random.default_rng(seed + 99).normal(size=(6, 6))
            rank = np.argsort(plain_order(x.T @ x / 30))
            np.testing.assert_array_equal(ordering.top_down(jnp.asarray(x.T @ x / 30)), rank[:, None] < rank[None, :])


@pytest.mark.slow
def test_with_the_true_covariance_every_edge_points_forward():
    with jax.enable_x64(True):
        for seed in range(20):
            key = jax.random.key(seed)
            graph = graphs.erdos_renyi(keys.derive(key, "g"), 12, 3)
            inverse = jnp.linalg.inv(jnp.eye(12) - linear.edge_weights(keys.derive(key, "w"), graph))
            before = ordering.top_down(inverse.T @ inverse)
            assert not jnp.any(graph & ~before)
            assert int(before.sum()) == 66


def test_columns_that_do_not_vary_still_give_an_order():
    before = ordering.top_down(jnp.zeros((4, 4)))
    assert graphs.is_dag(before)
    assert int(before.sum()) == 6


def test_the_top_down_order_keeps_to_required_edges():
    covariance = jnp.diag(jnp.array([1.0, 2.0, 3.0, 4.0]))
    required = jnp.zeros((4, 4), bool).at[3, 0].set(True).at[2, 3].set(True)
    before = np.asarray(ordering.top_down(covariance, required))
    assert before[3, 0]
    assert before[2, 3]
    assert before.sum() == 6


@pytest.mark.slow
def test_an_order_of_a_graph_is_one_that_the_graph_keeps_to():
    for seed in range(20):
        graph = graphs.erdos_renyi(jax.random.key(seed), 8, 2)
        x = np.random.default_rng(seed).normal(size=(20, 8))
        order = np.asarray(ordering.of_graph(graph, jnp.asarray(x.T @ x / 20)))
        rank = np.argsort(order)
        assert sorted(order) == list(range(8))
        assert all(rank[i] < rank[j] for i, j in np.argwhere(graph))
