import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import curvature


@pytest.fixture
def symmetric():
    square = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    return square + square.T


@pytest.fixture
def quadratic(symmetric):
    """Parameters as a pytree, with the known Hessian `symmetric`."""

    def loss(params):
        w = jnp.concatenate([params["a"], params["b"]])
        return 0.5 * w @ symmetric @ w

    return loss


PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([0.5, 3.0, -1.0, 2.0])}
VECTOR = {"a": jnp.array([0.3, 1.0]), "b": jnp.array([-0.2, 0.1, 0.0, 2.0])}


def flat(tree):
    return np.concatenate([tree["a"], tree["b"]])


def test_the_product_is_that_of_the_known_hessian(quadratic, symmetric):
    np.testing.assert_allclose(flat(curvature.hvp(quadratic, PARAMS, VECTOR)), symmetric @ flat(VECTOR), rtol=1e-5)


def test_a_finite_difference_is_exact_on_a_quadratic(quadratic, symmetric):
    product = curvature.finite_difference_hvp(quadratic, PARAMS, VECTOR, 0.1)
    np.testing.assert_allclose(flat(product), symmetric @ flat(VECTOR), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_finite_difference_is_second_order():
    with jax.enable_x64(True):
        loss = lambda w: jnp.sum(jnp.sin(w) * w**2)
        w, v = jnp.array([0.3, -1.2]), jnp.array([1.0, 0.5])
        exact = jax.hessian(loss)(w) @ v
        errors = [jnp.abs(curvature.finite_difference_hvp(loss, w, v, h) - exact).max() for h in (1e-2, 5e-3)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)


def test_a_kink_is_seen_by_the_difference_and_not_by_the_product():
    loss = lambda w: jnp.sum(jnp.abs(w))
    w, v = jnp.array([0.1]), jnp.array([1.0])
    assert curvature.hvp(loss, w, v) == 0
    np.testing.assert_allclose(curvature.finite_difference_hvp(loss, w, v, 0.5), 2.0)


@pytest.mark.slow
def test_power_iteration_finds_the_eigenvalue(quadratic, symmetric):
    values = np.linalg.eigvalsh(symmetric)
    pair = curvature.power_iteration(quadratic, PARAMS, jax.random.key(0), iterations=300)
    assert float(pair.value) == pytest.approx(values[np.abs(values).argmax()], rel=1e-3)
    np.testing.assert_allclose(symmetric @ flat(pair.vector), pair.value * flat(pair.vector), atol=0.05)
    assert pair.residual < 0.05


def test_a_flat_loss_has_curvature_zero_and_no_nan():
    pair = curvature.power_iteration(lambda w: jnp.sum(w), jnp.ones(3), jax.random.key(0))
    assert pair.value == 0
    np.testing.assert_array_equal(pair.vector, 0)
    assert pair.residual == 0


@pytest.mark.slow
def test_the_step_of_the_difference_can_be_swept(quadratic):
    steps = jnp.array([0.1, 0.2])
    swept = jax.vmap(lambda h: curvature.finite_difference_hvp(quadratic, PARAMS, VECTOR, h)["a"])(steps)
    single = [curvature.finite_difference_hvp(quadratic, PARAMS, VECTOR, float(h))["a"] for h in steps]
    np.testing.assert_allclose(swept, np.stack(single), atol=1e-4)


def test_no_iteration_is_refused(quadratic):
    with pytest.raises(ValueError, match="iterations must be a whole number of at least 1, got 0"):
        curvature.power_iteration(quadratic, PARAMS, jax.random.key(0), iterations=0)
