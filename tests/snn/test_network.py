import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn import layers as layer
from framework.snn import network, training
from framework.snn.conversion import activation
from framework.snn.neurons import models, surrogate

LIF = models.lif(0.9, 1.0, surrogate.arctan(2.0))
MLP = (layer.dense(6), layer.norm(over="step"), layer.recurrent(5), layer.dense(3))
CNN = (
    layer.conv(4, bias=False),
    layer.norm(over="step"),
    layer.pool("max"),
    layer.conv(5, 3, 2),
    layer.pool(),
    layer.flatten(),
    layer.dense(3),
)
NETWORKS = {"mlp": (MLP, (7,)), "cnn": (CNN, (8, 8, 2))}


def random_network(layers, shape, steps=4, batch=3):
    params = network.init(jax.random.key(0), layers, shape)

    def perturb(layer_params):
        if "mean" not in layer_params:
            return layer_params
        return layer_params | {"mean": layer_params["mean"] + 0.1, "var": layer_params["var"] * 1.5}

    return tuple(map(perturb, params)), 2 * jax.random.uniform(jax.random.key(1), (steps, batch, *shape))


def run_by_loop(layers, params, inputs):
    """Step after step, layer after layer, the neuron written out."""
    stages, states = layer.network_stages(layers), {}
    potential, counts = 0.0, []
    for x in np.asarray(inputs, np.float64):
        counts.append([])
        for stage in stages:
            x, _ = network.current(layers, list(params), stage, x)
            x = np.asarray(x, np.float64)
            layer_params = params[stage.weighted]
            if stage.unit:
                u, s = states.get(stage, (np.zeros(x.shape), np.zeros(x.shape)))
                h = 0.9 * u + x
                if "recurrent" in layer_params:
                    h = h + s @ np.asarray(layer_params["recurrent"], np.float64)
                s = (h >= 1).astype(float)
                states[stage] = h - s, s
                x = s
                counts[-1].append(s.reshape(len(s), -1).sum(1))
        potential = potential + x
    return potential, np.moveaxis(np.array(counts), 1, -1)


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "shape"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("order", network.ORDERS)
def test_a_spiking_network_is_that_of_a_plain_loop(layers, shape, order):
    with jax.enable_x64(True):
        params, inputs = random_network(layers, shape)
        outputs, same = jax.jit(lambda p, x: network.unroll(layers, p, x, LIF, order=order))(params, inputs)
        potential, spikes = run_by_loop(layers, params, inputs)
    np.testing.assert_allclose(outputs.logits[-1], potential, atol=1e-6)
    np.testing.assert_array_equal(outputs.spikes, spikes)
    assert spikes.sum() > 0
    jax.tree.map(np.testing.assert_array_equal, same, params)


@pytest.mark.long
@pytest.mark.parametrize(("layers", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_both_orders_train_alike(layers, shape):
    """Gradients and moved statistics, with statistics that each step has for itself."""
    with jax.enable_x64(True):
        params, inputs = random_network(layers, shape)

        def loss(params, order):
            outputs, updated = network.unroll(layers, params, inputs, LIF, order=order, train=True)
            return jnp.sum(outputs.logits[-1] ** 2), (outputs, updated)

        grads, others = zip(*(jax.grad(loss, has_aux=True)(params, order) for order in network.ORDERS), strict=True)
    assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(grads[0]))
    for pair in (grads, others):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *pair)


@pytest.mark.long
@pytest.mark.parametrize("order", network.ORDERS)
def test_a_constant_input_equals_the_repeated_input(order):
    params, inputs = random_network(*NETWORKS["cnn"])
    constant, _ = network.unroll(CNN, params, inputs[0], LIF, 5, order=order)
    repeated, _ = network.unroll(CNN, params, jnp.broadcast_to(inputs[0], (5, *inputs[0].shape)), LIF, order=order)
    np.testing.assert_allclose(constant.logits, repeated.logits, atol=1e-5)
    np.testing.assert_array_equal(constant.spikes, repeated.spikes)


