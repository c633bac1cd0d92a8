"""An architecture search that sees a tenth of the data, chosen by the entropy of a base network, costs a tenth; what
the choice is worth is shown beside random selection, in every number.

A base network tells the entropy of each image; the rules P1 to P3 draw from its histogram. Then architectures of
NAS-Bench-201 are trained small on a proxy and on all images, and their ranking is held against the table of that
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
from ml_collections import ConfigDict, config_dict

from experiments.parts.proxy_data import datasets as images
from experiments.parts.proxy_data import figures as pictures
from experiments.parts.proxy_data import proxies, ranks
from experiments.parts.proxy_data import searches as search
from experiments.parts.shared.intervals import compared
from experiments.parts.shared.settings import dataset_folder, refuse_unused, require_files
from framework import data, runs, selection
from framework.core import keys
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
_RANKS = ("set", "count", "test", "side", "architectures", "seeds", "channels", "cells", "batch", "epochs", "rate")
_SEARCH = ("set", "count", "test", "side", "seeds", "channels", "cells", "batch", "epochs", "rules", "kinds")
SIZES = {
    "smoke": {
        "sets": ("digits",),
        "images": 600,
        "side": 8,
        "ranks": ("digits", 320, 100, 8, 3, 2, 4, 1, 32, 1, 0.1),
        "search": ("digits", 400, 100, 8, 1, 4, 1, 20, 1, ("random", "P1"), ("equal epochs",)),
    },
    "default": {
        "sets": ("mnist", "cifar10_jpeg"),
        "images": 2000,
        "side": 8,
        "ranks": ("cifar10_jpeg", 960, 1000, 8, 24, 3, 4, 1, 32, 5, 0.1),
        "search": ("mnist", 1280, 1000, 8, 2, 4, 3, 32, 1, ("random", "P1", "entropy_bottom", "k_center"), KINDS),
    },
    "paper": {
        "sets": ("cifar10",),
        "images": 0,
        "side": 32,
        "ranks": ("cifar10", 0, 10000, 32, 100, 3, 16, 5, 256, 12, 0.1),
        "search": (
            "cifar10",
            0,
            10000,
            32,
            4,
            16,
            8,
            64,
            50,
            ("random", *histogram.RULES, "entropy_bottom", "k_center"),
            KINDS,
        ),
    },
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    if preset not in SIZES:
        raise ValueError(f"proxy_data has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = SIZES[preset]
    with_table = preset != "smoke"
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # proxies of each rule; as many as the preset has
            "data": {
                "sets": size["sets"],  # digits, or sets of TFDS: those whose entropies are shown
                "dir": "",  # the TFDS folder
                "images": size["images"],  # training images of each; 0 takes all
                "side": size["side"],  # of the base network's images
            },
            "compile": "fast" if preset == "smoke" else "well",  # fast: programs of half the speed, for short runs
            "proxy": proxies.settings(fraction=0.1, batch=100 if with_table else 50),
            "ranks": dict(zip(_RANKS, size["ranks"], strict=True))
            | {"table": str(data.shared_path(*TABLE)) if with_table else ""},
            "search": dict(zip(_SEARCH, size["search"], strict=True)) | {"retrain_epochs": 1, "retrain_rate": 0.05},
        }
    )


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    unused = dict.fromkeys(("proxy.rule", "proxy.entropy"), "search.rules says which rules choose, by a base network")
    unused |= dataset_folder(*config.data.sets, config.ranks.set, config.search.set)
    if config.seeds is not None:
        unused |= dict.fromkeys(("ranks.seeds", "search.seeds"), "seeds goes before it")
    if set(config.search.kinds) == {"full"}:
        unused["search.rules"] = "search.kinds is full alone, which sees all images"
    refuse_unused(config, get_config(config.preset), unused)
    require_files(config, "data.dir", "ranks.table")


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Entropies, the ranking of architectures, searches on proxies; numbers, tables, figures."""
    check_settings(config)
    _check(config)
    table = nasbench201.read_table(config.ranks.table) if config.ranks.table else None
    prepared = functools.cache(lambda name: images.prepared(config, run, name))
    numbers: dict[str, Any] = {"fraction": config.proxy.fraction}
    numbers |= _ranked(config, run, prepared(config.ranks.set), table)
    numbers["entropy"] = _histograms(config, run, {(of := prepared(name)).train.name: of for name in config.data.sets})
    numbers |= _searched(config, run, prepared(config.search.set))
    ranked, searched = (_seeds(config, config[kind]) for kind in ("ranks", "search"))
    few = [compared(ranked, "tau", "tau_difference_of_P1", "rank_accuracy"), compared(searched, "cell_accuracy")]
    numbers["no_interval"] = {name: words for each in few for name, words in each.get("no_interval", {}).items()}
    numbers["seeds"] = min(ranked, searched)
    return numbers | {"note": _note(config, numbers)}


