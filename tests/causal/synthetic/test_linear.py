import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.synthetic import linear, noise

GAUSSIAN = noise.gaussian()


@pytest.mark.slow
def test_weights_stand_on_edges_and_within_their_bounds():
    graph = graphs.erdos_renyi(jax.random.key(0), 30, 4)
    weights = np.asarray(linear.edge_weights(jax.random.key(1), graph))
    np.testing.assert_array_equal(weights != 0, graph)
    magnitude = np.abs(weights[weights != 0])
    assert magnitude.min() >= 0.5
    assert magnitude.max() <= 2
    assert 0.3 < (weights[weights != 0] > 0).mean() < 0.7


@pytest.mark.slow
def test_draws_solve_the_equations_they_are_drawn_from():
    """The oracle: node by node in causal order, from the noise that the draw implies."""
    with jax.enable_x64(True):
        weights = jnp.zeros((3, 3)).at[2, 0].set(1.5).at[0, 1].set(-2.0).at[2, 1].set(0.7)
        drawn_noise = GAUSSIAN(jax.random.key(0), (50, 3))
        drawn = linear.linear(jax.random.key(0), weights, 50, GAUSSIAN)
        plain = np.zeros((50, 3))
        for node in (2, 0, 1):
            plain[:, node] = plain @ np.asarray(weights)[:, node] + drawn_noise[:, node]
        np.testing.assert_allclose(drawn, plain, atol=1e-12)


@pytest.mark.slow
def test_the_covariance_is_the_one_that_the_weights_imply():
    with jax.enable_x64(True):
        weights = jnp.zeros((3, 3)).at[0, 1].set(1.0).at[1, 2].set(-0.8)
        scale = jnp.array([1.0, 2.0, 0.5])
        drawn = linear.linear(jax.random.key(0), weights, 200_000, noise.rescale(GAUSSIAN, scale))
        inverse = np.linalg.inv(np.eye(3) - np.asarray(weights))
        np.testing.assert_allclose(np.cov(drawn.T), inverse.T @ np.diag(scale**2) @ inverse, atol=0.1)
