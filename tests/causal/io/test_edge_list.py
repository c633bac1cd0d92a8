import jax.numpy as jnp
import numpy as np
import pytest

from framework import causal
from framework.causal.discrete import orientation
from framework.causal.metrics import graph_distance

NAMES = ("a", "b", "c")


def fitted(weights, names=None, direction=orientation.COMPELLED):
    size = weights.shape[-1]
    return causal.Result(
        weights,
        weights != 0,
        weights,
        jnp.where(weights != 0, direction, orientation.NONE),
        jnp.zeros((), jnp.int32),
        jnp.zeros(size),
        jnp.ones(size),
        None,
        names,
    )


def test_a_result_becomes_a_networkx_graph_with_its_names():
    weights = jnp.zeros((3, 3)).at[0, 2].set(-1.5)
    result = fitted(weights, NAMES)
    assert list(causal.to_networkx(result).edges(data="weight")) == [("a", "c", -1.5)]
    assert list(causal.to_networkx(result, ["x", "y", "z"]).nodes) == ["x", "y", "z"]
    with pytest.raises(ValueError, match="3 columns need as many names, each once, got 2"):
        causal.to_networkx(result, ["x", "y"])


def test_edges_have_a_kind_when_compared_with_the_truth():
    weights = jnp.zeros((4, 4)).at[0, 1].set(1.0).at[1, 2].set(2.0).at[0, 3].set(-3.0)
    truth = np.zeros((4, 4), bool)
    truth[[0, 2, 2], [1, 1, 3]] = True
    result = fitted(weights, tuple("abcd"))
    drawn = causal.to_networkx(result, truth=truth)
    kinds = {("a", "b"): "correct", ("b", "c"): "reversed", ("a", "d"): "extra", ("c", "d"): "missing"}
    assert {edge[:2]: edge[2] for edge in drawn.edges(data="kind")} == kinds
    counts = graph_distance.compare(truth, result.graph)
    for kind in kinds.values():
        assert int(counts[kind]) == list(kinds.values()).count(kind)
    assert {edge[2] for edge in causal.to_networkx(result).edges(data="kind")} == {None}
    with pytest.raises(ValueError, match=r"the truth must be \(4, 4\)"):
        causal.to_networkx(result, truth=truth[:3, :3])


def test_names_may_be_an_array_and_must_be_unique():
    weights = jnp.zeros((2, 2)).at[0, 1].set(1.0)
    result = fitted(weights)
    assert list(causal.to_networkx(result, np.array(["x", "y"])).edges) == [("x", "y")]
    with pytest.raises(ValueError, match="each once"):
        causal.to_networkx(result, ["x", "x"])


def test_an_open_edge_is_neither_correct_nor_reversed():
    """a - b is open and adjacent in truth, c - d is open and not."""
    weights = jnp.zeros((4, 4)).at[0, 1].set(1.0).at[2, 3].set(2.0)
    result = fitted(weights, tuple("abcd"), orientation.OPEN)
    truth = np.zeros((4, 4), bool)
    truth[1, 0] = True
    drawn = causal.to_networkx(result, truth=truth)
    assert {edge[:2]: edge[2] for edge in drawn.edges(data="kind")} == {("a", "b"): "open", ("c", "d"): "extra"}
    assert {edge[2] for edge in drawn.edges(data="direction")} == {"open"}


def test_edges_are_listed_by_weight_with_their_directions():
    result = fitted(jnp.zeros((3, 3)).at[0, 1].set(0.5).at[2, 1].set(-2.0), NAMES)
    assert causal.edges(result) == [("c", "b", "compelled", -2.0), ("a", "b", "compelled", 0.5)]
    with pytest.raises(ValueError, match="one result are listed at a time"):
        causal.edges(fitted(jnp.zeros((2, 3, 3))))


def test_text_has_no_arrow_for_open_directions():
    weights = jnp.zeros((3, 3)).at[0, 1].set(0.5)
    lines = str(fitted(weights, NAMES)).splitlines()
    assert lines == ["1 edge between 3 columns", "a -> b  0.5  compelled"]
    assert str(fitted(weights, NAMES, orientation.OPEN)).splitlines()[1] == "a - b  0.5  open"
    many = str(fitted(jnp.triu(jnp.ones((12, 12)), 1)))
    assert many.splitlines()[-1] == "and 26 more"
    assert str(fitted(jnp.zeros((2, 3, 3)))).startswith("Result(")
