"""A language model's prior on the edges makes a learned causal graph better than the data or the prior alone do, and a
wrong one does little harm where the data decide how far it is trusted.

On random linear graphs, raw with few rows and standardised with many, the learner is run without a prior, with one of
known quality whose trust is calibrated, and with the same one uncalibrated; then with each use of the paper, which
thresholds the weights of the continuous path: initialisation, similarity, lower bounds. All are compared with the prior
alone, sorting baselines and the empty graph.

    python launch.py --config=experiments/causal_prior.py:smoke                        30 s on 2 CPU cores
    python launch.py --config=experiments/causal_prior.py                              3 minutes
    python launch.py --config=experiments/causal_prior.py --config.data.bif=asia.bif   a bnlearn network

For a table of your own there is `experiments/causal_table.py`; `--config.data.csv` here runs it.

`EXPECTED` below holds the numbers to expect, each with the spread over other seeds. The settings of the paper's own
tables are not public: `paper` is this project's larger experiment and reproduces none.

Reference: Bae et al., "On incorporating prior knowledge extracted from pre-trained language models into causal
discovery", arXiv 2311.11212.
"""

import dataclasses
import sys
from typing import Any

import numpy as np
from ml_collections import ConfigDict, config_dict

from experiments import causal_table
from experiments.parts.causal_prior import figures, fits, scores, tasks
from experiments.parts.causal_prior.tasks import Task
from experiments.parts.shared.intervals import mark_comparisons
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.shared.settings import require_effect, require_files
from framework import causal, runs
from framework.causal.learn import moments
from framework.core.precision import x64

# Mean and twice the standard deviation over batches of seeds: 10 for smoke, 5 for default. The standardised mean
# without a prior is of two batches, measured since the search restarts; its spread is of before.
EXPECTED = {
    "smoke": {"raw.shd.no_prior": (5.1, 1.8), "raw.shd.prior": (3.4, 1.9), "raw.shd.prior_only": (8.0, 0.9)},
    "default": {
        "raw.shd.no_prior": (3.6, 2.0),
        "raw.shd.prior": (2.3, 1.1),
        "raw.shd.prior_only": (16.3, 0.8),
        "standardised.shd.no_prior": (1.7, 0.6),
        "standardised.shd.prior": (0.5, 0.3),
        "standardised.shd.path_similarity": (10.2, 0.8),
    },
}

