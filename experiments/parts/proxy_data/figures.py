"""Figures of the experiment on proxy data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.parts.shared.intervals import bars, standard_error
from framework import runs
from framework.runs.reporting import figures


def draw_histograms(
    run: runs.Run, histograms: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], fraction: float
) -> None:
    """Heights of the log-entropy bins, and how many of each bin P1 takes; set -> (edges, heights, taken)."""
    figure = Figure(figsize=(5.2 * len(histograms), 3.9), layout="constrained")
    for axis, (name, (edges, heights, taken)) in zip(
        np.atleast_1d(figure.subplots(1, len(histograms))), histograms.items(), strict=True
    ):
        width = np.diff(edges)
        axis.bar(edges[:-1], heights, width, align="edge", color=figures.PALETTE[0], alpha=0.35, label="all images")
        label = f"P1, {100 * fraction:.0f} %"
        axis.bar(edges[:-1], taken, width, align="edge", color=figures.PALETTE[1], alpha=0.9, label=label)
        axis.set_yscale("log")
        axis.set_title(name, fontsize=11, color=figures.INK)
        figures.frame(axis, "log10 of the entropy (nats)", "images", grid="")
        axis.legend(frameon=False)
    caption = "Images by the entropy that a base network gives them, and those of them that P1 takes; first seed."
    run.save_figure("figures/histograms", figure, caption)


def draw_ranks(run: runs.Run, numbers: Mapping[str, Any], against: str, architectures: int, seeds: int) -> None:
    """Kendall's tau, with its bootstrap interval where there is one, a way to train a row; see `_proxy_ranks.taus`."""
    taus, between = numbers["tau"], numbers.get("tau_between_seeds")
    figure = Figure(figsize=(6.8, 0.55 * len(taus) + 1.5), layout="constrained")
    axis = figure.subplots()
    for index, (name, tau) in enumerate(taus.items()):
        colour = figures.PALETTE[1] if name.startswith("P1") else figures.PALETTE[5 if name.startswith("random") else 0]
        if "tau_low" in numbers:
            ends = [numbers["tau_low"][name], numbers["tau_high"][name]]
            axis.plot(ends, [index, index], color=colour, linewidth=2.2)
        axis.plot(tau, index, "o", color=colour, markersize=8, clip_on=False)
    axis.set_yticks(range(len(taus)), taus)
    axis.set_ylim(len(taus) - 0.5, -0.9)
    figures.frame(axis, f"Kendall's tau against {against}", grid="x")
    caption = f"Rankings of {architectures} architectures by trainings on parts, means over the seeds; tau is 1 in the "
    caption += f"same order as {against}, -1 in the reverse."
    if "tau_low" in numbers:
        caption += " Lines: 95 % intervals of a bootstrap over the architectures."
    if between is not None:
        axis.axvline(between, color=figures.MUTED, linestyle=":", linewidth=1.3)
        side = "right" if between > 0 else "left"
        axis.annotate(" two seeds ", (between, -0.6), fontsize=8.5, color=figures.MUTED, ha=side, va="center")
        caption += " Dotted: trainings on all images with two seeds, against each other."
    axis.set_xlim(right=1.02)
    run.save_figure("figures/ranks", figure, caption, runs.no_interval(seeds))


def draw_cells(run: runs.Run, cells: Mapping[str, Mapping[str, Any]], steps: Mapping[str, Mapping[str, int]]) -> None:
    """Accuracy of retrained cells against the steps of their search; budget -> rule -> accuracies of the seeds."""
    figure = Figure(figsize=(6.8, 4.1), layout="constrained")
    axis = figure.subplots()
    rules = list(dict.fromkeys(rule for by_rule in cells.values() for rule in by_rule))
    markers = dict(zip(cells, "o^sD", strict=False))
    for kind, by_rule in cells.items():
        for index, rule in enumerate(by_rule):
            values = 100 * np.asarray(by_rule[rule])
            x = steps[kind][rule] * 1.06 ** (index - len(by_rule) / 2)
            colour = figures.PALETTE[rules.index(rule) % len(figures.PALETTE)]
            axis.errorbar(
                x,
                values.mean(),
                standard_error(values) or None,
                fmt=markers[kind],
                color=colour,
                capsize=3,
                markersize=7,
                label=f"{rule}, {kind}",
            )
    axis.set_xscale("log")
    taken = sorted({count for by_rule in steps.values() for count in by_rule.values()})
    axis.set_xticks(taken, map(str, taken))
    axis.minorticks_off()
    figures.frame(axis, "steps of the search", "accuracy of the found cells, retrained (%)")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8.5)
    seeds = len(next(iter(next(iter(cells.values())).values())))
    caption = (
        "Cells found by searches that see a part of the images, retrained on all of them; points of as many steps "
    )
    caption += f"stand side by side.{bars(seeds)}"
    run.save_figure("figures/cells", figure, caption, runs.no_interval(seeds))
