import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import selection
from framework.selection import strata


@pytest.mark.slow
def test_strata_contribute_equally_without_the_hardest_points():
    scores = np.random.default_rng(0).permutation(np.concatenate([np.linspace(0, 1, 80) ** 3, np.linspace(5, 6, 20)]))
    selected = np.asarray(selection.coverage_centric(jax.random.key(0), scores, 20, cutoff_rate=0.2, strata=4))
    assert len(set(selected.tolist())) == 20
    assert scores[selected].max() <= 1
    stratum = np.minimum(scores[selected] * 4, 3).astype(int)
    np.testing.assert_array_equal(np.bincount(stratum), [5, 5, 5, 5])
    scaled = selection.coverage_centric(jax.random.key(0), 8 * scores, 20, cutoff_rate=0.2, strata=4)
    np.testing.assert_array_equal(scaled, selected)  # strata have no unit
    other = selection.coverage_centric(jax.random.key(1), scores, 20, cutoff_rate=0.2, strata=4)
    assert set(np.asarray(other).tolist()) != set(selected.tolist())


@pytest.mark.slow
def test_a_small_stratum_gives_all_it_has():
    scores = np.concatenate([np.zeros(30), [1.0, 1.0], np.full(30, 0.5)])
    selected = np.asarray(selection.coverage_centric(jax.random.key(0), scores, 22, cutoff_rate=0.0, strata=3))
    np.testing.assert_array_equal(np.unique(scores[selected], return_counts=True)[1], [10, 10, 2])
    alike = selection.coverage_centric(jax.random.key(0), np.ones(7), 7, cutoff_rate=0.0)
    assert sorted(np.asarray(alike).tolist()) == list(range(7))


def test_moderate_selects_points_near_the_median_distance():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(41, 3)).astype(np.float32), rng.integers(0, 3, 41)
    means = np.stack([features[labels == c].mean(0) for c in range(3)])
    distances = np.linalg.norm(features - means[labels], axis=1)
    expected = np.argsort(abs(distances - np.median(distances)), kind="stable")[:9]
    np.testing.assert_array_equal(strata.moderate(features, labels, 9), expected)
    traced = jax.jit(lambda z, y: strata.moderate(z, y, 9, classes=3))(features, labels)
    np.testing.assert_array_equal(traced, expected)
    assert len(strata.moderate(features, labels, 0)) == 0


def test_bad_strata_are_refused():
    key, scores = jax.random.key(0), np.arange(10.0)
    with pytest.raises(ValueError, match=r"a cutoff_rate of 0.5 leaves 5 of 10"):
        selection.coverage_centric(key, scores, 6, cutoff_rate=0.5)
    with pytest.raises(ValueError, match="the score of point 2 is infinite"):
        selection.coverage_centric(key, np.array([0.0, 1.0, np.inf]), 1)
    with pytest.raises(ValueError, match="strata must be a whole number of at least 1, got 0"):
        selection.coverage_centric(key, scores, 6, strata=0)
    with pytest.raises(ValueError, match="as many labels"):
        strata.moderate(np.ones((3, 2)), np.zeros(2, int), 1)
    with pytest.raises(ValueError, match="number of classes must be given"):
        jax.jit(lambda y: strata.moderate(jnp.ones((3, 2)), y, 1))(jnp.zeros(3, int))
