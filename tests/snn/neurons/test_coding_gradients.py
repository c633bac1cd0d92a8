import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from framework.snn.neurons import adaptive_threshold, coding


def smooth(x):
    """The primitive of surrogate.arctan(2.0): what the spike is replaced by, forward and backward."""
    return jnp.arctan(jnp.pi * x) / jnp.pi + 0.5


@pytest.mark.slow
def test_the_gradient_is_that_of_the_smoothed_forward_pass():
    with jax.enable_x64(True):
        code = coding.burst(1.7, 0.3, surrogate=smooth, gain_gradient="full", learn=("threshold", "beta"), leak=0.9)
        currents = jnp.asarray(np.random.default_rng(1).uniform(0, 1, (7, 3)))
        weights = jnp.asarray(np.random.default_rng(2).normal(size=(7, 3)))

        def loss(currents, params):
            state = code.init(currents.shape[1:])
            return jnp.sum(weights * lax.scan(lambda s, i: code.step(s, i, params), state, currents)[1])

        loss = jax.jit(loss)
        gradients = jax.grad(loss, (0, 1))(currents, code.params)
        nudged = lambda t, i, d: loss(currents.at[t, i].add(d), code.params)
        differences = [[(nudged(t, i, 1e-6) - nudged(t, i, -1e-6)) / 2e-6 for i in range(3)] for t in range(7)]
        np.testing.assert_allclose(gradients[0], differences, atol=1e-7)
        for name, value in code.params.items():
            at = lambda d, name=name, value=value: loss(currents, {**code.params, name: value + d})
            np.testing.assert_allclose(gradients[1][name], (at(1e-6) - at(-1e-6)) / 2e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_payload_gradient_is_the_pseudo_derivative_at_any_gain(gain):
    v, u = 0.125, 0.4
    code = coding.burst(threshold=v)
    payload = lambda u: code.step(adaptive_threshold.BurstState(jnp.zeros(()), jnp.float32(gain)), u)[1]
    x = (u - v * gain) / (v * gain)
    expected = 1 / (1 + (np.pi * x) ** 2)
    np.testing.assert_allclose(jax.grad(payload)(u), expected, rtol=1e-5)
    threshold = lambda v: coding.burst(threshold=v).step(
        adaptive_threshold.BurstState(jnp.float32(u), jnp.float32(gain)), 0.0
    )[1]
    spike = float(u >= v * gain)
    np.testing.assert_allclose(jax.grad(threshold)(v), gain * (spike - u / (v * gain) * expected), rtol=1e-5)


def sensitivity(currents, direction, v, beta, full):
    """d(sum of payloads along t) in a direction, by hand in forward mode; without `full` the gain has no tangent."""
    u = du = dg = total = 0.0
    g = 1.0
    for t, (current, change) in enumerate(zip(currents, direction, strict=True)):
        u, du, theta, dtheta = u + current, du + change, v * g, v * dg
        x, dx = u / theta - 1, du / theta - u * dtheta / theta**2
        s, ds = float(x >= 0), dx / (1 + (np.pi * x) ** 2)
        p, dp = s * theta, ds * theta + s * dtheta
        u, du, total = u - p, du - dp, total + (t + 1) * dp
        g, dg = (beta * g if s else 1.0), (beta * s * dg + (beta * g - 1) * ds if full else 0.0)
    return total


@pytest.mark.parametrize("mode", ["stop", "full"])
def test_stop_and_full_differ_by_the_path_through_the_gain(mode):
    rng = np.random.default_rng(3)
    currents, direction = rng.uniform(0, 0.6, 12), rng.normal(size=12)
    code = coding.burst(2.0, 0.125, gain_gradient=mode)

    def weighted(currents):
        return jnp.sum(jnp.arange(1, 13) * lax.scan(code.step, code.init(()), currents)[1])

    tangent = jax.jvp(weighted, (jnp.float32(currents),), (jnp.float32(direction),))[1]
    expected = {full: sensitivity(currents, direction, 0.125, 2.0, full) for full in (True, False)}
    assert abs(expected[True] - expected[False]) > 0.1
    np.testing.assert_allclose(tangent, expected[mode == "full"], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stop", "full"])
def test_the_gradient_through_a_long_burst_is_finite(mode):
    code = coding.burst(2.0, 0.125, gain_gradient=mode, learn=("threshold", "beta"))
    currents = jnp.zeros((64, 1)).at[0].set(127.9)

    def loss(currents, params):
        payloads = lax.scan(lambda s, i: code.step(s, i, params), code.init((1,)), currents)[1]
        return jnp.sum(payloads**2), payloads

    gradients, payloads = jax.grad(loss, (0, 1), has_aux=True)(currents, code.params)
    assert np.all(payloads[:9] > 0)
    burst = jax.grad(loss, (0, 1), has_aux=True)(currents.at[0].set(128.0), code.params)
    assert np.all(burst[1][:10] > 0)
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves((gradients, burst[0])))
