import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.neurons import surrogate
from framework.snn.nir.dynamics import (
    check_input,
    drop_ones,
    spike,
    time_step,
)
from framework.snn.nir.graph import node


@pytest.mark.parametrize("at_threshold", [False, True])
def test_a_spike_is_a_comparison_forward_and_a_slope_backward(at_threshold):
    v, threshold = jnp.array([0.5, 1.0, 1.5, jnp.nan]), jnp.full(4, 1.0)
    fire = spike(surrogate.fast_sigmoid(2.0), at_threshold)
    assert fire(v, threshold).tolist() == [0, float(at_threshold), 1, 0]
    slopes = jax.grad(lambda v, threshold: fire(v, threshold)[:3].sum(), argnums=(0, 1))(v, threshold)
    expected = 1 / (1 + 2 * np.abs([-0.5, 0, 0.5])) ** 2
    np.testing.assert_allclose(slopes[0][:3], expected, rtol=1e-6)
    np.testing.assert_allclose(slopes[1][:3], -expected, rtol=1e-6)


def test_a_threshold_of_a_single_number_serves_all():
    slope = jax.grad(lambda threshold: spike(surrogate.boxcar(4.0))(jnp.zeros((2, 3)), threshold).sum())(jnp.float32(1))
    assert slope == -6 / 4


def test_a_step_is_one_where_nothing_has_a_time():
    ones = np.ones(2)
    assert time_step({"a": node("I", r=ones), "b": node("Scale", scale=ones)}, None) == 1.0
    assert time_step({"a": node("LI", tau=ones, r=ones, v_leak=ones)}, 1) == 1.0
    for length in (0.5, np.float32(0.5), np.array(0.5), jnp.float32(0.5)):
        assert time_step({}, length) == 0.5
    with pytest.raises(ValueError, match=r"dt must be one plain number, got .*Tracer"):
        jax.jit(lambda length: time_step({}, length))(0.5)


def test_a_traced_time_constant_is_not_looked_at():
    ones = np.ones(2)

    def step(tau):
        return time_step({"a": node("LI", tau=tau, r=ones, v_leak=ones)}, 3.0)

    assert jax.jit(step)(ones) == 3.0
    with pytest.raises(ValueError, match="'a'"):
        step(ones)


def test_shapes_of_a_file_may_have_known_axes_in_front():
    output = node("Output", shape=(1, 5, 3))
    check_input(output, (3,), {(), (5,)})
    with pytest.raises(ValueError, match=r"it takes \(1, 5, 3\)"):
        check_input(output, (3,), {()})
    assert drop_ones((1, 5, 1)) == (5,)
