import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal.learn import moments, scores

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(40, 4)) @ np.random.default_rng(1).normal(size=(4, 4))


@pytest.fixture
def weights():
    return np.random.default_rng(2).uniform(-0.9, 0.9, size=(4, 4)) * (1 - np.eye(4))


@pytest.mark.slow
def test_least_squares_is_half_the_mean_squared_residual(x, weights):
    centred = x - x.mean(0)
    direct = 0.5 / len(x) * np.sum((centred - centred @ weights) ** 2)
    value, _ = scores.least_squares(jnp.asarray(weights), moments.covariance(jnp.asarray(x), "center"))
    assert float(value) == pytest.approx(direct, rel=1e-12)


def test_its_gradient_is_that_of_autodiff(x, weights):
    covariance = moments.covariance(jnp.asarray(x), "center")
    automatic = jax.grad(lambda w: scores.least_squares(w, covariance)[0])(jnp.asarray(weights))
    np.testing.assert_allclose(scores.least_squares(jnp.asarray(weights), covariance)[1], automatic, atol=1e-12)


def test_the_likelihoods_are_golems_in_closed_form(x, weights):
    centred = x - x.mean(0)
    residual, volume = centred - centred @ weights, np.linalg.slogdet(np.eye(4) - weights)[1]
    covariance = moments.covariance(jnp.asarray(x), "center")
    equal, unequal = (f(jnp.asarray(weights), covariance)[0] for f in (scores.golem_ev, scores.golem_nv))
    constant = 2 * np.log(len(x))  # of n: ours have the mean of squares where GOLEM has the sum
    assert float(equal) == pytest.approx(2 * np.log(np.sum(residual**2)) - constant - volume, rel=1e-12)
    assert float(unequal) == pytest.approx(
        0.5 * np.sum(np.log(np.sum(residual**2, axis=0))) - constant - volume, rel=1e-12
    )


def test_the_logistic_score_is_the_binary_cross_entropy(weights):
    x = (np.random.default_rng(5).uniform(size=(30, 4)) < 0.4).astype(float)
    share = np.random.default_rng(6).dirichlet(np.ones(30))
    chance = 1 / (1 + np.exp(-x @ weights))
    expected = -np.sum(share[:, None] * (x * np.log(chance) + (1 - x) * np.log(1 - chance)))
    value, _ = scores.logistic(jnp.asarray(weights), jnp.asarray(x), jnp.asarray(share))
    assert float(value) == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("score", [scores.golem_ev, scores.golem_nv, scores.logistic], ids=lambda f: f.__name__)
def test_every_gradient_is_that_of_autodiff(x, weights, score):
    arguments = (moments.covariance(jnp.asarray(x), "center"),)
    if score is scores.logistic:
        arguments = (jnp.asarray(x > 0, jnp.float64), jnp.full(len(x), 1 / len(x)))
    automatic = jax.grad(lambda w: score(w, *arguments)[0])(jnp.asarray(weights))
    np.testing.assert_allclose(score(jnp.asarray(weights), *arguments)[1], automatic, atol=1e-10)


def test_only_unequal_noise_is_scale_invariant(x, weights):
    """Rescaling x by c and W to match shifts golem_nv by the same constant for every W."""
    scale = np.array([1.0, 10.0, 0.2, 3.0])
    before, after = (moments.covariance(jnp.asarray(table), "center") for table in (x, x * scale))
    for score, same in ((scores.golem_nv, True), (scores.golem_ev, False), (scores.least_squares, False)):
        shifts = [
            float(score(jnp.asarray(w * scale / scale[:, None]), after)[0] - score(jnp.asarray(w), before)[0])
            for w in (weights, weights / 2)
        ]
        assert (abs(shifts[0] - shifts[1]) < 1e-9) == same


def test_the_signed_similarity_is_blind_to_negative_weights():
    weights = jnp.array([[0.0, -0.5], [0.4, 0.0]])
    for prior in (0.0, 1.0):
        _, gradient = scores.sparsity(weights, 0.0, jnp.full((2, 2), prior), jnp.ones((2, 2)), 0.1, "signed")
        assert gradient[0, 1] == 0
        assert float(gradient[1, 0]) == pytest.approx(0.1 * (1 - 2 * prior))


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
