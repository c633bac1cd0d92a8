import jax
import numpy as np
import pytest

from framework import causal
from framework.causal import bootstrapping
from framework.causal.discrete import equivalence, hill_climbing, search
from framework.causal.learn import problems

SHORT = causal.Config.equal_variance(stage_steps=(200, 200, 200, 200, 400))


@pytest.fixture(scope="module")
def x():
    """X0 -> X1 strongly, X2 apart."""
    rng = np.random.default_rng(0)
    first, second, third = rng.normal(size=(3, 60))
    return np.stack([first, 2 * first + second, third], axis=1)


def test_resamples_hold_as_many_rows_as_the_data():
    counts = bootstrapping.resample(jax.random.key(0), 40, 200)
    np.testing.assert_array_equal(counts.sum(1), np.full(200, 40))
    assert (np.asarray(counts) == 0).mean() == pytest.approx((1 - 1 / 40) ** 40, abs=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::framework.causal.AssumptionWarning")  # repeated rows stand side by side
def test_frequencies_are_those_of_fits_of_repeated_rows(x):
    """The oracle: each resample written out row by row and fitted alone."""
    key = jax.random.key(1)
    counts = np.asarray(bootstrapping.resample(key, len(x), 5))
    alone = [causal.fit(np.repeat(x, count, axis=0), None, SHORT).graph for count in counts]
    result = causal.bootstrap(key, x, 5, None, SHORT)
    np.testing.assert_array_equal(result.directed, np.mean(alone, axis=0))  # the assumption tells all directions
    assert not result.open.any()
    np.testing.assert_array_equal(result.result.graph, causal.fit(x, None, SHORT).graph)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::framework.causal.AssumptionWarning")  # repeated rows stand side by side
def test_only_compelled_edges_of_a_resample_count_as_arrows():
    """The oracle: the equivalence class of each resample fitted alone. A chain is open, a collider is not."""
    rng, key = np.random.default_rng(3), jax.random.key(1)
    a, b, c, d = rng.normal(size=(4, 400))
    x = np.stack([a, b, 0.25 * a + b + c, b, 0.8 * a + d], axis=1)
    x[:, 3] += rng.normal(size=400)
    counts = np.asarray(bootstrapping.resample(key, len(x), 10))
    classes = [np.asarray(equivalence.cpdag(causal.fit(np.repeat(x, k, axis=0)).graph)) for k in counts]
    directed, undirected = np.mean([c & ~c.T for c in classes], axis=0), np.mean([c & c.T for c in classes], axis=0)
    result = causal.bootstrap(key, x, 10)
    np.testing.assert_allclose(result.directed, directed, atol=1e-12)
    np.testing.assert_allclose(result.open, undirected, atol=1e-12)
    np.testing.assert_allclose(result.joined, directed + directed.T + undirected, atol=1e-12)
    assert result.directed.any()
    assert result.open.any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::framework.causal.AssumptionWarning")  # repeated rows stand side by side
def test_no_resample_explains_all_rows_better_than_the_result():
    """A search over orders without restarts misses the best graph; a resample that finds it gives it to the result."""
    rng = np.random.default_rng(5)
    graph = np.triu(rng.uniform(size=(14, 14)) < 0.35, 1)
    noise = rng.normal(size=(120, 14))
    x = noise @ np.linalg.inv(np.eye(14) - graph * rng.uniform(0.5, 1.5, (14, 14)))
    config = causal.Config(restarts=0, stage_steps=(20, 20, 20, 20, 40))
    result = causal.bootstrap(jax.random.key(0), x, 20, None, config)
    with jax.enable_x64(True):
        arguments = problems.problem(x, None, config)
        score = jax.jit(lambda graph: search.score(graph, arguments, config))
        counts = np.asarray(bootstrapping.resample(jax.random.key(0), 120, 20))
        alone = [causal.fit(np.repeat(x, count, axis=0), None, config).graph for count in counts]
        scores = [float(score(graph)) for graph in alone]
        assert float(score(result.result.graph)) >= max(scores) - 1e-4
        first = float(score(causal.fit(x, None, config).graph))
        assert float(score(result.result.graph)) >= first - 1e-4
        np.testing.assert_allclose(
            result.result.weights, hill_climbing.refit(result.result.graph, arguments.covariance), atol=1e-8
        )


@pytest.mark.slow
def test_a_strong_edge_is_certain_and_an_absent_one_is_not_there(x):
    result = causal.bootstrap(jax.random.key(2), x, 20, None, SHORT)
    assert result.directed[0, 1] == 1
    assert result.directed[1, 0] == 0
    assert result.joined[0, 2] < 0.5


@pytest.mark.slow
def test_every_resample_is_standardised_by_its_own_moments(x):
    config = causal.Config.equal_variance(
        transform="standardize", cut=0.1, noise="unequal", stage_steps=SHORT.stage_steps
    )
    scaled = causal.bootstrap(jax.random.key(3), x * np.array([1.0, 128.0, 2**-6]), 5, None, config)
    same = causal.bootstrap(jax.random.key(3), x, 5, None, config)
    for name in ("joined", "directed", "open"):
        np.testing.assert_array_equal(getattr(scaled, name), getattr(same, name))


@pytest.mark.slow
def test_a_constant_column_of_a_resample_has_no_edges():
    """A single 1 among 40 zeros is missing from every third resample; those count as fits without its edges."""
    rng = np.random.default_rng(0)
    rare = np.eye(40)[:, :1]
    x = np.concatenate([rare, 30 * rare + rng.normal(size=(40, 1))], axis=1)
    config = causal.Config.equal_variance(transform="standardize", noise="unequal", stage_steps=SHORT.stage_steps)
    counts = np.asarray(bootstrapping.resample(jax.random.key(0), 40, 30))
    result = causal.bootstrap(jax.random.key(0), x, 30, None, config)
    assert result.joined[0, 1] == pytest.approx(np.mean(counts[:, 0] > 0))


@pytest.mark.slow
def test_resamples_do_not_depend_on_the_setting_of_64_bits():
    with jax.enable_x64(True):
        wide = bootstrapping.resample(jax.random.key(0), 40, 3)
    np.testing.assert_array_equal(wide, bootstrapping.resample(jax.random.key(0), 40, 3))


def test_no_resample_is_refused(x):
    with pytest.raises(ValueError, match="at least 1 resample"):
        causal.bootstrap(jax.random.key(0), x, 0)
