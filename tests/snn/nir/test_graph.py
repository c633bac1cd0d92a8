import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from framework.snn.neurons import models
from framework.snn.nir.graph import (
    Graph,
    Node,
    average_pool,
    channels_first,
    conv,
    dense,
    flatten,
    fold_norm,
    graph,
    integrate_and_fire,
    leaky,
    max_pool,
    node,
)
from framework.snn.nir.interpreter import run

STEPS, BATCH = 8, 2


@pytest.fixture
def random():
    return np.random.default_rng(0)


def dyadic(random, shape, high=8):
    """Numbers that float32 adds and multiplies without rounding."""
    return (random.integers(-high, high + 1, shape) / 16).astype(np.float32)


def stepped(neuron, currents):
    """A neuron of this project over time."""
    return lax.scan(neuron.step, neuron.init(currents.shape[1:]), jnp.asarray(currents))[1]


def first(images):
    """[..., h, w, c] -> [..., c, h, w]"""
    return np.moveaxis(images, -1, -3)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["SAME", "VALID", "HALF"])
@pytest.mark.parametrize(
    ("size", "kernel", "strides"), [((7, 6), (3, 3), (1, 1)), ((8, 7), (3, 2), (2, 2)), ((9, 8), (5, 4), (3, 1))]
)
def test_a_convolution_is_the_one_of_the_layer(random, padding, size, kernel, strides):
    weight, bias, images = dyadic(random, (*kernel, 3, 4)), dyadic(random, 4), dyadic(random, (BATCH, *size, 3))
    dims = ("NHWC", "HWIO", "NHWC")
    pads = [(k // 2, k // 2) for k in kernel] if padding == "HALF" else padding
    expected = np.asarray(lax.conv_general_dilated(images, weight, strides, pads, dimension_numbers=dims) + bias)
    net = graph((*size, 3), {"conv": conv(weight, bias, size, strides, padding)}, expected.shape[1:])
    np.testing.assert_array_equal(run(net, first(images)[None])[0], first(expected))


def test_dense_rows_after_a_flatten_follow_nir_order(random):
    kernel, bias, images = dyadic(random, (4 * 3 * 2, 5)), dyadic(random, 5), dyadic(random, (BATCH, 4, 3, 2))
    nodes = {"flat": flatten((4, 3, 2)), "dense": dense(kernel, bias, images=(4, 3, 2))}
    output = run(graph((4, 3, 2), nodes, (5,)), first(images)[None])[0]
    np.testing.assert_array_equal(output, images.reshape(BATCH, -1) @ kernel + bias)
    plain = run(graph((24,), {"dense": dense(kernel)}, (5,)), images.reshape(1, BATCH, -1))[0]
    np.testing.assert_array_equal(plain, images.reshape(BATCH, -1) @ kernel)


def test_folding_equals_the_norm_behind_the_layer(random):
    kernel, bias, x = random.normal(size=(6, 4)), random.normal(size=4), random.normal(size=(9, 6))
    scale, shift, mean, var = (random.uniform(0.5, 2, 4) for _ in range(4))
    expected = ((x @ kernel + bias) - mean) / np.sqrt(var + 1e-3) * scale + shift
    new_kernel, new_bias = fold_norm(kernel, bias, scale, shift, mean, var, epsilon=1e-3)
    np.testing.assert_allclose(x @ new_kernel + new_bias, expected, rtol=1e-12)
    without = fold_norm(kernel, None, scale, shift, mean, var, epsilon=1e-3)[1]
    np.testing.assert_allclose(without, shift - mean * scale / np.sqrt(var + 1e-3), rtol=1e-12)
    single = fold_norm(*(value.astype(np.float32) for value in (kernel, bias, scale, shift, mean, var)))
    assert {value.dtype for value in single} == {np.dtype(np.float32)}


def test_a_pooling_of_spikes_by_their_maximum_is_exact(random):
    spikes = (random.uniform(size=(STEPS, BATCH, 5, 4, 3)) < 0.3).astype(np.float32)
    total, fire = max_pool((2, 2), (5, 4, 3))
    output = run(graph((5, 4, 3), {"sum": total, "fire": fire}, (2, 2, 3)), first(spikes))
    expected = spikes[:, :, :4].reshape(STEPS, BATCH, 2, 2, 2, 2, 3).max((3, 5))
    np.testing.assert_array_equal(output, first(expected))


def test_an_average_pool_is_the_mean(random):
    images = dyadic(random, (BATCH, 4, 6, 3))
    output = run(graph((4, 6, 3), {"pool": average_pool((2, 3))}, (2, 2, 3)), first(images)[None])[0]
    np.testing.assert_allclose(output, first(images.reshape(BATCH, 2, 2, 2, 3, 3).mean((2, 4))), rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [1.0, 0.25])
@pytest.mark.parametrize("reset_to", [0.0, -0.25])
def test_neurons_spike_as_this_project_s_do_at_equality_too(random, reset_to, dt):
    """Dyadic numbers make every sum exact and equality with the threshold frequent."""
    currents, hard = dyadic(random, (200, BATCH, 6), 16) + 0.5, {"reset": "hard", "reset_to": reset_to}
    pairs = [
        (models.integrate_and_fire(0.5, **hard), integrate_and_fire((6,), 0.5, reset_to, dt)),
        (models.lif(0.5, 0.5, **hard), leaky((6,), 0.5, 0.5, reset_to, dt=dt)),
        (models.lif(0.5, 0.5, scaled_input=True, **hard), leaky((6,), 0.5, 0.5, reset_to, scaled_input=True, dt=dt)),
    ]
    for ours, theirs in pairs:
        expected = stepped(ours, currents)
        np.testing.assert_array_equal(run(graph((6,), {"n": theirs}, (6,)), currents, dt), expected)
        assert 0.05 < expected.mean() < 0.8
    just_enough = np.full((1, 1, 6), 0.5 - reset_to, np.float32)
    assert run(graph((6,), {"n": pairs[0][1]}, (6,)), just_enough, dt).all()


def test_a_plif_is_leaky_with_what_it_has_learned(random):
    currents, learned = random.uniform(0, 2, (50, BATCH, 4)).astype(np.float32), 0.7
    plif = models.plif(2.0)
    step = lambda state, x: plif.step(state, x, {"decay": learned})
    expected = lax.scan(step, plif.init((BATCH, 4)), jnp.asarray(currents))[1]
    nir_node = leaky((4,), float(1 - jax.nn.sigmoid(learned)), scaled_input=True)
    np.testing.assert_array_equal(run(graph((4,), {"n": nir_node}, (4,)), currents, 1.0), expected)


def test_a_residual_connection_is_two_edges_into_the_neuron(random):
    kernel, spikes = dyadic(random, (4, 4)), (random.uniform(size=(STEPS, BATCH, 4)) < 0.5).astype(np.float32)
    nodes = {"dense": dense(kernel), "neuron": integrate_and_fire((4,), 0.5)}
    edges = [("input", "dense"), ("dense", "neuron"), ("input", "neuron"), ("neuron", "output")]
    expected = stepped(models.integrate_and_fire(0.5, reset="hard"), spikes @ kernel + spikes)
    np.testing.assert_array_equal(run(graph((4,), nodes, (4,), edges), spikes), expected)


def test_shapes_become_channels_first():
    assert channels_first((4, 5, 3)) == (3, 4, 5)
    assert channels_first((7,)) == (7,)
    assert integrate_and_fire((4, 5, 3)).values["r"].shape == (3, 4, 5)


def test_what_a_field_may_leave_out_is_filled_in():
    np.testing.assert_array_equal(node("IF", r=np.ones(2), v_threshold=np.ones(2)).values["v_reset"], [0, 0])
    weight = np.ones((4, 3, 2), np.float32)
    bias = node("Conv1d", weight=weight, stride=1, padding=0, dilation=1, groups=1).values["bias"]
    assert (bias.shape, bias.dtype) == ((4,), np.float32)


ONES = {name: np.ones(2) for name in ("tau", "r", "v_leak", "v_threshold", "v_reset")}
CONV = {"weight": np.ones((1, 1, 3)), "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@pytest.mark.parametrize(
    ("type", "values", "message"),
    [
        ("BatchNorm", {}, "a node of type 'BatchNorm' has no mapping: take one of Input, Output, Affine"),
        ("Scale", {}, "Scale lacks its field 'scale'"),
        ("Scale", {"scale": 1.0, "factor": 2.0}, "Scale has no field 'factor', only scale"),
        ("Scale", {"scale": [1.0, np.nan]}, "scale must be finite numbers"),
        ("Scale", {"scale": "2"}, "Scale: scale must be numbers"),
        ("LIF", ONES | {"tau": np.zeros(2)}, "LIF: tau must be positive"),
        ("LIF", ONES | {"v_reset": np.full(2, 1.5)}, "v_reset must not be above v_threshold"),
        ("LIF", ONES | {"r": np.ones(3)}, r"all parameters must have one shape, got \(2,\), \(3,\)"),
        ("Affine", {"weight": np.ones(3), "bias": np.ones(3)}, "weight must have 2 axes"),
        ("Affine", {"weight": np.ones((2, 3)), "bias": np.ones(3)}, r"bias must have shape \(2,\), got \(3,\)"),
        ("Conv1d", CONV | {"stride": 0}, "stride must be at least 1"),
        ("Conv1d", CONV | {"padding": "full"}, "'same' or 'valid' as padding"),
    ],
)
def test_a_node_that_cannot_be_is_refused(type, values, message):
    with pytest.raises(ValueError, match=message):
        node(type, **values)


def test_a_decay_of_one_is_no_leak():
    with pytest.raises(ValueError, match="take integrate_and_fire"):
        leaky((3,), 1.0)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("input", "b")], "there is no node 'b'"),
        ([("input", "a"), ("input", "a")], "'input' -> 'a' occurs twice"),
        ([("a", "input")], "leads into an Input"),
        ([("output", "a")], "out of an Output"),
    ],
)
def test_edges_that_cannot_be_are_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        graph((2,), {"a": node("I", r=np.ones(2))}, (2,), edges)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (Graph({"i": node("Input", shape=[2])}, ()), "node 'a' has 0 Output nodes, not one"),
        (Graph({k: node("Input", shape=[2]) for k in "ij"}, ()), "node 'a' has 2 Input nodes, not one"),
        (Node("MaxPool2d", {}), "node 'a' of type 'MaxPool2d' has no mapping"),
    ],
)
def test_missing_ends_and_unmapped_nodes_are_named(inner, message):
    with pytest.raises(ValueError, match=message):
        graph((2,), {"a": inner}, (2,))


def test_a_graph_without_an_output_gives_nothing():
    with pytest.raises(ValueError, match="the graph has 0 Output nodes"):
        run(Graph({"in": node("Input", shape=[2])}, ()), np.ones((1, 1, 2)))


@pytest.mark.parametrize("dt", [0.0, -1.0, np.inf, np.nan])
def test_steps_of_no_length_are_refused(dt):
    for made in (lambda: integrate_and_fire((3,), dt=dt), lambda: leaky((3,), 0.5, dt=dt)):
        with pytest.raises(ValueError, match=f"dt must be above 0 and finite, got {dt}"):
            made()


def test_a_padding_by_another_name_is_refused():
    with pytest.raises(ValueError, match="conv: padding must be one of SAME, VALID, HALF, got 'same'"):
        conv(np.ones((3, 3, 1, 2)), None, (5, 5), padding="same")
