import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from framework.causal.metrics.ranking import auprc


def case(seed, nodes, digits):
    """A random graph with an edge or more, and weights with many ties where `digits` are few."""
    rng = np.random.default_rng(seed)
    true = np.triu(rng.uniform(size=(nodes, nodes)) < 2 / nodes, 1)
    true[0, -1] = True
    return true, np.round(rng.normal(size=true.shape) + true * rng.choice([-1, 1], true.shape), digits)


def by_sklearn(true, weights):
    off = ~np.eye(len(true), dtype=bool)
    return average_precision_score(true[off], np.abs(weights[off]))


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), nodes=st.sampled_from([2, 6, 20]), digits=st.sampled_from([0, 1, 8]))
@settings(max_examples=80, deadline=None)
def test_it_is_the_average_precision_of_scikit_learn(seed, nodes, digits):
    true, weights = case(seed, nodes, digits)
    with jax.enable_x64(True):
        assert float(auprc(true, weights)) == pytest.approx(by_sklearn(true, weights), abs=1e-12)
    weights = weights.astype(np.float32)
    assert float(auprc(true, weights)) == pytest.approx(by_sklearn(true, weights), abs=1e-5)


def test_perfect_ranking_is_one_and_no_ranking_edge_share():
    true = np.eye(6, k=1, dtype=bool)
    assert float(auprc(true, true * -0.01)) == 1
    assert float(auprc(true, np.ones((6, 6)))) == pytest.approx(5 / 30)


def test_zeros_are_one_tie_at_the_end():
    """Two of four edges first, the rest among 28 zeros: 1/2 * 1 + 1/2 * 4/30."""
    true = np.triu(np.ones((6, 6), bool), 1) & (np.arange(6) < 2)[:, None] & (np.arange(6) > 3)
    weights = np.zeros((6, 6))
    weights[0, 4], weights[0, 5] = -2, 1
    assert float(auprc(true, weights)) == pytest.approx(1 / 2 + 1 / 2 * 4 / 30)


def test_the_diagonal_the_signs_and_the_scale_do_not_matter():
    true, weights = case(1, 6, 1)
    other = -4 * weights + np.diag(np.arange(6.0))
    assert float(auprc(true, other)) == float(auprc(true, weights))


@pytest.mark.parametrize("nodes", [1, 2, 6])
def test_a_truth_without_edges_scores_zero(nodes):
    assert float(auprc(np.zeros((nodes, nodes), bool), np.ones((nodes, nodes)))) == 0


@pytest.mark.slow
def test_vmap_and_jit_equal_single_uncompiled_calls():
    true, weights = (np.stack(parts) for parts in zip(*(case(seed, 6, 1) for seed in range(5)), strict=True))
    with jax.disable_jit():
        alone = [float(auprc(a, b)) for a, b in zip(true, weights, strict=True)]
    np.testing.assert_allclose([auprc(a, b) for a, b in zip(true, weights, strict=True)], alone, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(auprc)(true, weights), alone, rtol=1e-6)
