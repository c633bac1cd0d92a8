"""A language model knows causes by the names that it is shown: with real names its answers are nearly right, with
hidden names it claims nothing, with swapped names it is as sure as before and wrong. A learner that weights such a
prior by how well the data support it gains by the first and loses little by the last.

Seven physics systems are drawn as tables and shown under three sets of names, with the answers that were recorded about
each. The answers are evaluated by themselves, wording by wording and all together; then the learner takes their vote.

    python launch.py --config=experiments/causal_answers.py:smoke          25 s on 2 CPU cores
    python launch.py --config=experiments/causal_answers.py                1 minute
    python launch.py --config=experiments/causal_answers.py:paper          2 minutes

With `--config.answers.dir=DIR` it evaluates the answers of another model, in files as those of framework/causal/priors.

`EXPECTED` below holds the numbers to expect, each with the spread over other seeds; the answers themselves depend on no
seed. A rate is the mean over the systems: precision over those of which anything is claimed (belief over 1/2), while F1
and recall of no claim are 0. The tables' columns are standardised. The laws of physics are not linear and the learner
is, so that where the names are right nothing beats the answers alone. With hidden names `prior` gets no claims and
equals `no_prior`. `paper` is this project's larger experiment and reproduces no table of the paper.

Reference: Bae et al., "On incorporating prior knowledge extracted from pre-trained language models into causal
discovery", arXiv 2311.11212.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments.parts.causal_answers import figures, scores
from experiments.parts.causal_answers.scores import Subject
from experiments.parts.shared.intervals import (
    ENOUGH,
    difference,
    mark_comparisons,
    standard_error,
)
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.shared.settings import require_files
from framework import causal, runs
from framework.causal import knowledge
from framework.causal import learner as causal_learner
from framework.causal.discrete import equivalence
from framework.causal.metrics import graph_distance, sortability
from framework.causal.prior.answers import answer_file
from framework.causal.synthetic import physics
from framework.core import devices, keys
from framework.core.precision import x64

# Mean over batches of seeds (6, 3, 2), and their spread: 2.6 standard deviations, 8 for the two of paper, at least .05.
# Those of paper were measured before the search became exact up to 12 columns.
EXPECTED = {
    "smoke": {
        "answers.f1.real": (0.938, 0.001),
        "answers.f1.permuted": (0.188, 0.001),
        "answers.unknown.anonymous": (0.8, 0.001),
        "answers.confidence.permuted": (0.937, 0.001),
        "shd.no_prior.real": (1.21, 0.15),
        "shd.prior.real": (0.93, 0.28),
        "shd.prior.anonymous": (1.21, 0.15),
        "shd.prior.permuted": (1.5, 0.17),
        "shd.fixed.real": (0.54, 0.11),
        "shd.fixed.permuted": (2.38, 0.33),
        "gain.prior.permuted": (-0.29, 0.05),
    },
    "default": {
        "answers.f1.real": (0.957, 0.001),
        "answers.f1.permuted": (0.167, 0.001),
        "answers.unknown.anonymous": (0.8, 0.001),
        "answers.confidence.permuted": (0.943, 0.001),
        "shd.no_prior.real": (2.34, 0.17),
        "shd.prior.real": (1.87, 0.05),
        "shd.prior.anonymous": (2.34, 0.17),
        "shd.prior.permuted": (2.53, 0.16),
        "shd.fixed.real": (1.45, 0.05),
        "shd.fixed.permuted": (3.59, 0.16),
        "gain.prior.permuted": (-0.19, 0.05),
    },
    "paper": {
        "answers.f1.real": (0.957, 0.001),
        "answers.f1.permuted": (0.167, 0.001),
        "answers.unknown.anonymous": (0.8, 0.001),
        "answers.confidence.permuted": (0.943, 0.001),
        "shd.no_prior.real": (1.94, 0.18),
        "shd.prior.real": (1.37, 0.07),
        "shd.prior.anonymous": (1.94, 0.18),
        "shd.prior.permuted": (2.02, 0.15),
        "shd.fixed.real": (1.22, 0.16),
        "shd.fixed.permuted": (2.64, 0.3),
        "gain.prior.permuted": (-0.07, 0.05),
    },
}

SMALLEST = ("free_fall", "pendulum", "ohm_joule", "ideal_gas")  # four columns each: one compilation serves them all
PRESETS = {  # seeds: tables of each system
    "smoke": {"seeds": 20, "data.systems": SMALLEST},
    "default": {"seeds": 50},
    "paper": {"seeds": 200, "data.samples": 1000},
}
LEARNED = ("no_prior", "prior", "fixed")  # prior: weighted by the data; fixed: with l_sim = l1
ARMS = (*LEARNED, "prior_only", "empty")
_TABLE = jax.jit(physics.sample, static_argnums=(1, 2))


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "data": {
            "systems": tuple(physics.SYSTEMS),
            "samples": 200,
            "noise": 0.1,  # of each equation, relative to what the equation explains
        },
        "learner": {"penalty": 0.1, "cut": 0.1},
        "answers": {"dir": ""},  # a folder of answer files, SYSTEM.json and SYSTEM__VARIANT.json
    }
    return build_config("causal_answers", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses a folder of answers that is not there."""
    require_files(config, "answers.dir")


