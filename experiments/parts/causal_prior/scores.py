"""Scores of the causal experiments: learned graphs, baselines and priors alone, compared with the truths."""

from typing import Any

import jax
import numpy as np

from experiments.parts.causal_prior.tasks import Task, make_prior
from experiments.parts.shared.intervals import ENOUGH, standard_error
from framework import causal, runs
from framework.causal import knowledge
from framework.causal.discrete import equivalence
from framework.causal.metrics import (
    graph_distance,
    intervention,
    ranking,
    sortability,
)
from framework.core import keys

SHOWN = ("shd", "cpdag_shd", "f1")  # the measures in the result of several tables
OF_ONE = ("sid", "skeleton_f1", "fdr", "tpr", "fpr")  # further measures in the result of a single table
COMPARED = (*SHOWN, *OF_ONE)  # between arms


def _baselines(task: Task) -> dict[str, list[np.ndarray]]:
    """Graphs of the prior alone, of sorting baselines, and the empty graph."""
    baselines = {}
    if task.priors:
        baselines["prior_only"] = [np.asarray(knowledge.alone(make_prior(prior, task))) for prior in task.priors]
    if len(task.tables[0]) > len(task.names):
        shuffle = lambda seed: keys.derive(jax.random.key(seed), "random sort")
        baselines["var_sort"] = [sortability.var_sort_regress(x) != 0 for x in task.tables]
        baselines["r2_sort"] = [sortability.r2_sort_regress(x) != 0 for x in task.tables]
        baselines["random_sort"] = [
            sortability.random_sort_regress(shuffle(seed), x) != 0
            for seed, x in zip(task.seeds, task.tables, strict=True)
        ]
    return baselines | {"empty": [np.zeros_like(truth) for truth in task.truths]}


def score(run: runs.Run, name: str, task: Task, fits: dict[str, list[causal.Result]]) -> dict[str, Any]:
    """Compares every arm and baseline with the truths.

    Args:
      run: for the table of all measures.
      name: of that table, `name.csv`.
      task: the tables with their truths.
      fits: arm -> its results, one a table.

    Returns:
      Entries of the result: the most important measures, means over the tables.
    """
    graphs = {arm: [result.graph for result in results] for arm, results in fits.items()} | _baselines(task)
    scores = {arm: list(map(measures, task.truths, learned)) for arm, learned in graphs.items()}
    for arm, results in fits.items():
        for truth, result, values in zip(task.truths, results, scores[arm], strict=True):
            values["auprc"] = float(ranking.auprc(truth, np.abs(result.uncut)))
    header = ("arm", "seed", *next(iter(scores.values()))[0])
    rows = [
        (arm, seed, *(values.get(column, "") for column in header[2:]))
        for arm, arm_scores in scores.items()
        for seed, values in zip(task.seeds, arm_scores, strict=True)
    ]
    run.save_csv(f"{name}.csv", header, rows)
    pairs = list(zip(task.tables, task.truths, strict=True))
    numbers: dict[str, Any] = {
        "varsortability": float(np.mean([sortability.varsortability(*pair) for pair in pairs])),
        "r2_sortability": float(np.mean([sortability.r2_sortability(*pair) for pair in pairs])),
    }
    for measure in SHOWN if len(task.seeds) > 1 else COMPARED:
        numbers[measure] = {arm: float(np.mean([row[measure] for row in rows])) for arm, rows in scores.items()}
    numbers["shd_each"] = {arm: [int(row["shd"]) for row in rows] for arm, rows in scores.items()}
    if len(task.seeds) >= ENOUGH:
        numbers["shd_error"] = {arm: standard_error(values) for arm, values in numbers["shd_each"].items()}
    return numbers


def measures(true: np.ndarray, learned: np.ndarray) -> dict[str, float]:
    """All measures of one graph; `auprc` is empty, since it needs weights."""
    values = graph_distance.compare(true, learned) | {
        "cpdag_shd": equivalence.cpdag_shd(true, learned),
        "sid": intervention.sid(true, learned),
        "skeleton_f1": equivalence.skeleton_scores(true, learned)["f1"],
    }
    return {name: float(value) for name, value in values.items()} | {"auprc": ""}


def mean_shd(truths: list[np.ndarray], results: list[causal.Result]) -> tuple[float, float]:
    """Mean and standard error of the SHD of several results."""
    values = [int(graph_distance.compare(t, r.graph)["shd"]) for t, r in zip(truths, results, strict=True)]
    return float(np.mean(values)), standard_error(values)
