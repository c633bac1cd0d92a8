"""What the causal study measures: learned graphs, baselines and priors alone held against the truths."""

from typing import Any

import jax
import numpy as np

from experiments.parts.causal_prior.problems import Study, known
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

SHOWN = ("shd", "cpdag_shd", "f1")  # of all measures, what the result of a study holds
OF_ONE = ("sid", "skeleton_f1", "fdr", "tpr", "fpr")  # what the result of a single problem holds besides
COMPARED = (*SHOWN, *OF_ONE)  # between arms


def _baselines(study: Study) -> dict[str, list[np.ndarray]]:
    """Graphs that use the prior alone, or nothing but how columns vary."""
    found = {}
    if study.priors:
        found["prior_only"] = [np.asarray(knowledge.alone(known(prior, study))) for prior in study.priors]
    if len(study.tables[0]) > len(study.names):
        shuffle = lambda seed: keys.named(jax.random.key(seed), "random sort")
        found["var_sort"] = [sortability.var_sort_regress(x) != 0 for x in study.tables]
        found["r2_sort"] = [sortability.r2_sort_regress(x) != 0 for x in study.tables]
        found["random_sort"] = [
            sortability.random_sort_regress(shuffle(seed), x) != 0
            for seed, x in zip(study.seeds, study.tables, strict=True)
        ]
    return found | {"empty": [np.zeros_like(truth) for truth in study.truths]}


def score(run: runs.Run, name: str, study: Study, fits: dict[str, list[causal.Result]]) -> dict[str, Any]:
    """Every arm and baseline held against the truths; `name.csv` has all measures, what is returned the first few."""
    found = {arm: [result.graph for result in results] for arm, results in fits.items()} | _baselines(study)
    each = {arm: list(map(measures, study.truths, graphs)) for arm, graphs in found.items()}
    for arm, results in fits.items():
        for truth, result, measured in zip(study.truths, results, each[arm], strict=True):
            measured["auprc"] = float(ranking.auprc(truth, np.abs(result.uncut)))
    header = ("arm", "seed", *next(iter(each.values()))[0])
    rows = [
        (arm, seed, *(measured.get(column, "") for column in header[2:]))
        for arm, measures in each.items()
        for seed, measured in zip(study.seeds, measures, strict=True)
    ]
    run.save_csv(f"{name}.csv", header, rows)
    pairs = list(zip(study.tables, study.truths, strict=True))
    numbers: dict[str, Any] = {
        "varsortability": float(np.mean([sortability.varsortability(*pair) for pair in pairs])),
        "r2_sortability": float(np.mean([sortability.r2_sortability(*pair) for pair in pairs])),
    }
    for measure in SHOWN if len(study.seeds) > 1 else COMPARED:
        numbers[measure] = {arm: float(np.mean([one[measure] for one in ones])) for arm, ones in each.items()}
    numbers["shd_each"] = {arm: [int(one["shd"]) for one in ones] for arm, ones in each.items()}
    if len(study.seeds) >= ENOUGH:
        numbers["shd_error"] = {arm: standard_error(values) for arm, values in numbers["shd_each"].items()}
    return numbers


def measures(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """All measures of one graph; the area under the curve of the weights, where there are any, comes on top."""
    measured = graph_distance.compare(true, found) | {
        "cpdag_shd": equivalence.cpdag_shd(true, found),
        "sid": intervention.sid(true, found),
        "skeleton_f1": equivalence.skeleton_scores(true, found)["f1"],
    }
    return {name: float(value) for name, value in measured.items()} | {"auprc": ""}


def mean_shd(truths: list[np.ndarray], results: list[causal.Result]) -> tuple[float, float]:
    """Mean and standard error of the SHD of several results."""
    values = [int(graph_distance.compare(t, r.graph)["shd"]) for t, r in zip(truths, results, strict=True)]
    return float(np.mean(values)), standard_error(values)
