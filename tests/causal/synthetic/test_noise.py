import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from framework.causal.synthetic import noise

LAWS = {
    "gaussian": (noise.gaussian(), stats.norm()),
    "exponential": (noise.exponential(), stats.expon()),
    "gumbel": (noise.gumbel(), stats.gumbel_r()),
    "uniform": (noise.uniform(), stats.uniform(-1, 2)),
    "standardized exponential": (noise.exponential(standardized=True), stats.expon(-1)),
    "standardized gumbel": (
        noise.gumbel(standardized=True),
        stats.gumbel_r(-np.euler_gamma * np.sqrt(6) / np.pi, np.sqrt(6) / np.pi),
    ),
    "standardized uniform": (noise.uniform(standardized=True), stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))),
}


@pytest.mark.parametrize("name", LAWS)
def test_noise_has_the_law_and_the_moments_of_scipy(name):
    draw, law = LAWS[name]
    with jax.enable_x64(True):
        drawn = np.asarray(draw(jax.random.key(0), (200_000,)))
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3
    assert abs(drawn.mean() - law.mean()) < 5 * law.std() / np.sqrt(drawn.size)
    # the variance of the squared deviation is (excess kurtosis + 2) sigma^4
    fourth = float(law.stats("k")) + 2
    assert abs(drawn.var() - law.var()) < 5 * law.var() * np.sqrt(fourth / drawn.size)


@pytest.mark.parametrize("name", [name for name in LAWS if "standardized" in name or name == "gaussian"])
def test_standardized_noise_has_mean_0_and_deviation_1_in_law(name):
    _, law = LAWS[name]
    np.testing.assert_allclose((law.mean(), law.std()), (0, 1), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian", "standardized gumbel"])
def test_noise_has_its_shape_and_is_equal_under_transformations(name):
    draw, _ = LAWS[name]
    keys = jax.random.split(jax.random.key(0), 3)
    single = [draw(key, (4, 2)) for key in keys]
    assert single[0].shape == (4, 2)
    assert single[0].dtype == jnp.float32
    np.testing.assert_allclose(jax.vmap(lambda key: draw(key, (4, 2)))(keys), single, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(draw, static_argnums=1)(keys[0], (4, 2)), single[0], rtol=1e-6)


def test_scaled_noise_is_the_same_noise_times_a_number_a_column():
    key, scale = jax.random.key(0), jnp.array([1.0, 2.0, 0.5])
    plain = noise.gumbel()(key, (5, 3))
    np.testing.assert_array_equal(noise.rescale(noise.gumbel(), scale)(key, (5, 3)), scale * plain)


def test_unequal_scales_are_uniform_between_their_bounds():
    drawn = np.asarray(noise.unequal_scales(jax.random.key(0), 50_000))
    assert drawn.min() >= 1
    assert drawn.max() <= 2
    assert stats.kstest(drawn, stats.uniform(1, 1).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(noise.unequal_scales(jax.random.key(0), 3, 0.5, 0.5), 0.5)