class Scores(NamedTuple):
    """Scores of the graphs of one system."""

    shd: dict[tuple[str, str], np.ndarray]  # (arm, variant) -> [seeds]
    cpdag_shd: dict[tuple[str, str], np.ndarray]
    sortability: dict[str, float]


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Evaluates the answers, runs every arm on every table, and writes numbers and figures."""
    check_settings(config)
    with x64():
        learner = _learner(config)
        subjects = [_subject(config, system) for system in _systems(config)]
        samples = _samples(subjects)
        seeds = keys.for_seeds(config.seed, count_seeds(config, PRESETS))
        learned = _learn(config, run, subjects, learner, seeds)
        numbers = {"note": _note(subjects), "seeds": len(seeds)}
        numbers |= scores.numbers(subjects, samples) | _learner_numbers(subjects, learned)
        numbers |= mark_comparisons(len(seeds), "shd", "cpdag_shd", "difference")
        figures.draw(run, numbers)
        return numbers


def _learner(config: ConfigDict) -> causal.Config:
    return causal.Config.standardized(**config.learner)


def _systems(config: ConfigDict) -> list[physics.System]:
    names, data = tuple(config.data.systems), config.data
    if not names or len(set(names)) != len(names) or not set(names) <= set(physics.SYSTEMS):
        raise ValueError(f"data.systems must be some of {', '.join(physics.SYSTEMS)}, each once, got {names}")
    if data.samples < 3:
        raise ValueError(f"data.samples must be at least 3 rows, got {data.samples}")
    if not 0 <= data.noise < np.inf:
        raise ValueError(f"data.noise must be a finite number of at least 0, got {data.noise}")
    return [physics.SYSTEMS[name] for name in names]


def _subject(config: ConfigDict, system: physics.System) -> Subject:
    answers = {}
    for variant in physics.VARIANTS:
        domain = system.name if variant == "real" else f"{system.name}__{variant}"
        folder = config.answers.dir
        path = Path(folder) / f"{domain}.json" if folder else answer_file(domain)
        answers[variant] = causal.read_answers(path, physics.names(system, variant))
    return Subject(system, physics.graph(system), answers)


def _samples(subjects: list[Subject]) -> list[int]:
    """The samples, which every file must have."""
    samples = {
        tuple(np.unique(answers.samples).tolist()) for subject in subjects for answers in subject.answers.values()
    }
    if len(samples) != 1 or samples == {()}:
        raise ValueError(
            f"answers.dir: all files must hold the same samples, at least one; they hold {sorted(samples)}"
        )
    return list(samples.pop())


def _note(subjects: list[Subject]) -> str:
    caveats = dict.fromkeys(
        answers.caveat for subject in subjects for answers in subject.answers.values() if answers.caveat
    )
    return " ".join(f"Of the answers: {caveat}." for caveat in caveats)


def _learn(config: ConfigDict, run: runs.Run, subjects: list[Subject], learner: causal.Config, seeds) -> list[Scores]:
    """Fits every arm to every table, systems of equal numbers of columns together; in the order of the subjects."""
    widest = max(len(one.truth) for one in subjects)
    rows = config.data.samples * len(seeds) * len(subjects)
    runs.require_memory(40 * rows * widest, f"a run with {len(subjects)} systems with {config.data.samples} rows")
    run.truncate_metrics(0)  # a killed run begins again
    learned = {}
    sizes = sorted({len(one.truth) for one in subjects})
    for size in tqdm(sizes, desc="fit", unit="size", disable=None, leave=False):
        group = [one for one in subjects if len(one.truth) == size]
        tables = np.stack([_tables(config, one.system, seeds) for one in group])
        graphs = _fit(group, tables, learner)
        for index, one in enumerate(group):
            system_graphs = {arm: graph[index] for arm, graph in graphs.items()}
            learned[one.system.name] = _score(one, tables[index], system_graphs)
            run.log(_rows(config, one, learned[one.system.name], learner))
    return [learned[one.system.name] for one in subjects]


def _tables(config: ConfigDict, system: physics.System, seeds) -> np.ndarray:
    """Draws a table a seed, `[seeds, n, d]`, one by one, since the rounding of a batch depends on its size."""
    system_keys = [keys.derive(key, system.name) for key in seeds]
    return np.stack([_TABLE(key, system, config.data.samples, config.data.noise) for key in system_keys])


def _fit(group: list[Subject], tables: np.ndarray, learner: causal.Config) -> dict[tuple[str, str], np.ndarray]:
    """The graphs of each arm and variant, `[systems, seeds, d, d]` bool; a prior of weight 0 is none."""
    variants = physics.VARIANTS
    calibrated = _graphs(tables, _stack_priors(group, variants), None, learner)
    weights = np.array([learner.penalty] * len(variants) + [0.0])
    weighted = _graphs(tables, _stack_priors(group, (*variants, "real")), weights, learner)
    graphs = {}
    for index, variant in enumerate(variants):
        graphs["no_prior", variant] = weighted[:, :, -1]
        graphs["prior", variant] = calibrated[:, :, index]
        graphs["fixed", variant] = weighted[:, :, index]
        alone = np.stack([knowledge.alone(one.prior(variant)) for one in group])
        graphs["prior_only", variant] = np.broadcast_to(alone[:, None], graphs["prior", variant].shape)
        graphs["empty", variant] = np.zeros_like(graphs["prior", variant])
    return graphs


def _stack_priors(group: list[Subject], variants: Iterable[str]) -> causal.Knowledge:
    """The priors of each system and variant, leaves `[systems, variants, d, d]`."""
    priors = [[one.prior(variant) for variant in variants] for one in group]
    field = lambda name: np.stack([[getattr(prior, name) for prior in row] for row in priors])
    return causal.Knowledge(field("edges"), field("confidence"))


def _fit_all(tables: np.ndarray, priors: causal.Knowledge, weights, learner: causal.Config) -> causal.Result:
    fit = lambda x, prior, weight: causal.fit(x, prior, learner, prior_weight=weight)
    of_table = jax.vmap(fit, in_axes=(None, 0, None if weights is None else 0))
    of_system = jax.vmap(of_table, in_axes=(0, None, None))
    return jax.vmap(of_system, in_axes=(0, 0, None))(tables, priors, weights)


_fits = devices.shard_over_devices(_fit_all, in_axes=(0, 0, None, None))


def _graphs(tables: np.ndarray, priors: causal.Knowledge, weights, learner: causal.Config) -> np.ndarray:
    """One fit a system, seed and prior, `[systems, seeds, priors, d, d]` bool; by default weights are calibrated."""
    results = _fits(tables, priors, weights, learner)
    if np.any(results.status):
        raise ValueError(f"the learner: {causal_learner.STATUS[int(np.max(results.status))]}")
    return np.asarray(results.graph)


@jax.jit
def _distances(truth: jax.Array, graphs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """SHD, and SHD of the equivalence classes, of each graph."""
    shd = jax.vmap(lambda graph: graph_distance.compare(truth, graph)["shd"])(graphs)
    return shd, jax.vmap(lambda graph: equivalence.cpdag_shd(truth, graph))(graphs)


def _score(subject: Subject, tables: np.ndarray, graphs: dict[tuple[str, str], np.ndarray]) -> Scores:
    shd, classes = (np.asarray(d) for d in _distances(subject.truth, np.concatenate(list(graphs.values()))))
    split = lambda values: dict(zip(graphs, values.reshape(len(graphs), -1), strict=True))
    measures = {"varsortability": sortability.varsortability, "r2_sortability": sortability.r2_sortability}
    sortable = {name: float(np.mean([measure(x, subject.truth) for x in tables])) for name, measure in measures.items()}
    return Scores(split(shd), split(classes), sortable)


def _rows(config: ConfigDict, subject: Subject, learned: Scores, learner: causal.Config) -> list[dict[str, Any]]:
    """One row a seed for `metrics.jsonl`."""
    measured = {f"shd.{arm}.{variant}": values for (arm, variant), values in learned.shd.items()}
    measured |= {f"cpdag_shd.{arm}.{variant}": values for (arm, variant), values in learned.cpdag_shd.items()}
    return [
        {"step": learner.steps, "seed": config.seed + i, "system": subject.system.name}
        | {name: int(values[i]) for name, values in measured.items()}
        for i in range(len(next(iter(measured.values()))))
    ]


def _learner_numbers(subjects: list[Subject], learned: list[Scores]) -> dict[str, Any]:
    """Means over systems and seeds; `gain` (`difference` of too few seeds) is over no prior, table by table."""
    pairs = learned[0].shd
    system_mean = lambda field, pair: np.mean([getattr(one, field)[pair] for one in learned], axis=0)
    shd = {pair: system_mean("shd", pair) for pair in pairs}
    seeds = len(shd["no_prior", "real"])
    gain = {pair: shd["no_prior", pair[1]] - shd[pair] for pair in pairs if pair[0] in LEARNED[1:]}
    numbers = {
        "shd": _by_arm(shd, np.mean),
        "cpdag_shd": _by_arm({pair: system_mean("cpdag_shd", pair) for pair in pairs}, np.mean),
        difference(seeds): _by_arm(gain, np.mean),
    }
    if seeds >= ENOUGH:
        varying = {pair: values for pair, values in shd.items() if pair[0] in LEARNED}
        numbers |= {"shd_error": _by_arm(varying, standard_error), "gain_error": _by_arm(gain, standard_error)}
    numbers["systems"] = [_record(*pair) for pair in zip(subjects, learned, strict=True)]
    return numbers


def _record(subject: Subject, learned: Scores) -> dict[str, Any]:
    """The entry of one system in the result."""
    sizes = {"name": subject.system.name, "columns": len(subject.truth), "edges": int(subject.truth.sum())}
    return sizes | learned.sortability | {"shd": _by_arm(learned.shd, np.mean)}


def _by_arm(values: dict[tuple[str, str], np.ndarray], measure) -> dict[str, dict[str, float]]:
    arms = [arm for arm in ARMS if (arm, "real") in values]
    return {arm: {variant: float(measure(values[arm, variant])) for variant in physics.VARIANTS} for arm in arms}
