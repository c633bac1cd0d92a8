import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.nir.graph import (
    Graph,
    Node,
    graph,
    node,
)
from framework.snn.nir.primitives import check_node


def net():
    """Nodes with all kinds of fields, names out of the order of the alphabet, and a graph within."""
    ones = np.ones(3, np.float32)
    inner = graph((3,), {"if": node("IF", r=ones, v_threshold=ones)}, (3,))
    conv = node("Conv1d", weight=np.ones((3, 1, 2)), stride=1, padding="same", dilation=1, groups=1, input_shape=5)
    nodes = {"z": conv, "a": node("Delay", delay=ones), "inner": inner}
    return Graph({"input": node("Input", shape=(1, 5)), **nodes, "output": node("Output", shape=3)}, ())


def test_parameters_are_leaves_and_structure_is_static():
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(net())]
    fields = ["['z']['weight']", "['z']['bias']"]
    assert sorted(names) == sorted(fields + [f"['inner']['if']['{name}']" for name in ("r", "v_threshold", "v_reset")])
    assert jax.tree.structure(net()) == jax.tree.structure(net())
    other = net()
    other.nodes["z"].values["stride"] = np.array(2)
    assert jax.tree.structure(net()) != jax.tree.structure(other)
    hash(jax.tree.structure(net()))


def test_tree_map_preserves_order_types_and_structure():
    doubled = jax.tree.map(lambda leaf: 2 * leaf, net())
    assert list(doubled.nodes) == list(net().nodes)
    assert list(doubled.nodes["z"].values) == list(net().nodes["z"].values)
    for name, value in net().nodes["z"].values.items():
        result = doubled.nodes["z"].values[name]
        if name in ("weight", "bias"):
            np.testing.assert_array_equal(result, 2 * value)
        else:
            assert np.asarray(result).dtype == np.asarray(value).dtype
            np.testing.assert_array_equal(result, value)
    np.testing.assert_array_equal(doubled.nodes["inner"].nodes["if"].values["r"], 2)


def test_a_graph_goes_through_jit():
    assert jax.jit(lambda nir_node: nir_node.nodes["z"].values["weight"].sum())(net()) == 6


ONES = {name: np.ones(2) for name in ("tau", "r", "v_leak")}


@pytest.mark.parametrize(
    ("nir_node", "message"),
    [
        (
            Node("LI", ONES | {"v_leak": np.array([0, np.inf])}),
            "node 'n': LI: v_leak must be finite numbers in an array",
        ),
        (Node("LI", ONES | {"tau": [1.0, 2.0]}), "node 'n': LI: tau must be finite numbers in an array"),
        (Node("LI", ONES | {"tau": np.array([1, -1])}), "node 'n': LI: tau must be positive"),
        (Node("LI", ONES | {"v": np.ones(2)}), "node 'n': LI has no field 'v'"),
        (Node("LI", {"tau": np.ones(2)}), "node 'n': LI lacks its field 'r'"),
        (Node("LI", ONES | {"r": np.ones(2, complex)}), "node 'n': LI: r must be finite numbers"),
    ],
)
def test_a_node_made_by_hand_is_checked_as_any(nir_node, message):
    with pytest.raises(ValueError, match=message):
        check_node("n", nir_node)
    with pytest.raises(ValueError, match=message):
        graph((2,), {"n": nir_node}, (2,))


def test_padding_below_zero_is_refused():
    with pytest.raises(ValueError, match="SumPool2d: padding must be at least 0"):
        node("SumPool2d", kernel_size=2, stride=2, padding=-1)


def test_short_floats_and_traced_numbers_pass():
    check_node("n", node("Scale", scale=jnp.ones(2, jnp.bfloat16)))
    assert jax.jit(lambda scale: node("Scale", scale=scale).values["scale"])(jnp.ones(2)).tolist() == [1, 1]
