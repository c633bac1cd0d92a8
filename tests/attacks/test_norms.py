import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.attacks import norms

RNG = np.random.default_rng(0)
project = jax.jit(lambda name, *rest: norms.get(name).project(*rest), static_argnums=0)
IMAGES = RNG.uniform(size=(6, 3, 3, 2)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(0), 6)


@pytest.mark.parametrize("name", norms.NORMS)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), epsilon=st.floats(0.01, 3.0), scale=st.floats(0.0, 5.0))
def test_a_projection_lies_in_ball_and_box_and_is_idempotent(name, seed, epsilon, scale):
    ball = norms.get(name)
    images = IMAGES + scale * np.random.default_rng(seed).normal(size=IMAGES.shape).astype(np.float32)
    projection = project(name, images, IMAGES, epsilon)
    assert ball.magnitude(projection - IMAGES).max() <= epsilon * (1 + 1e-5)
    assert projection.min() >= 0
    assert projection.max() <= 1
    np.testing.assert_allclose(project(name, projection, IMAGES, epsilon), projection, atol=1e-6)


def test_clipping_gives_the_nearest_point():
    x = np.array([[3.0, -4.0, 0.5]], np.float32)
    np.testing.assert_allclose(norms.get("l2").clip(x, 1.0), x / np.linalg.norm(x), rtol=1e-6)
    np.testing.assert_allclose(norms.get("linf").clip(x, 1.0), [[1.0, -1.0, 0.5]])


@pytest.mark.parametrize("name", norms.NORMS)
def test_the_steepest_direction_attains_the_dual_norm(name):
    """Over the unit ball a gradient's product is at most its dual norm: L1 for L-inf, L2 for L2."""
    ball, gradient = norms.get(name), RNG.normal(size=IMAGES.shape).astype(np.float32)
    direction = ball.steepest(gradient)
    np.testing.assert_allclose(ball.magnitude(direction), 1, rtol=1e-5)
    dual = np.abs(gradient).sum((1, 2, 3)) if name == "linf" else np.sqrt((gradient**2).sum((1, 2, 3)))
    np.testing.assert_allclose((direction * gradient).sum((1, 2, 3)), dual, rtol=1e-5)


@pytest.mark.parametrize("name", norms.NORMS)
def test_without_a_gradient_there_is_no_direction(name):
    gradient = jnp.zeros_like(IMAGES).at[0, 0].set(jnp.nan).at[1, 0].set(jnp.inf)
    np.testing.assert_array_equal(norms.get(name).steepest(gradient), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", norms.NORMS)
def test_samples_of_the_sphere_have_norm_one(name):
    ball = norms.get(name)
    np.testing.assert_allclose(ball.magnitude(ball.sample_sphere(KEYS, IMAGES)), 1, rtol=1e-5)
    assert ball.magnitude(ball.sample_ball(KEYS, IMAGES)).max() <= 1


@pytest.mark.slow
def test_samples_of_the_ball_are_uniform():
    """A radius r holds the share r^dimension of an L2 ball; a coordinate of an L-inf ball is uniform in [-1, 1]."""
    keys, like = jax.random.split(jax.random.key(1), 4000), jnp.zeros((4000, 3))
    lengths = norms.get("l2").magnitude(norms.get("l2").sample_ball(keys, like))
    np.testing.assert_allclose((lengths < 0.5).mean(), 0.5**3, atol=0.02)
    np.testing.assert_allclose(norms.get("linf").sample_ball(keys, like).var(), 1 / 3, atol=0.01)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match=r"norm must be one of linf, l2, got 'l1'"):
        norms.get("l1")
