import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn import layers as layer
from framework.snn import network
from framework.snn.conversion import normalization
from framework.snn.neurons import coding, models
from framework.snn.nir import files, interpreter
from framework.snn.nir.export import to_nir
from framework.snn.trained import TrainedNetwork

STEPS, BATCH = 8, 3
MLP = ((layer.dense(6), layer.recurrent(5, bias=False), layer.recurrent(4), layer.dense(3)), (7,))
CNN = (
    (
        layer.conv(4, 3, 2, bias=False),
        layer.norm(over="step"),
        layer.pool("max"),
        layer.conv(5, (3, 2), (1, 2), "VALID"),
        layer.norm(over="threshold"),
        layer.pool("average"),
        layer.flatten(),
        layer.dense(3),
        layer.norm(over="threshold"),
    ),
    (17, 15, 2),
)
HARD = {"threshold": 0.5, "reset": "hard"}
NEURONS = {
    "if": models.integrate_and_fire(**HARD),
    "lif": models.lif(0.5, **HARD),
    "scaled lif": models.lif(0.5, reset_to=-0.25, scaled_input=True, **HARD),
    "lif without leak": models.lif(1.0, **HARD),
    "plif": models.plif(2.0, **HARD),
    "unscaled plif": models.plif(2.0, scaled_input=False, **HARD),
}


def dyadic(random, shape, high=24):
    """Numbers that float32 adds and multiplies without rounding."""
    return (random.integers(-high, high + 1, shape) / 16).astype(np.float32)


def random_network(layers, shape, unit=None):
    """Dyadic parameters and inputs; norms whose folding does not round."""
    random = np.random.default_rng(0)
    fixed = {
        "bias": lambda shape: np.abs(dyadic(random, shape)),
        "var": lambda shape: np.full(shape, 0.25 - 1e-5, np.float32),
        "scale": lambda shape: random.choice([0.5, 1, 2], shape).astype(np.float32),
    }
    params = [
        {name: fixed.get(name, lambda shape: dyadic(random, shape))(leaf.shape) for name, leaf in layer_params.items()}
        for layer_params in jax.eval_shape(lambda: network.init(jax.random.key(0), layers, shape))
    ]
    for stage in layer.network_stages(layers):
        if stage.unit and unit is not None and unit.params:
            params[stage.weighted]["unit"] = {"decay": np.float32(np.log(3) * (stage.weighted > 0))}  # k = 1/2, 3/4
    return tuple(params), np.abs(dyadic(random, (STEPS, BATCH, *shape), 20))


def spikes_and_logits(layers, params, inputs, unit, graph, dt=1.0):
    """Of `unroll`, and of the interpreter on the graph."""
    outputs, _ = network.unroll(layers, params, jnp.asarray(inputs), unit)
    firing = [stage.weighted for stage in layer.network_stages(layers) if stage.unit]
    first = np.moveaxis(inputs, -1, 2)
    result = interpreter.run(graph, first, dt, outputs=(*(f"neuron_{i}" for i in firing), "output"))
    counts = [np.asarray(result[f"neuron_{i}"]).reshape(STEPS, BATCH, -1).sum(-1) for i in firing]
    return (outputs.spikes, outputs.logits), (np.stack(counts, -1), np.cumsum(result["output"], 0))


@pytest.mark.slow
@pytest.mark.parametrize("unit", NEURONS.values(), ids=NEURONS)
@pytest.mark.parametrize("which", [MLP, CNN], ids=["mlp", "cnn"])
def test_the_graph_spikes_as_the_network_does_from_a_file_too(tmp_path, extra, which, unit):
    extra("nir", "nir")
    layers, shape = which
    params, inputs = random_network(layers, shape, unit)
    files.save(to_nir(layers, params, shape, unit), tmp_path / "net.nir")
    graph = files.load(tmp_path / "net.nir")
    ours, theirs = spikes_and_logits(layers, params, inputs, unit, graph)
    np.testing.assert_array_equal(*(item[0] for item in (ours, theirs)))
    np.testing.assert_allclose(*(item[1] for item in (ours, theirs)), atol=1e-5)
    shares = np.asarray(ours[0]).mean((0, 1)) / widths(layers, shape)
    assert ((shares > 0.02) & (shares < 0.98)).all(), shares


def widths(layers, shape):
    shapes = network.input_shapes(layers, shape)
    return [np.prod(shapes[stage.weighted + 1]) for stage in layer.network_stages(layers) if stage.unit]


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.25, 1e-3])
def test_a_step_may_have_any_length(dt):
    """Kernels are off the dyadic numbers, so that no membrane stands at its threshold."""
    layers, shape = CNN
    unit = NEURONS["lif"]
    params, inputs = random_network(layers, shape)
    random = np.random.default_rng(1)
    params = [dict(layer_params) for layer_params in params]
    for layer_params in params:
        if "kernel" in layer_params:
            kernel = layer_params["kernel"]
            layer_params["kernel"] = kernel + random.random(kernel.shape, np.float32)
    graph = to_nir(layers, params, shape, unit, dt)
    ours, theirs = spikes_and_logits(layers, params, inputs, unit, graph, dt)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-4)
    np.testing.assert_allclose(graph.nodes["neuron_0"].values["tau"], 2 * dt, rtol=1e-6)
    np.testing.assert_allclose(graph.nodes["fire_2"].values["r"], 1 / dt, rtol=1e-6)


