"""A language model's prior on the edges makes a learned causal graph better than the data or the prior alone do, and a
wrong one does little harm where the data decide how far it is trusted.

On random linear graphs, raw with few rows and standardised with many, the learner is run without a prior, with one of
known quality whose trust is calibrated, and with the same one trusted blindly; then with each use of the paper, which
cuts the path at a threshold: initialisation, similarity, lower bounds. All are held against the prior alone, sorting
baselines and the empty graph. On a table of your own it is a tool: it writes the learned graph with what tells the
direction of each edge (the data, knowledge, the prior, or nothing), and how often bootstrap resamples join its columns,
directed or open.

    python launch.py --config=experiments/causal_prior.py:smoke                        30 s on 2 CPU cores
    python launch.py --config=experiments/causal_prior.py                              3 minutes
    python launch.py --config=experiments/causal_prior.py --config.data.csv=my.csv     a table of one's own
        [--config.data.truth=truth.csv] [--config.data.transform=log_standardize] [--config.prior.answers=answers.json]
        [--config.knowledge=knowledge.csv] [--config.bootstrap=200]

With `--config.prior.elicit.model=NAME` any OpenAI-compatible endpoint is asked about the columns (extra `plm`; base URL
by `--config.prior.elicit.base_url` or OPENAI_BASE_URL, the key by OPENAI_API_KEY alone). If none of the first ten
replies can be read, or in the end more than a share `prior.elicit.max_unreadable` cannot, the run ends with an error,
and the same command asks those questions again. Doubts about table and replies stand in the terminal and the report.

`EXPECTED` below holds the numbers to expect, each with the spread over other seeds. The settings of the paper's own
tables are not public: `paper` is this project's larger study and reproduces none.

Reference: Bae et al., "On incorporating prior knowledge extracted from pre-trained language models into causal
discovery", arXiv 2311.11212.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict, config_dict

from experiments.parts.causal_prior import figures as pictures
from experiments.parts.causal_prior import problems, scores
from experiments.parts.causal_prior.problems import Study
from experiments.parts.shared.intervals import compared
from experiments.parts.shared.settings import refuse_unused, require_files
from framework import causal, runs
from framework.causal import bootstrapping
from framework.causal import learner as causal_learner
from framework.causal.learn import moments
from framework.core import devices, keys
from framework.core.precision import x64

# Mean and twice the standard deviation over batches of seeds: 10 for smoke, 5 for default. The standardised mean
# without a prior is of two batches, measured since the search restarts; its spread is the one of before.
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
_COLUMNS = ("seeds", "nodes", "raw", "standardised", "bootstrap", "paper", "sweep")
SIZES = {
    "smoke": dict(zip(_COLUMNS, (10, 10, 30, 0, 20, False, ()), strict=True)),
    "default": dict(zip(_COLUMNS, (20, 20, 60, 1000, 100, True, SWEEP), strict=True)),
    "paper": dict(zip(_COLUMNS, (20, 50, 100, 1000, 200, True, SWEEP), strict=True)),
}
CHUNK = 1000  # steps between two looks
PATH_STEPS = (1000, 1000, 1000, 1000, 2000)  # of a path that no search ends


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    if preset not in SIZES:
        raise ValueError(f"causal_prior has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = SIZES[preset]
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # graphs to draw; as many as the preset has, and 1 for a CSV
            "data": {
                "csv": "",  # a table of one's own in place of generated data
                "truth": "",  # its true edges, source,target
                "transform": config_dict.placeholder(str),  # of a CSV's columns; standardize where none is given
                "bif": "",  # a bnlearn network to draw from in place of random graphs
                "graph": "er",  # or sf
                "degree": 2.0,  # edges a node
                "equations": "linear",  # or mlp, gaussian_process, iscm
                "noise": "gaussian",  # or exponential, gumbel, uniform
                "variances": "equal",  # or unequal
                "nodes": size["nodes"],
                "raw_samples": size["raw"],  # rows of the raw tables; 0 leaves them out
                "standardised_samples": size["standardised"],  # rows of the standardised ones; 0 leaves them out
            },
            "prior": {
                "answers": "",  # recorded answers of a language model
                "precision": 0.8,  # of the prior that is made for generated data
                "recall": 0.8,
                "weight": config_dict.placeholder(float),  # l_sim; where none is given the data decide
                "sweep": size["sweep"],  # precision and recall of further priors, for a figure
                "elicit": {
                    "model": "",  # asks this model about the columns of the CSV
                    "base_url": "",
                    "domain": "table",
                    "context": "",  # what the table is about, in a sentence
                    "descriptions": "",  # a JSON file: column to what it holds
                    "per_minute": 0,  # questions; 0 is no limit
                    "workers": 1,  # questions under way at once
                    "temperature": 0.0,  # of the model's sampling; below 0 the server's own
                    "max_unreadable": 0.2,  # the share of replies that may be unreadable before the run ends
                },
            },
            "knowledge": "",  # a CSV source,target,kind of edges; every kind is required or forbidden
            "learner": {
                "penalty": 0.1,  # l1
                "cut": config_dict.placeholder(float),  # .3 with equal variances, .1 with unequal ones
                "finish": config_dict.placeholder(str),  # search with equal variances, order with unequal ones
                "noise": config_dict.placeholder(str),  # equal on generated raw columns, else unequal
            },
            "paper_arms": size["paper"],  # whether to run the paper's own uses of the prior too
            "bootstrap": size["bootstrap"],  # resamples behind the frequencies of each edge
        }
    )


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    refuse_unused(config, get_config(config.preset), problems.unused(config))
    require_files(config, *problems.FILES)


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Learns every problem with and without its prior, and writes graph, scores and figures."""
    check_settings(config)
    with x64():
        if config.data.csv:
            learner = learner_of(config, config.data.transform or "standardize", config.learner.noise or "unequal")
            return _tool(config, run, problems.from_csv(config, learner, run), learner)
        modes = {"raw": ("center", "equal"), "standardised": ("standardize", "unequal")}  # transform, noise
        sizes = {mode: config.data[f"{mode}_samples"] for mode in modes}
        if not any(sizes.values()):
            raise ValueError("data.raw_samples or data.standardised_samples must be above 0, both are 0")
        seeds = SIZES[config.preset]["seeds"] if config.seeds is None else config.seeds
        studies = {mode: problems.generated(config, rows, seeds) for mode, rows in sizes.items() if rows}
        numbers: dict[str, Any] = {"columns": len(next(iter(studies.values())).names), "seeds": seeds}
        numbers |= compared(seeds, *(f"{mode}.{name}" for mode in studies for name in scores.COMPARED))
        for i, (mode, study) in enumerate(studies.items()):
            transform, noise = modes[mode]
            learner = learner_of(config, transform, config.learner.noise or noise)
            as_learned = [np.asarray(moments.transformed(x, learner.transform).values) for x in study.tables]
            numbers[mode] = _study(config, run, mode, study._replace(tables=as_learned), learner, first=i == 0)
            if study.note:
                numbers["note"] = study.note
        return numbers


