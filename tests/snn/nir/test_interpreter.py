import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.snn.neurons import surrogate
from framework.snn.nir.graph import (
    Graph,
    Node,
    graph,
    node,
)
from framework.snn.nir.interpreter import run

STEPS, BATCH = 8, 3


@pytest.fixture
def random():
    return np.random.default_rng(0)


def drawn(random, type, shape):
    """A neuron whose parameters all differ."""
    names = {"I": "r", "IF": "r v_threshold v_reset", "LI": "tau r v_leak", "LIF": "tau r v_leak v_threshold v_reset"}
    names |= {"CubaLI": "tau_syn tau_mem r v_leak w_in", "CubaLIF": names["LIF"].replace("tau", "tau_syn tau_mem w_in")}
    ranges = {"tau": (2, 5), "v_th": (0.3, 0.8), "v_re": (-0.2, 0.1), "v_le": (-0.2, 0.1), "r": (1, 2), "w_in": (1, 2)}
    value = lambda name: random.uniform(*next(r for start, r in ranges.items() if name.startswith(start)), shape)
    return node(type, **{name: value(name).astype(np.float32) for name in names[type].split()})


def neuron_by_hand(of, inputs, dt):
    """The equations, one neuron and one step after another; inputs [T, B, n]."""
    p, output = {k: np.asarray(v, np.float64) for k, v in of.values.items()}, np.zeros(inputs.shape)
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


def conv_by_hand(images, weight, bias, stride, padding, dilation, groups):
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
                seen = padded[
                    :, first : first + per, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]
                ]
                output[:, o, i, j] = (seen * weight[o]).sum((1, 2, 3)) + bias[o]
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
    named = {"input": ends[0]} | {str(k): each for k, each in enumerate(nodes)} | {"output": ends[1]}
    return Graph(named, tuple(itertools.pairwise(named)))


@pytest.mark.parametrize("type", ["I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"])
def test_every_neuron_follows_its_equations(random, type):
    neuron, inputs = drawn(random, type, (5,)), random.uniform(-0.5, 2, (40, BATCH, 5)).astype(np.float32)
    output = run(chain(((5,), (5,)), neuron), inputs, dt=0.5)
    expected = neuron_by_hand(neuron, inputs, 0.5)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    assert "v_threshold" not in neuron.values or 0.02 < expected.mean() < 0.98


