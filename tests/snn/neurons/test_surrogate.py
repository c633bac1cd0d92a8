import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.neurons import surrogate

X = np.linspace(-1.9, 1.9, 77)  # off the edges of the widths below
erf = np.vectorize(math.erf)


def logistic(z):
    return 1 / (1 + np.exp(-z))


# factory, steepness, pseudo-derivative, primitive; in NumPy
FAMILIES = {
    "arctan": (
        surrogate.arctan,
        3.0,
        lambda x, a: (a / 2) / (1 + (np.pi * a * x / 2) ** 2),
        lambda x, a: np.arctan(np.pi * a * x / 2) / np.pi + 0.5,
    ),
    "fast_sigmoid": (
        surrogate.fast_sigmoid,
        5.0,
        lambda x, k: 1 / (1 + k * abs(x)) ** 2,
        lambda x, k: x / (1 + k * abs(x)),
    ),
    "superspike": (
        surrogate.superspike,
        7.0,
        lambda x, k: 1 / (1 + k * abs(x)) ** 2,
        lambda x, k: x / (1 + k * abs(x)),
    ),
    "triangular": (
        surrogate.triangular,
        1.23,
        lambda x, w: np.where(abs(x) < w, (w - abs(x)) / w**2, 0),
        lambda x, w: np.where(abs(x) < w, 0.5 + x / w - x * abs(x) / (2 * w**2), x > 0),
    ),
    "boxcar": (
        surrogate.boxcar,
        1.23,
        lambda x, w: np.where(abs(x) < w / 2, 1 / w, 0),
        lambda x, w: np.clip(x / w + 0.5, 0, 1),
    ),
    "sigmoid": (
        surrogate.sigmoid,
        4.0,
        lambda x, k: k * logistic(k * x) * logistic(-k * x),
        lambda x, k: logistic(k * x),
    ),
    "erf": (
        surrogate.erf,
        2.0,
        lambda x, a: a / np.sqrt(np.pi) * np.exp(-((a * x) ** 2)),
        lambda x, a: (1 + erf(a * x)) / 2,
    ),
    "straight_through": (lambda _: surrogate.straight_through(), 1.0, lambda x, _: np.ones_like(x), lambda x, _: x),
}
STEEP = sorted(set(FAMILIES) - {"straight_through"})


def slope(spike, x):
    return jax.jit(jax.vmap(jax.grad(spike)))(x)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_pseudo_derivative_is_its_closed_form(name):
    factory, steepness, derivative, _ = FAMILIES[name]
    np.testing.assert_allclose(
        slope(factory(steepness), jnp.float32(X)), derivative(X, steepness), rtol=2e-6, atol=1e-7
    )
    with jax.enable_x64(True):
        np.testing.assert_allclose(slope(factory(steepness), X), derivative(X, steepness), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_pseudo_derivative_is_the_slope_of_its_primitive(name):
    factory, steepness, _, primitive = FAMILIES[name]
    h, x = 1e-6, X[abs(X) > 1e-3]
    finite = (primitive(x + h, steepness) - primitive(x - h, steepness)) / (2 * h)
    with jax.enable_x64(True):
        np.testing.assert_allclose(slope(factory(steepness), x), finite, atol=1e-8)


@pytest.mark.parametrize(("x", "expected"), [(0.0, 1.0), (0.5, 0.28840), (1.0, 0.0920)])
def test_arctan_has_the_published_values(x, expected):
    assert jax.grad(surrogate.arctan(2.0))(x) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_spike_is_the_step_that_is_one_at_equality(name):
    factory, steepness, *_ = FAMILIES[name]
    x = jnp.array([-jnp.inf, -1.0, -1e-30, -0.0, 0.0, 1e-30, 1.0, jnp.inf])
    np.testing.assert_array_equal(factory(steepness)(x), [0, 0, 0, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("name", FAMILIES)
def test_forward_mode_equals_reverse_mode_under_jit_and_scan(name):
    factory, steepness, derivative, _ = FAMILIES[name]
    spike, x = factory(steepness), jnp.float32(X)

    def scanned(x):
        return jax.lax.scan(lambda total, row: (total + 2 * spike(row), None), jnp.zeros(()), x)[0]

    forward = jax.jit(lambda x: jax.jvp(spike, (x,), (jnp.ones_like(x),))[1])(x)
    np.testing.assert_allclose(forward, derivative(X, steepness), rtol=2e-6, atol=1e-7)
    for gradient in (jax.grad, jax.jacfwd):
        np.testing.assert_allclose(jax.jit(gradient(scanned))(x), 2 * forward, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_spikes_and_gradients_have_the_dtype_of_x(name, dtype):
    factory, steepness, derivative, _ = FAMILIES[name]
    with jax.enable_x64(True):
        x = jnp.asarray(X, dtype)
        for number in (steepness, jnp.float32(steepness)):
            spikes, gradient = factory(number)(x), slope(factory(number), x)
            assert spikes.dtype == gradient.dtype == x.dtype
        np.testing.assert_allclose(np.float64(gradient), derivative(np.float64(x), steepness), rtol=0.05, atol=0.01)


@pytest.mark.parametrize("name", STEEP)
def test_steepness_can_be_swept(name):
    factory, steepness, derivative, _ = FAMILIES[name]
    steepnesses = steepness * jnp.array([0.5, 1.0, 2.0])
    swept = jax.jit(jax.vmap(lambda a: slope(factory(a), jnp.float32(X))))(steepnesses)
    expected = [derivative(X, float(a)) for a in steepnesses]
    np.testing.assert_allclose(swept, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", STEEP)
def test_no_gradient_flows_into_the_steepness(name):
    factory, steepness, *_ = FAMILIES[name]
    assert jax.grad(lambda a: factory(a)(jnp.float32(X)).sum())(steepness) == 0


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("steepness", [0.0, -1.0, math.nan, np.array([1.0, -2.0])])
def test_a_steepness_that_is_not_positive_is_refused(name, steepness):
    with pytest.raises(ValueError, match=f"of {name} must be above 0, got"):
        FAMILIES[name][0](steepness)
