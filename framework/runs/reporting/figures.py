"""Pictures that several experiments draw: matrices side by side, a graph, bars with their spread.

Figures are drawn without pyplot, so that nothing is shared between runs and no window opens.
"""

import io
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from framework.runs.reporting.report import CAPTION

INK, MUTED, PAPER, GRID = "#1d2733", "#6b7785", "#ffffff", "#dde3e9"
PALETTE = ("#2a6f97", "#e07a3f", "#5b8e55", "#a05195", "#b8860b", "#7a7a7a")


def to_png(figure: Figure, caption: str = "") -> bytes:
    """The figure as a PNG, 144 dots an inch, with its caption inside."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, bbox_inches="tight", facecolor=PAPER, metadata={CAPTION: caption})
    return buffer.getvalue()


def remark(figure: Figure, words: str) -> None:
    """Writes words below all that a figure shows."""
    figure.text(0.5, -0.1 / figure.get_figheight(), plain(words), ha="center", va="top", fontsize=9, color=MUTED)


def plain(name: object) -> str:
    """A name as it is: matplotlib reads formulas between dollar signs."""
    return str(name).replace("$", r"\$")


def frame(axis: Axes, xlabel: str = "", ylabel: str = "", *, grid: Literal["x", "y", "both", ""] = "y") -> None:
    """An axis open above and to the right, with its labels, if any, and grid lines behind what it shows."""
    for label, put in ((xlabel, axis.set_xlabel), (ylabel, axis.set_ylabel)):
        if label:
            put(label, color=INK)
    axis.spines[["top", "right"]].set_visible(False)
    if grid:
        axis.grid(axis=grid, color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)


def matrices(panels: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Square matrices side by side, on one symmetric colour scale.

    Args:
      panels: title to matrix, `[d, d]`.
      names: one a row and column.
    """
    figure = Figure(figsize=(3.4 * len(panels) + 0.6, 3.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    top = max(max(float(np.abs(matrix).max()) for matrix in panels.values()), 1e-9)
    for axis, (title, matrix) in zip(axes, panels.items(), strict=True):
        image = axis.imshow(matrix, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -top, top))
        axis.set_title(title, fontsize=11, color=INK)
        labels = [plain(name) if len(names) <= 30 else "" for name in names]
        axis.set_xticks(range(len(names)), labels, rotation=90, fontsize=8)
        axis.set_yticks(range(len(names)), labels if axis is axes[0] else [""] * len(names), fontsize=8)
        axis.tick_params(length=0)
        axis.spines[:].set_color(MUTED)
    axes[0].set_ylabel("from", color=MUTED)
    figure.supxlabel("to", color=MUTED, fontsize=10)
    figure.colorbar(image, ax=list(axes), shrink=0.75, label="weight")
    return figure


def graph(
    drawn: nx.DiGraph,
    title: str,
    kinds: Mapping[str, tuple[str, str]],
    widths: Mapping[tuple, float] | None = None,
    undirected: Collection[tuple] = (),
) -> Figure:
    """A directed graph, layer by layer from causes to effects.

    Args:
      drawn: the graph; each edge may have an attribute `kind`.
      title: over the picture.
      kinds: kind to (colour, line style), in the order of the legend.
      widths: edge to a number in [0, 1] that sets its width; thin where none is given.
      undirected: edges that are drawn without an arrowhead.
    """
    places = _layers(drawn)
    width, height = np.ptp(np.array(list(places.values())), axis=0) if len(places) else (0, 0)
    figure = Figure(
        figsize=(max(8.5, width + 2), max(6.2, height + 2)), layout="constrained"
    )  # an inch a unit, or more
    axis = figure.subplots()
    size = 1500 if len(drawn) <= 20 else 500
    nx.draw_networkx_nodes(drawn, places, ax=axis, node_size=size, node_color="#eef3f7", edgecolors=INK, linewidths=1.2)
    nx.draw_networkx_labels(
        drawn,
        places,
        {node: plain(node) for node in drawn},
        ax=axis,
        font_size=10 if len(drawn) <= 20 else 7,
        font_color=INK,
    )
    for (kind, (colour, style)), headless in itertools.product(kinds.items(), (False, True)):
        edges = [(a, b) for a, b, edge_kind in drawn.edges(data="kind") if edge_kind == kind]
        edges = [edge for edge in edges if (edge in undirected) == headless]
        nx.draw_networkx_edges(
            drawn,
            places,
            edgelist=edges,
            ax=axis,
            edge_color=colour,
            style=style,
            width=[0.8 + 2.6 * (widths or {}).get(edge, 0.2) for edge in edges],
            node_size=size,
            arrowsize=16,
            arrowstyle="-" if headless else "-|>",
            connectionstyle="arc3,rad=0.12",
        )
    present = {edge_kind for *_, edge_kind in drawn.edges(data="kind")}
    handles = [
        Line2D([], [], color=colour, linestyle=style, label=kind)
        for kind, (colour, style) in kinds.items()
        if kind in present
    ]
    if handles:
        axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(handles), frameon=False)
    axis.set_title(title, fontsize=12, color=INK)
    axis.margins(0.12)
    axis.set_axis_off()
    return figure