def learner_of(config: ConfigDict, transform: str, noise: str) -> causal.Config:
    """The learner for columns so transformed, with noise of `equal` or `unequal` variances; fixed before any truth is
    looked at."""
    method = causal.Config.equal_variance if noise == "equal" else causal.Config
    given = {name: value for name, value in config.learner.items() if value is not None}
    return method(transform=transform, prior_weight=config.prior.weight, **given)


def _tool(config: ConfigDict, run: runs.Run, study: Study, learner: causal.Config) -> dict[str, Any]:
    """A table of one's own: what is learned without a prior and with it."""
    counts = _resamples(config, study)  # refuses a bad number before any work
    arms = {"no_prior": [None]} | ({"prior": study.priors} if study.priors else {})
    results = {arm: found[0] for arm, found in _fit(run, "fit", study, learner, arms).items()}
    last = list(results)[-1]
    found = _bootstrap(run, study, learner, counts, results[last])
    results[last] = found.result
    study = problems.doubted(study, causal_learner.assumption_doubts(found.result, study.tables[0], learner))
    study = problems.measured(study, found.result)
    pictures.write_graph(run, study, found)
    pictures.draw_adjacency(run, study, results)
    rows, columns = study.tables[0].shape
    numbers = {"rows": rows, "columns": columns, "claim": f"The causal graph found in {Path(config.data.csv).name}."}
    numbers |= problems.said(study)
    numbers["edges"] = {arm: int(result.graph.sum()) for arm, result in results.items()}
    numbers["directions"] = {arm: _directions(result) for arm, result in results.items()}
    numbers["table"] = {"header": pictures.TABLE_HEADER, "cells": pictures.edge_rows(study, found)}
    if study.truths:
        numbers |= scores.score(run, "scores", study, {arm: [result] for arm, result in results.items()})
        numbers |= compared(1, *scores.COMPARED)
        pictures.draw_scores(run, "shd", numbers, "This table")
    return numbers


def _study(config: ConfigDict, run: runs.Run, mode: str, study: Study, learner: causal.Config, first: bool) -> dict:
    """One mode of the generated data: every arm, and for the first mode the pictures of one problem and the sweep."""
    if first:
        counts = _resamples(config, study)
    quality = {f"quality {q:g}": problems.of_quality(config, study.truths, q, q) for q in config.prior.sweep if first}
    trusted = dataclasses.replace(learner, prior_weight=learner.penalty)
    fits = _fit(
        run,
        f"{mode}-calibrated",
        study,
        learner,
        {"no_prior": [None] * len(study.seeds), "prior": study.priors} | quality,
    )
    blind = _fit(run, f"{mode}-trusted", study, trusted, {"trusted_blindly": study.priors} | quality)
    sweep = {
        "calibrated": [fits.pop(name) for name in quality],
        "trusted blindly": [blind.pop(name) for name in quality],
    }
    fits |= blind
    if config.paper_arms:
        fits |= _paper_arms(run, mode, study, learner)
    numbers = scores.score(run, f"scores_{mode}", study, fits)
    pictures.draw_scores(run, f"shd_{mode}", numbers, f"{mode.capitalize()} data, {len(study.tables[0])} rows")
    if first:
        if quality:
            lines = {name: [scores.mean_shd(study.truths, found) for found in each] for name, each in sweep.items()}
            numbers["sweep"] = {name: [mean for mean, _ in line] for name, line in lines.items()}
            lines["no prior"] = [scores.mean_shd(study.truths, fits["no_prior"])] * len(quality)
            pictures.draw_sweep(run, list(config.prior.sweep), lines, f"{mode} data", len(study.seeds))
        found = _bootstrap(run, study, learner, counts, fits["prior"][0])
        pictures.write_graph(run, study, found)
        pictures.draw_adjacency(run, study, {arm: fits[arm][0] for arm in ("no_prior", "prior")})
    return numbers


