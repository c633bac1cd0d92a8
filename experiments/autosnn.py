"""A search that counts spikes finds spiking networks that fire less at nearly the same accuracy; and because the whole
space is scored exactly, how far the search falls short of the best is a measured number.

A supernet is trained by single paths; all architectures are scored with its weights, those that begin alike together;
the evolution and a random search of the same budget look for the best under accuracy (spikes / reference)^lambda; what
each lambda finds is trained from scratch and measured on the test images.

    python launch.py --config=experiments/autosnn.py:smoke     8 networks on digits, 55 s of CPU time
    python launch.py --config=experiments/autosnn.py           3,125 networks on digits, 8 minutes
        [--config.data.name=mnist, or my.npz] [--config.data.events=DIR, a folder of recordings a class]
    python launch.py --config=experiments/autosnn.py:paper     the paper's search on CIFAR-10, for a GPU

`smoke` has three slots of two candidates. Candidates are judged on the last fifth of the training images, which no
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
from ml_collections import ConfigDict, config_dict

from experiments.parts.autosnn import datasets as sources
from experiments.parts.autosnn import figures as pictures
from experiments.parts.autosnn.datasets import Part, Sets
from experiments.parts.proxy_data import proxies
from experiments.parts.shared.intervals import compared
from experiments.parts.shared.rows import of_one
from experiments.parts.shared.settings import dataset_folder, refuse_unused, require_files
from framework import runs
from framework.core import keys
from framework.core.devices import TOGETHER, Split
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
LAMBDA = -0.08  # the paper's; pictures show the search whose own is nearest
METERED = 100  # images whose operations are counted
_SIZES = ("name", "channels", "steps", "macro", "candidates", "train", "retrain", "search", "lambdas")
_TRAINING = ("epochs", "batch", "rate")
_SEARCH = ("rounds", "pool", "top", "repeats", "exact")
SMALL = ("skip_connect", "SRB_k3")
SIZES = {
    "smoke": ("digits", 4, 4, "short", SMALL, (12, 48, 2e-2), (12, 48, 2e-2), (2, 2, 2, 10, True), (0.0, -0.24)),
    "default": (
        "digits",
        8,
        4,
        "SNN_1",
        CANDIDATES,
        (120, 48, 1e-2),
        (40, 48, 1e-2),
        (20, 20, 10, 10, True),
        (0.0, -0.08, -0.16, -0.24),
    ),
    "paper": (
        "cifar10",
        16,
        8,
        "SNN_1",
        CANDIDATES,
        (600, 96, 1e-3),
        (600, 96, 1e-3),
        (20, 20, 10, 1, False),
        (-0.08,),
    ),
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    if preset not in SIZES:
        raise ValueError(f"autosnn has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = dict(zip(_SIZES, SIZES[preset], strict=True))
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # supernets, one after another; 1 by default
            "data": {
                "name": size["name"],  # digits, or a set of TFDS
                "dir": "",  # the TFDS folder
                "events": "",  # a folder of recordings of event cameras, a folder a class, in place of images
                "train": 0,  # images, those of the validation among them; 0 takes all
                "test": 0,
                "validation": 0.2,  # share of the training images, the last ones
            },
            "proxy": proxies.settings(),  # the part of the training images that the supernet sees
            "space": {
                "channels": size["channels"],
                "macro": size["macro"],
                "candidates": size["candidates"],
                "steps": size["steps"],  # T
                "neuron": "plif",
                "statistics": "step",
            },
            "training": {**dict(zip(_TRAINING, size["train"], strict=True)), "paths": 1},
            "retrain": {**dict(zip(_TRAINING, size["retrain"], strict=True)), "all": preset == "paper"},
            "search": {
                **dict(zip(_SEARCH, size["search"], strict=True)),  # exact: score the whole space first
                "lambdas": size["lambdas"],
                "mutation": 0.2,
            },
            "reference": 0.0,  # spikes of the fitness; 0 takes the supernet's mean
        }
    )


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    unused = proxies.unused(config.proxy) | dataset_folder(config.data.name)
    if config.data.events:
        names = ("name", "dir", "train", "test")
        unused |= dict.fromkeys((f"data.{name}" for name in names), "data.events brings the recordings, all of them")
    refuse_unused(config, get_config(config.preset), unused)
    require_files(config, "data.dir", "data.events", "proxy.entropy")


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Trains, scores, searches, retrains; writes numbers, tables and figures."""
    check_settings(config)
    given = sources.sets(config)
    dynamics = autosnn.Dynamics(config.space.steps, config.space.neuron, statistics=config.space.statistics)
    image, candidates = given.train.images.shape[-3:], tuple(config.space.candidates)
    space = autosnn.space(
        config.space.channels, image, given.classes, macro=config.space.macro, candidates=candidates, dynamics=dynamics
    )
    _check(config, given)
    count = 1 if config.seeds is None else config.seeds
    seeds = keys.seeds(config.seed, count)
    found = [_of_seed(config, run, given, space, seed, drawn=seed == config.seed) for seed in seeds]
    numbers = jax.tree.map(lambda *each: float(np.mean(each)), *found)
    lambdas = [name for name in numbers if name.startswith("lambda ")]
    numbers |= compared(len(found), *lambdas, "retrained")
    note = {"note": given.note} if given.note else {}
    return numbers | {"seeds": len(found), "networks": space.size} | note


