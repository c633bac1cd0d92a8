"""An architecture search that sees a tenth of the data, chosen by the entropy of a base network, costs a tenth; what
the choice is worth is shown next to random selection, in every number.

A base network tells the entropy of each image; the rules P1 to P3 draw from its histogram. Then architectures of
NAS-Bench-201 are trained small on a proxy and on all images, and their ranking is compared with the table of that
benchmark (12 epochs, CIFAR-10) or, without the table, against the mean of full trainings. Last, DARTS is searched on
proxies by several rules, at equal epochs (a tenth of the steps) and at equal steps, and the found cells are retrained.

    python launch.py --config=experiments/proxy_data.py:smoke            35 s: scikit-learn's digits
    python launch.py --config=experiments/proxy_data.py                  12 to 28 minutes on 2 busy cores: MNIST, and
                                                                         JPEG CIFAR-10 for the ranking
    python launch.py --config=experiments/proxy_data.py:paper            CIFAR-10, for a GPU

JPEG CIFAR-10 is lossy: no number here is to be compared with published ones. Images are pooled to `side`; networks have
few channels and few epochs, the same for every rule.

Reference: Na, Mok, Choe and Yoon, "Accelerating neural architecture search via proxy data", IJCAI 2021, arXiv
2106.04784.
"""

import functools
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.parts.proxy_data import datasets as images
from experiments.parts.proxy_data import figures, proxies, ranks
from experiments.parts.proxy_data import searches as search
from experiments.parts.proxy_data.presets import PRESETS
from experiments.parts.shared.intervals import mark_comparisons
from experiments.parts.shared.presets import build_config
from experiments.parts.shared.settings import dataset_folder, require_effect, require_files
from framework import data, runs, selection
from framework.core import checks, keys
from framework.nas import darts, nasbench201
from framework.selection import Traits, histogram

