"""On a table of your own, the learner finds a causal graph and says for each edge what tells its direction: the data,
the hard constraints, the prior, or nothing.

It writes the learned graph with and without a prior, and the share of bootstrap resamples that join the columns of each
edge, directed or open. Without a table of your own it shows this on an example, a physics system with the recorded
answers of a language model about it; the true graph is known, and the result holds the distances to it.

    python launch.py --config=experiments/causal_table.py:smoke                        10 s on 2 CPU cores, the example
    python launch.py --config=experiments/causal_table.py                              20 s
    python launch.py --config=experiments/causal_table.py --config.data.csv=my.csv     your own table
        [--config.data.truth=truth.csv] [--config.data.transform=log_standardize] [--config.prior.answers=answers.json]
        [--config.knowledge=knowledge.csv] [--config.bootstrap=200]

With `--config.prior.elicit.model=NAME` any OpenAI-compatible endpoint is asked about the columns (extra `plm`; base URL
by `--config.prior.elicit.base_url` or OPENAI_BASE_URL, the key by OPENAI_API_KEY alone). If none of the first ten
replies can be read, or in the end more than a share `prior.elicit.max_unreadable` cannot, the run ends with an error,
and the same command asks those questions again. Warnings about the table and the replies stand in the terminal and the
report.

`EXPECTED` below holds the numbers of the example, each with the spread over other seeds. The laws
of physics are not linear and the learner is, so that there the answers alone are the best. `paper` is a larger example
and reproduces no table of the paper.

Reference: Bae et al., "On incorporating prior knowledge extracted from pre-trained language models into causal
discovery", arXiv 2311.11212.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict, config_dict

from experiments.parts.causal_prior import figures, fits, scores, tasks
from experiments.parts.causal_prior.tasks import Task
from experiments.parts.causal_table import tables
from experiments.parts.shared.intervals import mark_comparisons
from experiments.parts.shared.presets import build_config
from experiments.parts.shared.settings import require_effect, require_files
from framework import causal, runs
from framework.causal import learner as causal_learner
from framework.causal.discrete import orientation
from framework.core.precision import x64

# Mean and twice the standard deviation over seeds: 20, for paper 10.
EXPECTED = {
    "smoke": {"shd.no_prior": (1.4, 1.5), "shd.prior": (1.0, 0.5), "shd.prior_only": (2.0, 0.001)},
    "default": {"shd.no_prior": (7.4, 3.5), "shd.prior": (6.5, 3.6), "shd.prior_only": (1.0, 0.001)},
    "paper": {"shd.no_prior": (4.5, 1.7), "shd.prior": (4.4, 1.4), "shd.prior_only": (1.0, 0.001)},
}

PRESETS = {
    "smoke": {"bootstrap": 20},
    "default": {"data.example": "projectile"},
    "paper": {"data.example": "projectile", "data.samples": 1000, "bootstrap": 200},
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "data": {
            "csv": "",  # a table of your own; the example without one
            "truth": "",  # its true edges, source,target
            "transform": config_dict.placeholder(str),  # of the columns; standardize by default
            "example": "free_fall",  # a physics system
            "samples": 200,  # rows of the example
        },
        "prior": {
            "answers": "",  # recorded answers of a language model; the example has its own
            "weight": config_dict.placeholder(float),  # l_sim; by default it is calibrated by the data
            "elicit": elicitation_settings(),
        },
        "knowledge": "",  # a CSV source,target,kind of edges; every kind is required or forbidden
        "learner": learner_settings(),
        "bootstrap": 100,  # resamples behind the frequencies of each edge
    }
    return build_config("causal_table", settings, PRESETS, preset)


def elicitation_settings() -> dict[str, Any]:
    """The settings of a language model that is asked about the columns of a table."""
    return {
        "model": "",  # asks this model about the columns
        "base_url": "",
        "domain": "table",
        "context": "",  # what the table is about, in a sentence
        "descriptions": "",  # a JSON file: column to what it holds
        "per_minute": 0,  # questions; 0 is no limit
        "workers": 1,  # questions under way at once
        "temperature": 0.0,  # of the model's sampling; below 0 the server's own
        "max_unreadable": 0.2,  # the share of replies that may be unreadable before the run ends
    }


def learner_settings() -> dict[str, Any]:
    """The settings of the learner."""
    return {
        "penalty": 0.1,  # l1
        "cut": config_dict.placeholder(float),  # .3 with equal variances, .1 with unequal ones
        "finish": config_dict.placeholder(str),  # search with equal variances, order with unequal ones
        "noise": config_dict.placeholder(str),  # equal or unequal variances; equal on generated raw columns only
    }


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    require_effect(config, get_config(config.preset), tables.find_unused_settings(config))
    require_files(config, *tables.FILES)


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Learns the graph of the table without a prior and with it, and writes graph, scores and figures."""
    check_settings(config)
    with x64():
        learner = fits.make_learner(config, config.data.transform or "standardize", config.learner.noise or "unequal")
        task = tables.read_task(config, learner, run)
        counts = fits.draw_resamples(config, task)  # refuses a bad number before any work
        arms = {"no_prior": [None] * len(task.seeds)} | ({"prior": task.priors} if task.priors else {})
        results = fits.fit(run, "fit", task, learner, arms)
        last = list(results)[-1]
        bootstrap = fits.bootstrap(run, task, learner, counts, results[last][0])
        results[last][0] = bootstrap.result
        messages = causal_learner.assumption_doubts(bootstrap.result, task.tables[0], learner)
        task = tables.explain_open_edges(tasks.add_warnings(task, messages), bootstrap.result)
        return _write(config, run, task, results, bootstrap)


def _write(
    config: ConfigDict,
    run: runs.Run,
    task: Task,
    results: dict[str, list[causal.Result]],
    bootstrap: causal.Bootstrap,
) -> dict[str, Any]:
    """Writes graph, scores and figures, and returns the result; edges are those of the first table."""
    first = {arm: arm_results[0] for arm, arm_results in results.items()}
    figures.write_graph(run, task, bootstrap)
    figures.draw_adjacency(run, task, first)
    rows, columns = task.tables[0].shape
    name = Path(config.data.csv).name or f"the example {config.data.example}"
    numbers = {"rows": rows, "columns": columns, "claim": f"The causal graph found in {name}."}
    numbers |= tasks.provenance(task)
    numbers["edges"] = {arm: int(result.graph.sum()) for arm, result in first.items()}
    numbers["directions"] = {arm: _count_directions(result) for arm, result in first.items()}
    numbers["table"] = {"header": figures.TABLE_HEADER, "cells": figures.edge_rows(task, bootstrap)}
    if task.truths:
        numbers |= scores.score(run, "scores", task, results)
        numbers |= mark_comparisons(len(task.seeds), *scores.COMPARED)
        figures.draw_scores(run, "shd", numbers, "This table" if len(task.seeds) == 1 else "These tables")
    if not config.data.csv:
        numbers["seeds"] = len(task.seeds)
    return numbers


def _count_directions(result: causal.Result) -> dict[str, int]:
    """Counts the edges by what tells their directions."""
    counts = np.bincount(np.asarray(result.direction)[result.graph], minlength=len(orientation.DIRECTIONS))
    return {name: int(count) for name, count in zip(orientation.DIRECTIONS[1:], counts[1:], strict=True) if count}
