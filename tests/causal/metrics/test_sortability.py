import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LassoLarsIC, LinearRegression

from framework.causal.metrics import sortability

KEY = jax.random.key(0)


def problem(seed, nodes, density, rows=40):
    """A random DAG and data of its linear model, each column on a scale of its own: (x, graph)."""
    rng = np.random.default_rng(seed)
    shuffle = rng.permutation(nodes)
    graph = np.triu(rng.uniform(size=(nodes, nodes)) < density, 1)[shuffle][:, shuffle]
    weights = graph * rng.uniform(0.5, 2, size=(nodes, nodes)) * rng.choice([-1, 1], size=(nodes, nodes))
    noise = rng.normal(size=(rows, nodes)) * rng.uniform(0.5, 2, size=nodes)
    return noise @ np.linalg.inv(np.eye(nodes) - weights) * rng.uniform(0.1, 3, size=nodes), graph


def agreement_by_hand(graph, score, tied):
    """The oracle: every length, every pair, by whole powers of the matrix."""
    right = paths = 0
    for length in range(1, len(graph)):
        power = np.linalg.matrix_power(graph.astype(int), length)
        for i, j in itertools.product(range(len(graph)), repeat=2):
            if power[i, j] > 0:
                paths += 1
                right += 0.5 if tied(score[i], score[j]) else float(score[i] < score[j])
    return right / paths if paths else 0.5


def explained_by_others(x):
    """The oracle: a regression of scikit-learn's for each column."""
    fit = lambda j: LinearRegression().fit(np.delete(x, j, 1), x[:, j]).score(np.delete(x, j, 1), x[:, j])
    return np.array([fit(j) for j in range(x.shape[1])])


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), nodes=st.sampled_from([2, 6]), density=st.floats(0, 1), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_varsortability_is_the_share_that_a_plain_loop_counts(seed, nodes, density, ties):
    x, graph = problem(seed, nodes, density)
    if ties:
        x[:, 0] = x[::-1, 1] * (1 + 1e-11)
    by_hand = agreement_by_hand(graph, x.var(0), lambda a, b: abs(a - b) <= 1e-9 * max(a, b))
    np.testing.assert_allclose(sortability.varsortability(x, graph), by_hand, atol=1e-12)


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), nodes=st.sampled_from([2, 6]), density=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_r2_sortability_equals_regressions_and_a_plain_loop(seed, nodes, density):
    x, graph = problem(seed, nodes, density)
    explained = explained_by_others(x)
    np.testing.assert_allclose(sortability.r2_scores(x), explained, atol=1e-10)
    by_hand = agreement_by_hand(graph, explained, lambda a, b: abs(a - b) <= 1e-9)
    np.testing.assert_allclose(sortability.r2_sortability(x, graph), by_hand, atol=1e-12)


def test_a_pair_counts_once_for_each_path_length():
    scale = np.sqrt([1.0, 4.0, 9.0, 2.0])
    x = np.concatenate([np.diag(scale), -np.diag(scale)])
    triangle = np.zeros((4, 4), bool)
    triangle[0, 1] = triangle[1, 3] = triangle[0, 3] = True  # right: 0 1, 0 3 twice; wrong: 1 3
    assert sortability.varsortability(x, triangle) == 3 / 4
    diamond = np.zeros((4, 4), bool)
    diamond[0, 1] = diamond[0, 2] = diamond[1, 3] = diamond[2, 3] = True  # right: 0 1, 0 2, 0 3; wrong: 1 3, 2 3
    assert sortability.varsortability(x, diamond) == 3 / 5


def test_sortability_is_1_along_0_against_and_half_without_edges():
    chain = np.eye(6, k=1, dtype=bool)
    x = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 7) ** 2
    assert sortability.varsortability(x, chain) == 1
    assert sortability.varsortability(x, chain.T) == 0
    assert sortability.varsortability(x, np.zeros((6, 6), bool)) == 0.5
    assert sortability.r2_sortability(x, np.zeros((6, 6), bool)) == 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardised_columns_are_ties_in_either_precision(dtype):
    x, graph = problem(0, 6, 0.6, rows=1000)
    x = x.astype(dtype)
    standard = (x - x.mean(0)) / x.std(0)
    assert sortability.varsortability(standard, graph) == 0.5
    assert sortability.varsortability(jnp.asarray(standard), graph) == 0.5


