import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.nir.graph import (
    Graph,
    graph,
    node,
)
from framework.snn.nir.interpreter import run

STEPS, BATCH = 8, 3


def random_node(random, type, shape):
    """A neuron whose parameters all differ."""
    names = {"I": "r", "IF": "r v_threshold v_reset", "LI": "tau r v_leak", "LIF": "tau r v_leak v_threshold v_reset"}
    names |= {"CubaLI": "tau_syn tau_mem r v_leak w_in", "CubaLIF": names["LIF"].replace("tau", "tau_syn tau_mem w_in")}
    ranges = {"tau": (2, 5), "v_th": (0.3, 0.8), "v_re": (-0.2, 0.1), "v_le": (-0.2, 0.1), "r": (1, 2), "w_in": (1, 2)}
    value = lambda name: random.uniform(*next(r for start, r in ranges.items() if name.startswith(start)), shape)
    return node(type, **{name: value(name).astype(np.float32) for name in names[type].split()})


def neuron_by_loop(nir_node, inputs, dt):
    """The equations, one neuron and one step after another; inputs [T, B, n]."""
    p, output = {k: np.asarray(v, np.float64) for k, v in nir_node.values.items()}, np.zeros(inputs.shape)
    for b in range(inputs.shape[1]):
        for n in range(inputs.shape[2]):
            v, current = p.get("v_leak", p.get("v_reset", np.zeros(n + 1)))[n], 0.0
            for t in range(len(inputs)):
                x = inputs[t, b, n]
                if "tau_syn" in p:
                    current += dt * (p["w_in"][n] * x - current) / p["tau_syn"][n]
                    x = current
                if "v_leak" in p:
                    v += dt * (p["v_leak"][n] - v + p["r"][n] * x) / p["tau" if "tau" in p else "tau_mem"][n]
                else:
                    v += dt * p["r"][n] * x
                output[t, b, n] = v
                if "v_threshold" in p:
                    output[t, b, n] = v > p["v_threshold"][n]
                    v = p["v_reset"][n] if v > p["v_threshold"][n] else v
    return output


