"""Figures of the experiment on AutoSNN."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from framework import runs
from framework.nas.autosnn import Scores, Space
from framework.nas.autosnn.space import Slot
from framework.runs.reporting import figures

COLOURS = {"skip": "#eef3f7", "SCB": "#f6d9c4", "SRB": "#c9dfee", "SIB": "#d9e8d5"}


def draw_search(run: runs.Run, curves: Mapping[str, np.ndarray], pool: int, best: float | None, lambda_: float) -> None:
    """The best fitness so far against evaluations, `[searches, rounds]` a method."""
    figure = Figure(figsize=(6.4, 4.1), layout="constrained")
    axis = figure.subplots()
    for index, (name, curve) in enumerate(curves.items()):
        used, colour = pool * np.arange(1, curve.shape[1] + 1), figures.PALETTE[index]
        axis.plot(used, curve.mean(0), color=colour, linewidth=1.8, label=name)
        if len(curve) > 1:
            axis.fill_between(used, curve.min(0), curve.max(0), color=colour, alpha=0.18, linewidth=0)
    if best is not None:
        axis.axhline(best, color=figures.MUTED, linewidth=0.9, label="best of all")
    figures.frame(axis, "architectures evaluated", "best fitness so far")
    axis.legend(frameon=False, loc="lower right")
    searches = len(next(iter(curves.values())))
    mean = f"mean over {searches} random keys, and from the worst to the best" if searches > 1 else "one random key"
    caption = f"Best fitness so far at lambda = {lambda_:g} with the first supernet: {mean}."
    run.save_figure("figures/search", figure, caption, runs.no_interval(searches))


def draw_front(run: runs.Run, table: Scores, front: np.ndarray, points: Mapping[float, tuple[float, float]]) -> None:
    """Every architecture's accuracy against its spikes, the front, and what each lambda finds."""
    figure = Figure(figsize=(6.4, 4.3), layout="constrained")
    axis = figure.subplots()
    spikes, accuracy = np.asarray(table.spikes), 100 * np.asarray(table.accuracy)
    size = 5 if len(spikes) > 200 else 30
    axis.scatter(spikes, accuracy, s=size, color=figures.MUTED, alpha=0.35, linewidths=0, label="all architectures")
    axis.step(spikes[front], accuracy[front], where="post", color=figures.INK, linewidth=1.4, label="front")
    _dots(axis, points, "found, lambda")
    figures.frame(axis, "spikes an image", "accuracy on the validation images (%)")
    axis.set_ylim(bottom=np.quantile(accuracy, 0.1))
    axis.legend(fontsize=8.5, loc="lower right", framealpha=0.9, edgecolor="none")
    caption = (
        "The space, scored exactly with the first supernet's weights; of each lambda what the first of its searches "
        "found."
    )
    run.save_figure("figures/front", figure, caption, runs.no_interval(1))


def draw_test_scores(run: runs.Run, trained: Mapping[float, tuple[float, float]]) -> None:
    """Test accuracy against spikes of the networks trained from scratch."""
    figure = Figure(figsize=(6.4, 4.1), layout="constrained")
    axis = figure.subplots()
    _dots(axis, trained, "lambda")
    figures.frame(axis, "spikes an image", "test accuracy (%)")
    axis.margins(0.2)
    axis.legend(frameon=False)
    caption = "Networks found with each lambda and the first supernet, trained from scratch, once each."
    run.save_figure("figures/retrained", figure, caption, runs.no_interval(1))


def _dots(axis, points: Mapping[float, tuple[float, float]], what: str) -> None:
    """A dot a network, (accuracy, spikes) by lambda; where several lambdas found one network it names them all."""
    for index, point in enumerate(dict.fromkeys(points.values())):
        lambdas = ", ".join(f"{lambda_:g}" for lambda_, value in points.items() if value == point)
        colour = figures.PALETTE[index % len(figures.PALETTE)]
        axis.scatter(point[1], 100 * point[0], s=60, color=colour, zorder=3, label=f"{what} {lambdas}")


def draw_architecture(run: runs.Run, space: Space, architectures: Mapping[str, Sequence[int]]) -> None:
    """A row a network: its blocks from left to right."""
    figure = Figure(figsize=(1.25 * len(space.places) + 1.2, 0.95 * len(architectures) + 0.5), layout="constrained")
    axis = figure.subplots()
    for row, (name, architecture) in enumerate(architectures.items()):
        choices = iter(space.block_names(architecture))
        axis.text(-0.6, -row, name, ha="right", va="center", fontsize=10, color=figures.INK)
        for index, block in enumerate(space.places):
            chosen = isinstance(block, Slot)
            label = next(choices) if chosen else block.name
            colour = COLOURS.get(label[:3] if label[:3] in COLOURS else "skip") if chosen else figures.PAPER
            style = "round,pad=0.02,rounding_size=0.08"
            box = FancyBboxPatch((index - 0.43, -row - 0.28), 0.86, 0.56, boxstyle=style, facecolor=colour)
            box.set_edgecolor(figures.INK if chosen else figures.MUTED)
            axis.add_patch(box)
            text = label.replace("_connect", "").replace("_", "\n")
            axis.text(index, -row, text, ha="center", va="center", fontsize=8.5, color=figures.INK)
            if index:
                axis.annotate("", (index - 0.43, -row), (index - 0.57, -row), arrowprops={"arrowstyle": "->"})
    axis.set_xlim(-1.8, len(space.places) - 0.4)
    axis.set_ylim(0.5 - len(architectures), 0.5)
    axis.set_axis_off()
    caption = (
        "The networks found with the first supernet, block by block; filled boxes were chosen. SCB and SRB: spiking "
        "convolution and residual blocks; k: the side of their kernels."
    )
    run.save_figure("figures/architecture", figure, caption)
