import numpy as np
import pytest

from framework.snn.nir.graph import (
    Node,
    graph,
    node,
)
from framework.snn.nir.interpreter import run
from tests.snn.nir.test_interpreter import BATCH, STEPS, chain, random_node


@pytest.mark.parametrize(
    ("shapes", "nir_node", "message"),
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
def test_a_node_that_cannot_take_its_input_is_named(shapes, nir_node, message):
    net, inputs = chain(shapes, nir_node), np.ones((2, BATCH, *shapes[0]), np.float32)
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
        ({"in": np.ones((2, 1, 4))}, {}, "has the Inputs input; got inputs for in"),
        (np.ones((2, 1, 4)), {"dt": 0.0}, "dt must be above 0"),
        (np.ones((2, 1, 4)), {"dt": np.inf}, "dt must be above 0 and finite, got inf"),
        (np.ones((2, 1, 4)), {"dt": "1"}, "dt must be one plain number, got str"),
        (np.ones((2, 1, 4)), {"dt": np.ones(2)}, "dt must be one plain number, got ndarray"),
        (1j * np.ones((2, 1, 4)), {}, "Input 'input' takes real numbers, got complex"),
        (np.full((2, 1, 4), np.nan), {}, "Input 'input' takes finite numbers, got NaN or infinity"),
        (np.ones((2, 1, 4)), {"outputs": ("1",)}, "no node '1': take one of input, 0, output"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        run(chain(((4,), (4,)), node("I", r=np.ones(4))), inputs, **options)


def test_unconnected_nodes_and_unequal_shapes_are_named():
    nodes = {"a": node("Scale", scale=np.ones(2)), "b": node("Linear", weight=np.ones((3, 2)))}
    with pytest.raises(ValueError, match=r"node 'b' \(Linear\) is not connected"):
        run(graph((2,), nodes, (2,), [("input", "a"), ("a", "output")]), np.ones((1, 1, 2)))
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
    with pytest.raises(ValueError, match=r"node 'output' \(Output\) has inputs of several shapes, \(2,\), \(3,\)"):
        run(graph((2,), nodes, (2,), edges), np.ones((1, 1, 2)))


BATCHED = [((1, 4), (1, 3)), ((1, 4), (1, 1, 3)), ((1, 60, 4), (1, 60, 3)), ((1, 4), (3,))]


@pytest.mark.parametrize("shapes", BATCHED)
def test_sample_axes_of_an_input_follow_the_next_node(random, shapes):
    """As norse and rockpool write them."""
    nodes = node("Linear", weight=random.normal(size=(3, 4))), random_node(random, "LIF", (3,))
    x = random.uniform(0, 3, (STEPS, BATCH, 4)).astype(np.float32)
    expected = run(chain(((4,), (3,)), *nodes), x, 1.0)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(run(chain(shapes, *nodes), x, 1.0), expected)
    with pytest.raises(ValueError, match=r"Input 'input' takes \[T, B, 4\], T >= 1, got \(8, 3, 5\)"):
        run(chain(shapes, *nodes), x[..., [0, 0, 0, 0, 0]], 1.0)


def test_sample_axes_in_a_flatten_and_in_nested_graphs(random):
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
    ("shapes", "nir_node", "message"),
    [
        (((4,), (2, 4)), node("Scale", scale=np.ones(4)), r"'output' \(Output\) cannot take \(4,\): it takes \(2, 4\)"),
        (((2, 4), (2, 4)), node("Scale", scale=1.0), r"takes \[T, B, 2, 4\], T >= 1, got \(2, 3, 4\)"),
        (((4,), (4,)), node("Flatten", start_dim=0, end_dim=-1, input_type=(2, 2)), r"it takes \(2, 2\)"),
    ],
)
def test_axes_that_are_no_batch_are_refused(shapes, nir_node, message):
    with pytest.raises(ValueError, match=message):
        run(chain(shapes, nir_node), np.ones((2, BATCH, 4), np.float32))


def test_a_convolution_is_given_images_of_the_size_in_its_file():
    nir_node = {"weight": np.ones((1, 1, 2, 2)), "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    x = np.ones((2, BATCH, 1, 4, 4), np.float32)
    assert run(chain(((1, 4, 4), (1, 3, 3)), node("Conv2d", input_shape=(4, 4), **nir_node)), x).shape == (
        2,
        BATCH,
        1,
        3,
        3,
    )
    with pytest.raises(ValueError, match=r"node '0' \(Conv2d\) cannot take \(1, 4, 4\): it takes \(1, 5, 4\)"):
        run(chain(((1, 4, 4), (1, 3, 3)), node("Conv2d", input_shape=(5, 4), **nir_node)), x)


TIMED = {"LI": "tau", "LIF": "tau", "CubaLI": "tau_syn", "CubaLIF": "tau_mem"}


@pytest.mark.parametrize(("type", "field"), TIMED.items())
def test_dt_above_a_time_constant_is_refused_with_the_node(random, type, field):
    nir_node = random_node(random, type, (3,))
    nir_node.values[field][1] = 0.25
    net, x = chain(((3,), (3,)), nir_node), np.ones((STEPS, BATCH, 3), np.float32)
    assert np.isfinite(run(net, x, 0.25)).all()
    with pytest.raises(ValueError, match=rf"node '0' \({type}\): {field} is 0.25, and dt = 0.26 is longer"):
        run(net, x, 0.26)
    with pytest.raises(ValueError, match=rf"dt is missing: node '0' \({type}\) has tau\w* = .*at most the shortest"):
        run(net, x)


def test_a_time_constant_rounded_below_dt_passes(random):
    nir_node = random_node(random, "LIF", (3,))
    nir_node.values["tau"] = np.full(3, 1e-3 * (1 - 3e-7), np.float32)
    net, x = chain(((3,), (3,)), nir_node), np.ones((STEPS, BATCH, 3), np.float32)
    assert np.isfinite(run(net, x, 1e-3)).all()
    with pytest.raises(ValueError, match=r"tau is 0\.001, and dt = 0\.0011 is longer"):
        run(net, x, 1.1e-3)


def test_dt_is_required_only_for_graphs_with_times():
    x = np.ones((2, 1, 4), np.float32)
    with pytest.raises(ValueError, match=r"dt is missing: node '0' \(Delay\) has delay = 2"):
        run(chain(((4,), (4,)), node("Delay", delay=[2.0])), x)
    assert run(chain(((4,), (4,)), node("I", r=np.ones(4))), x)[:, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("dt", [0.1, 1e-3, 3e-5])
def test_a_time_constant_of_one_step_passes_in_any_rounding(dt):
    ones = np.ones(3, np.float32)
    nir_node = node("LI", tau=ones * np.float32(dt), r=ones, v_leak=0 * ones)
    np.testing.assert_allclose(run(chain(((3,), (3,)), nir_node), np.ones((2, 1, 3), np.float32), dt), 1, rtol=1e-5)


def test_a_neuron_of_r_1_in_steps_of_another_length_is_warned_of():
    net, x = chain(((1,), (1,)), node("IF", r=[1.0], v_threshold=[1.0])), np.ones((2, 1, 1), np.float32)
    with pytest.warns(UserWarning, match=r"node '0' \(IF\) has r = 1, so that a step of dt = 0.001 adds 0.001 times"):
        assert not run(net, x, 1e-3).any()


def test_numbers_that_are_not_finite_are_refused_with_the_node():
    ones = np.ones(3)
    nir_node = Node("LI", {"tau": ones, "r": np.array([1, np.nan, 1]), "v_leak": ones})
    with pytest.raises(ValueError, match="node '0': LI: r must be finite numbers"):
        run(chain(((3,), (3,)), nir_node), np.ones((2, 1, 3), np.float32), 0.5)
