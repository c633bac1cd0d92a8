"""A search that counts spikes finds spiking networks that fire less at nearly the same accuracy; and because the whole
space is scored exactly, how far the search falls short of the best is a measured number.

A supernet is trained by single paths; all architectures are scored with its weights, those with equal first blocks
together; the evolution and a random search of the same budget look for the best under accuracy (spikes /
reference)^lambda; what each lambda finds is trained from scratch and measured on the test images.

    python launch.py --config=experiments/autosnn.py:smoke     8 networks on digits, 55 s of CPU time
    python launch.py --config=experiments/autosnn.py           3,125 networks on digits, 8 minutes
        [--config.data.name=mnist, or my.npz] [--config.data.events=DIR, a folder of recordings a class]
    python launch.py --config=experiments/autosnn.py:paper     the paper's search on CIFAR-10, for a GPU

`smoke` has three slots of two candidates. Candidates are evaluated on the last fifth of the training images, which no
training sees; the test images judge the end alone, after the last epoch. The paper retrains on all training images and
reports its best test epoch; `retrain.all` does the first.

Reference: Na et al., "AutoSNN: towards energy-efficient spiking neural networks", ICML 2022, arXiv 2201.12738.
"""

import functools
import importlib.util
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.parts.autosnn import datasets as sources
from experiments.parts.autosnn import figures
from experiments.parts.autosnn.datasets import Part, Sets
from experiments.parts.autosnn.presets import LAMBDA, PRESETS
from experiments.parts.proxy_data import proxies
from experiments.parts.shared.intervals import mark_comparisons
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.shared.rows import single_rows
from experiments.parts.shared.settings import dataset_folder, require_effect, require_files
from framework import runs
from framework.core import keys
from framework.core.devices import DATA_PARALLEL, Split
from framework.nas import autosnn
from framework.nas.autosnn import (
    enumeration,
    evolution,
    export,
    meters,
)
from framework.nas.autosnn import (
    training as spiking_training,
)
from framework.nas.autosnn.blocks import CANDIDATES
from framework.snn.nir import files