def bars(values: Mapping[str, tuple[float, float]], ylabel: str, points: Mapping[str, Sequence[float]]) -> Figure:
    """One bar a method with its standard error, and the single measurements as points on it.

    Args:
      values: method to (mean, standard error), the latter 0 where there is none: no error bar is drawn.
      ylabel: the measure with its unit.
      points: method to single measurements.
    """
    figure = Figure(figsize=(min(1.35 * len(values), 0.7 * len(values) + 4) + 1.6, 3.9), layout="constrained")
    axis = figure.subplots()
    for position, (name, (mean, error)) in enumerate(values.items()):
        axis.bar(position, mean, width=0.66, color=PALETTE[position % len(PALETTE)], alpha=0.85)
        if error > 0:
            axis.errorbar(position, mean, yerr=error, color=INK, capsize=4, linewidth=1.4)
        single = points.get(name, ())
        spread = np.linspace(-0.18, 0.18, len(single)) if len(single) > 1 else [0.0] * len(single)
        axis.scatter(position + np.asarray(spread), single, s=13, color=INK, alpha=0.45, zorder=3, linewidths=0)
    apart = "\n" if len(values) > 6 else " "  # many names stand one word a line
    axis.set_xticks(range(len(values)), [name.replace("_", apart) for name in values], fontsize=10)
    axis.set_ylim(bottom=0)
    frame(axis, ylabel=ylabel)
    return figure


def lines(
    places: Sequence[float], values: Mapping[str, Sequence[tuple[float, float]]], xlabel: str, ylabel: str
) -> Figure:
    """One line a method over common places, with a band of one standard error.

    Args:
      places: where along the x axis.
      values: method to one (mean, standard error) a place.
      xlabel, ylabel: the axes with their units.
    """
    figure = Figure(figsize=(6.4, 4.1), layout="constrained")
    axis = figure.subplots()
    for position, (name, points) in enumerate(values.items()):
        mean, error = np.array(points, float).T
        colour = PALETTE[position % len(PALETTE)]
        axis.plot(places, mean, marker="o", color=colour, linewidth=1.8, markersize=5, label=plain(name))
        axis.fill_between(places, mean - error, mean + error, color=colour, alpha=0.18, linewidth=0)
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
    frame(axis, xlabel, ylabel)
    return figure


