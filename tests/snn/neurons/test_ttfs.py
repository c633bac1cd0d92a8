import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from framework.snn.neurons import coding, ttfs

WINDOW, TAU = 20, 5.0


def fire(code, values, steps, layer=0):
    """Payloads [steps, ...] of units that hold values."""
    state = code.init(np.shape(values), layer)._replace(membrane=jnp.asarray(values, jnp.float32))
    return lax.scan(lambda s, _: code.step(s, jnp.zeros_like(s.membrane)), state, length=steps)[1]


@jax.jit
def one_window(values):
    return fire(coding.ttfs(WINDOW, TAU), values, WINDOW)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(0.03125, 1, width=32), min_size=4, max_size=4))
def test_a_value_decodes_within_the_resolution_of_the_kernel(values):
    payloads = one_window(np.float32(values))
    np.testing.assert_array_equal((payloads > 0).sum(0), 1)
    decoded, values = payloads.sum(0), np.array(values)
    assert np.all(decoded <= values * (1 + 1e-6))
    assert np.all(decoded >= values * np.exp(-1 / TAU) * (1 - 1e-6))
    kernel = np.exp(-np.argmax(payloads > 0, axis=0) / TAU)
    np.testing.assert_allclose(decoded, kernel, rtol=1e-6)


def test_ttfs_small_values_are_silent_and_large_ones_saturate():
    smallest = np.exp(-(WINDOW - 1) / TAU)
    payloads = fire(coding.ttfs(WINDOW, TAU), [0.0, -1.0, 0.99 * smallest, 1.01 * smallest, 1.5], 2 * WINDOW)
    np.testing.assert_allclose(payloads.sum(0), [0, 0, 0, smallest, 1], rtol=1e-6)
    np.testing.assert_array_equal(np.argmax(payloads > 0, axis=0)[3:], [WINDOW - 1, 0])


def test_threshold_and_delay_shift_the_kernel():
    payloads = fire(coding.ttfs(WINDOW, TAU, threshold=2.0, delay=3.0), [1.0], WINDOW)
    time = np.ceil(3.0 + TAU * np.log(2.0))
    assert np.argmax(payloads > 0) == time
    np.testing.assert_allclose(payloads.sum(), 2 * np.exp(-(time - 3) / TAU), rtol=1e-6)
    np.testing.assert_allclose(ttfs.kernel(jnp.arange(3.0), TAU, 2.0, 1.0), 2 * np.exp((1 - np.arange(3)) / TAU))


@pytest.mark.parametrize("early", [False, True])
def test_a_layer_fires_in_its_own_window(early):
    lag = WINDOW // 2 if early else WINDOW
    code = coding.ttfs(WINDOW, TAU, early=early)
    for layer in range(3):
        payloads = fire(code, [1.0, 0.1], 4 * WINDOW, layer)
        expected = [layer * lag, layer * lag + np.ceil(-TAU * np.log(0.1))]
        np.testing.assert_array_equal(np.argmax(payloads > 0, axis=0), expected)


def chain(early, x, steps):
    """Input, two hidden layers with one weight each; payloads [steps, 3, ...] of all three."""
    code = coding.ttfs(80, 20.0, early=early)
    units = [code.init(x.shape, layer) for layer in (1, 2)]

    def step(carry, _):
        source, first, second = carry
        source, p0 = code.encoder.step(source)
        first, p1 = code.step(first, 0.5 * p0)
        second, p2 = code.step(second, 1.5 * p1)
        return (source, first, second), jnp.stack([p0, p1, p2])

    return np.asarray(lax.scan(step, (code.encoder.init(x), *units), length=steps)[1])


def test_a_chain_of_layers_decodes_to_its_product():
    x = jnp.array([[0.9, 0.5, 0.2]])
    payloads = chain(False, x, ttfs.latency(2, 80))
    np.testing.assert_array_equal((payloads > 0).sum(0), 1)
    coarse = np.exp(-1 / 20)
    for layer, value in enumerate((x, 0.5 * x, 0.75 * x)):
        decoded = payloads[:, layer].sum(0)
        assert np.all((decoded <= value * (1 + 1e-5)) & (decoded >= value * coarse ** (layer + 1) * (1 - 1e-5)))


def test_early_firing_is_faster_and_equal_for_large_values():
    x = jnp.array([[0.9, 0.5]])
    late, soon = (chain(early, x, ttfs.latency(2, 80, early)).sum(0) for early in (False, True))
    np.testing.assert_allclose(late, soon, rtol=1e-6)


def test_the_latency_is_that_of_the_reference_network():
    """15 hidden layers, windows of 80 steps: 15 * 80 + 80, and 15 * 40 + 80 with early firing."""
    assert (ttfs.latency(15, 80), ttfs.latency(15, 80, early=True)) == (1280, 680)


@pytest.mark.slow
def test_time_constants_can_be_swept_and_the_gradient_is_finite():
    def decoded(tau, value):
        code = coding.ttfs(WINDOW, tau)
        state = code.init(())._replace(membrane=value)
        return lax.scan(lambda s, _: code.step(s, jnp.zeros(())), state, length=WINDOW)[1].sum()

    taus = jnp.array([3.0, 5.0, 8.0])
    swept = jax.vmap(decoded, (0, None))(taus, 0.3)
    np.testing.assert_allclose(swept, [decoded(float(tau), jnp.float32(0.3)) for tau in taus], rtol=1e-6)
    slopes = jax.grad(decoded, (0, 1))(5.0, 0.3)
    assert np.all(np.isfinite(slopes))
    assert slopes[1] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window of ttfs must be at least 1 steps, got 0"),
        ({"window": 7.5}, "window of ttfs must be at least 1 steps, got 7.5"),
        ({"window": 1, "early": True}, "window of ttfs must be at least 2 steps, got 1"),
        ({"tau": 0.0}, "tau of ttfs must be above 0"),
        ({"threshold": -1.0}, "threshold of ttfs must be above 0"),
        ({"delay": float("nan")}, "delay of ttfs must be finite"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        coding.ttfs(**options)