# `smoke`: mean and twice the standard deviation of two runs, one a version of jax; of the accuracy a wider allowance.
# `default`: one run, with allowances for what a supernet of another seed may change.
EXPECTED = {
    "smoke": {
        "lambda 0.regret evolution": (0.06, 0.073),
        "lambda -0.24.regret evolution": (0.08, 0.118),
        "retrained.lambda 0.accuracy": (0.803, 0.15),
    },
    "default": {
        "lambda -0.08.regret evolution": (0.0, 0.01),
        "lambda -0.08.accuracy": (0.976, 0.02),
        "retrained.lambda -0.08.accuracy": (0.964, 0.02),
    },
}
METERED = 100  # images whose operations are counted


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "data": {
            "name": "digits",  # digits, or a set of TFDS
            "dir": "",  # the TFDS folder
            "events": "",  # a folder of recordings of event cameras, a folder a class, in place of images
            "train": 0,  # images, those of the validation among them; 0 takes all
            "test": 0,
            "validation": 0.2,  # share of the training images, the last ones
        },
        "proxy": proxies.settings(),  # the part of the training images that the supernet sees
        "space": {
            "channels": 8,
            "macro": "SNN_1",
            "candidates": CANDIDATES,
            "steps": 4,  # T
            "neuron": "plif",
            "statistics": "step",
        },
        "training": {"epochs": 120, "batch": 48, "rate": 1e-2, "paths": 1},
        "retrain": {"epochs": 40, "batch": 48, "rate": 1e-2, "all": False},
        "search": {
            "rounds": 20,
            "pool": 20,
            "top": 10,
            "repeats": 10,
            "exact": True,  # score the whole space first
            "lambdas": (0.0, -0.08, -0.16, -0.24),
            "mutation": 0.2,
        },
        "reference": 0.0,  # spikes of the fitness; 0 takes the supernet's mean
    }
    return build_config("autosnn", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    unused = proxies.find_unused_settings(config.proxy) | dataset_folder(config.data.name)
    if config.data.events:
        names = ("name", "dir", "train", "test")
        unused |= dict.fromkeys((f"data.{name}" for name in names), "data.events brings the recordings, all of them")
    require_effect(config, get_config(config.preset), unused)
    require_files(config, "data.dir", "data.events", "proxy.entropy")


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Trains, scores, searches, retrains; writes numbers, tables and figures."""
    check_settings(config)
    sets = sources.sets(config)
    dynamics = autosnn.Dynamics(config.space.steps, config.space.neuron, statistics=config.space.statistics)
    image, candidates = sets.train.images.shape[-3:], tuple(config.space.candidates)
    space = autosnn.search_space(
        config.space.channels, image, sets.classes, macro=config.space.macro, candidates=candidates, dynamics=dynamics
    )
    _check(config, sets)
    seeds = keys.seeds(config.seed, count_seeds(config, PRESETS))
    results = [_run_seed(config, run, sets, space, seed, with_figures=seed == config.seed) for seed in seeds]
    numbers = jax.tree.map(lambda *values: float(np.mean(values)), *results)
    lambdas = [name for name in numbers if name.startswith("lambda ")]
    numbers |= mark_comparisons(len(results), *lambdas, "retrained")
    note = {"note": sets.note} if sets.note else {}
    return numbers | {"seeds": len(results), "networks": space.size} | note


def _check(config: ConfigDict, sets: Sets) -> None:
    """Refuses what would fail only after a training."""
    proxies.check(config.proxy)
    spiking_training.check_labels(*sets.train, sets.classes)
    spiking_training.check_labels(*sets.validation, sets.classes, "validation")
    if config.reference < 0:
        raise ValueError(f"reference must be above 0 spikes, or 0 for the supernet's mean, got {config.reference}")
    if not config.search.lambdas or max(config.search.lambdas) > 0:
        raise ValueError(f"search.lambdas must be at least one number of at most 0, got {config.search.lambdas}")
    if config.search.repeats < 1:
        raise ValueError(f"search.repeats must be at least 1 search, got {config.search.repeats}")
    for name in ("training", "retrain"):
        if not 1 <= config[name].batch <= len(sets.train.labels) or config[name].epochs < 1:
            requirement = f"at least 1 epoch of batches of 1 to {len(sets.train.labels)} images"
            raise ValueError(f"{name} must have {requirement}, got {config[name].epochs} and {config[name].batch}")
    _searcher(config, "evolution")


def _run_seed(config: ConfigDict, run: runs.Run, sets: Sets, space, seed: int, with_figures: bool) -> dict[str, Any]:
    """Runs everything with one supernet; the figures show the first one."""
    key = jax.random.key(seed)
    rows = proxies.rows(config, run, len(sets.train.labels))
    part = Part(*(array[rows] for array in sets.train))
    trainer = _trainer(config, part, space, config.training)
    start = keys.derive(key, "supernet")
    state = _train(run, trainer, part, config.training, start, f"supernet-{seed}", seed)
    supernet = spiking_training.supernet(state, space)
    reference = config.reference or max(float(supernet.spikes), 1.0)
    numbers: dict[str, Any] = {"reference": reference}
    table = _table(run, supernet, sets.validation, seed) if config.search.exact else None
    known = (supernet, *map(jnp.asarray, sets.validation)) if table is None else table
    searches = _search(config, run, space, known, reference, seed)
    architectures = {
        lambda_: np.asarray(results["evolution"].architecture)[0].tolist() for lambda_, results in searches.items()
    }
    for lambda_, results in searches.items():
        means = ("accuracy", "spikes", "evaluations")
        numbers[f"lambda {lambda_:g}"] = {name: float(np.mean(getattr(results["evolution"], name))) for name in means}
        if table is not None:
            numbers[f"lambda {lambda_:g}"] |= _compare_with_all(table, results, lambda_, reference)
    figure_lambda = min(config.search.lambdas, key=lambda value: abs(value - LAMBDA))
    numbers["retrained"] = _retrain(config, run, sets, space, architectures, figure_lambda, seed, with_figures)
    if with_figures:
        best = None if table is None else float(autosnn.fitness(*table, figure_lambda, reference).max())
        curves = {name: np.asarray(result.history) for name, result in searches[figure_lambda].items()}
        figures.draw_search(run, curves, config.search.pool, best, figure_lambda)
        names = {f"lambda {lambda_:g}": architecture for lambda_, architecture in architectures.items()}
        figures.draw_architecture(run, space, names)
        if table is not None:
            indices = {
                lambda_: int(space.index(np.array(architecture))) for lambda_, architecture in architectures.items()
            }
            points = {lambda_: (float(table.accuracy[i]), float(table.spikes[i])) for lambda_, i in indices.items()}
            figures.draw_front(run, table, evolution.front(table), points)
    return numbers


def _trainer(config: ConfigDict, part: Part, space, settings: ConfigDict) -> spiking_training.Trainer:
    """Adam whose rate falls to 0 along a cosine; the paper's stays as it is."""
    training = autosnn.Config(settings.epochs, settings.batch, config.training.paths)
    decay = 0 if config.preset == "paper" else training.steps(len(part.labels))
    return _adam(space, training, settings.rate, decay)


@functools.cache
def _adam(space: autosnn.Space, training: autosnn.Config, rate: float, decay: int) -> spiking_training.Trainer:
    """One trainer a setting, so that the supernet and every network are trained by one compiled program."""
    schedule = optax.cosine_decay_schedule(rate, decay) if decay else rate
    return spiking_training.supernet_trainer(space, training, optax.adam(schedule))


def _train(run: runs.Run, trainer, part: Part, settings: ConfigDict, key, phase: str, seed: int, pinned=None):
    """Trains from the start or the last checkpoint to the end."""
    rows = single_rows(phase, seed)
    state = trainer.init(key, len(part.labels), pinned)
    fixed = tuple(map(jnp.asarray, part))
    epoch = len(part.labels) // settings.batch  # all chunks are as long, or the last one would be compiled again
    steps, memory = settings.epochs * epoch, 8 * part.images.nbytes
    return runs.run_steps(
        run, phase, trainer.step, state, fixed, steps, epoch, rows, memory=memory, split=DATA_PARALLEL
    )


def _table(run: runs.Run, supernet, part: Part, seed: int) -> autosnn.Scores:
    """Every architecture's scores, also as a file."""
    fixed, phase = (supernet, *map(jnp.asarray, part)), f"all-{seed}"
    table = enumeration.concatenate(runs.run_tasks(run, phase, enumeration.part, enumeration.parts(supernet), fixed))
    choices = np.asarray(supernet.space.architecture(np.arange(supernet.space.size)))
    names = ["".join(map(str, choice)) for choice in choices]
    rows = [(name, *row) for name, row in zip(names, np.stack(table, axis=1).tolist(), strict=True)]
    run.save_csv(f"all-{seed}.csv", ("blocks", "accuracy", "spikes"), rows)
    return table


def _searcher(config: ConfigDict, algorithm: str) -> autosnn.SearchConfig:
    size, half = config.search, config.search.pool // 2
    options = {"mutants": half, "crossovers": half, "mutation": size.mutation}
    return autosnn.SearchConfig(algorithm, size.rounds, size.pool, size.top, **options)


@functools.cache
def _rounds(space: autosnn.Space, settings: autosnn.SearchConfig, exact: bool):
    """A round of many searches: with a table of scores, or with a supernet and images."""

    def step(states, fixed):
        known, lambdas, reference = fixed
        if exact:
            evaluate, many = autosnn.from_table(space, known), jax.vmap
        else:
            evaluate = lambda architecture: autosnn.evaluate(known[0], architecture, *known[1:])
            many = lambda one: lambda *arguments: jax.lax.map(lambda pair: one(*pair), arguments)
        return many(lambda state, at: evolution.step(state, space, evaluate, at, reference, settings))(states, lambdas)

    return step


def _search(config, run, space, known, reference: float, seed: int) -> dict[float, dict[str, autosnn.SearchResult]]:
    """Per lambda and algorithm the searches from several keys, leaves `[keys, ...]`; all are one program."""
    cases = list(itertools.product(config.search.lambdas, evolution.ALGORITHMS))
    seed_keys = keys.for_seeds(seed, config.search.repeats)
    init_all = lambda name: jax.jit(jax.vmap(lambda key: evolution.init(key, space, _searcher(config, name))))(
        seed_keys
    )
    starts = {name: init_all(name) for name in evolution.ALGORITHMS}
    start = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(starts[name] for _, name in cases))
    lambdas = jnp.repeat(jnp.float32([lambda_ for lambda_, _ in cases]), len(seed_keys))

    def rows(done: int, metrics) -> list[dict[str, Any]]:
        best = metrics["fitness"][-1].reshape(len(cases), -1).mean(-1)
        named = {f"{name} {lambda_:g}": float(fitness) for (lambda_, name), fitness in zip(cases, best, strict=True)}
        return [{"step": done, "seed": seed, "phase": "search"} | named]

    fixed = (known, lambdas, jnp.float32(reference))
    step = _rounds(space, _searcher(config, "evolution"), isinstance(known, autosnn.Scores))
    split = Split(fixed=(None, 0, None))
    states = runs.run_steps(run, f"search-{seed}", step, start, fixed, config.search.rounds, 1, rows, split=split)
    apart = jax.tree.map(
        lambda leaf: leaf.reshape(len(cases), len(seed_keys), *leaf.shape[1:]), jax.vmap(evolution.finish)(states)
    )
    results: dict[float, dict[str, autosnn.SearchResult]] = {}
    for index, (lambda_, name) in enumerate(cases):
        results.setdefault(lambda_, {})[name] = jax.tree.map(lambda leaf, i=index: leaf[i], apart)
    return results


