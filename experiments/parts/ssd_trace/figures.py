"""Figures of the experiment on SSDs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from framework import runs, ssd
from framework.runs.reporting import figures
from framework.ssd.engine import timeline
from framework.ssd.workload import generators

KINDS = {"read": figures.PALETTE[0], "program": figures.PALETTE[1], "erase": figures.PALETTE[3]}
DATA = figures.PALETTE[2]


def draw_latency(run: runs.Run, report: ssd.Report) -> None:
    """Draws the share of requests below a latency, for reads, writes and TRIMs separately."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axis = figure.subplots()
    kinds = np.asarray(report.kind)
    for kind, (name, colour) in enumerate(zip(report.by_kind, figures.PALETTE, strict=False)):
        which = kinds == kind
        if which.any():
            latency = np.sort(np.asarray(report.latency)[which]) / 1000
            label = f"{name} ({which.sum():,})"
            share = np.arange(1, len(latency) + 1) / len(latency)
            axis.plot(latency, 100 * share, color=colour, linewidth=1.8, label=label)
    for percent in (50, 99) if (kinds != generators.TRIM).any() else ():
        value = report.percentile(percent)
        axis.axvline(value, color=figures.MUTED, linewidth=0.9, linestyle=":")
        offset = {"xytext": (-4, 4), "textcoords": "offset points", "ha": "right", "rotation": 90}
        axis.annotate(f"p{percent} {value:,.0f} us", (value, 8), fontsize=8.5, color=figures.MUTED, **offset)
    axis.set_xscale("log")
    figures.frame(axis, "latency (us)", "requests at or below (%)", grid="both")
    axis.legend(frameon=False, loc="upper left")
    caption = "Latency of the load, host link included: the share of requests that take so long or less. "
    caption += "Dotted: percentiles of reads and writes together." if (kinds != generators.TRIM).any() else ""
    run.save_figure("figures/latency", figure, caption)


