import jax
import numpy as np
import pytest

from framework import causal
from framework.causal import confidence

SHORT = causal.Config(stage_steps=(200, 200, 200, 200, 400))


@pytest.fixture(scope="module")
def x():
    """X0 -> X1 strongly, X2 apart."""
    rng = np.random.default_rng(0)
    first, second, third = rng.normal(size=(3, 60))
    return np.stack([first, 2 * first + second, third], axis=1)


def test_resamples_hold_as_many_rows_as_the_data():
    counts = confidence.resample(jax.random.key(0), 40, 200)
    np.testing.assert_array_equal(counts.sum(1), np.full(200, 40))
    assert (np.asarray(counts) == 0).mean() == pytest.approx((1 - 1 / 40) ** 40, abs=0.02)


@pytest.mark.slow
def test_frequencies_are_those_of_fits_of_repeated_rows(x):
    """The oracle: each resample written out row by row and fitted alone."""
    key = jax.random.key(1)
    counts = np.asarray(confidence.resample(key, len(x), 5))
    alone = [causal.fit(np.repeat(x, count, axis=0), None, SHORT).graph for count in counts]
    np.testing.assert_array_equal(causal.bootstrap(key, x, 5, None, SHORT), np.mean(alone, axis=0))


@pytest.mark.slow
def test_a_strong_edge_is_certain_and_an_absent_one_is_not_there(x):
    frequency = causal.bootstrap(jax.random.key(2), x, 20, None, SHORT)
    assert frequency[0, 1] == 1
    assert frequency[1, 0] == 0
    assert frequency[0, 2] + frequency[2, 0] < 0.5


@pytest.mark.slow
def test_every_resample_is_standardised_by_its_own_moments(x):
    config = causal.Config(transform="standardize", cut=0.1, noise="unequal", stage_steps=SHORT.stage_steps)
    scaled = causal.bootstrap(jax.random.key(3), x * np.array([1.0, 128.0, 2**-6]), 5, None, config)
    np.testing.assert_array_equal(scaled, causal.bootstrap(jax.random.key(3), x, 5, None, config))


@pytest.mark.slow
def test_a_column_that_does_not_vary_in_a_resample_is_joined_to_nothing_there():
    """A single 1 among 40 zeros is missing from every third resample; those count as fits without its edges."""
    rng = np.random.default_rng(0)
    rare = np.eye(40)[:, :1]
    x = np.concatenate([rare, 30 * rare + rng.normal(size=(40, 1))], axis=1)
    config = causal.Config(transform="standardize", noise="unequal", stage_steps=SHORT.stage_steps)
    counts = np.asarray(confidence.resample(jax.random.key(0), 40, 30))
    frequency = causal.bootstrap(jax.random.key(0), x, 30, None, config)
    assert frequency[0, 1] + frequency[1, 0] == pytest.approx(np.mean(counts[:, 0] > 0))


@pytest.mark.slow
def test_resamples_do_not_depend_on_the_setting_of_64_bits():
    with jax.enable_x64(True):
        wide = confidence.resample(jax.random.key(0), 40, 3)
    np.testing.assert_array_equal(wide, confidence.resample(jax.random.key(0), 40, 3))


def test_no_resample_is_refused(x):
    with pytest.raises(ValueError, match="at least 1 resample"):
        causal.bootstrap(jax.random.key(0), x, 0)
