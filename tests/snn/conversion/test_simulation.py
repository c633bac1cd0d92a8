import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn import layers as layer
from framework.snn import network
from framework.snn.conversion import normalization, simulation
from framework.snn.meters import rasters
from framework.snn.neurons import coding

SHAPE = (6, 6, 1)
LAYERS = (layer.conv(3), layer.pool(), layer.conv(4), layer.flatten(), layer.dense(5), layer.dense(3))
NINE = [f"{before}-{behind}" for before in ("real", "rate", "phase") for behind in ("rate", "phase", "burst")]
CLOCKED = [name for name in NINE if not name.startswith("rate")]  # no draw at the input


def converted(pair="real-burst", layers=LAYERS, shape=SHAPE, seed=0, **options):
    """A random network, its images, and its conversion by the largest activation."""
    params = network.init(jax.random.key(seed), layers, shape)
    rng = np.random.default_rng(seed)
    draw_bias = lambda bias: 0.2 * rng.normal(size=bias.shape).astype(np.float32)
    params = tuple(
        layer_params | {name: draw_bias(value) for name, value in layer_params.items() if name == "bias"}
        for layer_params in params
    )
    images = rng.random((3, *shape)).astype(np.float32)
    before, behind = coding.pair(pair) if isinstance(pair, str) else pair
    spiking = normalization.convert(
        layers, params, images, input_code=before, hidden_code=behind, **({"scale": "max"} | options)
    )
    return spiking, params, images