def test_nodes_are_named_by_kind_and_place():
    layers, shape = MLP
    graph = to_nir(layers, random_network(layers, shape)[0], shape, NEURONS["if"])
    assert list(graph.nodes) == [
        *("input", "dense_0", "neuron_0", "recurrent_1", "neuron_1", "feedback_1"),
        *("recurrent_2", "neuron_2", "feedback_2", "dense_3", "output"),
    ]
    assert {("neuron_1", "feedback_1"), ("feedback_1", "neuron_1"), ("dense_3", "output")} <= set(graph.edges)


UNMAPPED = {
    "soft": (models.lif(), "has reset='soft', which NIR does not have: train with reset='hard'"),
    "none": (models.plif(reset="none"), "has reset='none', which NIR does not have"),
    "adaptive": (models.adaptive_lif(reset="hard"), "adaptive_lif, has no mapping in NIR: train with one of"),
    "code": (coding.burst(), "burst, has no mapping in NIR"),
    "by hand": (NEURONS["if"]._replace(record=None), "no record of how it was made"),
    "scaled without leak": (models.lif(1.0, scaled_input=True, **HARD), r"decay must lie in \[0, 1\)"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("unit", "message"), UNMAPPED.values(), ids=UNMAPPED)
def test_units_without_a_mapping_are_refused_with_the_layer(unit, message):
    layers = (layer.flatten(), layer.dense(4), layer.dense(2))
    params = network.init(jax.random.key(0), layers, (6,))
    with pytest.raises(ValueError, match=rf"layer 1 \(dense\): .*{message}"):
        to_nir(layers, params, (6,), unit)


@pytest.mark.slow
def test_max_pools_of_non_spikes_are_refused_with_the_layer():
    behind = (layer.flatten(), layer.dense(2))
    for before in ((), (layer.pool("average"),), (layer.conv(2), layer.pool("average"), layer.pool("max"))):
        layers = (*before, layer.pool("max"), *behind)
        params = network.init(jax.random.key(0), layers, (8, 8, 1))
        index = next(i for i, item in enumerate(layers) if item == layer.pool("max"))
        with pytest.raises(ValueError, match=rf"layer {index} \(pool\): a maximum has a mapping only where binary"):
            to_nir(layers, params, (8, 8, 1), NEURONS["if"])


@pytest.mark.slow
def test_bad_parameters_are_refused_with_the_layer():
    layers, shape = MLP
    params = random_network(layers, shape, NEURONS["plif"])[0]
    wrong = {
        r"layer 1 \(recurrent\): .*weight must be finite": (1, {"recurrent": np.full((5, 5), np.nan)}),
        r"layer 0 \(dense\): .*weight must be finite": (0, {"kernel": np.full((7, 6), np.inf)}),
        r"layer 2 \(recurrent\): .*learned a decay of shape \(4,\)": (2, {"unit": {"decay": np.ones(4)}}),
        r"layer 3 \(dense\) takes": (3, {"kernel": np.ones((2, 2))}),
    }
    for message, (index, layer_params) in wrong.items():
        item = [known | (layer_params if i == index else {}) for i, known in enumerate(params)]
        with pytest.raises(ValueError, match=message):
            to_nir(layers, tuple(item), shape, NEURONS["plif"])
    for dt in (0, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"dt must be above 0 and finite, got {dt}"):
            to_nir(layers, params, shape, NEURONS["plif"], dt=dt)


def test_what_another_neuron_has_learned_is_refused():
    layers = (layer.dense(4), layer.dense(2))
    params = network.init(jax.random.key(0), layers, (6,), NEURONS["plif"])
    with pytest.raises(ValueError, match=r"layer 0 \(dense\) has learned 'decay', which lif does not learn"):
        to_nir(layers, params, (6,), NEURONS["lif"])


def test_a_trained_network_is_exported_as_its_parts():
    layers, shape = MLP
    params = random_network(layers, shape)[0]
    trained = TrainedNetwork(params, layers, shape, NEURONS["lif"], steps=4)
    whole, parts = to_nir(trained, dt=0.5), to_nir(layers, params, shape, NEURONS["lif"], 0.5)
    assert whole.edges == parts.edges
    jax.tree.map(np.testing.assert_array_equal, whole, parts)


def test_what_is_no_trained_network_is_refused():
    layers, shape = (layer.dense(4), layer.dense(2)), (6,)
    params = network.init(jax.random.key(0), layers, shape)
    converted = normalization.convert(layers, params, np.ones((3, 6), np.float32))
    for arguments in ((converted,), (layers, params), (layers, params, shape)):
        with pytest.raises(
            ValueError, match=r"to_nir takes a TrainedNetwork, or layers, params, shape and unit; got \w+\."
        ):
            to_nir(*arguments)
