"""Figures of the experiment on AdvRush: cells, loss surfaces, accuracy under attack."""

from typing import Any

import networkx as nx
import numpy as np
from matplotlib.figure import Figure

from experiments.parts.shared.intervals import bars, standard_error
from framework import runs
from framework.nas import darts
from framework.nas.darts import Genotype
from framework.runs.reporting import figures

COLOURS = {"darts": figures.PALETTE[0], "advrush": figures.PALETTE[1]}
KINDS = {"adversarial": "adversarial", "trades": "TRADES", "standard": "standard"}  # trainings, in captions
SHORT = {"skip_connect": "skip", "max_pool_3x3": "max pool", "avg_pool_3x3": "mean pool"}


def draw_cells(run: runs.Run, genotypes: dict[str, Genotype]) -> None:
    """Both cells of each method."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    axes = figure.subplots(len(genotypes), 2, squeeze=False)
    for row, (method, genotype) in zip(axes, genotypes.items(), strict=True):
        for axis, cell in zip(row, ("normal", "reduce"), strict=True):
            _cell(
                axis, darts.to_networkx(getattr(genotype, cell), getattr(genotype, f"{cell}_concat")), COLOURS[method]
            )
            axis.set_title(
                f"{method}: {'reduction' if cell == 'reduce' else cell} cell", color=figures.INK, fontsize=11
            )
    caption = (
        "Cells found with the first seed. sep, dil: separable and dilated convolutions; grey: joined to the output."
    )
    run.save_figure("figures/cells", figure, caption)


def _cell(axis, graph: nx.MultiDiGraph, colour: str) -> None:
    places = {"c_{k-2}": (0, 1.2), "c_{k-1}": (0, -1.2), "c_{k}": (5.2, 0)}
    places |= {str(i): (1 + i, (0.9, -0.9, 0.45, -0.45)[i]) for i in range(4)}
    names = {node: f"${node}$" if node.startswith("c") else node for node in graph}
    fill = {"ax": axis, "node_size": 620, "node_color": "#eef3f7", "edgecolors": figures.INK}
    nx.draw_networkx_nodes(graph, places, **fill)
    nx.draw_networkx_labels(graph, places, names, ax=axis, font_size=9)
    for start, end, operation in graph.edges(data="operation"):
        bend = 0.18 if (places[start][1] > places[end][1]) == (operation != "") else -0.12
        style = {"ax": axis, "edge_color": colour if operation else figures.MUTED, "node_size": 620, "arrowsize": 9}
        nx.draw_networkx_edges(
            graph, places, [(start, end)], connectionstyle=f"arc3,rad={bend}", width=1.4 if operation else 0.7, **style
        )
        if operation:
            (x0, y0), (x1, y1) = places[start], places[end]
            at = 0.36 if start == "c_{k-1}" else 0.5  # apart from the words on edges that cross it
            off = 2 * at * (1 - at) * bend
            middle = x0 + at * (x1 - x0) + off * (y1 - y0), y0 + at * (y1 - y0) - off * (x1 - x0)
            text = SHORT.get(operation, operation.replace("_conv_", " "))
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
            axis.text(*middle, text, fontsize=7, ha="center", va="center", color=figures.INK, bbox=box)
    axis.margins(0.08)
    axis.set_axis_off()


def draw_surface(run: runs.Run, landscapes: dict[str, dict[str, Any]]) -> None:
    """The loss around the first test image."""
    figure = Figure(figsize=(4.2 * len(landscapes) + 0.8, 3.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(landscapes)))
    top = max(float(landscape["surface"].max()) for landscape in landscapes.values())
    for axis, (method, landscape) in zip(axes, landscapes.items(), strict=True):
        shown = axis.contourf(
            landscape["steps"],
            landscape["steps"],
            landscape["surface"],
            np.linspace(0, top + 1e-9, 15),
            cmap="viridis",
        )
        axis.set_title(f"{method}: mean top eigenvalue {landscape['eigenvalue']:.3g}", fontsize=11, color=figures.INK)
        axis.set_xlabel("along random signs", color=figures.INK)
    axes[0].set_ylabel("along the signs of the gradient", color=figures.INK)
    figure.colorbar(shown, ax=list(axes), shrink=0.85, label="loss", format="%.1f")
    caption = (
        "The loss around the first test image, after training, first seed; steps in units of the pixels' range. Top "
    )
    caption += "eigenvalue: of the Hessian in the image, over some images."
    run.save_figure("figures/surface", figure, caption, runs.no_interval(1))


def draw_robustness(run: runs.Run, robustness: dict[tuple[str, int], dict[str, float]], kind: str) -> None:
    """Accuracy under each attack after a kind of training, with standard errors where there are seeds enough."""
    names, seeds = list(next(iter(robustness.values()))), len({seed for _, seed in robustness})
    values = {}
    for name in names:
        values[name] = {}
        for method in COLOURS:
            accuracies = 100 * np.array(
                [scores[name] for (seed_method, _), scores in robustness.items() if seed_method == method]
            )
            values[name][method] = (float(accuracies.mean()), standard_error(accuracies))
    figure = figures.grouped_bars(values, "accuracy (%)")
    clean = "clean and under attack" if "clean" in names else "under attack"
    caption = f"Accuracy of the networks found, after {KINDS[kind]} training, {clean}.{bars(seeds)}"
    run.save_figure("figures/robustness", figure, caption, runs.no_interval(seeds))
