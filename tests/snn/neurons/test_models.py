import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.neurons import models, surrogate

TRACES = json.loads((Path(__file__).parent / "spikingjelly_traces.json").read_text())
RUNS = TRACES["runs"]
SPIKING = {
    "integrate_and_fire": models.integrate_and_fire,
    "lif": models.lif,
    "plif": models.plif,
    "adaptive_lif": models.adaptive_lif,
    "synaptic_lif": models.synaptic_lif,
}
RESETS = [("soft", 0.0), ("hard", 0.0), ("hard", -0.25), ("none", 0.0)]


def simulate(unit, currents, params=None):
    """States and spikes of every step, time first."""

    def step(state, current):
        state, spikes = unit.step(state, current, params)
        return state, (state, spikes)

    return jax.lax.scan(step, unit.init(currents.shape[1:], dtype=currents.dtype), currents)[1]


@pytest.fixture
def currents():
    """[steps, batch, features], multiples of 1/16"""
    return jnp.float32(np.random.default_rng(3).integers(-8, 33, size=(40, 3, 4)) / 16)


def label(run):
    form = {True: "-scaled", False: "-unscaled", None: ""}[run.get("scaled_input")]
    return f"{run['neuron']}-{run['reset']}{run['reset_to']:g}-{'cut' if run['detach_reset'] else 'full'}{form}"


def from_trace(run):
    shared = {key: run[key] for key in ("reset", "reset_to", "detach_reset")} | {"surrogate": surrogate.arctan(2.0)}
    if run["neuron"] == "if":
        return models.integrate_and_fire(**shared)
    if run["neuron"] == "lif":
        return models.lif(1 - 1 / run["tau"], scaled_input=run["scaled_input"], **shared)
    return models.plif(run["tau"], scaled_input=run["scaled_input"], **shared)


@functools.cache
def repeated(index):
    """Membranes and spikes of a stored run, and the gradients to its inputs and to w."""
    run = RUNS[index]
    with jax.enable_x64(True):
        unit, weights = from_trace(run), jnp.asarray(TRACES["weights"])

        def loss(currents, params):
            states, spikes = simulate(unit, currents, params)
            return jnp.sum(weights[0] * spikes) + jnp.sum(weights[1] * states.membrane), (states.membrane, spikes)

        params = {key: jnp.float64(run["w"]) for key in unit.params}
        gradients, traces = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(jnp.asarray(TRACES["inputs"]), params)
        return *traces, *gradients


@pytest.mark.parametrize("index", range(len(RUNS)), ids=lambda index: label(RUNS[index]))
def test_spikes_and_membranes_equal_those_of_spikingjelly(index):
    """Bit for bit where decay and inputs are dyadic; at tau = 1.5 the sigmoid rounds."""
    run, (membranes, spikes, *_) = RUNS[index], repeated(index)
    np.testing.assert_array_equal(spikes, [[int(s) for s in row] for row in run["spikes"]])
    np.testing.assert_allclose(membranes, run["membranes"], rtol=0, atol=1e-15 if run.get("tau") == 1.5 else 0)