def _check(config: ConfigDict, given: Sets) -> None:
    """Refuses what would fail only after a training."""
    proxies.check(config.proxy)
    spiking_training.check_labels(*given.train, given.classes)
    spiking_training.check_labels(*given.validation, given.classes, "validation")
    if config.reference < 0:
        raise ValueError(f"reference must be above 0 spikes, or 0 for the supernet's mean, got {config.reference}")
    if not config.search.lambdas or max(config.search.lambdas) > 0:
        raise ValueError(f"search.lambdas must be at least one number of at most 0, got {config.search.lambdas}")
    if config.search.repeats < 1:
        raise ValueError(f"search.repeats must be at least 1 search, got {config.search.repeats}")
    for name in ("training", "retrain"):
        if not 1 <= config[name].batch <= len(given.train.labels) or config[name].epochs < 1:
            wanted = f"at least 1 epoch of batches of 1 to {len(given.train.labels)} images"
            raise ValueError(f"{name} must have {wanted}, got {config[name].epochs} and {config[name].batch}")
    _searcher(config, "evolution")


def _of_seed(config: ConfigDict, run: runs.Run, given: Sets, space, seed: int, drawn: bool) -> dict[str, Any]:
    """The whole study with one supernet; the first one's pictures are kept."""
    key = jax.random.key(seed)
    rows = proxies.rows(config, run, len(given.train.labels))
    part = Part(*(each[rows] for each in given.train))
    trainer = _trainer(config, part, space, config.training)
    start = keys.named(key, "supernet")
    state = _driven(run, trainer, part, config.training, start, f"supernet-{seed}", seed)
    supernet = spiking_training.supernet(state, space)
    reference = config.reference or max(float(supernet.spikes), 1.0)
    numbers: dict[str, Any] = {"reference": reference}
    table = _table(run, supernet, given.validation, seed) if config.search.exact else None
    known = (supernet, *map(jnp.asarray, given.validation)) if table is None else table
    searches = _searched(config, run, space, known, reference, seed)
    found = {lambda_: np.asarray(each["evolution"].architecture)[0].tolist() for lambda_, each in searches.items()}
    for lambda_, each in searches.items():
        means = ("accuracy", "spikes", "evaluations")
        numbers[f"lambda {lambda_:g}"] = {name: float(np.mean(getattr(each["evolution"], name))) for name in means}
        if table is not None:
            numbers[f"lambda {lambda_:g}"] |= _against_all(table, each, lambda_, reference)
    kept = min(config.search.lambdas, key=lambda each: abs(each - LAMBDA))
    numbers["retrained"] = _retrained(config, run, given, space, found, kept, seed, drawn)
    if drawn:
        best = None if table is None else float(autosnn.fitness(*table, kept, reference).max())
        curves = {name: np.asarray(each.history) for name, each in searches[kept].items()}
        pictures.draw_search(run, curves, config.search.pool, best, kept)
        names = {f"lambda {lambda_:g}": architecture for lambda_, architecture in found.items()}
        pictures.draw_architecture(run, space, names)
        if table is not None:
            place = {lambda_: int(space.index(np.array(each))) for lambda_, each in found.items()}
            points = {each: (float(table.accuracy[i]), float(table.spikes[i])) for each, i in place.items()}
            pictures.draw_front(run, table, evolution.front(table), points)
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
    return spiking_training.of_supernet(space, training, optax.adam(schedule))


def _driven(run: runs.Run, trainer, part: Part, settings: ConfigDict, key, phase: str, seed: int, pinned=None):
    """A training from its beginning or its last checkpoint to its end."""
    rows = of_one(phase, seed)
    state = trainer.init(key, len(part.labels), pinned)
    fixed = tuple(map(jnp.asarray, part))
    epoch = len(part.labels) // settings.batch  # all pieces are as long, or the last one would be compiled anew
    steps, memory = settings.epochs * epoch, 8 * part.images.nbytes
    return runs.drive(run, phase, trainer.step, state, fixed, steps, epoch, rows, memory=memory, split=TOGETHER)


def _table(run: runs.Run, supernet, part: Part, seed: int) -> autosnn.Scores:
    """Every architecture's scores, also as a file."""
    fixed, phase = (supernet, *map(jnp.asarray, part)), f"all-{seed}"
    table = enumeration.joined(runs.tasks(run, phase, enumeration.part, enumeration.parts(supernet), fixed))
    choices = np.asarray(supernet.space.architecture(np.arange(supernet.space.size)))
    names = ["".join(map(str, each)) for each in choices]
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
            many = lambda one: lambda *each: jax.lax.map(lambda pair: one(*pair), each)
        return many(lambda state, at: evolution.step(state, space, evaluate, at, reference, settings))(states, lambdas)

    return step


