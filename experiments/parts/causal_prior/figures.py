"""Figures of the causal experiments."""

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np

from experiments.parts.causal_prior.tasks import Task
from experiments.parts.shared.intervals import bars
from framework import causal, runs
from framework.causal.discrete import orientation
from framework.runs.reporting import figures

KINDS = {  # next to a truth
    "correct": ("#3c7a3f", "solid"),
    "reversed": ("#e07a3f", "solid"),
    "extra": ("#a05195", "solid"),
    "missing": ("#9aa5b1", "dotted"),
    "open": ("#2a6f97", "dashed"),
}


DIRECTION_KINDS = {
    "compelled": ("#2a6f97", "solid"),
    "knowledge": ("#1d2733", "solid"),
    "prior": ("#e07a3f", "solid"),
    "assumed": ("#a05195", "dashed"),
    "open": ("#7a7a7a", "dashed"),
}
TABLE_HEADER = ("source", "target", "direction", "weight", "joined", "forward", "backward", "open")


def edge_rows(task: Task, bootstrap: causal.Bootstrap) -> list[tuple]:
    """A row an edge, as `TABLE_HEADER` names its cells; the frequencies are those of its pair of columns."""
    index = {name: i for i, name in enumerate(task.names)}
    rows = []
    for source, target, direction, weight in causal.edges(bootstrap.result, task.names):
        i, j = index[source], index[target]
        shares = bootstrap.joined[i, j], bootstrap.directed[i, j], bootstrap.directed[j, i], bootstrap.open[i, j]
        rows.append((source, target, direction, weight, *map(float, shares)))
    return rows


def write_graph(run: runs.Run, task: Task, bootstrap: causal.Bootstrap) -> None:
    """Writes `graph.csv` and `graph.png` of the first table."""
    rows = edge_rows(task, bootstrap)
    run.save_csv("graph.csv", TABLE_HEADER, rows)
    network = causal.to_networkx(bootstrap.result, task.names, task.truths[0] if task.truths else None)
    if not task.truths:
        directions = {(a, b): direction for a, b, direction in network.edges(data="direction")}
        nx.set_edge_attributes(network, directions, "kind")
    widths = {row[:2]: row[4] for row in rows}
    undirected = [row[:2] for row in rows if row[2] == "open"]
    which = "graph of the first table" if len(task.truths) > 1 else "graph"
    caption = f"The learned {which}; the wider an edge, the more bootstrap resamples join its columns."
    if undirected:
        caption += " A line without an arrowhead has an open direction: its reverse explains the data as well."
    counts = [f"{sum(row[2] == name for row in rows)} {name}" for name in DIRECTION_KINDS]
    title = f"{len(rows)} edges, by what tells their direction: {', '.join(c for c in counts if c[:2] != '0 ')}"
    kinds = KINDS if task.truths else DIRECTION_KINDS
    run.save_figure("graph", figures.graph(network, title if rows else "no edge", kinds, widths, undirected), caption)


def draw_adjacency(run: runs.Run, task: Task, results: Mapping[str, causal.Result]) -> None:
    """Draws the truth, the prior and the learned graph of each arm for the first table, side by side."""
    panels = {"truth": task.truths[0].astype(float)} if task.truths else {}
    if task.priors:
        panels["prior, by confidence"] = task.priors[0].edges * task.priors[0].confidence
    panels |= {f"learned, {arm.replace('_', ' ')}": _open_both_ways(result) for arm, result in results.items()}
    caption = f"Adjacency matrices{' of the first table' if len(task.truths) > 1 else ''}, from row to column."
    if any(_is_open(result).any() for result in results.values()):
        caption += " An edge whose direction is open appears in both directions."
    run.save_figure("figures/adjacency", figures.matrices(panels, task.names), caption)


def _is_open(result: causal.Result) -> np.ndarray:
    return np.asarray(result.direction) == orientation.DIRECTIONS.index("open")


def _open_both_ways(result: causal.Result) -> np.ndarray:
    """The weights, with those of open edges in both directions."""
    return result.weights + np.where(_is_open(result), result.weights, 0).T


def draw_scores(run: runs.Run, name: str, numbers: Mapping[str, Any], what: str) -> None:
    """Draws the SHD of every arm and baseline."""
    errors = numbers.get("shd_error", {})
    means = {arm: (mean, errors.get(arm, 0.0)) for arm, mean in numbers["shd"].items()}
    caption = f"{what}: structural Hamming distance (SHD) to the truth; less is better."
    graphs = len(next(iter(numbers["shd_each"].values())))
    if errors:
        caption += f" Mean and standard error of {graphs} graphs, a point each."
    elif graphs > 1:
        caption += f" Mean of {graphs} graphs, a point each."
    if "path" in means:
        caption += " Path: thresholded weights, without a prior and with each use of it in the paper."
    if "var_sort" in means:
        caption += " The sorts take columns in order of variance, of R2 or by chance."
    caption += " Empty has no edge."
    figure = figures.bars(means, "SHD (edges)", numbers["shd_each"])
    run.save_figure(f"figures/{name}", figure, caption, runs.no_interval(graphs))


def draw_sweep(
    run: runs.Run, qualities: list[float], lines: Mapping[str, list[tuple[float, float]]], what: str, graphs: int
) -> None:
    """Draws SHD against the quality of the prior, a line for each way to weight it."""
    caption = (
        f"Structural Hamming distance (SHD) against the prior's quality (precision and recall alike), {what}; less is "
        f"better.{bars(graphs, 'graphs', 'bands')}"
    )
    figure = figures.lines(qualities, lines, "precision and recall of the prior", "SHD (edges)")
    run.save_figure("figures/quality", figure, caption, runs.no_interval(graphs))