def _paper_arms(run: runs.Run, mode: str, study: Study, learner: causal.Config) -> dict[str, list[causal.Result]]:
    """The uses of the prior in the paper, one by one: the path is cut at the threshold and no search follows."""
    path = dataclasses.replace(learner, finish="cut", stage_steps=PATH_STEPS, prior_weight=0.0)
    uses = {
        "initialised": {"start": 0.3, "start_stage": 3},
        "similarity": {"prior_weight": learner.penalty},
        "signed_similarity": {"prior_weight": learner.penalty, "similarity": "signed"},
        "bounded": {"bound": 0.05},
    }
    fits = _fit(run, f"{mode}-path", study, path, {"path": [None] * len(study.seeds)})
    for name, use in uses.items():
        used = dataclasses.replace(path, **use)
        fits |= _fit(run, f"{mode}-{name}", study, used, {f"path_{name}": study.priors})
    return fits


_finish = devices.spread(jax.vmap(causal.finish, in_axes=(0, 0, None)), in_axes=(0, 0, None))


def _step(states: causal.State, fixed: tuple[causal.Problem, causal.Config]):
    return jax.vmap(causal.step, in_axes=(0, 0, None))(states, *fixed)


def _solve(run: runs.Run, phase: str, given: list[causal.Problem], learner: causal.Config, rows) -> causal.Result:
    """All problems as one batch, driven in chunks; leaves `[problems, ...]`."""
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *given)
    states = jax.vmap(causal.init, in_axes=(0, None))(batch, learner)
    size = len(given[0].covariance)
    memory = causal.memory(int(given[0].samples), size, learner, len(given))
    fixed, split = (batch, learner), devices.Split(fixed=(0, None))
    states = runs.drive(run, phase, _step, states, fixed, learner.steps, CHUNK, rows, memory=memory, split=split)
    results = _finish(states, batch, learner)
    if np.any(results.status):
        raise ValueError(f"{phase}: {causal.STATUS[int(np.max(results.status))]}")
    return results


def _fit(run: runs.Run, phase: str, study: Study, learner: causal.Config, arms: dict) -> dict[str, list[causal.Result]]:
    """The results of each arm, one a seed."""
    labels = [(arm, seed) for arm in arms for seed in study.seeds]
    pairs = [(x, prior) for priors in arms.values() for x, prior in zip(study.tables, priors, strict=True)]
    given = [causal.problem(x, problems.known(prior, study), learner) for x, prior in pairs]

    def rows(done: int, measured) -> list[dict[str, Any]]:
        last = [{name: values[-1, i] for name, values in measured.items()} for i in range(len(labels))]
        where = [{"step": done, "seed": seed, "phase": phase, "arm": arm} for arm, seed in labels]
        return [place | row for place, row in zip(where, last, strict=True)]

    results = _solve(run, phase, given, learner, rows)
    each = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), results) for i in range(len(labels))]
    return {arm: each[i * len(study.seeds) : (i + 1) * len(study.seeds)] for i, arm in enumerate(arms)}


def _resamples(config: ConfigDict, study: Study) -> jax.Array:
    """How often each row of the first problem stands in each resample, `[resamples, rows]`."""
    key = keys.named(jax.random.key(config.seed), "bootstrap")
    return bootstrapping.resample(key, len(study.tables[0]), config.bootstrap)


def _bootstrap(
    run: runs.Run, study: Study, learner: causal.Config, counts: jax.Array, result: causal.Result
) -> causal.Bootstrap:
    """The bootstrap of the first problem, whose fit to all rows is the result."""
    known = problems.known(study.priors[0] if study.priors else None, study)
    given = [causal.problem(study.tables[0], known, learner, counts=count) for count in counts]
    fits = _solve(run, "bootstrap", given, learner, lambda done, measured: [])
    fits = jax.tree.map(lambda first, rest: np.concatenate([np.asarray(first)[None], rest]), result, fits)
    return _on_host(_summarize(fits, causal.problem(study.tables[0], known, learner), learner))


_summarize = jax.jit(bootstrapping.summarize)
_on_host = partial(jax.tree.map, np.asarray)


def _directions(result: causal.Result) -> dict[str, int]:
    """How many edges owe their direction to what."""
    counts = np.bincount(np.asarray(result.direction)[result.graph], minlength=len(causal.DIRECTIONS))
    return {name: int(count) for name, count in zip(causal.DIRECTIONS[1:], counts[1:], strict=True) if count}