def _searched(config, run, space, known, reference: float, seed: int) -> dict[float, dict[str, autosnn.Found]]:
    """Per lambda and algorithm the searches from several keys, leaves `[keys, ...]`; all are one program."""
    cases = list(itertools.product(config.search.lambdas, evolution.ALGORITHMS))
    own = keys.for_seeds(seed, config.search.repeats)
    begin = lambda name: jax.jit(jax.vmap(lambda key: evolution.init(key, space, _searcher(config, name))))(own)
    starts = {name: begin(name) for name in evolution.ALGORITHMS}
    start = jax.tree.map(lambda *each: jnp.concatenate(each), *(starts[name] for _, name in cases))
    lambdas = jnp.repeat(jnp.float32([lambda_ for lambda_, _ in cases]), len(own))

    def rows(done: int, seen) -> list[dict[str, Any]]:
        best = seen["fitness"][-1].reshape(len(cases), -1).mean(-1)
        named = {f"{name} {lambda_:g}": float(each) for (lambda_, name), each in zip(cases, best, strict=True)}
        return [{"step": done, "seed": seed, "phase": "search"} | named]

    fixed = (known, lambdas, jnp.float32(reference))
    step = _rounds(space, _searcher(config, "evolution"), isinstance(known, autosnn.Scores))
    split = Split(fixed=(None, 0, None))
    reached = runs.drive(run, f"search-{seed}", step, start, fixed, config.search.rounds, 1, rows, split=split)
    apart = jax.tree.map(
        lambda leaf: leaf.reshape(len(cases), len(own), *leaf.shape[1:]), jax.vmap(evolution.finish)(reached)
    )
    found: dict[float, dict[str, autosnn.Found]] = {}
    for place, (lambda_, name) in enumerate(cases):
        found.setdefault(lambda_, {})[name] = jax.tree.map(lambda leaf, i=place: leaf[i], apart)
    return found


def _against_all(table: autosnn.Scores, searches: dict, lambda_: float, reference: float) -> dict[str, float]:
    """How far the searches fall short of the best of all, and how many of all are better."""
    worth = np.asarray(autosnn.fitness(*table, lambda_, reference))
    found = {name: np.asarray(each.fitness) for name, each in searches.items()}
    better = lambda fitness: np.mean([(worth > one * (1 + 1e-6)).mean() for one in fitness])
    numbers = {f"regret {name}": float(np.mean(1 - each / worth.max())) for name, each in found.items()}
    numbers |= {f"share better {name}": float(better(each)) for name, each in found.items()}
    return numbers | {"beats random": float(np.mean(found["evolution"] >= found["random"]))}


def _retrained(config, run, given: Sets, space, found: dict[float, list[int]], kept: float, seed: int, drawn: bool):
    """Each architecture that was found, trained from fresh weights and judged on the test images."""
    both = [np.concatenate(pair) for pair in zip(given.train, given.validation, strict=True)]
    part = Part(*both) if config.retrain.all else given.train
    trainer, numbers, measured = _trainer(config, part, space, config.retrain), {}, {}
    for lambda_, architecture in found.items():
        name = "".join(map(str, architecture))
        if name not in measured:
            key = keys.named(jax.random.key(seed), f"retrain {name}")
            state = _driven(run, trainer, part, config.retrain, key, f"retrain-{name}-{seed}", seed, architecture)
            measured[name] = _measured(run, state, given.test, space, architecture, lambda_ == kept and drawn)
        numbers[f"lambda {lambda_:g}"] = measured[name]
    if drawn:
        results = zip(found, numbers.values(), strict=True)
        points = {lambda_: (each["accuracy"], each["spikes"]) for lambda_, each in results}
        pictures.draw_retrained(run, points)
    return numbers


def _measured(run: runs.Run, state, part: Part, space, architecture: list[int], exported: bool) -> dict[str, float]:
    """Test accuracy, spikes, synaptic operations, energy; and the network as a NIR file where the extra is there."""
    trained, net = spiking_training.supernet(state, space), autosnn.network(space, architecture)
    weights = autosnn.inherit(trained, architecture)
    scores = autosnn.evaluate(trained, np.array(architecture), *map(jnp.asarray, part))
    costs = meters.costs(net, *weights, part.images[:METERED])
    if exported and importlib.util.find_spec("nir"):
        files.save(export.to_nir(net, *weights), run.path / "network.nir")
    shown = {name: getattr(costs, name) for name in ("neurons", "synops", "macs", "energy_nj", "energy_with_memory_nj")}
    return {"accuracy": float(scores.accuracy), "spikes": float(scores.spikes), "parameters": net.parameters()} | shown