@pytest.mark.slow
def test_a_constant_input_updates_the_first_statistics_once():
    params, inputs = random_network(*NETWORKS["cnn"])
    updated = [network.unroll(CNN, params, inputs[0], LIF, 5, order=o, train=True)[1] for o in network.ORDERS]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *updated)
    _, once = network.forward(CNN, params, inputs[0], train=True)
    np.testing.assert_allclose(updated[0][1]["mean"], once[1]["mean"], atol=1e-6)


@pytest.mark.slow
def test_a_norm_over_the_threshold_scales_by_that_of_the_unit():
    layers = (layer.dense(4), layer.norm(over="threshold"), layer.dense(2))
    params, inputs = random_network(layers, (3,))
    stage = layer.network_stages(layers)[0]
    currents = [network.current(layers, list(params), stage, inputs[0], unit=models.lif(0.9, v))[0] for v in (1.0, 0.5)]
    np.testing.assert_allclose(currents[1], 0.5 * currents[0], rtol=1e-6)


@pytest.mark.slow
def test_a_network_without_units_sums_its_currents():
    layers = (layer.dense(2),)
    params, inputs = random_network(layers, (3,))
    for order in network.ORDERS:
        outputs, _ = network.unroll(layers, params, inputs[0], LIF, 4, order=order)
        logits, _ = network.forward(layers, params, inputs[0])
        np.testing.assert_allclose(outputs.logits, np.arange(1, 5)[:, None, None] * logits, rtol=1e-6)
        assert outputs.spikes.shape == (4, 3, 0)


def test_the_dnn_is_the_layers_with_its_activations_between():
    """The oracle: NumPy, with a norm before the activation and a pool behind it; each layer's ceiling is its own."""
    behind = (layer.flatten(), layer.dense(5), layer.dense(3))
    layers = (layer.conv(2, 1), layer.norm(), layer.pool(window=(1, 2)), *behind)
    unit = activation.qcfs(4, 2.0)
    params = network.init(jax.random.key(0), layers, (1, 4, 3), unit)
    params[4]["unit"]["log_ceiling"] = np.float32(np.log(0.5))
    params[1].update(mean=np.array([0.1, -0.2]), var=np.array([0.5, 2.0]), shift=np.array([0.3, 0.4]))
    params[4].update(bias=np.arange(5) / 10)
    images = np.random.default_rng(0).normal(size=(6, 1, 4, 3)).astype(np.float32)
    staircase = lambda x, top: top * np.floor(np.clip(x / top, 0, 1) * 4 + 0.5) / 4
    x = images @ np.asarray(params[0]["kernel"])[0, 0]
    x = staircase((x - params[1]["mean"]) / np.sqrt(params[1]["var"] + 1e-5) + params[1]["shift"], 2.0)
    x = x.reshape(6, 1, 2, 2, 2).mean(3).reshape(6, -1)
    x = staircase(x @ np.asarray(params[4]["kernel"]) + params[4]["bias"], 0.5)
    logits, _ = network.forward(layers, params, images, unit)
    np.testing.assert_allclose(logits, x @ np.asarray(params[5]["kernel"]), atol=1e-5)


def test_kernels_begin_by_he_et_al_each_with_draws_of_its_own():
    """Variance 2 / fan-in; recurrent weights are half a rotation, biases 0."""
    layers = (layer.conv(64, 5), layer.flatten(), layer.recurrent(40), layer.dense(40), layer.dense(40))
    params = network.init(jax.random.key(0), layers, (4, 4, 20))
    for i, fan_in in ((0, 5 * 5 * 20), (2, 4 * 4 * 64), (3, 40)):
        assert np.std(params[i]["kernel"]) == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)
        assert not params[i]["bias"].any()
    rotation = 2 * params[2]["recurrent"]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(40), atol=1e-5)
    assert abs(np.corrcoef(params[3]["kernel"].ravel(), params[4]["kernel"].ravel())[0, 1]) < 0.1


@pytest.mark.slow
def test_training_a_dnn_updates_only_running_statistics():
    params, inputs = random_network(*NETWORKS["cnn"])
    _, updated = network.forward(CNN, params, inputs[0], train=True)
    names = [(i, name) for i, layer_params in enumerate(params) for name in layer_params]
    changed = {(i, name) for i, name in names if np.any(params[i][name] != updated[i][name])}
    assert changed == {(1, "mean"), (1, "var")}


