"""Figures of the experiment on in-storage training."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from experiments.parts.isp_ml.trainings import Curves
from experiments.parts.shared.intervals import bars as means
from framework import data, runs
from framework.core import keys
from framework.runs.reporting import figures

SEEN = {"centre": "-", "worker_mean": ":"}


def draw_distortion(run: runs.Run, config: ConfigDict, originals: data.ImageSet) -> None:
    """A few images, and what elastic distortion makes of each."""
    count, copies = 8, 4
    scale = originals.images.shape[1] / 28
    images = originals.images[:count, ..., 0]
    key = keys.derive(jax.random.key(config.seed), "distortion")
    rows = data.amplify(key, images, copies, 34 * scale**2, 4 * scale).reshape(copies, count, *images.shape[1:])
    figure = Figure(figsize=(count, copies + 0.2), layout="constrained")
    for axis, image in zip(figure.subplots(copies, count).ravel(), rows.reshape(-1, *images.shape[1:]), strict=True):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=originals.maximum)
        axis.set_axis_off()
    run.save_figure(
        "figures/distortion", figure, "Above the images as they are, below them elastically distorted ones."
    )


def draw_accuracy(run: runs.Run, config: ConfigDict, curves: Mapping[tuple[str, int], Curves]) -> None:
    """Accuracy over simulated time, exchange at every step, at each rule's best rate."""
    counts = sorted({channels for _, channels in curves})
    figure = Figure(figsize=(4.0 * len(counts) + 0.6, 3.8), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(counts), sharey=True))
    for axis, channels in zip(panels, counts, strict=True):
        rules = [name for name, other in curves if other == channels]
        for index, name in enumerate(rules):
            rule_curves = curves[name, channels]
            time = next(iter(rule_curves.time.values()))
            for view, style in SEEN.items():
                accuracy = rule_curves.accuracy[view][0]
                best = np.argmax((accuracy >= config.target).mean((-1, -2)) + accuracy.mean((-1, -2)) / 1e3)
                mean = 100 * accuracy[best].mean(0)
                label = name if view == "centre" else None
                axis.plot(1e3 * time, mean, style, color=figures.PALETTE[index], label=label, linewidth=1.7)
        axis.axhline(100 * config.target, color=figures.MUTED, linewidth=0.9)
        axis.set_title(f"{channels} channels", fontsize=11, color=figures.INK)
        figures.frame(axis, "simulated time (ms)")
    panels[0].set_ylabel("accuracy (%)", color=figures.INK)
    panels[0].legend(frameon=False, loc="lower right")
    caption = (
        "Test accuracy against the device's clock, each rule at its best rate; solid the centre, dotted the workers' "
        "mean, the grey line the target; easgd: elastic averaging."
    )
    seeds = next(iter(curves.values())).accuracy["centre"].shape[-2]
    caption += f" Means over {seeds} seeds." if seeds > 1 else ""
    run.save_figure("figures/accuracy", figure, caption, runs.no_interval(seeds))


def draw_times(run: runs.Run, records: list[dict[str, Any]], seeds: int) -> None:
    """Time to the target by rule and channels, exchange at every step."""
    first = {record["rule"]: record["period"] for record in reversed(records)}
    bars: dict[str, dict[str, tuple[float, float]]] = {}
    for record in records:
        if record["period"] == first[record["rule"]]:
            group = bars.setdefault(f"{record['channels']} channels", {})
            group[record["rule"]] = (1e3 * record["seconds_centre"], 1e3 * record.get("error_centre", 0.0))
    caption = (
        "Simulated time to the target, by the centre, each rule at its best rate of the grid; where the target is "
    )
    caption += f"not reached, twice the time of the run.{means(seeds)}"
    figure = figures.grouped_bars(bars, "time to target (ms)")
    run.save_figure("figures/time", figure, caption, runs.no_interval(seeds))


def draw_periods(run: runs.Run, records: list[dict[str, Any]], channels: int, steps: int, seeds: int) -> None:
    """Time to the target against the period of exchange, on most channels."""
    bars: dict[str, dict[str, tuple[float, float]]] = {}
    for record in records:
        if record["channels"] == channels and record["rule"] != "sync":
            group = bars.setdefault(f"every {record['period']}", {})
            group[record["rule"]] = (1e3 * record["seconds_centre"], 1e3 * record.get("error_centre", 0.0))
    if bars:
        caption = (
            f"Simulated time to the target by steps between two exchanges, {channels} channels, each with {steps} "
            f"steps; where the target is not reached, twice the time of the run.{means(seeds)}"
        )
        figure = figures.grouped_bars(bars, "time to target (ms)")
        run.save_figure("figures/period", figure, caption, runs.no_interval(seeds))


def draw_host(run: runs.Run, numbers: Mapping[str, Any], channels: int) -> None:
    """A pass over the data on a host, by its memory, and in the device."""
    bars = {
        memory: {"host reads, then computes": (seconds, 0.0), "host reads ahead": (numbers["overlapped"][memory], 0.0)}
        for memory, seconds in numbers["host"].items()
    }
    bars[f"device, {channels} channels"] = {"device": (numbers["device"], 0.0)}
    caption = (
        "Seconds of one pass over the stored data: on a host, by its memory, and inside the device, whose controllers "
        "have as many floating-point units as the config says; more of them in the figure of widths."
    )
    run.save_figure("figures/host", figures.grouped_bars(bars, "one pass (s)"), caption)


def draw_widths(run: runs.Run, page_ms: Mapping[str, float]) -> None:
    """Draws the time of a page against the floating-point units of a controller."""
    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axis = figure.subplots()
    axis.plot([int(width) for width in page_ms], list(page_ms.values()), marker="o", color=figures.PALETTE[0])
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    figures.frame(axis, "floating-point units of a channel's controller", "a page (ms)", grid="both")
    run.save_figure("figures/widths", figure, "Bound by computing on the left, by the flash array on the right.")