SWEEP = (0.2, 0.4, 0.6, 0.8, 1.0)  # precision and recall
PRESETS = {
    "smoke": {
        "seeds": 10,
        "data.nodes": 10,
        "data.raw_samples": 30,
        "data.standardised_samples": 0,
        "prior.sweep": (),
        "paper_arms": False,
        "bootstrap": 20,
    },
    "default": {"seeds": 20},
    "paper": {"seeds": 20, "data.nodes": 50, "data.raw_samples": 100, "bootstrap": 200},
}
PATH_STEPS = (1000, 1000, 1000, 1000, 2000)  # of a path that no search ends
FILES = ("data.bif", "prior.answers", "knowledge")


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "data": {
            "csv": "",  # a table of your own: runs the experiment causal_table in place of this one
            "truth": "",  # of that table
            "transform": config_dict.placeholder(str),  # of that table
            "bif": "",  # a bnlearn network to draw from in place of random graphs
            "graph": "er",  # or sf
            "degree": 2.0,  # edges a node
            "equations": "linear",  # or mlp, gaussian_process, iscm
            "noise": "gaussian",  # or exponential, gumbel, uniform
            "variances": "equal",  # or unequal
            "nodes": 20,
            "raw_samples": 60,  # rows of the raw tables; 0 leaves them out
            "standardised_samples": 1000,  # rows of the standardised ones; 0 leaves them out
        },
        "prior": {
            "answers": "",  # recorded answers of a language model
            "precision": 0.8,  # of the prior that is made for generated data
            "recall": 0.8,
            "weight": config_dict.placeholder(float),  # l_sim; by default it is calibrated by the data
            "sweep": SWEEP,  # precision and recall of further priors, for a figure
            "elicit": causal_table.elicitation_settings(),  # of that table
        },
        "knowledge": "",  # a CSV source,target,kind of edges; every kind is required or forbidden
        "learner": causal_table.learner_settings(),
        "paper_arms": True,  # whether to run the paper's own uses of the prior too
        "bootstrap": 100,  # resamples behind the frequencies of each edge
    }
    return build_config("causal_prior", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    require_effect(config, get_config(config.preset), _find_unused_settings(config))
    if config.data.csv:
        causal_table.check_settings(_table_config(config))
    require_files(config, *FILES)


def _find_unused_settings(config: ConfigDict) -> dict[str, str]:
    """The settings that have no effect in this config, with the reasons."""
    if config.data.csv:
        generated = ("bif", *tasks.RECIPE, "nodes", "raw_samples", "standardised_samples")
        reasons = dict.fromkeys(
            (f"data.{name}" for name in generated), "data.csv names a table, so no data are generated"
        )
        quality = ("prior.precision", "prior.recall", "prior.sweep", "paper_arms")
        reason = "priors of known quality need known truths, of generated data; data.csv is a table"
        return reasons | dict.fromkeys(quality, reason)
    reasons = {
        "data.truth": "it is the truth of a table: give data.csv with it; generated data bring their own",
        "data.transform": "it is for a table: give data.csv with it; generated data are raw and standardised",
        "prior.elicit": "a model is asked about the columns of a table: give data.csv with it",
    }
    if config.data.bif:
        reasons |= dict.fromkeys(
            (f"data.{name}" for name in (*tasks.RECIPE, "nodes")), "data.bif brings graph and equations"
        )
    if config.prior.answers:
        reason = "prior.answers takes the place of priors of known quality"
        reasons |= dict.fromkeys(("prior.precision", "prior.recall"), reason)
    return reasons


def _table_config(config: ConfigDict) -> ConfigDict:
    """The config of the experiment `causal_table` for the table that this one names."""
    settings = causal_table.get_config(config.preset)
    settings.update({name: config[name] for name in ("seed", "seeds", "knowledge", "bootstrap")})
    settings.data.update({name: config.data[name] for name in ("csv", "truth", "transform")})
    settings.prior.update({name: config.prior[name] for name in ("answers", "weight")})
    settings.prior.elicit.update(config.prior.elicit.to_dict())
    settings.learner.update(config.learner.to_dict())
    return settings


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Learns every table with and without its prior, and writes graph, scores and figures."""
    check_settings(config)
    if config.data.csv:
        new = f"--config=experiments/causal_table.py --config.data.csv={config.data.csv}"
        print(f"causal_prior: tables have an experiment of their own; from now on use {new}", file=sys.stderr)
        return causal_table.main(_table_config(config), run)
    with x64():
        modes = {"raw": ("center", "equal"), "standardised": ("standardize", "unequal")}  # transform, noise
        sizes = {mode: config.data[f"{mode}_samples"] for mode in modes}
        if not any(sizes.values()):
            raise ValueError("data.raw_samples or data.standardised_samples must be above 0, both are 0")
        seeds = count_seeds(config, PRESETS)
        mode_tasks = {mode: tasks.generate(config, rows, seeds) for mode, rows in sizes.items() if rows}
        numbers: dict[str, Any] = {"columns": len(next(iter(mode_tasks.values())).names), "seeds": seeds}
        numbers |= mark_comparisons(seeds, *(f"{mode}.{name}" for mode in mode_tasks for name in scores.COMPARED))
        for i, (mode, task) in enumerate(mode_tasks.items()):
            transform, noise = modes[mode]
            learner = fits.make_learner(config, transform, config.learner.noise or noise)
            tables = [np.asarray(moments.transform_table(x, learner.transform).values) for x in task.tables]
            numbers[mode] = _run_mode(config, run, mode, task._replace(tables=tables), learner, first=i == 0)
            if task.note:
                numbers["note"] = task.note
        return numbers


def _run_mode(config: ConfigDict, run: runs.Run, mode: str, task: Task, learner: causal.Config, first: bool) -> dict:
    """Runs one mode of the generated data: every arm; for the first mode also the sweep and the figures of a graph."""
    if first:
        counts = fits.draw_resamples(config, task)
    priors = {f"quality {q:g}": tasks.draw_priors(config, task.truths, q, q) for q in config.prior.sweep if first}
    fixed_weight = dataclasses.replace(learner, prior_weight=learner.penalty)
    arms = {"no_prior": [None] * len(task.seeds), "prior": task.priors} | priors
    results = fits.fit(run, f"{mode}-calibrated", task, learner, arms)
    uncalibrated = fits.fit(run, f"{mode}-uncalibrated", task, fixed_weight, {"uncalibrated": task.priors} | priors)
    sweep = {
        "calibrated": [results.pop(name) for name in priors],
        "uncalibrated": [uncalibrated.pop(name) for name in priors],
    }
    results |= uncalibrated
    if config.paper_arms:
        results |= _paper_arms(run, mode, task, learner)
    numbers = scores.score(run, f"scores_{mode}", task, results)
    figures.draw_scores(run, f"shd_{mode}", numbers, f"{mode.capitalize()} data, {len(task.tables[0])} rows")
    if first:
        if priors:
            lines = {name: [scores.mean_shd(task.truths, point) for point in line] for name, line in sweep.items()}
            numbers["sweep"] = {name: [mean for mean, _ in line] for name, line in lines.items()}
            lines["no prior"] = [scores.mean_shd(task.truths, results["no_prior"])] * len(priors)
            figures.draw_sweep(run, list(config.prior.sweep), lines, f"{mode} data", len(task.seeds))
        bootstrap = fits.bootstrap(run, task, learner, counts, results["prior"][0])
        figures.write_graph(run, task, bootstrap)
        figures.draw_adjacency(run, task, {arm: results[arm][0] for arm in ("no_prior", "prior")})
    return numbers


def _paper_arms(run: runs.Run, mode: str, task: Task, learner: causal.Config) -> dict[str, list[causal.Result]]:
    """The uses of the prior in the paper, one by one: the path ends at the threshold and no search follows."""
    path = dataclasses.replace(learner, finish="cut", stage_steps=PATH_STEPS, prior_weight=0.0)
    uses = {
        "initialised": {"start": 0.3, "start_stage": 3},
        "similarity": {"prior_weight": learner.penalty},
        "signed_similarity": {"prior_weight": learner.penalty, "similarity": "signed"},
        "bounded": {"bound": 0.05},
    }
    results = fits.fit(run, f"{mode}-path", task, path, {"path": [None] * len(task.seeds)})
    for name, use in uses.items():
        variant = dataclasses.replace(path, **use)
        results |= fits.fit(run, f"{mode}-{name}", task, variant, {f"path_{name}": task.priors})
    return results