@pytest.mark.slow
def test_learned_values_of_a_unit_have_a_gradient_per_layer():
    unit = models.plif(2.0, surrogate=surrogate.arctan(2.0))
    layers = (layer.dense(20), layer.dense(20), layer.dense(3))
    params = network.init(jax.random.key(0), layers, (4,), unit)
    assert ["unit" in layer_params for layer_params in params] == [True, True, False]
    inputs = 5 * jax.random.uniform(jax.random.key(1), (3, 2, 4))
    loss = lambda p: jnp.sum(network.unroll(layers, p, inputs, unit)[0].logits[-1] ** 2)
    gradient = jax.grad(loss)(params)
    assert all(np.abs(gradient[i]["unit"]["decay"]) > 0 for i in (0, 1))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda p, x: network.unroll(CNN, p, x, LIF, order="depth"), "order must be one of layer, time"),
        (lambda p, x: network.unroll(CNN, p, x[0], LIF, 0), "at least 1 step, got 0"),
        (
            lambda p, x: network.unroll(CNN, p, x[:, 0], LIF),
            r"takes images .*got \(8, 2\); inputs are \[T, B, \.\.\.\]",
        ),
        (lambda p, x: network.unroll(CNN, p, x, LIF, 4), r"takes images .*inputs are \[B, \.\.\.\] with steps"),
        (lambda p, x: network.unroll(CNN, p, x[..., :1], LIF), r"layer 0 \(conv\) has a kernel for 2, got \(8, 8, 1\)"),
        (lambda p, x: network.unroll(CNN, p, x, (LIF, LIF)), "one neuron or code for all layers, got tuple"),
        (lambda p, x: network.forward(CNN, p, x), r"takes images .*; images are \[B, \.\.\.\], got \(3, 8, 8, 2\)"),
        (lambda p, x: network.unroll(CNN, p, x[:0], LIF), "at least 1 step, got 0"),
        (lambda p, x: network.unroll(CNN, p, x[0], LIF, 2.5), "at least 1 step, got 2.5"),
        (
            lambda p, x: network.unroll(
                (CNN[0], layer.norm(over="time"), *CNN[2:]), p, x, LIF, order="time", train=True
            ),
            "cannot be trained with order='time'",
        ),
        (lambda p, x: network.init(jax.random.key(0), CNN, (5,)), r"layer 0 \(conv\) takes images"),
        (lambda p, x: network.init(jax.random.key(0), CNN, (1, 1, 2)), r"layer 2 \(pool\) has an empty output"),
        (lambda p, x: network.init(jax.random.key(0), (layer.dense(2),), (4, 4, 1)), "flatten them before"),
    ],
)
def test_bad_calls_are_refused(call, what):
    params, inputs = random_network(*NETWORKS["cnn"])
    with pytest.raises(ValueError, match=what):
        call(params, inputs)


def test_what_another_unit_has_learned_is_refused():
    layers, x = (layer.dense(4), layer.dense(2)), jnp.ones((3, 2, 5))
    init_params = lambda unit: network.init(jax.random.key(0), layers, (5,), unit)
    with pytest.raises(ValueError, match=r"layer 0 \(dense\) has learned 'decay', which lif does not learn"):
        network.unroll(layers, init_params(models.plif()), x, LIF)
    with pytest.raises(ValueError, match=r"layer 0 \(dense\) has learned 'log_ceiling', which relu does not learn"):
        network.forward(layers, init_params(activation.qcfs()), x[0])
    network.forward(layers, init_params(activation.qcfs()), x[0], activation.qcfs())


@pytest.mark.slow
def test_the_gradient_in_parts_is_that_of_the_whole_batch():
    params, inputs = random_network(*NETWORKS["cnn"], batch=6)
    labels = jnp.arange(6) % 3

    def loss(params, inputs, labels):
        outputs, _ = network.unroll(CNN, params, inputs, LIF)
        return jnp.mean((outputs.logits[-1] - jax.nn.one_hot(labels, 3)) ** 2), outputs.spikes.mean((0, 1))

    whole, parts = (jax.jit(training.value_and_grad(loss, n))(params, inputs, labels) for n in (1, 3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-4), parts, whole)
    with pytest.raises(ValueError, match="6 does not divide into 4 parts"):
        training.value_and_grad(loss, 4)(params, inputs, labels)