def test_scales_do_not_change_r2_sortability():
    x, graph = problem(1, 6, 0.6)
    assert sortability.r2_sortability(x * np.arange(1, 7), graph) == sortability.r2_sortability(x, graph)


def test_r2_of_determined_and_constant_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 6))
    x[:, 2], x[:, 4] = x[:, 0] + x[:, 1], 7.0
    explained = sortability.r2_scores(x)
    np.testing.assert_allclose(explained[:3], 1, atol=1e-12)
    assert explained[4] == 0
    kept = x[:, [0, 1, 3, 5]]
    np.testing.assert_allclose(explained[[3, 5]], explained_by_others(kept)[2:], atol=1e-9)
    assert np.isfinite(sortability.r2_sortability(x, np.triu(np.ones((6, 6), bool), 1)))


@pytest.mark.parametrize("measure", [sortability.varsortability, sortability.r2_sortability])
def test_a_measure_is_the_same_with_and_without_transformations(measure):
    tables, graphs = (jnp.stack(part) for part in zip(*(problem(s, 6, 0.5) for s in range(3)), strict=True))
    single = [measure(x, graph) for x, graph in zip(tables, graphs, strict=True)]
    assert single[0].shape == ()
    assert len(set(map(float, single))) > 1
    np.testing.assert_allclose(jax.jit(jax.vmap(measure))(tables, graphs), single, rtol=1e-6)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"got shapes \(5, 3\) and \(2, 2\)"):
        sortability.varsortability(np.ones((5, 3)), np.ones((2, 2)))
    for measure in (sortability.r2_scores, lambda x: sortability.varsortability(x, np.ones((3, 3)))):
        with pytest.raises(ValueError, match=r"a table \[n, d\] is wanted, got shape \(3,\)"):
            measure(np.ones(3))
        with pytest.raises(ValueError, match="must be finite"):
            measure(np.full((5, 3), np.nan))
    with pytest.raises(ValueError, match="more rows than columns"):
        sortability.var_sort_regress(np.ones((3, 3)))
    with pytest.raises(ValueError, match="3 columns need as many numbers"):
        sortability.sort_regress(np.ones((5, 3)), [1, 2])


def regressed_by_hand(x, order):
    """The oracle: the published baseline, one column after another."""
    weights = np.zeros((x.shape[1], x.shape[1]))
    for k in range(1, len(order)):
        before, target = list(order[:k]), order[k]
        size = np.abs(LinearRegression().fit(x[:, before], x[:, target]).coef_)
        lasso = LassoLarsIC(criterion="bic").fit(x[:, before] * size, x[:, target])
        weights[before, target] = lasso.coef_ * size
    return weights


def test_the_baselines_are_regressions_in_their_orders():
    x, _ = problem(2, 6, 0.5, rows=200)
    by_variance = regressed_by_hand(x, np.argsort(x.var(0)))
    by_r2 = regressed_by_hand(x, np.argsort(explained_by_others(x)))
    np.testing.assert_allclose(sortability.var_sort_regress(x), by_variance, atol=1e-12)
    np.testing.assert_allclose(sortability.r2_sort_regress(x), by_r2, atol=1e-12)
    assert not np.array_equal(by_variance != 0, by_r2 != 0)


def test_a_random_order_depends_on_the_key_alone():
    x, _ = problem(2, 6, 0.5, rows=200)
    weights = sortability.random_sort_regress(KEY, x)
    np.testing.assert_array_equal(sortability.random_sort_regress(KEY, x), weights)
    by_hand = [regressed_by_hand(x, np.argsort(np.asarray(jax.random.permutation(KEY, 6)), kind="stable"))]
    np.testing.assert_allclose([weights], by_hand, atol=1e-12)
    assert not np.array_equal(sortability.random_sort_regress(jax.random.key(1), x), weights)


def test_sorting_by_variance_finds_a_model_whose_variances_grow():
    shuffle = [4, 1, 5, 0, 3, 2]
    weights = (np.eye(6, k=1) + 0.8 * np.eye(6, k=2))[shuffle][:, shuffle]
    x = np.random.default_rng(0).normal(size=(5000, 6)) @ np.linalg.inv(np.eye(6) - weights)
    assert sortability.varsortability(x, weights) == 1
    np.testing.assert_allclose(sortability.var_sort_regress(x), weights, atol=0.1)
