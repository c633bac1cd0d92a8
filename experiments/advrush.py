"""An architecture search whose outer loss also asks for a smooth loss surface (AdvRush) ends in a far smoother
supernet; whether its networks withstand attacks better than DARTS's, after the same adversarial training, is measured.

Both are searched with the same seeds, from the same weights, in one compiled program; the networks of their genotypes
are trained against PGD and attacked. The numbers are means over the seeds; `gain` is AdvRush minus DARTS, paired by
seed, and `gain_interval` half of its 95 % interval. Fewer than three seeds have no interval: there it is `difference`.

    python launch.py --config=experiments/advrush.py:smoke         40 s: digits
    python launch.py --config=experiments/advrush.py               42 minutes (busy cores): digits, 5 seeds, AutoAttack
    python launch.py --config=experiments/advrush.py:paper         days of a GPU: the paper's protocol, CIFAR-10
    python launch.py --config=experiments/advrush.py:jpeg          an hour (busy cores): JPEG CIFAR-10, reduced, 5 seeds
        [--config.data.name=my.npz, your own images: see `framework.data.image_file`]

Images are in [0, 1] and not normalised. On digits gamma, h and epsilon are this project's own, chosen before any test
image was seen: h moves a pixel by one of its sixteen grey levels, epsilon is .1. On JPEG CIFAR-10, which is lossy and
here 2,000 training images pooled to 8x8, epsilon is 8/255, h moves a pixel as far as the paper's h moves those of 32x32
images, .027 (so h shrinks with the side), and gamma is that of digits. `paper` takes the paper's numbers; the paper's
own tables were trained on CIFAR-10, and nothing here is compared with them.

Reference: Mok, Na, Choe and Yoon, "AdvRush: Searching for Adversarially Robust Neural Architectures", ICCV 2021,
arXiv 2108.01289.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from ml_collections import ConfigDict

from experiments.parts.advrush import attack_evaluation, figures
from experiments.parts.advrush.presets import PRESETS
from experiments.parts.proxy_data import proxies
from experiments.parts.shared.intervals import ENOUGH, difference, mark_comparisons
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.shared.rows import single_rows
from experiments.parts.shared.settings import dataset_folder, require_effect, require_files
from framework import runs
from framework.attacks import adversarial_training, score
from framework.core import checks, keys
from framework.core.devices import DATA_PARALLEL
from framework.models import training
from framework.nas import advrush, darts
from framework.nas.advrush import curvature
from framework.nas.darts import augmentation, bilevel, network
from framework.runs import files

# Mean and twice the standard error over the seeds of one run.
EXPECTED = {
    "default": {
        "accuracy clean.darts": (0.982, 0.013),
        "accuracy clean.advrush": (0.994, 0.005),
        "accuracy autoattack.darts": (0.818, 0.02),
        "accuracy autoattack.advrush": (0.828, 0.02),
        "gain.accuracy autoattack": (0.01, 0.018),
        "supernet curvature.darts": (143, 54),
        "supernet curvature.advrush": (31.4, 7.5),
    },
}
METHODS = ("darts", "advrush")
TRAININGS = ("adversarial", "trades", "standard")
FEW = {1: (0,), 2: (1,)}  # which cells of a small network reduce


class SearchResult(NamedTuple):
    """The result of a search."""

    genotype: dict[str, Any]
    curvature: float  # of the supernet on held-out images
    accuracy: float  # of the supernet on held-out images
    skips: int
    entropy: float


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default`, `paper` or `jpeg`."""
    settings = {
        "data": {
            "name": "digits",  # digits, or a set of TFDS
            "dir": "",  # the TFDS folder
            "train": 0,  # images, the first ones; 0 takes all
            "test": 100,  # likewise
            "side": 0,  # that images are pooled to; 0 leaves them as they are
        },
        "search": {
            "channels": 4,
            "cells": 2,
            "epochs": 20,
            "warmup": 12,
            "batch": 64,
            "alpha_rate": 3e-3,
            "gamma": 1.0,
            "h": 0.5,
            "augment": False,
            "order": 1,  # 2: with the weights' step unrolled
            "kind": "difference",  # or exact, the curvature in the limit of small h
            "squared": True,
            "form": "matrices",  # of depthwise convolutions
        },
        "training": {
            "channels": 6,
            "cells": 2,
            "epochs": 15,
            "batch": 64,
            "rate": 0.1,
            "epsilon": 0.1,
            "step_size": 0.03,
            "augment": False,
            "kind": "adversarial",  # or trades, standard
            "decay": 1e-4,
            "beta": 6.0,  # of trades
        },
        "proxy": proxies.settings(),  # the part of the training images that the searches see
        "attacks": ("fgsm", "pgd-20", "autoattack"),
        "compile": "well",  # fast: programs of half the speed, for short runs
        "epsilon": 0.1,  # of the attacks of the evaluation
    }
    return build_config("advrush", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    kind, unused = config.training.kind, proxies.find_unused_settings(config.proxy) | dataset_folder(config.data.name)
    if kind != "trades":
        unused["training.beta"] = f"it is of trades, and training.kind is {kind}"
    if kind == "standard":
        unused["training.epsilon"] = "standard training attacks no images; epsilon is of the attacks of the evaluation"
        if not {"pgd-20", "pgd-100"} & set(config.attacks):
            unused["training.step_size"] = "neither the training nor any of the attacks is PGD"
    require_effect(config, get_config(config.preset), unused)
    require_files(config, "data.dir", "proxy.entropy")


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Searches, trains, attacks; writes numbers, genotypes and figures."""
    check_settings(config)
    check(config)
    train, test = sets(config)
    epochs, batch, images = config.training.epochs, config.training.batch, len(train[1])
    if epochs < 1 or not 1 <= batch <= images:
        requirement = f"at least 1 epoch of batches of 1 to {images} images"
        raise ValueError(f"training must have {requirement}, got {epochs} and {batch}")
    rows = proxies.rows(config, run, config.data.train)
    count = count_seeds(config, PRESETS)
    seeds = list(keys.seeds(config.seed, count))
    results = searches(config, run, tuple(part[rows] for part in train), seeds)
    run.save_csv(
        "searches.csv",
        ("method", "seed", *SearchResult._fields[1:]),
        [(method, seed, *search[1:]) for (method, seed), search in results.items()],
    )
    genotypes = {name: darts.from_json(search.genotype) for name, search in results.items()}
    robustness, landscapes = evaluate_robustness(config, run, train, test, genotypes)
    figures.draw_cells(run, {method: genotypes[method, seeds[0]] for method in METHODS})
    figures.draw_surface(run, landscapes)
    figures.draw_robustness(run, robustness, config.training.kind)
    note = " ".join([_note(config, train, test), *attack_evaluation.read_warnings(run)])
    return numbers_of(config, seeds, results, robustness) | {"note": note}


def check(config: ConfigDict) -> None:
    """Refuses what would fail only after the search."""
    proxies.check(config.proxy)
    unknown = [name for name in config.attacks if name not in attack_evaluation.ATTACKS]
    if unknown or not config.attacks:
        raise ValueError(f"attacks must be some of {', '.join(attack_evaluation.ATTACKS)}, got {list(config.attacks)}")
    checks.one_of("compile", config.compile, proxies.COMPILE)
    if not config.search.warmup < config.search.epochs:
        got = f"{config.search.warmup} of {config.search.epochs}"
        raise ValueError(f"search.warmup must end before search.epochs do, or AdvRush's search is DARTS's; got {got}")
    checks.one_of("training.kind", config.training.kind, TRAININGS)
    for name in ("epsilon", "training.epsilon", "training.step_size"):
        value = config[name] if "." not in name else config.training[name.partition(".")[2]]
        checks.positive(name, value)


def sets(config: ConfigDict) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training and test images in [0, 1] with their labels."""
    both = [proxies.image_set(config.data, split, config.data[split]) for split in ("train", "test")]
    return tuple((part.images.astype(np.float32) / part.maximum, part.labels) for part in both)


def halves(images: np.ndarray, labels: np.ndarray) -> bilevel.Data:
    """The first half for the weights of a search, the second for its alphas."""
    half = len(labels) // 2
    return darts.Data(*map(jnp.asarray, (images[:half], labels[:half], images[half:], labels[half:])))


def searches(config: ConfigDict, run: runs.Run, train, seeds: list[int]) -> dict[tuple[str, int], SearchResult]:
    """Searches by every method with every seed; the methods differ only in the warm-up."""
    settings, learned = config.search, halves(*train)
    shape = {"form": settings.form, "reductions": FEW.get(settings.cells)}
    net = darts.Supernet(settings.channels, settings.cells, int(train[1].max()) + 1, **shape)
    regulariser = advrush.Regulariser(settings.gamma, settings.h, settings.warmup, settings.squared, kind=settings.kind)
    options = {name: settings[name] for name in ("epochs", "batch", "order", "alpha_rate", "augment")}
    chosen = darts.Config(**options, regulariser=regulariser)
    searcher, steps = darts.searcher(net, chosen), darts.step_count(chosen, len(learned.labels))
    measure = jax.jit(_measure_supernet, static_argnums=(0, 1), compiler_options=dict(proxies.COMPILE[config.compile]))
    results = {}
    for method in METHODS:
        warmup = settings.warmup if method == "advrush" else settings.epochs
        for seed in seeds:
            start = searcher.init(jax.random.key(seed), learned, warmup=warmup)
            epoch = len(learned.labels) // settings.batch
            state = run_phase(config, run, ("search", method, seed), searcher.step, start, learned, steps, epoch)
            results[method, seed] = summarize_search(measure, net, regulariser, state, learned)
            file = run.file(f"genotypes/{method}-{seed}.json")
            files.write_text(file, darts.to_json(darts.derive_genotype(state.alphas)) + "\n")
    return results


def run_phase(
    config: ConfigDict, run: runs.Run, phase: tuple[str, str, int], step, state, fixed, steps: int, epoch: int
):
    """Runs a search or a training to its end, with a row of metrics an epoch, and returns the state."""
    what, method, seed = phase
    rows = single_rows(f"{what} {method}", seed)
    name, options = f"{what}-{method}-{seed}", proxies.COMPILE[config.compile]
    return runs.run_steps(run, name, step, state, fixed, steps, epoch, rows, options=options, split=DATA_PARALLEL)


def summarize_search(
    measure, net: darts.Supernet, regulariser: advrush.Regulariser, state: darts.State, learned: darts.Data
) -> SearchResult:
    """Summarizes a finished search; its curvature is R on held-out images, for every method."""
    genotype, health = darts.derive_genotype(state.alphas), darts.health(state.alphas)
    held_out = learned.valid_images, learned.valid_labels
    roughness, accuracy = measure(net, regulariser, state.alphas, state.params, *held_out)
    return SearchResult(genotype._asdict(), float(roughness), float(accuracy), health.skips, health.entropy)


def _measure_supernet(net, regulariser, alphas, params, images, labels):
    loss = bilevel.cross_entropy(net, train=False)
    summed = lambda a, x: len(x) * loss(a, params, x, labels[: attack_evaluation.WATCHED])[0]
    measure = lambda a: curvature.penalty(
        summed, a, images[: attack_evaluation.WATCHED], regulariser.h, regulariser.squared, differentiate_all=True
    )
    return measure(alphas), loss(alphas, params, images, labels)[1][1]


def evaluate_robustness(
    config: ConfigDict, run: runs.Run, train, test, genotypes: dict[tuple[str, int], darts.Genotype]
):
    """Trains and attacks every network; returns accuracies, and the loss landscapes of the first seed."""
    settings, classes = config.training, int(train[1].max()) + 1
    shape = {"form": config.search.form, "reductions": FEW.get(settings.cells)}
    net = network.build_network(list(genotypes.values()), settings.channels, settings.cells, classes, **shape)
    trainer, steps = trainer_of(config, net, len(train[1]))
    fixed = tuple(map(jnp.asarray, train))

    @jax.jit
    def start(key, chosen):
        params = network.init(keys.derive(key, "network"), net, train[0].shape[-1]) | {"chosen": chosen}
        return trainer.init(params, len(train[1]), keys.derive(key, "training"))

    logits = lambda params, images: network.apply(net, params, images)[0][0]
    robustness, landscapes = {}, {}
    for (method, seed), genotype in genotypes.items():
        key = jax.random.key(seed)
        state = start(key, network.edge_indices(net, genotype))
        epoch = len(train[1]) // settings.batch
        params = run_phase(config, run, ("train", method, seed), trainer.step, state, fixed, steps, epoch).params
        apply = jax.tree_util.Partial(logits, params)
        robustness[method, seed] = attack_evaluation.attack(
            config, run, f"{method}-{seed}", apply, test, keys.derive(key, "attacks")
        )
        if seed == config.seed:
            landscapes[method] = attack_evaluation.landscape_of(config, apply, test, key)
    return robustness, landscapes


def trainer_of(config: ConfigDict, net: network.Network, count: int) -> tuple[training.Trainer, int]:
    """The trainer of the networks, and the number of steps; the rate falls to a tenth twice."""
    settings = config.training

    def forward(params, images, train):
        (logits, _), new_params = network.apply(net, params, images, train)
        return logits, new_params

    against = adversarial_training.pgd_7(settings.epsilon, settings.step_size)
    loss = {
        "adversarial": lambda: adversarial_training.adversarial_loss(forward, against),
        "trades": lambda: adversarial_training.trades_loss(
            forward, settings.beta, settings.epsilon, settings.step_size
        ),
        "standard": lambda: adversarial_training.standard_loss(forward),
    }[settings.kind]()

    def loss_with_augmentation(params, images, labels, key):
        images = augmentation.shift_and_flip(keys.derive(key, "augment"), images)
        return loss(params, images, labels, key)

    steps = settings.epochs * (count // settings.batch)
    schedule = optax.piecewise_constant_schedule(settings.rate, {steps // 2: 0.1, 3 * steps // 4: 0.1})
    optimizer = optax.chain(
        optax.clip_by_global_norm(5.0), optax.add_decayed_weights(settings.decay), optax.sgd(schedule, 0.9)
    )
    return training.trainer(loss_with_augmentation if settings.augment else loss, optimizer, settings.batch), steps


def numbers_of(config: ConfigDict, seeds: list[int], results, robustness) -> dict[str, Any]:
    """Means of each method, and paired differences, with intervals from three seeds on."""
    column = lambda table, method, value: np.array([value(table[method, seed]) for seed in seeds])
    measures = {
        f"accuracy {name}": (robustness, lambda scores, name=name: scores[name])
        for name in robustness[METHODS[0], seeds[0]]
    }
    measures["supernet curvature"] = (results, lambda search: search.curvature)
    measures["supernet accuracy"] = (results, lambda search: search.accuracy)
    measures["skips"] = (results, lambda search: search.skips)
    if "pgd-20" in config.attacks:
        harmonic = lambda scores: float(score.harmonic_robustness(scores["clean"], scores["pgd-20"]))
        measures["harmonic robustness"] = (robustness, harmonic)
    numbers: dict[str, Any] = {"seeds": len(seeds)}
    for name, (table, value) in measures.items():
        ours, theirs = column(table, "advrush", value), column(table, "darts", value)
        numbers[name] = {"darts": float(theirs.mean()), "advrush": float(ours.mean())}
        numbers.setdefault(difference(len(seeds)), {})[name] = float((ours - theirs).mean())
        if len(seeds) >= ENOUGH:
            half = scipy.stats.t.ppf(0.975, len(seeds) - 1) * (ours - theirs).std(ddof=1) / np.sqrt(len(seeds))
            numbers.setdefault("gain_interval", {})[name] = float(half)
    return numbers | mark_comparisons(len(seeds), *measures, "difference")


def _note(config: ConfigDict, train, test) -> str:
    note = f"{len(train[1]):,} training and {len(test[1]):,} test images of {'x'.join(map(str, test[0].shape[1:]))}"
    lossy = " JPEG CIFAR-10 is lossy: not comparable with CIFAR-10." if "jpeg" in config.data.name else ""
    return f"{note}, in [0, 1].{lossy}"
