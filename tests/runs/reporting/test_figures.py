import io

import networkx as nx
import numpy as np
import pytest
from PIL import Image

from framework.runs.reporting import figures

KINDS = {"found": ("#2a6f97", "solid"), "missing": ("#9aa5b1", "dotted")}


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(figures.to_png(figure))).convert("RGB")).reshape(-1, 3)


def has(figure, colour, tolerance=6):
    expected = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels(figure).astype(int) - expected) <= tolerance).all(1).sum() > 20)


def drawn(*edges):
    graph = nx.DiGraph()
    graph.add_nodes_from("abcd")
    graph.add_edges_from((a, b, {"kind": kind}) for a, b, kind in edges)
    return graph


def test_edges_have_the_colour_of_their_kind():
    figure = figures.graph(drawn(("a", "b", "found"), ("b", "c", "found"), ("a", "d", "missing")), "t", KINDS)
    assert has(figure, KINDS["found"][0])
    assert has(figure, KINDS["missing"][0])
    assert not has(figures.graph(drawn(("a", "b", "found"), ("b", "c", "found")), "t", KINDS), KINDS["missing"][0])


def test_effects_stand_below_their_causes():
    places = figures._layers(drawn(("a", "b", "found"), ("b", "c", "found"), ("d", "a", "missing")))
    assert places["a"][1] > places["b"][1] > places["c"][1]


def test_no_two_nodes_of_a_layered_drawing_share_a_place():
    graph = nx.DiGraph((i, j, {"kind": "found"}) for i in range(12) for j in range(i + 1, 12) if (i * j) % 3 == 0)
    places = np.array(list(figures._layers(graph).values()))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(len(places))
    assert distances.min() > 0.25


def test_a_remark_is_drawn_below_the_figure():
    plain, remarked = (figures.bars({"a": (1.0, 0.0)}, "SHD", {}) for _ in range(2))
    figures.remark(remarked, "one $seed$, no interval")
    shape = lambda figure: Image.open(io.BytesIO(figures.to_png(figure))).size
    assert shape(remarked)[1] > shape(plain)[1]


def test_bars_without_a_spread_have_no_error_bar():
    kinds = lambda error: [type(item).__name__ for item in bars_axis(error).containers]
    assert kinds(0.0) == ["BarContainer"]
    assert kinds(0.1) == ["BarContainer", "ErrorbarContainer"]


def bars_axis(error):
    return figures.bars({"a": (1.0, error)}, "SHD", {}).axes[0]


@pytest.mark.parametrize("edges", [(), (("a", "b", "found"), ("b", "a", "found"))])
def test_graphs_without_layers_are_drawn_on_a_circle(edges):
    assert len(pixels(figures.graph(drawn(*edges), "t", KINDS)))


def test_a_positive_and_a_negative_weight_have_opposite_colours():
    observed = pixels(figures.matrices({"m": np.array([[0.0, 1.0], [-1.0, 0.0]])}, "ab")).astype(int)
    assert (observed[:, 0] - observed[:, 2] > 60).sum() > 100
    assert (observed[:, 2] - observed[:, 0] > 60).sum() > 100


def test_a_matrix_of_zeros_is_drawn():
    assert len(pixels(figures.matrices({"m": np.zeros((3, 3)), "n": np.zeros((3, 3))}, "abc")))


GROUPS = {"one": {"left_out": None, "seen": (1.0, 0.2)}, "two": {"left_out": (2.0, 0.0), "seen": (0.5, 0.0)}}


def test_each_method_has_its_colour_in_every_group():
    axis = figures.grouped_bars(GROUPS, "share").axes[0]
    left_out, observed = (list(bars) for bars in axis.containers if hasattr(bars, "patches"))
    assert [bar.get_height() for bar in left_out] == [2.0]
    assert [bar.get_height() for bar in observed] == [1.0, 0.5]
    assert len({bar.get_facecolor() for bar in observed}) == 1
    assert left_out[0].get_facecolor() != observed[0].get_facecolor()
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in (*left_out, *observed)] == [1, 0, 1]
    assert left_out[0].get_x() + left_out[0].get_width() < observed[1].get_x()


def test_bars_in_groups_are_named_and_numbered():
    figure = figures.grouped_bars(GROUPS, "share")
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["one", "two"]
    assert sorted(text.get_text() for text in axis.texts) == ["0.5", "1", "2"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["left out", "seen"]
    assert has(figure, figures.INK)


@pytest.mark.parametrize("values", [{}, {"one": {}}, {"one": {"a": None}}])
def test_groups_without_a_bar_are_drawn(values):
    assert len(pixels(figures.grouped_bars(values, "share")))


@pytest.mark.parametrize("name", ["$x_{1$", "$", "a $ b $"])
def test_names_are_shown_as_they_are_and_read_as_no_formula(name):
    graph = nx.DiGraph([(name, "b", {"kind": "found"}), ("b", "c", {"kind": "found"})])
    assert len(pixels(figures.graph(graph, "t", KINDS)))
    assert len(pixels(figures.matrices({"m": np.eye(2)}, [name, "b"])))


def test_lines_carry_their_means_and_bands():
    figure = figures.lines([0.2, 0.8], {"one": [(3.0, 1.0), (1.0, 0.5)], "two": [(2.0, 0.0), (2.0, 0.0)]}, "x", "SHD")
    axis = figure.axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[3.0, 1.0], [2.0, 2.0]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["one", "two"]
    band = axis.collections[0].get_paths()[0].vertices
    assert {2.0, 4.0, 0.5, 1.5} <= set(band[:, 1])


def test_names_of_many_bars_stand_one_word_a_line():
    few, many = (figures.bars({f"arm_{i}": (1.0, 0.1) for i in range(n)}, "SHD", {}) for n in (3, 9))
    assert few.axes[0].get_xticklabels()[0].get_text() == "arm 0"
    assert many.axes[0].get_xticklabels()[0].get_text() == "arm\n0"
    assert many.get_figwidth() < 3 * few.get_figwidth()


@pytest.mark.parametrize("places", [(0, 0.5), ("er", "None")])
def test_panels_draw_every_measurement(places):
    line = {index: [3.0 * number, 3.0 * number + 2] for number, index in enumerate(places)}
    axis = figures.panels({"shd": {"a": line, "b": line}}, "weight").axes[0]
    assert [list(drawn.get_ydata()) for drawn in axis.get_lines()] == [[1.0, 4.0]] * 2
    assert sorted(axis.collections[0].get_offsets()[:, 1]) == [0.0, 2.0, 3.0, 5.0]