def _check(config: ConfigDict) -> None:
    proxies.check(config.proxy)
    if config.compile not in proxies.COMPILE:
        raise ValueError(f"compile must be one of {', '.join(proxies.COMPILE)}, got {config.compile!r}")
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
    """Images of a proxy of so many, for a search; refuses one whose halves hold no batch."""
    size = int(config.proxy.fraction * count)
    if not 1 <= config.search.batch <= size // 2:
        raise ValueError(f"search: half a proxy of {size} images holds no batch of {config.search.batch}")
    return size


def _options(config: ConfigDict) -> tuple:
    return proxies.COMPILE[config.compile]


def _seeds(config: ConfigDict, part: ConfigDict) -> int:
    return part.seeds if config.seeds is None else config.seeds


def _chosen(config: ConfigDict, rule: str, traits: Traits, seeds: int) -> np.ndarray:
    """Proxies of a rule, `[seeds, k]`; all images, each seed in an order of its own, where the rule is `WHOLE`."""
    count = len(traits.labels)
    size, name = (count, "random") if rule == WHOLE else (int(config.proxy.fraction * count), rule)
    key = lambda seed: keys.named(jax.random.key(seed), "proxy")
    proxy = config.proxy
    draw = lambda seed: proxies.chosen(name, key(seed), size, traits, proxy.balanced and rule != WHOLE, proxy.bin_width)
    return np.stack([draw(config.seed + i) for i in range(seeds)])


def _histograms(config: ConfigDict, run: runs.Run, sets: dict[str, images.Prepared]) -> dict[str, Any]:
    """Of each set: its bins, what P1 takes of each, and a few quantiles."""
    drawn, numbers = {}, {}
    for name, given in sets.items():
        entropy, width = given.traits.entropy, config.proxy.bin_width
        found = jax.tree.map(np.asarray, histogram.histogram(entropy, width))
        taken = np.bincount(found.bins[_chosen(config, "P1", given.traits, 1)[0]], minlength=len(found.heights))
        drawn[name] = (found.edges, found.heights, taken)
        run.save_csv(
            f"histogram-{name}.csv", ("edge", "images", "P1"), zip(found.edges[:-1], found.heights, taken, strict=True)
        )
        tallest = int(found.heights.argmax())
        numbers[name] = {
            "log10 of the median": float(np.log10(np.median(entropy))),
            "share below 1e-3": float((entropy < 1e-3).mean()),
            "share of the tallest bin": float(found.heights[tallest] / len(entropy)),
            "its share of P1": float(taken[tallest] / max(taken.sum(), 1)),
        }
    pictures.draw_histograms(run, drawn, config.proxy.fraction)
    return numbers