@pytest.mark.parametrize("index", range(len(RUNS)), ids=lambda index: label(RUNS[index]))
def test_gradients_equal_those_of_spikingjelly(index):
    run, (*_, to_input, to_params) = RUNS[index], repeated(index)
    np.testing.assert_allclose(to_input, run["input_gradient"], rtol=0, atol=1e-6)
    for gradient in to_params.values():
        np.testing.assert_allclose(gradient, run["w_gradient"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("unit", [models.plif(2.0), models.lif(0.5, reset="hard", scaled_input=True)])
def test_plif_and_lif_give_the_golden_trace(unit):
    """The last input charges the membrane to exactly the threshold."""
    states, spikes = simulate(unit, jnp.array([0.8, 0.8, 0.8, 2.0, 2.0]))
    np.testing.assert_array_equal(spikes, [0, 0, 0, 1, 1])
    np.testing.assert_allclose(states.membrane, [0.4, 0.6, 0.7, 0, 0], atol=1e-7)


@pytest.mark.parametrize("name", SPIKING)
def test_every_neuron_fires_at_equality_and_not_below(name):
    unit = SPIKING[name](threshold=0.75, **({"scaled_input": False} if name == "plif" else {}))
    current = jnp.array([0.75, np.nextafter(np.float32(0.75), np.float32(0))])
    np.testing.assert_array_equal(unit.step(unit.init((2,)), current)[1], [1, 0])


def reset_by_formula(h, s, theta, reset, reset_to):
    return {"soft": h - s * theta, "hard": np.where(s == 1, reset_to, h), "none": h}[reset]


@pytest.mark.parametrize(("reset", "reset_to"), RESETS)
def test_the_adaptive_neuron_equals_a_plain_loop(currents, reset, reset_to):
    unit = models.adaptive_lif(0.75, 0.5, reset=reset, reset_to=reset_to, adaptation=1.5, adaptation_decay=0.875)
    states, spikes = simulate(unit, currents)
    u, a = np.full((3, 4), reset_to), np.zeros((3, 4))
    for t, x in enumerate(np.float64(currents)):
        theta = 0.5 + 1.5 * a
        h = reset_to + 0.75 * (u - reset_to) + x
        s = np.float64(h >= theta)
        u, a = reset_by_formula(h, s, theta, reset, reset_to), 0.875 * a + 0.125 * s
        np.testing.assert_array_equal(spikes[t], s)
        np.testing.assert_allclose(states.membrane[t], u, atol=2e-5)
        np.testing.assert_allclose(states.adaptation[t], a, atol=1e-6)
    assert 0.1 < spikes.mean() < 0.9


@pytest.mark.parametrize(("reset", "reset_to"), RESETS)
def test_the_synaptic_neuron_equals_a_plain_loop(currents, reset, reset_to):
    unit = models.synaptic_lif(0.75, 4.0, reset=reset, reset_to=reset_to, synaptic_decay=0.5)
    states, spikes = simulate(unit, currents)
    u, i = np.full((3, 4), reset_to), np.zeros((3, 4))
    for t, x in enumerate(np.float64(currents)):
        i = 0.5 * i + x
        h = reset_to + 0.75 * (u - reset_to) + i
        s = np.float64(h >= 4.0)
        u = reset_by_formula(h, s, 4.0, reset, reset_to)
        np.testing.assert_array_equal(spikes[t], s)
        np.testing.assert_allclose(states.membrane[t], u, atol=2e-5)
        np.testing.assert_allclose(states.current[t], i, atol=1e-5)
    assert 0.1 < spikes.mean() < 0.9


def test_the_readout_is_the_decayed_sum_of_its_input(currents):
    _, outputs = simulate(models.leaky_integrator(0.75), currents)
    weights = 0.75 ** np.arange(40)[::-1]
    np.testing.assert_allclose(outputs[-1], np.einsum("t,tbn->bn", weights, currents), rtol=1e-5)


def test_integrate_and_fire_neither_loses_nor_makes_charge(currents):
    states, spikes = simulate(models.integrate_and_fire(threshold=0.5), currents)
    np.testing.assert_array_equal(0.5 * spikes.sum(0) + states.membrane[-1], currents.sum(0))


def test_adaptation_of_constant_firing_is_geometric():
    states, spikes = simulate(models.adaptive_lif(adaptation_decay=0.75), jnp.full((20, 1), 100.0))
    assert (spikes == 1).all()
    np.testing.assert_allclose(states.adaptation[:, 0], 1 - 0.75 ** np.arange(1, 21), rtol=1e-6)


@pytest.mark.parametrize(("reset", "reset_to"), RESETS)
@pytest.mark.parametrize("scaled_input", [True, False])
def test_plif_with_fixed_w_is_lif(currents, reset, reset_to, scaled_input):
    rule = {"reset": reset, "reset_to": reset_to, "scaled_input": scaled_input}
    learned, fixed = models.plif(2.0, **rule), models.lif(0.5, **rule)
    for left, right in zip(*(jax.tree.leaves(simulate(unit, currents)) for unit in (learned, fixed)), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(("reset", "reset_to"), RESETS)
@pytest.mark.parametrize(
    ("name", "special"),
    [
        ("adaptive_lif", {"decay": 0.75, "adaptation": 0.0}),
        ("synaptic_lif", {"decay": 0.75, "synaptic_decay": 0.0}),
        ("integrate_and_fire", {}),
    ],
)
def test_each_neuron_reduces_to_lif(currents, name, special, reset, reset_to):
    unit = SPIKING[name](**special, reset=reset, reset_to=reset_to)
    plain = models.lif(special.get("decay", 1.0), reset=reset, reset_to=reset_to)
    (states, spikes), (expected_states, expected) = simulate(unit, currents), simulate(plain, currents)
    np.testing.assert_array_equal(spikes, expected)
    np.testing.assert_allclose(states.membrane, expected_states.membrane, rtol=0, atol=1e-6)


def test_without_a_reset_the_membrane_is_that_of_the_readout(currents):
    states, spikes = simulate(models.lif(0.75, reset="none"), currents)
    _, membranes = simulate(models.leaky_integrator(0.75), currents)
    np.testing.assert_array_equal(states.membrane, membranes)
    np.testing.assert_array_equal(spikes, membranes >= 1)


@pytest.mark.parametrize("name", SPIKING)
@pytest.mark.parametrize(("reset", "kept"), [("soft", [1, 1]), ("hard", [1, 0]), ("none", [1, 1])])
def test_a_detached_reset_passes_what_the_spike_does_not_clear(name, reset, kept):
    unit = SPIKING[name](reset=reset, **({"scaled_input": False} if name == "plif" else {}))
    slope = jax.grad(lambda x: unit.step(unit.init((2,)), x)[0].membrane.sum())(jnp.array([0.5, 1.5]))
    np.testing.assert_array_equal(slope, kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPIKING)
@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_an_attached_reset_adds_the_path_through_the_spike(name, reset):
    """du/dh = 1 - threshold s'(h) (soft) or 1 - s - h s'(h) (hard), threshold 1."""
    more = {"scaled_input": False} if name == "plif" else {}
    unit = SPIKING[name](reset=reset, detach_reset=False, surrogate=surrogate.boxcar(1.25), **more)
    h = jnp.array([0.125, 0.875, 1.25, 2.0])
    inside, s = np.array([0, 0.8, 0.8, 0]), np.array([0, 0, 1, 1])
    slope = jax.grad(lambda x: unit.step(unit.init((4,)), x)[0].membrane.sum())(h)
    np.testing.assert_allclose(slope, 1 - inside if reset == "soft" else 1 - s - h * inside, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("scaled_input", [True, False])
def test_plif_decay_gradient_equals_finite_differences(currents, scaled_input):
    """Below threshold the membrane is smooth in w."""
    unit, h = models.plif(3.0, threshold=1e3, scaled_input=scaled_input), 1e-5
    with jax.enable_x64(True):
        x, w = jnp.float64(currents), unit.params["decay"]
        loss = jax.jit(lambda w: jnp.sum(simulate(unit, x, {"decay": w})[0].membrane ** 2))
        assert jax.nn.sigmoid(w) == pytest.approx(1 / 3)
        np.testing.assert_allclose(jax.grad(loss)(w), (loss(w + h) - loss(w - h)) / (2 * h), rtol=1e-7)


@pytest.mark.parametrize("unit", [*(make() for make in SPIKING.values()), models.leaky_integrator()])
def test_jit_and_vmap_change_nothing(currents, unit):
    state, current = unit.init((3, 4)), currents[0]
    for _ in range(2):
        state, _ = unit.step(state, current)
    plain = jax.tree.leaves(unit.step(state, current))
    for transformed in (jax.jit(unit.step), jax.vmap(unit.step)):
        for left, right in zip(jax.tree.leaves(transformed(state, current)), plain, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)


def test_decays_and_thresholds_can_be_swept(currents):
    decays, thresholds = jnp.array([0.5, 0.75, 1.0]), jnp.array([0.5, 1.0, 2.0])
    swept = jax.vmap(lambda d, v: simulate(models.lif(d, v, reset="hard", reset_to=-0.5), currents)[1])
    for d, v, spikes in zip(decays, thresholds, swept(decays, thresholds), strict=True):
        alone = models.lif(float(d), float(v), reset="hard", reset_to=-0.5)
        np.testing.assert_array_equal(spikes, simulate(alone, currents)[1])


def test_decays_may_differ_between_neurons(currents):
    together, _ = simulate(models.lif(jnp.array([0.25, 0.5, 0.75, 1.0])), currents)
    for n, decay in enumerate([0.25, 0.5, 0.75, 1.0]):
        alone, _ = simulate(models.lif(decay), currents[..., n])
        np.testing.assert_array_equal(together.membrane[..., n], alone.membrane)


@pytest.mark.parametrize("name", SPIKING)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_states_and_spikes_keep_the_dtype_of_the_input(currents, name, dtype):
    unit = SPIKING[name](reset="hard")
    with jax.enable_x64(True):
        x = jnp.asarray(currents, dtype)
        params = {key: jnp.float32(value) for key, value in unit.params.items()}
        assert {leaf.dtype for leaf in jax.tree.leaves(simulate(unit, x, params))} == {x.dtype}


def test_a_membrane_in_float32_takes_currents_in_bfloat16(currents):
    unit = models.lif()
    state, spikes = unit.step(unit.init((3, 4)), jnp.bfloat16(currents[0]))
    assert state.membrane.dtype == spikes.dtype == jnp.float32


@pytest.mark.parametrize("name", SPIKING)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": 0.0}, "threshold of {} must be above 0 and finite, got 0.0"),
        ({"threshold": -1.0}, "threshold of {} must be above 0"),
        ({"threshold": np.nan}, "threshold of {} must be above 0"),
        ({"threshold": np.inf}, "threshold of {} must be above 0 and finite"),
        ({"reset": "firm"}, "reset of {} must be one of soft, hard, none, got 'firm'"),
        ({"reset": "soft", "reset_to": 0.5}, "reset_to of {} must be 0 with reset='soft', got 0.5"),
        ({"reset": "hard", "reset_to": 1.0}, "reset_to of {} must be below the threshold 1.0, got 1.0"),
    ],
)
def test_what_a_neuron_cannot_be_is_refused(name, wrong, message):
    with pytest.raises(ValueError, match=message.format(name)):
        SPIKING[name](**wrong)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("lif", "decay"),
        ("adaptive_lif", "decay"),
        ("adaptive_lif", "adaptation_decay"),
        ("synaptic_lif", "decay"),
        ("synaptic_lif", "synaptic_decay"),
        ("leaky_integrator", "decay"),
    ],
)
@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.array([0.5, 2.0])])
def test_a_decay_outside_0_to_1_is_refused(name, argument, value):
    with pytest.raises(ValueError, match=rf"{argument} of {name} must lie in \[0, 1\], got"):
        getattr(models, name)(**{argument: value})


@pytest.mark.parametrize("tau", [1.0, 0.5, -2.0, np.nan])
def test_a_time_constant_of_one_step_or_less_is_refused(tau):
    with pytest.raises(ValueError, match=r"tau of plif must lie in \(1, inf\)"):
        models.plif(tau)


def test_a_threshold_that_would_fall_is_refused():
    with pytest.raises(ValueError, match="adaptation of adaptive_lif must be at least 0"):
        models.adaptive_lif(adaptation=-0.1)


@pytest.mark.parametrize("unit", [*(make() for make in SPIKING.values()), models.leaky_integrator()])
def test_a_state_of_another_batch_is_refused(unit):
    with pytest.raises(ValueError, match=r"the current has shape \(2, 4\) but the state was initialised for \(1, 4\)"):
        unit.step(unit.init((1, 4)), jnp.zeros((2, 4)))
