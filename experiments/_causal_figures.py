"""The pictures of the causal study."""

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np

from experiments._causal_problems import Study
from experiments._spread import bars
from framework import causal, runs
from framework.runs import figures

KINDS = {
    "correct": ("#3c7a3f", "solid"),
    "reversed": ("#e07a3f", "solid"),
    "extra": ("#a05195", "solid"),
    "missing": ("#9aa5b1", "dotted"),
    "found": ("#2a6f97", "solid"),
}


def write_graph(run: runs.Run, study: Study, result: causal.Result, confidence: np.ndarray) -> None:
    """`graph.csv` and `graph.png` of the first problem."""
    edges = [(int(i), int(j)) for i, j in np.argwhere(result.graph)]
    edges.sort(key=lambda edge: -abs(result.weights[edge]))
    header = ("source", "target", "weight", "confidence")
    rows = [(study.names[i], study.names[j], result.weights[i, j], confidence[i, j]) for i, j in edges]
    run.save_csv("graph.csv", header, rows)
    drawn = causal.to_networkx(result, study.names, study.truths[0] if study.truths else None)
    if not study.truths:
        nx.set_edge_attributes(drawn, "found", "kind")
    widths = {(a, b): frequency for a, b, _, frequency in rows}
    which = "graph of the first problem" if len(study.truths) > 1 else "graph"
    caption = f"The learned {which}; the wider an edge, the more bootstrap resamples bear it out."
    run.save_figure("graph", figures.graph(drawn, f"{len(edges)} edges", KINDS, widths), caption)


def draw_adjacency(run: runs.Run, study: Study, results: Mapping[str, causal.Result]) -> None:
    """The truth, the prior and what each arm learned of the first problem, side by side."""
    panels = {"truth": study.truths[0].astype(float)} if study.truths else {}
    if study.priors:
        panels["prior, by confidence"] = study.priors[0].edges * study.priors[0].confidence
    panels |= {f"learned, {arm.replace('_', ' ')}": result.weights for arm, result in results.items()}
    caption = f"Adjacency matrices{' of the first problem' if len(study.truths) > 1 else ''}, from row to column."
    run.save_figure("figures/adjacency", figures.matrices(panels, study.names), caption)


def draw_scores(run: runs.Run, name: str, numbers: Mapping[str, Any], what: str) -> None:
    """SHD of every arm and baseline."""
    errors = numbers.get("shd_error", {})
    means = {arm: (mean, errors.get(arm, 0.0)) for arm, mean in numbers["shd"].items()}
    caption = f"{what}: structural Hamming distance (SHD) to the truth; less is better."
    graphs = len(next(iter(numbers["shd_each"].values())))
    if errors:
        caption += f" Mean and standard error of {graphs} graphs, a point each."
    elif graphs > 1:
        caption += f" Mean of {graphs} graphs, a point each."
    if "path" in means:
        caption += " Path: weights cut at a threshold, without a prior and with each use of it in the paper."
    if "var_sort" in means:
        caption += " The sorts take columns in order of variance, of R2 or by chance."
    caption += " Empty has no edge."
    figure = figures.bars(means, "SHD (edges)", numbers["shd_each"])
    run.save_figure(f"figures/{name}", figure, caption, runs.no_interval(graphs))


def draw_sweep(
    run: runs.Run, qualities: list[float], lines: Mapping[str, list[tuple[float, float]]], what: str, graphs: int
) -> None:
    """SHD against the quality of the prior, a line for each way to take it."""
    caption = (
        f"Structural Hamming distance (SHD) against the prior's quality (precision and recall alike), {what}; less is "
        f"better.{bars(graphs, 'graphs', 'bands')}"
    )
    figure = figures.lines(qualities, lines, "precision and recall of the prior", "SHD (edges)")
    run.save_figure("figures/quality", figure, caption, runs.no_interval(graphs))