def panels(values: Mapping[str, Mapping[str, Mapping[float | str, Sequence[float]]]], xlabel: str) -> Figure:
    """A panel a measure: single measurements as points, a line a method through their means.

    Args:
      values: measure to method to place along the x axis to measurements; a method may be "".
      xlabel: the axis of the places, which are numbers or names.
    """
    methods = list(dict.fromkeys(method for series in values.values() for method in series))
    xs = list(dict.fromkeys(x for series in values.values() for line in series.values() for x in line))
    numeric = not any(isinstance(x, str) for x in xs)
    at = {x: x if numeric else position for position, x in enumerate(xs)}
    columns = min(3, len(values))
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(4.1 * columns + 0.6, 3.1 * rows + 0.4), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns))
    for axis in axes[len(values) :]:
        axis.set_axis_off()
    for axis, (measure, series) in zip(axes, values.items(), strict=False):
        for method, line in series.items():
            colour = PALETTE[methods.index(method) % len(PALETTE)]
            means = sorted((at[x], float(np.mean(single))) for x, single in line.items())
            axis.plot(*zip(*means, strict=True), color=colour, linewidth=1.6)
            dots = [(at[x], value) for x, single in line.items() for value in single]
            axis.scatter(*zip(*dots, strict=True), s=16, color=colour, alpha=0.6, linewidths=0)
        if not numeric:
            axis.set_xticks(range(len(xs)), [plain(x) for x in xs], fontsize=9)
        axis.set_title(plain(measure), fontsize=10, color=INK)
        frame(axis)
    figure.supxlabel(plain(xlabel), fontsize=10, color=INK)
    if methods != [""]:
        colours = [PALETTE[x % len(PALETTE)] for x in range(len(methods))]
        handles = [Line2D([], [], color=c, label=plain(m)) for c, m in zip(colours, methods, strict=True)]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(methods), 5), frameon=False)
    return figure


def grouped_bars(values: Mapping[str, Mapping[str, tuple[float, float] | None]], ylabel: str) -> Figure:
    """Groups of bars: one bar a method, with its standard error and its number above.

    Args:
      values: group to method to (mean, standard error), the latter 0 where there is none; None leaves a gap.
      ylabel: the measure with its unit.
    """
    methods = list(dict.fromkeys(name for group in values.values() for name in group))
    width = 0.84 / max(len(methods), 1)
    figure = Figure(figsize=(max(5.5, 0.38 * len(values) * (len(methods) + 0.6) + 1.2), 4.1), layout="constrained")
    axis = figure.subplots()
    for position, name in enumerate(methods):
        shift = width * (position - (len(methods) - 1) / 2)
        heights = [(x + shift, *group[name]) for x, group in enumerate(values.values()) if group.get(name) is not None]
        xs, means, errors = np.array(heights, float).reshape(-1, 3).T
        label = plain(name).replace("_", " ")
        axis.bar(xs, means, width=0.92 * width, color=PALETTE[position % len(PALETTE)], alpha=0.85, label=label)
        spread = errors > 0
        axis.errorbar(xs[spread], means[spread], errors[spread], fmt="none", color=INK, capsize=2.5, linewidth=1.1)
        for x, mean, top in zip(xs, means, means + errors, strict=True):
            above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "va": "bottom"}
            axis.annotate(f"{mean:.3g}", (x, top), fontsize=7.5, color=INK, **above)
    axis.set_xticks(range(len(values)), [plain(name).replace("_", " ") for name in values], fontsize=10)
    axis.margins(y=0.1)
    axis.set_ylim(bottom=0)
    frame(axis, ylabel=ylabel)
    if methods:
        figure.legend(loc="outside upper center", ncols=len(methods), frameon=False, fontsize=9.5)
    return figure


def _layers(drawn: nx.DiGraph) -> dict:
    """Places by topological generation of the edges that are part of the result; a circle where those hold a cycle."""
    solid = nx.DiGraph()
    solid.add_nodes_from(drawn)
    solid.add_edges_from((a, b) for a, b, kind in drawn.edges(data="kind") if kind != "missing")
    joined = [node for node in solid if drawn.degree(node)]
    if len(joined) < 3 or not nx.is_directed_acyclic_graph(solid):
        return nx.circular_layout(drawn)
    places = {}
    for depth, generation in enumerate(nx.topological_generations(solid)):
        above = {node: [places[cause][0] for cause in solid.predecessors(node)] for node in generation}
        ordered = sorted(generation, key=lambda node: np.mean(above[node]) if above[node] else 0.0)
        for position, node in enumerate(ordered):
            offset = 0.16 * (-1) ** position * (len(ordered) > 2)  # so that no edge runs along its layer
            places[node] = np.array(
                [1.3 * (position - (len(ordered) - 1) / 2) + 0.3 * (depth % 2), -1.1 * depth + offset]
            )
    return places