def _ranked(config: ConfigDict, run: runs.Run, given: images.Prepared, table: dict | None) -> dict[str, Any]:
    """tau of each way to train, with intervals, and its ceilings."""
    settings, seeds = config.ranks, _seeds(config, config.ranks)
    train, test, traits = images.parts(given, settings)
    net = nasbench201.Config(settings.channels, settings.cells, given.train.classes, train[0].shape[-1])
    architectures = ranks.drawn(keys.named(jax.random.key(config.seed), "architectures"), settings.architectures)
    size = int(config.proxy.fraction * len(train[1]))
    longer = settings.epochs * (len(train[1]) // settings.batch) // max(size // settings.batch, 1)
    ways = {WHOLE: (WHOLE, settings.epochs)}
    for kind, epochs in {"equal epochs": settings.epochs, "equal steps": longer}.items():
        ways |= {f"{rule}, {kind}": (rule, epochs) for rule in ("P1", "random")}
    plans = {
        way: np.stack(
            [
                ranks.batches(rows, epochs, settings.batch, config.seed + i)
                for i, rows in enumerate(_chosen(config, rule, traits, seeds))
            ]
        )
        for way, (rule, epochs) in ways.items()
    }
    room = max(plan.shape[1] for plan in plans.values())
    found = {}
    for way, plan in plans.items():
        phase = "ranks-" + way.replace(", ", "-").replace(" ", "-")
        found[way] = ranks.accuracies(
            run, phase, net, settings.rate, architectures, plan, room, train, test, config.seed, _options(config)
        )
    names = [nasbench201.to_text(each) for each in architectures]
    means = np.stack([each.mean(1) for each in found.values()])
    truth = np.array([table[each] for each in architectures]) if table else found[WHOLE].mean(1)
    run.save_csv("ranks.csv", ("architecture", "truth", *found), zip(names, truth, *means, strict=True))
    numbers = ranks.taus(found, truth.astype(np.float32), config.seed, seeds)
    pictures.draw_ranks(run, numbers, "the table" if table else f"{WHOLE}, mean of all seeds", len(truth), seeds)
    return numbers


def _searched(config: ConfigDict, run: runs.Run, given: images.Prepared) -> dict[str, Any]:
    """Accuracy of the cells found on proxies, at equal epochs and at equal steps; steps of the searches."""
    settings, seeds = config.search, _seeds(config, config.search)
    train, test, traits = images.parts(given, settings)
    net = darts.supernet(settings.channels, settings.cells, given.train.classes)
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
            parts = _chosen(config, rule, traits, seeds)
            phase = f"{kind}-{rule}".replace(" ", "-")
            found = search.searched(
                run,
                f"search-{phase}",
                net,
                darts.Config(epochs, settings.batch),
                parts,
                train,
                config.seed,
                _options(config),
            )
            right = search.retrained(
                run,
                f"retrain-{phase}",
                net,
                settings.retrain_rate,
                found,
                plan,
                train,
                test,
                config.seed,
                _options(config),
            )
            cells[kind][rule], steps[kind][rule] = right, epochs * per_epoch(parts.shape[1])
            rows += [(kind, rule, config.seed + i, right[i], darts.to_json(each)) for i, each in enumerate(found)]
    run.save_csv("cells.csv", ("budget", "rule", "seed", "accuracy", "genotype"), rows)
    pictures.draw_cells(run, cells, steps)
    return {
        "cell_accuracy": {
            kind: {rule: float(np.mean(each)) for rule, each in found.items()} for kind, found in cells.items()
        },
        "search_steps": {kind: next(iter(of.values())) for kind, of in steps.items()},
    }


def _note(config: ConfigDict, numbers: dict[str, Any]) -> str:
    """What a reader has to bear in mind, and where random selection is not beaten."""
    ranked, searched = (runs.no_interval(_seeds(config, config[kind])) for kind in ("ranks", "search"))
    if ranked:
        words = f"Ranking: P1 and random selection are not told apart ({ranked})."
    elif kinds := [kind for kind, gain in numbers["tau_gain_of_P1"].items() if gain["low"] <= 0]:
        words = f"Ranking: P1 does not beat random selection beyond the bootstrap's interval ({', '.join(kinds)})."
    else:
        words = "Ranking: P1 beats random selection beyond the bootstrap's interval."
    best = {kind: max(found, key=found.get) for kind, found in numbers["cell_accuracy"].items() if len(found) > 1}
    found = "; ".join(f"highest mean at {kind}: {rule}" for kind, rule in best.items())
    rules = f"of {len(config.search.rules)} rules, random among them{f' ({searched})' if searched else ''}"
    searches = f" Searches: {found}, {rules}." if found else ""
    reduced = f"Networks of {config.ranks.channels} channels on images of {config.ranks.side} x {config.ranks.side}."
    return f"{words}{searches} {reduced}"