@pytest.mark.slow
def test_every_spike_is_that_of_an_event_driven_simulation():
    """One spike after another is added to the potentials it reaches; dyadic numbers, so that no sum rounds."""
    rng = np.random.default_rng(0)
    dyadic = lambda *shape: (rng.integers(-8, 9, shape) / 8).astype(np.float32)
    layers = (layer.dense(6), layer.dense(5), layer.dense(3))
    params = tuple({"kernel": dyadic(a, b), "bias": dyadic(b)} for a, b in ((4, 6), (6, 5), (5, 3)))
    codes = {"input_code": coding.phase(4), "hidden_code": coding.burst(2.0, 0.125)}
    images = (rng.integers(0, 16, (1, 4)) / 16).astype(np.float32)
    spiking = normalization.SpikingNetwork(
        params, jnp.ones(4), layers, (4,), **codes, readout="membrane", bias="period"
    )
    steps = 20
    totals = simulation.simulate_with_meter(spiking, images, steps, meter=rasters.totals())[1]
    outputs = simulation.simulate(spiking, images, steps)

    potential, gain = [np.zeros(6), np.zeros(5), np.zeros(3)], [np.ones(6), np.ones(5)]
    sent, counts = [np.zeros(6), np.zeros(5)], np.zeros((steps, 2))
    for t in range(steps):
        digit = t % 4
        events = [(i, 2.0 ** -(1 + digit)) for i in range(4) if int(images[0, i] * 16) >> (3 - digit) & 1]
        for index, layer_params in enumerate(params):
            potential[index] += layer_params["bias"] if digit == 0 else 0
            for source, payload in events:
                potential[index] += payload * layer_params["kernel"][source]
            events = []
            if index < 2:
                theta = 0.125 * gain[index]
                for i in np.flatnonzero(potential[index] >= theta):
                    potential[index][i] -= theta[i]
                    sent[index][i] += theta[i]
                    events.append((i, theta[i]))
                    counts[t, index] += 1
                fired = np.isin(np.arange(len(theta)), [i for i, _ in events])
                gain[index] = np.where(fired, 2 * gain[index], 1)
    np.testing.assert_array_equal(outputs.spikes[:, 0], counts)
    for total, expected in zip(totals, sent, strict=True):
        np.testing.assert_array_equal(total[0], expected)
    np.testing.assert_array_equal(outputs.logits[-1, 0] * (steps // 4), potential[2])
    assert counts.sum() > 20
    entering = np.array([sum(int(x * 16) >> (3 - t % 4) & 1 for x in images[0]) for t in range(steps)])
    np.testing.assert_array_equal(outputs.input_spikes[:, 0], entering)
    np.testing.assert_array_equal(outputs.synops[:, 0], 6 * entering + counts @ [5, 3])


@pytest.mark.slow
@pytest.mark.parametrize("bias", normalization.BIASES)
@pytest.mark.parametrize("pair", NINE)
def test_a_network_without_input_decodes_to_its_biases(pair, bias):
    """Each layer's value is relu of its bias once for each time that the input was told."""
    layers = (layer.dense(4), layer.dense(3))
    spiking, params, _ = converted(pair, layers, (5,), bias=bias)
    images = np.zeros((2, 5), np.float32)
    steps = 256
    outputs, (sent,) = simulation.simulate_with_meter(spiking, images, steps, jax.random.key(0), rasters.totals())
    input_count = steps / spiking.hidden_code.period if pair != "phase-rate" and pair != "phase-burst" else steps / 8
    hidden = np.maximum(params[0]["bias"], 0)
    np.testing.assert_allclose(sent[0] / input_count * spiking.scales[1], hidden, atol=0.04)
    np.testing.assert_allclose(outputs.logits[-1, 0], hidden @ params[1]["kernel"] + params[1]["bias"], atol=0.1)
    assert hidden.max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("pair", CLOCKED)
def test_the_error_of_every_code_halves_with_twice_the_steps(pair):
    """Logits against the DNN's; four times the steps, a quarter of the error, within what ties make of it."""
    spiking, params, images = converted(pair)
    expected, _ = network.forward(LAYERS, params, images)
    logits = simulation.simulate(spiking, images, 1024).logits
    error = lambda t: np.abs(logits[t - 1] - expected).mean()
    assert error(256) / error(1024) == pytest.approx(4, rel=0.5)
    assert error(1024) < 0.05 * np.abs(expected).mean()


@pytest.mark.slow
def test_poisson_input_tends_to_the_same_logits():
    spiking, params, images = converted("rate-rate")
    expected, _ = network.forward(LAYERS, params, images)
    logits = simulation.simulate(spiking, images, 4000, jax.random.key(0)).logits[-1]
    np.testing.assert_allclose(logits, expected, atol=0.1 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair", [*CLOCKED, "real-multispike", "burst-burst", "burst_isi-rate", "ttfs-ttfs", "real-ttfs"]
)
def test_a_batch_is_its_images_one_by_one(pair):
    spiking, _, images = converted(pair)
    together = simulation.simulate(spiking, images, 20)
    for i in range(len(images)):
        alone = simulation.simulate(spiking, images[i : i + 1], 20)
        np.testing.assert_allclose(together.logits[:, i], alone.logits[:, 0], atol=1e-4)
        np.testing.assert_array_equal(together.spikes[:, i], alone.spikes[:, 0])


@pytest.mark.slow
def test_first_spikes_tell_the_logits_of_a_dnn():
    code = coding.ttfs(window=200, tau=40.0)
    spiking, params, images = converted((code, code))
    expected, _ = network.forward(LAYERS, params, images)
    outputs = simulation.simulate(spiking, images, coding.first_spike.latency(3, 200))
    np.testing.assert_allclose(outputs.logits[-1], expected, atol=0.1 * np.abs(expected).max())
    neurons = [6 * 6 * 3, 3 * 3 * 4, 5]
    assert np.all(outputs.spikes.sum(0) <= np.array(neurons))


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["count", "first_spike"])
def test_a_last_layer_that_fires_names_the_class_of_the_dnn(readout):
    spiking, params, images = converted("real-rate", readout=readout)
    expected = np.argmax(network.forward(LAYERS, params, images)[0], -1)
    outputs = simulation.simulate(spiking, images, 400)
    assert outputs.spikes.shape == (400, 3, 4)
    np.testing.assert_array_equal(outputs.logits[-1].argmax(-1), expected)


def test_the_unit_that_has_sent_most_passes_a_max_pool():
    """Constant rates tend to their largest; letting every spike pass would tell too much."""
    rng = np.random.default_rng(0)
    drive = rng.permuted(np.tile([0.1, 0.35, 0.6, 0.85], (8, 1)), axis=1).reshape(1, 2, 2, 2, 2, 2)
    drive = drive.transpose(0, 1, 4, 2, 5, 3).reshape(1, 4, 4, 2)
    pool, sent, passed, either = layer.pool("max"), np.zeros_like(drive), 0.0, 0.0
    steps = 400
    for t in range(1, steps + 1):
        payload = np.floor(t * drive) - np.floor((t - 1) * drive)
        sent = sent + payload
        passed = passed + simulation.max_pool(pool, jnp.asarray(payload), jnp.asarray(sent))
        either = either + payload.reshape(1, 2, 2, 2, 2, 2).max((2, 4))
    expected = drive.reshape(1, 2, 2, 2, 2, 2).max((2, 4))
    np.testing.assert_allclose(passed / steps, expected, atol=0.05)
    assert np.mean(either / steps - expected) > 0.1


@pytest.mark.slow
def test_a_network_with_max_pools_tends_to_its_dnn():
    layers = (layer.conv(3), layer.pool("max"), layer.flatten(), layer.dense(3))
    spiking, params, images = converted("real-rate", layers)
    expected, _ = network.forward(layers, params, images)
    np.testing.assert_allclose(simulation.simulate(spiking, images, 1500).logits[-1], expected, atol=0.05)


@pytest.mark.slow
def test_images_are_cast_to_the_precision_of_the_network():
    with jax.enable_x64(True):
        spiking, _, images = converted()
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), spiking.params)
        spiking = dataclasses.replace(spiking, params=params)
        actual, expected = (simulation.simulate(spiking, item, 8).logits for item in (images, images.astype(float)))
    assert actual.dtype == np.float64
    np.testing.assert_array_equal(actual, expected)