# Of one run: taus with half of their bootstrap intervals, accuracies with twice the standard error over two seeds.
EXPECTED = {
    "default": {
        "tau.all images": (0.41, 0.27),
        "tau.P1, equal epochs": (-0.09, 0.37),
        "tau.random, equal epochs": (-0.13, 0.37),
        "tau_gain_of_P1.equal epochs.mean": (0.04, 0.26),
        "cell_accuracy.full.all images": (0.805, 0.035),
        "cell_accuracy.equal epochs.random": (0.824, 0.012),
        "cell_accuracy.equal epochs.P1": (0.809, 0.039),
    },
}
TABLE = ("proxy_nas", "nb201_mini", "nb201_accuracies.csv")
WHOLE = ranks.WHOLE
KINDS = ("full", "equal epochs", "equal steps")  # of searches: all images; proxies


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "data": {
            "sets": ("mnist", "cifar10_jpeg"),  # digits, or sets of TFDS: those whose entropies are shown
            "dir": "",  # the TFDS folder
            "images": 2000,  # training images of each; 0 takes all
            "side": 8,  # of the base network's images
        },
        "compile": "well",  # fast: programs of half the speed, for short runs
        "proxy": proxies.settings(fraction=0.1, batch=100),
        "ranks": {
            "set": "cifar10_jpeg",
            "count": 960,  # training images
            "test": 1000,  # images
            "side": 8,
            "architectures": 24,
            "seeds": 3,
            "channels": 4,
            "cells": 1,
            "batch": 32,
            "epochs": 5,
            "rate": 0.1,
            "table": str(data.shared_path(*TABLE)),  # of true accuracies
        },
        "search": {
            "set": "mnist",
            "count": 1280,  # training images
            "test": 1000,  # images
            "side": 8,
            "seeds": 2,
            "channels": 4,
            "cells": 3,
            "batch": 32,
            "epochs": 1,
            "rules": ("random", "P1", "entropy_bottom", "k_center"),
            "kinds": KINDS,
            "retrain_epochs": 1,
            "retrain_rate": 0.05,
        },
    }
    return build_config("proxy_data", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    unused = dict.fromkeys(("proxy.rule", "proxy.entropy"), "search.rules says which rules choose, by a base network")
    unused |= dataset_folder(*config.data.sets, config.ranks.set, config.search.set)
    if config.seeds is not None:
        unused |= dict.fromkeys(("ranks.seeds", "search.seeds"), "seeds goes before it")
    if set(config.search.kinds) == {"full"}:
        unused["search.rules"] = "search.kinds is full alone, which sees all images"
    require_effect(config, get_config(config.preset), unused)
    require_files(config, "data.dir", "ranks.table")


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Entropies, the ranking of architectures, searches on proxies; numbers, tables, figures."""
    check_settings(config)
    _check(config)
    table = nasbench201.read_table(config.ranks.table) if config.ranks.table else None
    prepared = functools.cache(lambda name: images.prepare(config, run, name))
    numbers: dict[str, Any] = {"fraction": config.proxy.fraction}
    numbers |= _rank(config, run, prepared(config.ranks.set), table)
    numbers["entropy"] = _histograms(
        config, run, {(image_set := prepared(name)).train.name: image_set for name in config.data.sets}
    )
    numbers |= _search(config, run, prepared(config.search.set))
    ranked, searched = (_seeds(config, config[kind]) for kind in ("ranks", "search"))
    few = [
        mark_comparisons(ranked, "tau", "tau_difference_of_P1", "rank_accuracy"),
        mark_comparisons(searched, "cell_accuracy"),
    ]
    numbers["no_interval"] = {name: words for entries in few for name, words in entries.get("no_interval", {}).items()}
    numbers["seeds"] = min(ranked, searched)
    return numbers | {"note": _note(config, numbers)}


def _check(config: ConfigDict) -> None:
    proxies.check(config.proxy)
    checks.one_of("compile", config.compile, proxies.COMPILE)
    if unknown := set(config.search.rules) - set(selection.METHODS):
        raise ValueError(f"search.rules: {sorted(unknown)[0]!r} is none of {', '.join(selection.METHODS)}")
    if "random" not in config.search.rules:
        raise ValueError("search.rules must hold random: without it no other rule's number says anything")
    if not config.search.kinds or set(config.search.kinds) - set(KINDS):
        raise ValueError(f"search.kinds must be some of {', '.join(KINDS)}, got {config.search.kinds}")
    if config.seeds is not None and config.seeds < 1:
        raise ValueError(f"seeds must be at least 1 proxy of each rule, got {config.seeds}")
    for side in (config.ranks.side, config.search.side):
        if side < 4 or side % 4:
            raise ValueError(f"sides must be multiples of 4, for two halvings; got {side}")
    if config.ranks.architectures < 3:
        raise ValueError(f"ranks.architectures must be at least 3 to be ranked, got {config.ranks.architectures}")
    for part, name in (("ranks", "epochs"), ("search", "epochs"), ("search", "retrain_epochs")):
        if config[part][name] < 1:
            raise ValueError(f"{part}.{name} must be at least 1, got {config[part][name]}")
    if count := config.ranks.count or config.data.images:
        size = int(config.proxy.fraction * count)
        if not 1 <= config.ranks.batch <= size:
            raise ValueError(f"ranks: a proxy of {size} images holds no batch of {config.ranks.batch}")
    if count := config.search.count or config.data.images:
        _proxy_size(config, count)


def _proxy_size(config: ConfigDict, count: int) -> int:
    """The size of a proxy for a search; refuses one whose halves hold no batch."""
    size = int(config.proxy.fraction * count)
    if not 1 <= config.search.batch <= size // 2:
        raise ValueError(f"search: half a proxy of {size} images holds no batch of {config.search.batch}")
    return size


def _options(config: ConfigDict) -> tuple:
    return proxies.COMPILE[config.compile]


def _seeds(config: ConfigDict, part: ConfigDict) -> int:
    return part.seeds if config.seeds is None else config.seeds


def _choose(config: ConfigDict, rule: str, traits: Traits, seeds: int) -> np.ndarray:
    """Proxies of a rule, `[seeds, k]`; all images, each seed in an order of its own, where the rule is `WHOLE`."""
    count = len(traits.labels)
    size, name = (count, "random") if rule == WHOLE else (int(config.proxy.fraction * count), rule)
    key = lambda seed: keys.derive(jax.random.key(seed), "proxy")
    proxy = config.proxy
    draw = lambda seed: proxies.choose(name, key(seed), size, traits, proxy.balanced and rule != WHOLE, proxy.bin_width)
    return np.stack([draw(config.seed + i) for i in range(seeds)])


def _histograms(config: ConfigDict, run: runs.Run, sets: dict[str, images.Prepared]) -> dict[str, Any]:
    """Histograms of the entropies of each set, with the share that P1 takes of each bin, and a few quantiles."""
    histograms, numbers = {}, {}
    for name, image_set in sets.items():
        entropy, width = image_set.traits.entropy, config.proxy.bin_width
        bins = jax.tree.map(np.asarray, histogram.histogram(entropy, width))
        taken = np.bincount(bins.bins[_choose(config, "P1", image_set.traits, 1)[0]], minlength=len(bins.heights))
        histograms[name] = (bins.edges, bins.heights, taken)
        run.save_csv(
            f"histogram-{name}.csv", ("edge", "images", "P1"), zip(bins.edges[:-1], bins.heights, taken, strict=True)
        )
        tallest = int(bins.heights.argmax())
        numbers[name] = {
            "log10 of the median": float(np.log10(np.median(entropy))),
            "share below 1e-3": float((entropy < 1e-3).mean()),
            "share of the tallest bin": float(bins.heights[tallest] / len(entropy)),
            "its share of P1": float(taken[tallest] / max(taken.sum(), 1)),
        }
    figures.draw_histograms(run, histograms, config.proxy.fraction)
    return numbers


def _rank(config: ConfigDict, run: runs.Run, image_set: images.Prepared, table: dict | None) -> dict[str, Any]:
    """Ranks architectures by each way to train: tau with intervals, and its ceilings."""
    settings, seeds = config.ranks, _seeds(config, config.ranks)
    train, test, traits = images.parts(image_set, settings)
    net = nasbench201.Config(settings.channels, settings.cells, image_set.train.classes, train[0].shape[-1])
    architectures = ranks.draw_architectures(
        keys.derive(jax.random.key(config.seed), "architectures"), settings.architectures
    )
    size = int(config.proxy.fraction * len(train[1]))
    longer = settings.epochs * (len(train[1]) // settings.batch) // max(size // settings.batch, 1)
    ways = {WHOLE: (WHOLE, settings.epochs)}
    for kind, epochs in {"equal epochs": settings.epochs, "equal steps": longer}.items():
        ways |= {f"{rule}, {kind}": (rule, epochs) for rule in ("P1", "random")}
    plans = {
        way: np.stack(
            [
                ranks.batches(rows, epochs, settings.batch, config.seed + i)
                for i, rows in enumerate(_choose(config, rule, traits, seeds))
            ]
        )
        for way, (rule, epochs) in ways.items()
    }
    room = max(plan.shape[1] for plan in plans.values())
    accuracies = {}
    for way, plan in plans.items():
        phase = "ranks-" + way.replace(", ", "-").replace(" ", "-")
        accuracies[way] = ranks.accuracies(
            run, phase, net, settings.rate, architectures, plan, room, train, test, config.seed, _options(config)
        )
    names = [nasbench201.to_text(architecture) for architecture in architectures]
    means = np.stack([values.mean(1) for values in accuracies.values()])
    truth = np.array([table[architecture] for architecture in architectures]) if table else accuracies[WHOLE].mean(1)
    run.save_csv("ranks.csv", ("architecture", "truth", *accuracies), zip(names, truth, *means, strict=True))
    numbers = ranks.taus(accuracies, truth.astype(np.float32), config.seed, seeds)
    figures.draw_ranks(run, numbers, "the table" if table else f"{WHOLE}, mean of all seeds", len(truth), seeds)
    return numbers


def _search(config: ConfigDict, run: runs.Run, image_set: images.Prepared) -> dict[str, Any]:
    """Searches cells on proxies, at equal epochs and at equal steps; their accuracy, and the steps of the searches."""
    settings, seeds = config.search, _seeds(config, config.search)
    train, test, traits = images.parts(image_set, settings)
    net = darts.Supernet(settings.channels, settings.cells, image_set.train.classes)
    every = np.arange(len(train[1]))
    plan = ranks.batches(every, settings.retrain_epochs, settings.batch, config.seed)
    per_epoch = lambda size: size // 2 // settings.batch
    size = _proxy_size(config, len(train[1]))
    longer = round(settings.epochs * per_epoch(len(train[1])) / per_epoch(size))
    every_kind = {
        "full": (settings.epochs, (WHOLE,)),
        "equal epochs": (settings.epochs, settings.rules),
        "equal steps": (longer, settings.rules),
    }
    kinds = {kind: every_kind[kind] for kind in settings.kinds}
    cells: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in kinds}
    steps: dict[str, dict[str, int]] = {kind: {} for kind in kinds}
    rows = []
    for kind, (epochs, rules) in kinds.items():
        for rule in rules:
            parts = _choose(config, rule, traits, seeds)
            phase = f"{kind}-{rule}".replace(" ", "-")
            genotypes = search.search(
                run,
                f"search-{phase}",
                net,
                darts.Config(epochs, settings.batch),
                parts,
                train,
                config.seed,
                _options(config),
            )
            right = search.retrain(
                run,
                f"retrain-{phase}",
                net,
                settings.retrain_rate,
                genotypes,
                plan,
                train,
                test,
                config.seed,
                _options(config),
            )
            cells[kind][rule], steps[kind][rule] = right, epochs * per_epoch(parts.shape[1])
            rows += [
                (kind, rule, config.seed + i, right[i], darts.to_json(genotype)) for i, genotype in enumerate(genotypes)
            ]
    run.save_csv("cells.csv", ("budget", "rule", "seed", "accuracy", "genotype"), rows)
    figures.draw_cells(run, cells, steps)
    return {
        "cell_accuracy": {
            kind: {rule: float(np.mean(values)) for rule, values in by_rule.items()} for kind, by_rule in cells.items()
        },
        "search_steps": {kind: next(iter(by_rule.values())) for kind, by_rule in steps.items()},
    }


def _note(config: ConfigDict, numbers: dict[str, Any]) -> str:
    """The note of the report: limits of the numbers, and comparisons that random selection does not lose."""
    ranked, searched = (runs.no_interval(_seeds(config, config[kind])) for kind in ("ranks", "search"))
    if ranked:
        words = f"Ranking: P1 and random selection are not told apart ({ranked})."
    elif kinds := [kind for kind, gain in numbers["tau_gain_of_P1"].items() if gain["low"] <= 0]:
        words = f"Ranking: P1 does not beat random selection beyond the bootstrap's interval ({', '.join(kinds)})."
    else:
        words = "Ranking: P1 beats random selection beyond the bootstrap's interval."
    best = {
        kind: max(by_rule, key=by_rule.get) for kind, by_rule in numbers["cell_accuracy"].items() if len(by_rule) > 1
    }
    winners = "; ".join(f"highest mean at {kind}: {rule}" for kind, rule in best.items())
    rules = f"of {len(config.search.rules)} rules, random among them{f' ({searched})' if searched else ''}"
    searches = f" Searches: {winners}, {rules}." if winners else ""
    reduced = f"Networks of {config.ranks.channels} channels on images of {config.ranks.side} x {config.ranks.side}."
    return f"{words}{searches} {reduced}"
