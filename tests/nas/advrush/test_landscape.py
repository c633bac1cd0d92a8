import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas.advrush import landscape

pytestmark = pytest.mark.slow


def loss(image, label):
    """A quadratic whose Hessian is known: sum of (k + label) x_k^2 / 2."""
    return 0.5 * jnp.sum((jnp.arange(image.size) + label) * image.ravel() ** 2) + image.sum()


@pytest.mark.slow
def test_top_eigenvalues_are_those_of_dense_hessians():
    images, labels = np.random.default_rng(0).normal(size=(3, 2, 3, 1)), np.array([1.0, 3.0, -9.0])
    result = landscape.top_eigenvalues(jax.random.key(0), loss, jnp.asarray(images), labels, 60)
    for value, image, label in zip(result, images, labels, strict=True):
        dense = jax.hessian(loss)(jnp.asarray(image), label).reshape(6, 6)
        values = np.linalg.eigvalsh(dense)
        np.testing.assert_allclose(value, values[np.abs(values).argmax()], rtol=1e-3)


def test_a_surface_is_the_loss_around_the_image():
    image = jnp.asarray(np.random.default_rng(1).normal(size=(2, 2, 1)))
    places, heights = landscape.surface(jax.random.key(0), loss, image, 1.0, 0.5, 5)
    np.testing.assert_allclose(places, [-0.5, -0.25, 0, 0.25, 0.5], atol=1e-7)
    assert heights.shape == (5, 5)
    np.testing.assert_allclose(heights[2, 2], loss(image, 1.0), rtol=1e-6)
    steepest = jnp.sign(jax.grad(loss)(image, 1.0))
    np.testing.assert_allclose(heights[4, 2], loss(image + 0.5 * steepest, 1.0), rtol=1e-6)
    assert heights[4, 2] > heights[2, 2]


def test_the_other_direction_of_a_surface_is_signs_of_the_key():
    image = jnp.zeros((2, 3, 1))
    across = []
    for index in range(6):
        one = lambda image, label, index=index: image.ravel()[index]
        _, heights = landscape.surface(jax.random.key(0), one, image, 0.0, 0.5, 5)
        np.testing.assert_allclose(np.abs(heights[2, [0, 4]]), 0.5)
        across.append(np.sign(heights[2, 4]))
        np.testing.assert_allclose(heights[2], across[-1] * np.linspace(-0.5, 0.5, 5), atol=1e-7)
    assert len(set(across)) == 2