def test_predictions_are_those_of_one_run(tmp_path):
    spiking, _, _ = converted()
    images = np.random.default_rng(1).random((7, *SHAPE)).astype(np.float32)
    expected = simulation.simulate(spiking, images, 12).logits[-1].argmax(-1)
    np.testing.assert_array_equal(simulation.predict(spiking, images, 12, batch=3), expected)
    assert simulation.predict(spiking, images[:0], 12).shape == (0,)


@pytest.mark.slow
def test_networks_of_the_same_codes_run_in_one_program():
    made = lambda seed: converted((coding.phase(4), coding.burst(threshold=0.25)), seed=seed)[0]
    images = np.zeros((2, *SHAPE), np.float32)
    observe = lambda seed: simulation.simulate_with_meter(made(seed), images, 4, meter=rasters.bursts(3))
    observe(0)
    before = simulation._simulate._cache_size()
    observe(1)
    assert simulation._simulate._cache_size() == before


@pytest.mark.slow
def test_a_run_passes_through_jit_and_vmap():
    spiking, _, images = converted("rate-burst")
    keys = jax.random.split(jax.random.key(0), 3)
    run = jax.jit(lambda key: simulation.simulate(spiking, images, 6, key).spikes)
    together = jax.vmap(run)(keys)
    for key, item in zip(keys, together, strict=True):
        np.testing.assert_array_equal(item, simulation.simulate(spiking, images, 6, key).spikes)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda s, x: simulation.simulate(s, x, 0), "at least 1 step, got 0"),
        (lambda s, x: simulation.simulate(s, x, 2.5), "at least 1 step, got 2.5"),
        (lambda s, x: simulation.predict(s, x, 3, batch=2.5), "at least 1 image, got 2.5"),
        (lambda s, x: simulation.simulate(s, x[:, :5], 3), r"images must be a batch of \(6, 6, 1\)"),
        (lambda s, x: simulation.simulate(s, x * np.nan, 3), "must be finite"),
        (lambda s, x: simulation.predict(s, x, 3, batch=0), "at least 1 image, got 0"),
        (lambda s, x: simulation.simulate(converted("rate-rate")[0], x, 3), "give it a key"),
    ],
)
def test_bad_calls_are_refused(call, what):
    spiking, _, images = converted()
    with pytest.raises(ValueError, match=what):
        call(spiking, images)


@pytest.mark.parametrize(("early", "needed"), [(False, 15), (True, 12)])
def test_an_answer_of_ttfs_before_its_time_is_warned_of(early, needed):
    layers = (layer.dense(4), layer.dense(4), layer.dense(2))
    images = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    params = network.init(jax.random.key(0), layers, (5,))
    code = coding.ttfs(window=5 + early, early=early)
    spiking = normalization.convert(layers, params, images, input_code=code, hidden_code=code)
    simulation.predict(spiking, images, needed)
    with pytest.warns(UserWarning, match=f"TTFS answers after {needed} steps of 2 hidden layers; {needed - 1} are"):
        simulation.predict(spiking, images, needed - 1)