def conv_by_loop(images, weight, bias, stride, padding, dilation, groups):
    """[N, C, H, W], place by place."""
    padded = np.pad(images, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    rows, columns = ((n - r) // s + 1 for n, r, s in zip(padded.shape[2:], reach, stride, strict=True))
    output, per = np.zeros((len(images), len(weight), rows, columns)), weight.shape[1]
    for o in range(len(weight)):
        first = o // (len(weight) // groups) * per
        for i in range(rows):
            for j in range(columns):
                top, left = i * stride[0], j * stride[1]
                patch = padded[
                    :, first : first + per, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]
                ]
                output[:, o, i, j] = (patch * weight[o]).sum((1, 2, 3)) + bias[o]
    return output


def pool_by_hand(images, window):
    rows, columns = images.shape[2] // window, images.shape[3] // window
    output = np.zeros((*images.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            output[:, :, i, j] = images[:, :, i * window : (i + 1) * window, j * window : (j + 1) * window].sum((2, 3))
    return output


def chain(shapes, *nodes):
    """Nodes one behind the other; shapes of input and output as NIR has them."""
    ends = [node(type, shape=shape) for type, shape in zip(["Input", "Output"], shapes, strict=True)]
    named = {"input": ends[0]} | {str(k): item for k, item in enumerate(nodes)} | {"output": ends[1]}
    return Graph(named, tuple(itertools.pairwise(named)))


@pytest.mark.parametrize("type", ["I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"])
def test_every_neuron_follows_its_equations(random, type):
    neuron, inputs = random_node(random, type, (5,)), random.uniform(-0.5, 2, (40, BATCH, 5)).astype(np.float32)
    output = run(chain(((5,), (5,)), neuron), inputs, dt=0.5)
    expected = neuron_by_loop(neuron, inputs, 0.5)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    assert "v_threshold" not in neuron.values or 0.02 < expected.mean() < 0.98


def test_a_convolutional_net_equals_plain_numpy(random):
    weight, bias = random.normal(0, 0.5, (4, 2, 3, 3)), random.normal(0, 0.1, 4)
    dense, offset, mixed = random.normal(size=(5, 8)), random.normal(0, 0.1, 5), random.normal(size=(4, 4, 3, 3))
    first, second = random_node(random, "IF", (4, 4, 3)), random_node(random, "LIF", (5,))
    net = chain(
        ((2, 7, 8), (5,)),
        node("Conv2d", weight=weight, bias=bias, stride=(2, 2), padding=(1, 0), dilation=(1, 1), groups=1),
        node("Scale", scale=1.5),
        node("Linear", weight=mixed),  # a matrix for every row of every channel
        first,
        node("AvgPool2d", kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)),
        node("Flatten", start_dim=0, end_dim=-1),
        node("Affine", weight=dense, bias=offset),
        second,
    )
    inputs = random.uniform(0, 1, (STEPS, BATCH, 2, 7, 8)).astype(np.float32)
    x = 1.5 * conv_by_loop(inputs.reshape(-1, 2, 7, 8).astype(np.float64), weight, bias, (2, 2), (1, 0), (1, 1), 1)
    x = np.stack([[x[:, c, h] @ mixed[c, h].T for h in range(4)] for c in range(4)]).transpose(2, 0, 1, 3)
    flat = first._replace(values={name: value.reshape(-1) for name, value in first.values.items()})
    hidden = neuron_by_loop(flat, x.reshape(STEPS, BATCH, -1), 1.0)
    x = pool_by_hand(hidden.reshape(-1, 4, 4, 3), 2) / 4
    expected = neuron_by_loop(second, x.reshape(STEPS, BATCH, 8) @ dense.T + offset, 1.0)
    np.testing.assert_array_equal(run(net, inputs, 1.0), expected)
    assert 0.05 < hidden.mean() < 0.95
    assert 0.05 < expected.mean() < 0.95


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [((1, 1), (0, 0), (1, 1), 1), ((2, 1), (1, 2), (1, 2), 2), ((1, 3), (2, 0), (2, 1), 1)],
)
def test_a_convolution_equals_a_loop_over_places(random, stride, padding, dilation, groups):
    weight, bias = random.normal(size=(4, 4 // groups, 3, 2)), random.normal(size=4)
    images = random.normal(size=(BATCH, 4, 7, 6)).astype(np.float32)
    nir_node = node(
        "Conv2d", weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    expected = conv_by_loop(images, weight, bias, stride, padding, dilation, groups)
    output = run(chain((images.shape[1:], expected.shape[1:]), nir_node), images[None])[0]
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize(("padding", "pads"), [("valid", (0, 0)), ("same", (1, 0)), (1, (1, 1))])
def test_conv1d_equals_conv2d_of_images_of_width_one(random, padding, pads):
    weight, signal = random.normal(size=(4, 2, 3)), random.normal(size=(BATCH, 2, 9)).astype(np.float32)
    nir_node = node("Conv1d", weight=weight, stride=1, padding=padding, dilation=1, groups=1)
    expected = conv_by_loop(signal[..., None], weight[..., None], np.zeros(4), (1, 1), (max(pads), 0), (1, 1), 1)[
        ..., 0
    ]
    output = run(chain((signal.shape[1:], expected.shape[1:]), nir_node), signal[None])[0]
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_sums_of_windows_are_exact(random):
    images = random.integers(0, 5, (BATCH, 3, 7, 6)).astype(np.float32)
    nir_node = node("SumPool2d", kernel_size=2, stride=2, padding=0)
    np.testing.assert_array_equal(
        run(chain(((3, 7, 6), (3, 3, 3)), nir_node), images[None])[0], pool_by_hand(images, 2)
    )


def test_flattening_may_leave_axes_out(random):
    x = random.normal(size=(1, BATCH, 2, 3, 4)).astype(np.float32)
    flatten = lambda start, end, shape: chain(((2, 3, 4), shape), node("Flatten", start_dim=start, end_dim=end))
    np.testing.assert_array_equal(run(flatten(1, -1, (2, 12)), x), x.reshape(1, BATCH, 2, 12))
    np.testing.assert_array_equal(run(flatten(0, 1, (6, 4)), x), x.reshape(1, BATCH, 6, 4))


def test_a_delay_moves_each_element_by_its_own_steps(random):
    x = random.normal(size=(STEPS, BATCH, 4)).astype(np.float32)
    output = np.asarray(run(chain(((4,), (4,)), node("Delay", delay=[0.0, 0.1, 0.3, 99.0])), x, dt=0.1))
    for n, steps in enumerate([0, 1, 3, STEPS]):
        np.testing.assert_array_equal(output[:, :, n], np.concatenate([0 * x[:steps], x])[:STEPS, :, n])


def test_a_neuron_fires_above_its_threshold_and_on_request_at_it():
    x = jnp.array([0.5, 0.5, 1.0, 1.5]).reshape(4, 1, 1)
    net = chain(((1,), (1,)), node("IF", r=[1.0], v_threshold=[1.0]))
    assert run(net, x).ravel().tolist() == [0, 0, 1, 1]
    assert run(net, x, at_threshold=True).ravel().tolist() == [0, 1, 1, 1]
    step = chain(((1,), (1,)), node("Threshold", threshold=[1.0]))
    assert run(step, x).ravel().tolist() == [0, 0, 0, 1]
    assert run(step, x, at_threshold=True).ravel().tolist() == [0, 0, 1, 1]


def test_edges_into_one_node_are_summed(random):
    x = random.normal(size=(STEPS, BATCH, 4)).astype(np.float32)
    edges = [("input", "a"), ("input", "b"), ("a", "b"), ("b", "output")]
    net = graph((4,), {"a": node("Scale", scale=np.full(4, 3.0)), "b": node("I", r=np.ones(4))}, (4,), edges)
    np.testing.assert_allclose(run(net, x), np.cumsum(4 * x, 0), rtol=1e-5, atol=1e-5)


def test_a_recurrent_edge_is_delayed_with_bias_from_the_start(random):
    """The oracle: a loop in which the neuron's last spikes come back."""
    neuron, weight, bias = random_node(random, "LIF", (4,)), random.normal(size=(4, 4)), random.normal(size=4)
    x = random.uniform(0, 3, (30, BATCH, 4)).astype(np.float32)
    edges = [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")]
    net = graph((4,), {"lif": neuron, "back": node("Affine", weight=weight, bias=bias)}, (4,), edges)
    p = {name: value.astype(np.float64) for name, value in neuron.values.items()}
    v, z, expected = np.broadcast_to(p["v_leak"], (BATCH, 4)), np.zeros((BATCH, 4)), []
    for now in x:
        v = v + (p["v_leak"] - v + p["r"] * (now + z @ weight.T + bias)) / p["tau"]
        z = (v > p["v_threshold"]) * 1.0
        v = np.where(z > 0, p["v_reset"], v)
        expected.append(z)
    np.testing.assert_array_equal(run(net, x, 1.0), expected)
    assert 0.1 < np.mean(expected) < 0.9


def test_a_nested_graph_is_what_it_holds(random):
    weight, neuron = random.normal(size=(4, 4)), random_node(random, "LIF", (4,))
    x = random.uniform(0, 2, (STEPS, BATCH, 4)).astype(np.float32)
    inner = graph((4,), {"w": node("Linear", weight=weight), "n": neuron}, (4,))
    nested = graph((4,), {"a": graph((4,), {"deep": inner}, (4,)), "b": inner}, (4,))
    flat = graph((4,), {"w": node("Linear", weight=weight), "n": neuron, "v": inner.nodes["w"], "m": neuron}, (4,))
    np.testing.assert_array_equal(run(nested, x, 1.0), run(flat, x, 1.0))
    within = run(nested, x, 1.0, outputs=("a/deep/n",))
    np.testing.assert_array_equal(within["a/deep/n"], run(inner, x, 1.0))


def test_several_inputs_and_outputs_go_by_name(random):
    x = random.normal(size=(2, STEPS, BATCH, 3)).astype(np.float32)
    ends = {name: node("Input" if name in "ab" else "Output", shape=[3]) for name in "abcd"}
    net = Graph(
        {**ends, "sum": node("Scale", scale=np.ones(3))}, (("a", "sum"), ("b", "sum"), ("sum", "c"), ("a", "d"))
    )
    outputs = run(net, {"a": x[0], "b": x[1]})
    np.testing.assert_array_equal(outputs["c"], x[0] + x[1])
    np.testing.assert_array_equal(outputs["d"], x[0])


def test_compiled_vectorised_and_plain_runs_agree(random):
    net = chain(((4,), (4,)), node("Linear", weight=random.normal(size=(4, 4))), random_node(random, "CubaLIF", (4,)))
    x = random.uniform(0, 3, (2, STEPS, BATCH, 4)).astype(np.float32)
    plain = np.stack([run(net, item, 1.0) for item in x])
    np.testing.assert_array_equal(jax.jit(lambda item: run(net, item, 1.0))(x[0]), plain[0])
    np.testing.assert_array_equal(jax.vmap(lambda item: run(net, item, 1.0))(x), plain)


def test_the_type_of_the_inputs_stays(random):
    net = chain(((4,), (4,)), random_node(random, "LI", (4,)))
    assert run(net, jnp.ones((2, 1, 4), jnp.bfloat16), 1.0).dtype == jnp.bfloat16
    assert run(net, np.ones((2, 1, 4), np.int32), 1.0).dtype == jnp.float32
