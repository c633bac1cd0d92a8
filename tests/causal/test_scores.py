import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import moments, scores


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(40, 4)) @ np.random.default_rng(1).normal(size=(4, 4))


@pytest.fixture
def weights():
    return np.random.default_rng(2).uniform(-0.9, 0.9, size=(4, 4)) * (1 - np.eye(4))


def test_least_squares_is_half_the_mean_squared_residual(x, weights):
    centred = x - x.mean(0)
    direct = 0.5 / len(x) * np.sum((centred - centred @ weights) ** 2)
    value, _ = scores.least_squares(jnp.asarray(weights), moments.covariance(jnp.asarray(x), "center"))
    assert float(value) == pytest.approx(direct, rel=1e-12)


def test_its_gradient_is_that_of_autodiff(x, weights):
    covariance = moments.covariance(jnp.asarray(x), "center")
    automatic = jax.grad(lambda w: scores.least_squares(w, covariance)[0])(jnp.asarray(weights))
    np.testing.assert_allclose(scores.least_squares(jnp.asarray(weights), covariance)[1], automatic, atol=1e-12)


def test_with_a_binary_prior_the_penalty_is_a_weighted_lasso(weights):
    """l1 |W| + l_sim C | |W| - K | = const + (l1 + l_sim C (1 - 2K)) |W| for |W| < 1."""
    rng = np.random.default_rng(3)
    prior, confidence = rng.integers(0, 2, (4, 4)).astype(float), rng.uniform(size=(4, 4))
    value, gradient = scores.sparsity(jnp.asarray(weights), 0.03, prior, confidence, 0.02)
    slope = 0.03 + 0.02 * confidence * (1 - 2 * prior)
    constant = 0.02 * np.sum(confidence * prior)
    assert float(value) == pytest.approx(constant + np.sum(slope * np.abs(weights)), rel=1e-12)
    np.testing.assert_allclose(gradient, slope * np.sign(weights), atol=1e-12)


def test_the_penalty_treats_a_weight_and_its_negative_alike(weights):
    prior, confidence = np.full((4, 4), 0.6), np.full((4, 4), 0.5)
    value, gradient = scores.sparsity(jnp.asarray(weights), 0.1, prior, confidence, 0.2)
    mirrored, opposite = scores.sparsity(-jnp.asarray(weights), 0.1, prior, confidence, 0.2)
    assert value == mirrored
    np.testing.assert_array_equal(gradient, -opposite)


def test_beyond_one_the_prior_pulls_no_more():
    weights = jnp.array([[0.0, 1.5], [-2.0, 0.0]])
    _, gradient = scores.sparsity(weights, 0.1, jnp.ones((2, 2)), jnp.ones((2, 2)), 5.0)
    np.testing.assert_allclose(gradient, 0.1 * np.sign(weights))


def test_without_confidence_it_is_the_lasso_bit_for_bit(weights):
    lasso = scores.sparsity(jnp.asarray(weights), 0.1, jnp.zeros((4, 4)), jnp.zeros((4, 4)), 0.1)
    unknown = scores.sparsity(jnp.asarray(weights), 0.1, jnp.full((4, 4), 0.7), jnp.zeros((4, 4)), 7.0)
    assert lasso[0] == unknown[0]
    np.testing.assert_array_equal(lasso[1], unknown[1])