def test_a_convolutional_net_equals_plain_numpy(random):
    weight, bias = random.normal(0, 0.5, (4, 2, 3, 3)), random.normal(0, 0.1, 4)
    dense, offset, mixed = random.normal(size=(5, 8)), random.normal(0, 0.1, 5), random.normal(size=(4, 4, 3, 3))
    first, second = drawn(random, "IF", (4, 4, 3)), drawn(random, "LIF", (5,))
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
    x = 1.5 * conv_by_hand(inputs.reshape(-1, 2, 7, 8).astype(np.float64), weight, bias, (2, 2), (1, 0), (1, 1), 1)
    x = np.stack([[x[:, c, h] @ mixed[c, h].T for h in range(4)] for c in range(4)]).transpose(2, 0, 1, 3)
    flat = first._replace(values={name: value.reshape(-1) for name, value in first.values.items()})
    hidden = neuron_by_hand(flat, x.reshape(STEPS, BATCH, -1), 1.0)
    x = pool_by_hand(hidden.reshape(-1, 4, 4, 3), 2) / 4
    expected = neuron_by_hand(second, x.reshape(STEPS, BATCH, 8) @ dense.T + offset, 1.0)
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
    of = node("Conv2d", weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    expected = conv_by_hand(images, weight, bias, stride, padding, dilation, groups)
    output = run(chain((images.shape[1:], expected.shape[1:]), of), images[None])[0]
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize(("padding", "pads"), [("valid", (0, 0)), ("same", (1, 0)), (1, (1, 1))])
def test_a_convolution_in_one_dimension_is_one_of_images_one_wide(random, padding, pads):
    weight, signal = random.normal(size=(4, 2, 3)), random.normal(size=(BATCH, 2, 9)).astype(np.float32)
    of = node("Conv1d", weight=weight, stride=1, padding=padding, dilation=1, groups=1)
    expected = conv_by_hand(signal[..., None], weight[..., None], np.zeros(4), (1, 1), (max(pads), 0), (1, 1), 1)[
        ..., 0
    ]
    output = run(chain((signal.shape[1:], expected.shape[1:]), of), signal[None])[0]
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_sums_of_windows_are_exact(random):
    images = random.integers(0, 5, (BATCH, 3, 7, 6)).astype(np.float32)
    of = node("SumPool2d", kernel_size=2, stride=2, padding=0)
    np.testing.assert_array_equal(run(chain(((3, 7, 6), (3, 3, 3)), of), images[None])[0], pool_by_hand(images, 2))


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


def test_a_recurrent_edge_carries_the_step_before_and_its_bias_from_the_first(random):
    """The oracle: a loop in which the neuron's last spikes come back."""
    neuron, weight, bias = drawn(random, "LIF", (4,)), random.normal(size=(4, 4)), random.normal(size=4)
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
    weight, neuron = random.normal(size=(4, 4)), drawn(random, "LIF", (4,))
    x = random.uniform(0, 2, (STEPS, BATCH, 4)).astype(np.float32)
    inner = graph((4,), {"w": node("Linear", weight=weight), "n": neuron}, (4,))
    nested = graph((4,), {"a": graph((4,), {"deep": inner}, (4,)), "b": inner}, (4,))
    flat = graph((4,), {"w": node("Linear", weight=weight), "n": neuron, "v": inner.nodes["w"], "m": neuron}, (4,))
    np.testing.assert_array_equal(run(nested, x, 1.0), run(flat, x, 1.0))
    within = run(nested, x, 1.0, of=("a/deep/n",))
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
    net = chain(((4,), (4,)), node("Linear", weight=random.normal(size=(4, 4))), drawn(random, "CubaLIF", (4,)))
    x = random.uniform(0, 3, (2, STEPS, BATCH, 4)).astype(np.float32)
    plain = np.stack([run(net, each, 1.0) for each in x])
    np.testing.assert_array_equal(jax.jit(lambda each: run(net, each, 1.0))(x[0]), plain[0])
    np.testing.assert_array_equal(jax.vmap(lambda each: run(net, each, 1.0))(x), plain)


def test_the_type_of_the_inputs_stays(random):
    net = chain(((4,), (4,)), drawn(random, "LI", (4,)))
    assert run(net, jnp.ones((2, 1, 4), jnp.bfloat16), 1.0).dtype == jnp.bfloat16
    assert run(net, np.ones((2, 1, 4), np.int32), 1.0).dtype == jnp.float32


@pytest.mark.parametrize(
    ("shapes", "of", "message"),
    [
        (
            ((3,), (2,)),
            node("Linear", weight=np.ones((2, 4))),
            r"node '0' \(Linear\) cannot take \(3,\): it takes \(4,\)",
        ),
        (((3,), (3,)), node("IF", r=np.ones(2), v_threshold=np.ones(2)), r"node '0' \(IF\) cannot take \(3,\)"),
        (((3,), (2,)), node("Scale", scale=np.ones(3)), r"node 'output' \(Output\) cannot take \(3,\)"),
        (((3,), (3,)), node("Flatten", start_dim=0, end_dim=-1), None),
        (((3,), (3,)), node("SumPool2d", kernel_size=2, stride=2, padding=0), "it takes 3 axes"),
        (((3,), (3,)), node("Delay", delay=[0.5]), "'0'.*a whole number of steps of 1.0"),
        (((3,), (3,)), node("Delay", delay=[-1.0]), "'0'.*a whole number of steps of 1.0"),
        (
            ((2, 9), (4, 9)),
            node("Conv1d", weight=np.ones((4, 2, 3)), stride=2, padding="same", dilation=1, groups=1),
            "padding 'same' is defined for stride 1 only",
        ),
    ],
)
def test_a_node_that_cannot_take_its_input_is_named(shapes, of, message):
    net, inputs = chain(shapes, of), np.ones((2, BATCH, *shapes[0]), np.float32)
    if message is None:
        assert run(net, inputs, 1.0).shape == inputs.shape
    else:
        with pytest.raises(ValueError, match=message):
            run(net, inputs, 1.0)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (np.ones((2, 1, 5)), {}, r"Input 'input' takes \[T, B, 4\], T >= 1, got \(2, 1, 5\)"),
        (np.ones((0, 1, 4)), {}, "T >= 1"),
        ({"in": np.ones((2, 1, 4))}, {}, "has the Inputs input; inputs were given for in"),
        (np.ones((2, 1, 4)), {"dt": 0.0}, "dt must be above 0"),
        (np.ones((2, 1, 4)), {"dt": np.inf}, "dt must be above 0 and finite, got inf"),
        (np.ones((2, 1, 4)), {"dt": "1"}, "dt must be one plain number, got str"),
        (np.ones((2, 1, 4)), {"dt": np.ones(2)}, "dt must be one plain number, got ndarray"),
        (1j * np.ones((2, 1, 4)), {}, "Input 'input' is given complex numbers"),
        (np.full((2, 1, 4), np.nan), {}, "Input 'input' is given NaN or infinity"),
        (np.ones((2, 1, 4)), {"of": ("1",)}, "no node '1': take one of input, 0, output"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        run(chain(((4,), (4,)), node("I", r=np.ones(4))), inputs, **options)


def test_a_node_that_nothing_reaches_and_edges_of_two_shapes_are_named():
    nodes = {"a": node("Scale", scale=np.ones(2)), "b": node("Linear", weight=np.ones((3, 2)))}
    with pytest.raises(ValueError, match=r"node 'b' \(Linear\) is not reached"):
        run(graph((2,), nodes, (2,), [("input", "a"), ("a", "output")]), np.ones((1, 1, 2)))
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
    with pytest.raises(ValueError, match=r"node 'output' \(Output\) is given several shapes, \(2,\), \(3,\)"):
        run(graph((2,), nodes, (2,), edges), np.ones((1, 1, 2)))


BATCHED = [((1, 4), (1, 3)), ((1, 4), (1, 1, 3)), ((1, 60, 4), (1, 60, 3)), ((1, 4), (3,))]


@pytest.mark.parametrize("shapes", BATCHED)
def test_an_input_with_the_batch_of_a_sample_takes_what_the_next_node_takes(random, shapes):
    """As norse and rockpool write them."""
    nodes = node("Linear", weight=random.normal(size=(3, 4))), drawn(random, "LIF", (3,))
    x = random.uniform(0, 3, (STEPS, BATCH, 4)).astype(np.float32)
    expected = run(chain(((4,), (3,)), *nodes), x, 1.0)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(run(chain(shapes, *nodes), x, 1.0), expected)
    with pytest.raises(ValueError, match=r"Input 'input' takes \[T, B, 4\], T >= 1, got \(8, 3, 5\)"):
        run(chain(shapes, *nodes), x[..., [0, 0, 0, 0, 0]], 1.0)


def test_the_batch_of_a_sample_may_stand_in_a_flatten_and_in_nested_graphs_too(random):
    conv = node("Conv2d", weight=random.normal(size=(2, 1, 2, 2)), stride=1, padding=0, dilation=1, groups=1)
    flat = {"start_dim": 0, "end_dim": -1, "input_type": (2, 3, 3)}
    batched = {"start_dim": 1, "end_dim": -1, "input_type": (1, 2, 3, 3)}
    dense = node("Linear", weight=random.normal(size=(5, 18)))
    x = random.normal(size=(STEPS, BATCH, 1, 4, 4)).astype(np.float32)
    expected = run(chain(((1, 4, 4), (5,)), conv, node("Flatten", **flat), dense), x)
    inner = chain(((1, 18), (1, 5)), dense)
    net = chain(((1, 1, 4, 4), (1, 5)), conv, node("Flatten", **batched), inner)
    np.testing.assert_array_equal(run(net, x), expected)


@pytest.mark.parametrize(
    ("shapes", "of", "message"),
    [
        (((4,), (2, 4)), node("Scale", scale=np.ones(4)), r"'output' \(Output\) cannot take \(4,\): it takes \(2, 4\)"),
        (((2, 4), (2, 4)), node("Scale", scale=1.0), r"takes \[T, B, 2, 4\], T >= 1, got \(2, 3, 4\)"),
        (((4,), (4,)), node("Flatten", start_dim=0, end_dim=-1, input_type=(2, 2)), r"it takes \(2, 2\)"),
    ],
)
def test_axes_that_are_no_batch_are_refused(shapes, of, message):
    with pytest.raises(ValueError, match=message):
        run(chain(shapes, of), np.ones((2, BATCH, 4), np.float32))


def test_a_convolution_is_given_images_of_the_size_in_its_file():
    of = {"weight": np.ones((1, 1, 2, 2)), "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    x = np.ones((2, BATCH, 1, 4, 4), np.float32)
    assert run(chain(((1, 4, 4), (1, 3, 3)), node("Conv2d", input_shape=(4, 4), **of)), x).shape == (2, BATCH, 1, 3, 3)
    with pytest.raises(ValueError, match=r"node '0' \(Conv2d\) cannot take \(1, 4, 4\): it takes \(1, 5, 4\)"):
        run(chain(((1, 4, 4), (1, 3, 3)), node("Conv2d", input_shape=(5, 4), **of)), x)


TIMED = {"LI": "tau", "LIF": "tau", "CubaLI": "tau_syn", "CubaLIF": "tau_mem"}


@pytest.mark.parametrize(("type", "field"), TIMED.items())
def test_a_step_longer_than_a_time_constant_is_refused_with_the_node(random, type, field):
    of = drawn(random, type, (3,))
    of.values[field][1] = 0.25
    net, x = chain(((3,), (3,)), of), np.ones((STEPS, BATCH, 3), np.float32)
    assert np.isfinite(run(net, x, 0.25)).all()
    with pytest.raises(ValueError, match=rf"node '0' \({type}\): {field} is 0.25, and dt = 0.26 is longer"):
        run(net, x, 0.26)
    with pytest.raises(ValueError, match=rf"dt is missing: node '0' \({type}\) has tau\w* = .*at most the shortest"):
        run(net, x)


def test_a_time_constant_that_rounding_put_below_its_step_is_no_shorter(random):
    of = drawn(random, "LIF", (3,))
    of.values["tau"] = np.full(3, 1e-3 * (1 - 3e-7), np.float32)
    net, x = chain(((3,), (3,)), of), np.ones((STEPS, BATCH, 3), np.float32)
    assert np.isfinite(run(net, x, 1e-3)).all()
    with pytest.raises(ValueError, match=r"tau is 0\.001, and dt = 0\.0011 is longer"):
        run(net, x, 1.1e-3)


def test_a_delay_wants_a_step_too_and_a_graph_without_times_does_not():
    x = np.ones((2, 1, 4), np.float32)
    with pytest.raises(ValueError, match=r"dt is missing: node '0' \(Delay\) has delay = 2"):
        run(chain(((4,), (4,)), node("Delay", delay=[2.0])), x)
    assert run(chain(((4,), (4,)), node("I", r=np.ones(4))), x)[:, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("dt", [0.1, 1e-3, 3e-5])
def test_a_time_constant_of_one_step_passes_whatever_its_rounding(dt):
    ones = np.ones(3, np.float32)
    of = node("LI", tau=ones * np.float32(dt), r=ones, v_leak=0 * ones)
    np.testing.assert_allclose(run(chain(((3,), (3,)), of), np.ones((2, 1, 3), np.float32), dt), 1, rtol=1e-5)


def test_a_neuron_of_r_1_in_steps_of_another_length_is_warned_of():
    net, x = chain(((1,), (1,)), node("IF", r=[1.0], v_threshold=[1.0])), np.ones((2, 1, 1), np.float32)
    with pytest.warns(UserWarning, match=r"node '0' \(IF\) has r = 1, so that a step of dt = 0.001 adds 0.001 times"):
        assert not run(net, x, 1e-3).any()


def test_numbers_that_are_not_finite_are_refused_with_the_node():
    ones = np.ones(3)
    of = Node("LI", {"tau": ones, "r": np.array([1, np.nan, 1]), "v_leak": ones})
    with pytest.raises(ValueError, match="node '0': LI: r must be finite numbers"):
        run(chain(((3,), (3,)), of), np.ones((2, 1, 3), np.float32), 0.5)


def trained_by_hand(weights, x, slope):
    """A dense LIF into a dense LI, one step after another: the mean of the last potentials."""
    first, second = weights
    v, u = jnp.zeros((x.shape[1], 4)), jnp.zeros((x.shape[1], 2))
    for now in x:
        v = v + 0.5 * (1.5 * (now @ first.T) - v)
        z = jax.lax.stop_gradient((v > 0.7) * 1.0 - slope(v - 0.7)) + slope(v - 0.7)
        v = jnp.where(v > 0.7, 0.0, v)
        u = u + 0.25 * (z @ second.T - u)
    return u.mean()


def trainable(weights):
    lif = {"tau": np.full(4, 2.0), "r": np.full(4, 1.5), "v_leak": np.zeros(4), "v_threshold": np.full(4, 0.7)}
    li = {"tau": np.full(2, 4.0), "r": np.ones(2), "v_leak": np.zeros(2)}
    layers = [
        node("Linear", weight=weights[0]),
        node("LIF", **lif),
        node("Linear", weight=weights[1]),
        node("LI", **li),
    ]
    return chain(((3,), (2,)), *layers)


def by_arctan(v):
    """The primitive of the default surrogate."""
    return jnp.arctan(jnp.pi * v) / jnp.pi


def by_triangle(v):
    """The primitive of `triangular(0.8)`."""
    z = jnp.clip(v / 0.8, -1, 1)
    return z - z * jnp.abs(z) / 2


@pytest.mark.parametrize(
    ("options", "primitive"), [({}, by_arctan), ({"surrogate": surrogate.triangular(0.8)}, by_triangle)]
)
def test_the_gradient_is_that_of_a_loop_with_the_same_surrogate(random, options, primitive):
    weights = [random.normal(0.5, 0.5, (4, 3)).astype(np.float32), random.normal(size=(2, 4)).astype(np.float32)]
    x = random.uniform(0, 2, (STEPS, BATCH, 3)).astype(np.float32)
    mean = lambda net: run(net, x, 1.0, **options)[-1].mean()
    expected = jax.grad(trained_by_hand)(weights, x, primitive)
    found = jax.grad(mean)(trainable(weights))
    np.testing.assert_allclose(mean(trainable(weights)), trained_by_hand(weights, x, primitive), rtol=1e-5)
    for place, of in zip("02", expected, strict=True):
        np.testing.assert_allclose(found.nodes[place].values["weight"], of, rtol=1e-4, atol=1e-6)
    assert all(np.abs(of).max() > 1e-3 for of in expected)
    assert np.abs(found.nodes["1"].values["tau"]).max() > 1e-4


def test_the_surrogate_changes_no_spike(random):
    weights = [random.normal(0.5, 0.5, (4, 3)).astype(np.float32), random.normal(size=(2, 4)).astype(np.float32)]
    x = random.uniform(0, 2, (STEPS, BATCH, 3)).astype(np.float32)
    by = lambda chosen: run(trainable(weights), x, 1.0, of=("1", "output"), surrogate=chosen)
    exact, smooth = by(surrogate.arctan()), by(jax.nn.sigmoid)
    for name in exact:
        np.testing.assert_array_equal(exact[name], smooth[name])
    assert set(np.unique(exact["1"])) == {0, 1}


def test_steps_of_an_optimiser_lower_the_loss_of_a_graph(random):
    x = random.uniform(0, 2, (STEPS, BATCH, 3)).astype(np.float32)
    graph = trainable([random.normal(0.5, 0.5, (4, 3)).astype(np.float32), np.ones((2, 4), np.float32)])
    loss = lambda net: ((run(net, x, 1.0)[-1] - 0.1) ** 2).mean()
    labels = jax.tree.map_with_path(lambda path, _: path[-1].key, graph)
    rules = {label: optax.adam(0.03) if label == "weight" else optax.set_to_zero() for label in jax.tree.leaves(labels)}
    optimizer = optax.multi_transform(rules, labels)
    state, losses, step = optimizer.init(graph), [], jax.jit(jax.value_and_grad(loss))
    for _ in range(20):
        value, gradient = step(graph)
        updates, state = optimizer.update(gradient, state)
        graph = optax.apply_updates(graph, updates)
        losses.append(float(value))
    assert losses[-1] < 0.2 * losses[0]
    np.testing.assert_array_equal(graph.nodes["1"].values["tau"], 2.0)
