"""Figures of the experiment on burst coding."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.parts.burst_coding.networks import Curve
from framework import runs
from framework.runs.reporting import figures

LINES = {"real": "-", "rate": ":", "phase": "--"}  # by the input's code; colours by the hidden one


def draw_curves(run: runs.Run, accuracy: list[float], curves: Mapping[str, list[Curve]]) -> None:
    """Accuracy against steps and against spikes, every pair of codes."""
    figure = Figure(figsize=(10.5, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    hidden = list(dict.fromkeys(name.partition("-")[2] for name in curves))
    starts = []
    for name, pair_curves in curves.items():
        input_code, _, hidden_code = name.partition("-")
        style = {
            "linestyle": LINES.get(input_code, "-"),
            "color": figures.PALETTE[hidden.index(hidden_code)],
            "linewidth": 1.7,
        }
        mean = 100 * np.mean([curve.accuracy for curve in pair_curves], axis=0)
        left.plot(np.arange(1, len(mean) + 1), mean, label=name, **style)
        spikes = np.mean([np.add(curve.spikes, curve.input_spikes) for curve in pair_curves], axis=0)
        right.plot(np.maximum(spikes, 1), mean, **style)
        starts.append(max(spikes[np.argmax(mean > 50)], 1))
    for axis, label in ((left, "time steps"), (right, "spikes an image, those of the input included")):
        axis.axhline(100 * np.mean(accuracy), color=figures.MUTED, linewidth=0.9)
        axis.set_xscale("log")
        figures.frame(axis, label)
    bottom = 100 * np.mean(accuracy) - 25
    left.set_ylim(bottom, 100.5)
    right.set_xlim(left=0.8 * min(starts))
    left.set_ylabel("accuracy (%)", color=figures.INK)
    left.legend(frameon=False, fontsize=8.5, ncols=1, loc="lower right")
    caption = "Accuracy of the converted network by input and hidden code; the grey line is the DNN. Logarithmic axes."
    run.save_figure("figures/accuracy", figure, caption + _means(len(accuracy)), runs.no_interval(len(accuracy)))


def _means(networks: int) -> str:
    return f" Means over {networks} networks." if networks > 1 else ""


def draw_trains(run: runs.Run, trains: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Inter-spike intervals and burst lengths of the hidden codes."""
    titles = {"intervals": "steps between two spikes of a neuron", "bursts": "spikes in a row"}
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    for axis, (kind, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for index, (name, shares) in enumerate(trains.items()):
            bins = np.arange(1, len(shares[kind]) + 1)
            shift = 0.27 * (index - (len(trains) - 1) / 2)
            axis.bar(bins + shift, shares[kind], width=0.25, color=figures.PALETTE[index], label=name)
        axis.set_xticks(bins, [*map(str, bins[:-1]), f"> {bins[-2]}"])
        figures.frame(axis, title, "share", grid="")
        axis.legend(frameon=False)
    caption = "Inter-spike intervals and burst lengths of the first seed's network, all hidden layers together."
    run.save_figure("figures/trains", figure, caption, runs.no_interval(1))


def draw_bars(run: runs.Run, numbers: Mapping[str, Any]) -> None:
    """Latency, spikes and energy of every pair."""
    steps, kinds = numbers["steps"], {"first": "latency_first", "from then on": "latency"}
    bars = {
        record["pair"]: {label: (record[column], 0.0) for label, column in kinds.items()} for record in numbers["pairs"]
    }
    caption = (
        f"Steps to the DNN's accuracy, less the target's loss: the first that reaches it, and the first from which on "
        f"it stays; {steps + 1} where {steps} did not suffice.{_means(numbers['seeds'])}"
    )
    few = runs.no_interval(numbers["seeds"])
    run.save_figure("figures/latency", figures.grouped_bars(bars, "latency (steps)"), caption, few)
    chips = [kind for kind in numbers if kind.startswith("energy_")]
    if chips:
        energies = lambda pair: {chip.removeprefix("energy_"): (numbers[chip][pair], 0.0) for chip in chips}
        bars = {pair: energies(pair) for pair in numbers["latency"]}
        caption = (
            "Energy until the accuracy stays within the target of the DNN's, from spikes and time alone, relative to "
            f"real-rate; by the shares of two chips.{_means(numbers['seeds'])}"
        )
        run.save_figure("figures/energy", figures.grouped_bars(bars, "energy (real-rate = 1)"), caption, few)


def draw_direct_training(run: runs.Run, measured: Mapping[str, Mapping[int, tuple[np.ndarray, np.ndarray]]]) -> None:
    """Accuracy against synaptic operations of the networks trained as spiking ones."""
    figure = Figure(figsize=(6.4, 4.1), layout="constrained")
    axis = figure.subplots()
    for index, (name, results) in enumerate(measured.items()):
        colour = figures.PALETTE[index]
        used = np.array([result[1].mean() for result in results.values()]) / 1e3
        mean = 100 * np.array([result[0].mean() for result in results.values()])
        axis.plot(used, mean, marker="o", color=colour, linewidth=1.8, label=name)
        for steps, x, y in zip(results, used, mean, strict=True):
            above = {"xytext": (4, 5), "textcoords": "offset points"}
            axis.annotate(f"T = {steps}", (x, y), fontsize=8, color=colour, **above)
            axis.scatter(np.asarray(results[steps][1]) / 1e3, 100 * results[steps][0], s=12, color=colour, alpha=0.4)
    axis.legend(frameon=False, loc="lower right")
    figures.frame(axis, "synaptic operations an image (thousands)", "accuracy (%)")
    seeds = len(next(iter(next(iter(measured.values())).values()))[0])
    caption = "Spiking networks trained by surrogate gradient for T steps, by their neuron."
    caption += f" Lines: means over {seeds} seeds, small points: single seeds." if seeds > 1 else ""
    run.save_figure("figures/trained", figure, caption, runs.no_interval(seeds))