def draw_schedule(run: runs.Run, design: ssd.Design, schedule: timeline.Schedule, luns: int = 24) -> None:
    """A Gantt chart: who holds which bus and which die, over a window in the middle of the run."""
    if not len(schedule.work):
        _draw_idle(run)
        return
    begin, end = _window(schedule)
    channels = max(1, min(design.geometry.channels, luns // design.luns))
    figure = Figure(figsize=(10.5, 1.2 + 0.24 * channels * (design.luns + 1)), layout="constrained")
    axis = figure.subplots()
    names = []
    for channel in range(channels):
        here = (schedule.channel == channel) & (schedule.work[:, 1] > begin) & (schedule.work[:, 0] < end)
        row = len(names)
        _bars(axis, row, schedule.command[here], _colours(schedule.kind[here]), 0.72)
        _bars(axis, row, schedule.data[here], DATA, 0.72)
        names.append(f"channel {channel}: bus")
        for lun in range(design.luns):
            on = here & (schedule.lun == lun)
            _bars(axis, row + 1 + lun, schedule.work[on], _colours(schedule.kind[on]), 0.46)
            names.append(f"{'die' if design.policy.die_mode == 'overlap' else 'chip'} {lun}")
    axis.set_xlim(begin / 1000, end / 1000)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.invert_yaxis()
    figures.frame(axis, "time (us)", grid="both")
    axis.grid(axis="y", visible=False)
    handles = [Patch(color=colour, label=name) for name, colour in KINDS.items()]
    axis.legend(
        handles=[*handles, Patch(color=DATA, label="read data")],
        ncols=4,
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        fontsize=9,
    )
    caption = "Who holds what: the bus of a channel for commands and data, and below it each unit of flash from its "
    caption += f"command until it is free again. {channels} of {design.geometry.channels} channels."
    run.save_figure("figures/schedule", figure, caption)


def _draw_idle(run: runs.Run) -> None:
    figure = Figure(figsize=(7.2, 1.6), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    axis.text(0.5, 0.5, "The flash was idle.", ha="center", va="center", fontsize=13, color=figures.INK)
    caption = "Nothing of this load reached the flash: the write cache held all pages, or it asked for none."
    run.save_figure("figures/schedule", figure, caption)


def _window(schedule: timeline.Schedule, operations: int = 8) -> tuple[int, int]:
    """A stretch around the middle operation of channel 0 that shows some operations of each unit."""
    here = np.sort(schedule.work[schedule.channel == 0][:, 0])
    if not len(here):
        here = np.sort(schedule.work[:, 0])
    middle = len(here) // 2
    many = operations * max(len(np.unique(schedule.lun)), 1) // 2
    first, last = here[max(middle - many, 0)], here[min(middle + many, len(here) - 1)]
    return int(first), int(max(last, first + 1000))


def _colours(kinds: np.ndarray) -> list[str]:
    return [list(KINDS.values())[kind] for kind in kinds]


def _bars(axis, row: int, intervals: np.ndarray, colours, height: float) -> None:
    spans = [(begin / 1000, (end - begin) / 1000) for begin, end in intervals]
    axis.broken_barh(spans, (row - height / 2, height), facecolors=colours, edgecolor="white", linewidth=0.3)


def draw_depths(
    run: runs.Run, depths: Sequence[int], reports: Mapping[str, Sequence[ssd.Report]], bounds: Mapping[str, float]
) -> None:
    """Throughput and latency against queue depth, with what cannot be exceeded."""
    figure = Figure(figsize=(10.5, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (name, line) in zip(figures.PALETTE, reports.items(), strict=False):
        left.plot(depths, [r.iops / 1000 for r in line], marker="o", color=colour, label=name, markersize=4.5)
        right.plot(depths, [r.mean_us for r in line], marker="o", color=colour, label=name, markersize=4.5)
        right.plot(depths, [r.percentile(99) for r in line], color=colour, linestyle=":", linewidth=1.5)
    for index, (name, value) in enumerate(bounds.items()):
        left.axhline(value / 1000, color=figures.MUTED, linewidth=1.0, linestyle=("--", ":", "-.")[index % 3])
        left.annotate(name, (depths[0], value / 1000), fontsize=8, color=figures.MUTED, va="bottom")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks(depths, map(str, depths), fontsize=9)
    right.set_yscale("log")
    figures.frame(left, "queue depth", "thousand requests a second", grid="both")
    figures.frame(right, "queue depth", "latency (us)", grid="both")
    left.set_ylim(bottom=0)
    left.legend(frameon=False, loc="lower right")
    styles = (("mean", "-"), ("99th percentile", ":"))
    handles = [Line2D([], [], color=figures.INK, linestyle=style, label=label) for label, style in styles]
    right.legend(handles=handles, frameon=False)
    caption = "Random reads of a page at a constant queue depth, by who has the bus first; grey: closed forms."
    run.save_figure("figures/depths", figure, caption, runs.no_interval(1))


def draw_rates(run: runs.Run, rates: Sequence[float], reports: Sequence[ssd.Report]) -> None:
    """Latency against the rate that is offered."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis = figure.subplots()
    thousands = np.asarray(rates) / 1000
    lines = {"mean": [r.mean_us for r in reports]} | {f"p{p}": [r.percentile(p) for r in reports] for p in (50, 99)}
    for colour, (name, values) in zip(figures.PALETTE, lines.items(), strict=False):
        axis.plot(thousands, values, marker="o", color=colour, label=name, markersize=4.5)
    axis.set_yscale("log")
    figures.frame(axis, "offered (thousand requests a second)", "latency (us)", grid="both")
    axis.legend(frameon=False)
    caption = "Latency of Poisson loads against the rate that is offered."
    run.save_figure("figures/rates", figure, caption, runs.no_interval(1))


def draw_sweep(run: runs.Run, cost: np.ndarray, summary: ssd.Summary, best: np.ndarray, groups: np.ndarray) -> None:
    """Mean latency against the flash units of a design, and the designs that none beats in both, by rising cost."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axis = figure.subplots()
    rng = np.random.default_rng(0)
    for colour, group in zip(figures.PALETTE, np.unique(groups), strict=False):
        which = groups == group
        spread = cost[which] * (1 + 0.02 * rng.uniform(-1, 1, which.sum()))
        dots = {"s": 5, "alpha": 0.25} if len(cost) > 1000 else {"s": 14, "alpha": 0.6}
        axis.scatter(spread, summary.mean_us[which], color=colour, linewidths=0, label=f"{group} channels", **dots)
    axis.step(cost[best], summary.mean_us[best], where="post", color=figures.INK, linewidth=1.4)
    axis.scatter(cost[best], summary.mean_us[best], s=22, color=figures.INK, zorder=3, label="none is better in both")
    axis.set_yscale("log")
    axis.set_xscale("log", base=2)
    figures.frame(axis, "cost (see the caption)", "mean latency (us)", grid="both")
    legend = axis.legend(frameon=False, fontsize=9)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    caption = f"{len(cost):,} designs under one load. Cost: flash units times the rate of a channel in GT/s over the "
    run.save_figure("figures/sweep", figure, caption + "read time in units of 75 us, a measure of this experiment.")