def _compare_with_all(table: autosnn.Scores, searches: dict, lambda_: float, reference: float) -> dict[str, float]:
    """Compares searches with the best architecture of all: regret, and the share of architectures that are better."""
    worth = np.asarray(autosnn.fitness(*table, lambda_, reference))
    fitnesses = {name: np.asarray(result.fitness) for name, result in searches.items()}
    better = lambda fitness: np.mean([(worth > one * (1 + 1e-6)).mean() for one in fitness])
    numbers = {f"regret {name}": float(np.mean(1 - values / worth.max())) for name, values in fitnesses.items()}
    numbers |= {f"share better {name}": float(better(values)) for name, values in fitnesses.items()}
    return numbers | {"beats random": float(np.mean(fitnesses["evolution"] >= fitnesses["random"]))}


def _retrain(
    config,
    run,
    sets: Sets,
    space,
    architectures: dict[float, list[int]],
    figure_lambda: float,
    seed: int,
    with_figures: bool,
):
    """Trains every architecture of a search from new weights and evaluates it on the test images."""
    both = [np.concatenate(pair) for pair in zip(sets.train, sets.validation, strict=True)]
    part = Part(*both) if config.retrain.all else sets.train
    trainer, numbers, measured = _trainer(config, part, space, config.retrain), {}, {}
    for lambda_, architecture in architectures.items():
        name = "".join(map(str, architecture))
        if name not in measured:
            key = keys.derive(jax.random.key(seed), f"retrain {name}")
            state = _train(run, trainer, part, config.retrain, key, f"retrain-{name}-{seed}", seed, architecture)
            measured[name] = _measure(
                run, state, sets.test, space, architecture, lambda_ == figure_lambda and with_figures
            )
        numbers[f"lambda {lambda_:g}"] = measured[name]
    if with_figures:
        results = zip(architectures, numbers.values(), strict=True)
        points = {lambda_: (scores["accuracy"], scores["spikes"]) for lambda_, scores in results}
        figures.draw_test_scores(run, points)
    return numbers


def _measure(run: runs.Run, state, part: Part, space, architecture: list[int], with_export: bool) -> dict[str, float]:
    """Test accuracy, spikes, synaptic operations, energy; and the network as a NIR file where the extra is there."""
    trained, net = spiking_training.supernet(state, space), autosnn.build_network(space, architecture)
    weights = autosnn.inherit(trained, architecture)
    scores = autosnn.evaluate(trained, np.array(architecture), *map(jnp.asarray, part))
    costs = meters.costs(net, *weights, part.images[:METERED])
    if with_export and importlib.util.find_spec("nir"):
        files.save(export.to_nir(net, *weights), run.path / "network.nir")
    shown = {name: getattr(costs, name) for name in ("neurons", "synops", "macs", "energy_nj", "energy_with_memory_nj")}
    return {"accuracy": float(scores.accuracy), "spikes": float(scores.spikes), "parameters": net.parameters()} | shown
