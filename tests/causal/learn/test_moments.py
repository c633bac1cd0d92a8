import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal.learn import moments

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def x():
    return jnp.asarray(np.random.default_rng(0).gamma(2.0, 3.0, size=(50, 3)))


def test_centred_it_is_numpys_covariance(x):
    np.testing.assert_allclose(moments.covariance(x, "center"), np.cov(x.T, bias=True), rtol=1e-12)


def test_standardised_it_is_numpys_correlation(x):
    np.testing.assert_allclose(moments.covariance(x, "standardize"), np.corrcoef(x.T), rtol=1e-12)


def test_log_standardized_is_the_correlation_of_logarithms(x):
    np.testing.assert_allclose(moments.covariance(x, "log_standardize"), np.corrcoef(np.log(x + 10).T), rtol=1e-12)


def test_without_transform_it_is_the_second_moment(x):
    np.testing.assert_allclose(moments.covariance(x, "none"), x.T @ x / 50, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("transform", moments.TRANSFORMS)
def test_counts_stand_for_repeated_rows(x, transform):
    counts = np.random.default_rng(1).integers(0, 4, 50)
    repeated = moments.covariance(jnp.repeat(x, counts, axis=0), transform)
    np.testing.assert_allclose(moments.covariance(x, transform, jnp.asarray(counts)), repeated, rtol=1e-12)


def test_standardising_forgets_the_scale_of_columns(x):
    scaled = x * jnp.array([1e-3, 1.0, 1e4])
    np.testing.assert_allclose(
        moments.covariance(scaled, "standardize"), moments.covariance(x, "standardize"), rtol=1e-10
    )


def test_an_unknown_transform_is_refused(x):
    with pytest.raises(ValueError, match="take one of center, standardize, log_standardize, none"):
        moments.covariance(x, "whiten")
