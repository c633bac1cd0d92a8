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
from ml_collections import ConfigDict, config_dict

from experiments.parts.advrush import attacks as attack_evaluation
from experiments.parts.advrush import figures as pictures
from experiments.parts.proxy_data import proxies
from experiments.parts.shared.intervals import ENOUGH, compared, difference
from experiments.parts.shared.rows import of_one
from experiments.parts.shared.settings import dataset_folder, refuse_unused, require_files
from framework import runs
from framework.attacks import adversarial_training, score
from framework.core import keys
from framework.core.devices import TOGETHER
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
_SIZES = ("seeds", "name", "train", "side", "test", "attacks")
_SEARCH = ("channels", "cells", "epochs", "warmup", "batch", "alpha_rate", "gamma", "h", "augment")
_TRAINING = ("channels", "cells", "epochs", "batch", "rate", "epsilon", "step_size", "augment")
SIZES = {
    "smoke": (1, "digits", 640, 0, 100, ("pgd-20",)),
    "default": (5, "digits", 0, 0, 100, ("fgsm", "pgd-20", "autoattack")),
    "paper": (1, "cifar10", 0, 0, 10000, ("fgsm", "pgd-20", "pgd-100", "apgd-ce", "autoattack")),
    "jpeg": (5, "cifar10_jpeg", 2000, 8, 100, ("pgd-20", "autoattack")),
}
SEARCHES = {
    "smoke": (2, 1, 4, 2, 64, 3e-3, 1.0, 0.5, False),
    "default": (4, 2, 20, 12, 64, 3e-3, 1.0, 0.5, False),
    "paper": (16, 8, 60, 50, 32, 3e-4, 0.01, 1.5, True),
    "jpeg": (4, 2, 20, 12, 64, 3e-3, 1.0, 0.375, False),
}
TRAINED = {
    "smoke": (4, 1, 4, 32, 0.1, 0.1, 0.03, False),
    "default": (6, 2, 15, 64, 0.1, 0.1, 0.03, False),
    "paper": (36, 20, 200, 64, 0.1, 0.031, 0.01, True),
    "jpeg": (6, 2, 15, 64, 0.1, 8 / 255, 0.01, False),
}


class Searched(NamedTuple):
    """What a search ended with, and where it stood after each epoch."""

    genotype: dict[str, Any]
    curvature: float  # of the supernet on held-out images
    accuracy: float  # of the supernet on held-out images
    skips: int
    entropy: float


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default`, `paper` or `jpeg`."""
    if preset not in SIZES:
        raise ValueError(f"advrush has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = dict(zip(_SIZES, SIZES[preset], strict=True))
    large = preset == "paper"
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # searches of each method; as many as the preset has
            "data": {
                "name": size["name"],  # digits, or a set of TFDS
                "dir": "",  # the TFDS folder
                "train": size["train"],  # images, the first ones; 0 takes all
                "test": size["test"],  # likewise
                "side": size["side"],  # that images are pooled to; 0 leaves them as they are
            },
            "search": {
                **dict(zip(_SEARCH, SEARCHES[preset], strict=True)),
                "order": 1,  # 2: with the weights' step unrolled
                "kind": "difference",  # or exact, the curvature in the limit of small h
                "squared": True,
                "form": "grouped" if large else "matrices",  # of depthwise convolutions
            },
            "training": {
                **dict(zip(_TRAINING, TRAINED[preset], strict=True)),
                "kind": "adversarial",  # or trades, standard
                "decay": 1e-4,
                "beta": 6.0,  # of trades
            },
            "proxy": proxies.settings(),  # the part of the training images that the searches see
            "attacks": size["attacks"],
            "compile": "fast" if preset == "smoke" else "well",  # fast: programs of half the speed, for short runs
            "epsilon": TRAINED[preset][_TRAINING.index("epsilon")],  # of the attacks that judge
        }
    )


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and files that are not there."""
    kind, unused = config.training.kind, proxies.unused(config.proxy) | dataset_folder(config.data.name)
    if kind != "trades":
        unused["training.beta"] = f"it is of trades, and training.kind is {kind}"
    if kind == "standard":
        unused["training.epsilon"] = "standard training attacks no images; epsilon is that of the attacks that judge"
        if not {"pgd-20", "pgd-100"} & set(config.attacks):
            unused["training.step_size"] = "neither the training nor any of the attacks is PGD"
    refuse_unused(config, get_config(config.preset), unused)
    require_files(config, "data.dir", "proxy.entropy")


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Searches, trains, attacks; writes numbers, genotypes and figures."""
    check_settings(config)
    check(config)
    train, test = sets(config)
    epochs, batch, images = config.training.epochs, config.training.batch, len(train[1])
    if epochs < 1 or not 1 <= batch <= images:
        wanted = f"at least 1 epoch of batches of 1 to {images} images"
        raise ValueError(f"training must have {wanted}, got {epochs} and {batch}")
    seen = proxies.rows(config, run, config.data.train)
    count = dict(zip(_SIZES, SIZES[config.preset], strict=True))["seeds"] if config.seeds is None else config.seeds
    seeds = list(keys.seeds(config.seed, count))
    found = searches(config, run, tuple(part[seen] for part in train), seeds)
    run.save_csv(
        "searches.csv",
        ("method", "seed", *Searched._fields[1:]),
        [(method, seed, *each[1:]) for (method, seed), each in found.items()],
    )
    genotypes = {name: darts.from_json(each.genotype) for name, each in found.items()}
    verdicts, judged = robustness(config, run, train, test, genotypes)
    pictures.draw_cells(run, {method: genotypes[method, seeds[0]] for method in METHODS})
    pictures.draw_surface(run, judged)
    pictures.draw_verdicts(run, verdicts, config.training.kind)
    note = " ".join([_note(config, train, test), *attack_evaluation.doubts_of(run)])
    return numbers_of(config, seeds, found, verdicts) | {"note": note}


def check(config: ConfigDict) -> None:
    """Refuses what would fail only after the search."""
    proxies.check(config.proxy)
    unknown = [name for name in config.attacks if name not in attack_evaluation.ATTACKS]
    if unknown or not config.attacks:
        raise ValueError(f"attacks must be some of {', '.join(attack_evaluation.ATTACKS)}, got {list(config.attacks)}")
    if config.compile not in proxies.COMPILE:
        raise ValueError(f"compile must be one of {', '.join(proxies.COMPILE)}, got {config.compile!r}")
    if not config.search.warmup < config.search.epochs:
        got = f"{config.search.warmup} of {config.search.epochs}"
        raise ValueError(f"search.warmup must end before search.epochs do, or AdvRush's search is DARTS's; got {got}")
    if config.training.kind not in TRAININGS:
        raise ValueError(f"training.kind must be one of {', '.join(TRAININGS)}, got {config.training.kind!r}")
    for name in ("epsilon", "training.epsilon", "training.step_size"):
        value = config[name] if "." not in name else config.training[name.partition(".")[2]]
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")


def sets(config: ConfigDict) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training and test images in [0, 1] with their labels."""
    both = [proxies.image_set(config.data, split, config.data[split]) for split in ("train", "test")]
    return tuple((each.images.astype(np.float32) / each.maximum, each.labels) for each in both)


def halves(images: np.ndarray, labels: np.ndarray) -> bilevel.Data:
    """The first half for the weights of a search, the second for its alphas."""
    half = len(labels) // 2
    return darts.Data(*map(jnp.asarray, (images[:half], labels[:half], images[half:], labels[half:])))


def searches(config: ConfigDict, run: runs.Run, train, seeds: list[int]) -> dict[tuple[str, int], Searched]:
    """Every method's search of every seed; a method differs in its warm-up alone."""
    settings, learned = config.search, halves(*train)
    shape = {"form": settings.form, "reductions": FEW.get(settings.cells)}
    net = darts.supernet(settings.channels, settings.cells, int(train[1].max()) + 1, **shape)
    of = advrush.Regulariser(settings.gamma, settings.h, settings.warmup, settings.squared, kind=settings.kind)
    given = {name: settings[name] for name in ("epochs", "batch", "order", "alpha_rate", "augment")}
    chosen = darts.Config(**given, regulariser=of)
    searcher, steps = darts.searcher(net, chosen), darts.steps_of(chosen, len(learned.labels))
    judge = jax.jit(_judged, static_argnums=(0, 1), compiler_options=dict(proxies.COMPILE[config.compile]))
    found = {}
    for method in METHODS:
        warmup = settings.warmup if method == "advrush" else settings.epochs
        for seed in seeds:
            start = searcher.init(jax.random.key(seed), learned, warmup=warmup)
            epoch = len(learned.labels) // settings.batch
            state = driven(config, run, ("search", method, seed), searcher.step, start, learned, steps, epoch)
            found[method, seed] = looked_at(judge, net, of, state, learned)
            file = run.file(f"genotypes/{method}-{seed}.json")
            files.write_text(file, darts.to_json(darts.genotype(state.alphas)) + "\n")
    return found


def driven(config: ConfigDict, run: runs.Run, phase: tuple[str, str, int], step, state, fixed, steps: int, epoch: int):
    """The state after a search or a training, with a row of metrics an epoch."""
    what, method, seed = phase
    rows = of_one(f"{what} {method}", seed)
    name, options = f"{what}-{method}-{seed}", proxies.COMPILE[config.compile]
    return runs.drive(run, name, step, state, fixed, steps, epoch, rows, options=options, split=TOGETHER)


def looked_at(judge, net: darts.Supernet, of: advrush.Regulariser, state: darts.State, learned: darts.Data) -> Searched:
    """A finished search; the curvature is R on held-out images, whether or not it was asked for."""
    found, health = darts.genotype(state.alphas), darts.health(state.alphas)
    curved, right = judge(net, of, state.alphas, state.params, learned.valid_images, learned.valid_labels)
    return Searched(found._asdict(), float(curved), float(right), health.skips, health.entropy)


def _judged(net, of, alphas, params, images, labels):
    loss = bilevel.loss_of(net, train=False)
    summed = lambda a, x: len(x) * loss(a, params, x, labels[: attack_evaluation.WATCHED])[0]
    measure = lambda a: curvature.penalty(
        summed, a, images[: attack_evaluation.WATCHED], of.h, of.squared, everything=True
    )
    return measure(alphas), loss(alphas, params, images, labels)[1][1]


def robustness(config: ConfigDict, run: runs.Run, train, test, genotypes: dict[tuple[str, int], darts.Genotype]):
    """Accuracy of every network, clean and after each attack; and the trained networks of the first seed."""
    settings, classes = config.training, int(train[1].max()) + 1
    shape = {"form": config.search.form, "reductions": FEW.get(settings.cells)}
    net = network.network(list(genotypes.values()), settings.channels, settings.cells, classes, **shape)
    trainer, steps = trainer_of(config, net, len(train[1]))
    fixed = tuple(map(jnp.asarray, train))

    @jax.jit
    def start(key, chosen):
        params = network.init(keys.named(key, "network"), net, train[0].shape[-1]) | {"chosen": chosen}
        return trainer.init(params, len(train[1]), keys.named(key, "training"))

    logits = lambda params, images: network.apply(net, params, images)[0][0]
    verdicts, judged = {}, {}
    for (method, seed), found in genotypes.items():
        key = jax.random.key(seed)
        state = start(key, network.chosen(net, found))
        epoch = len(train[1]) // settings.batch
        params = driven(config, run, ("train", method, seed), trainer.step, state, fixed, steps, epoch).params
        apply = jax.tree_util.Partial(logits, params)
        verdicts[method, seed] = attack_evaluation.attacked(
            config, run, f"{method}-{seed}", apply, test, keys.named(key, "attacks")
        )
        if seed == config.seed:
            judged[method] = attack_evaluation.landscape_of(config, apply, test, key)
    return verdicts, judged


def trainer_of(config: ConfigDict, net: network.Network, count: int) -> tuple[training.Trainer, int]:
    """How the networks are trained, and for how many steps; the rate falls to a tenth twice."""
    settings = config.training

    def forward(params, images, train):
        (logits, _), moved = network.apply(net, params, images, train)
        return logits, moved

    against = adversarial_training.pgd_7(settings.epsilon, settings.step_size)
    loss = {
        "adversarial": lambda: adversarial_training.adversarial_loss(forward, against),
        "trades": lambda: adversarial_training.trades_loss(
            forward, settings.beta, settings.epsilon, settings.step_size
        ),
        "standard": lambda: adversarial_training.standard_loss(forward),
    }[settings.kind]()

    def shifted(params, images, labels, key):
        images = augmentation.shifted_and_mirrored(keys.named(key, "augment"), images)
        return loss(params, images, labels, key)

    steps = settings.epochs * (count // settings.batch)
    schedule = optax.piecewise_constant_schedule(settings.rate, {steps // 2: 0.1, 3 * steps // 4: 0.1})
    optimizer = optax.chain(
        optax.clip_by_global_norm(5.0), optax.add_decayed_weights(settings.decay), optax.sgd(schedule, 0.9)
    )
    return training.trainer(shifted if settings.augment else loss, optimizer, settings.batch), steps


def numbers_of(config: ConfigDict, seeds: list[int], found, verdicts) -> dict[str, Any]:
    """Means a method, and paired differences with their intervals where there are seeds enough."""
    column = lambda table, method, of: np.array([of(table[method, seed]) for seed in seeds])
    measures = {
        f"accuracy {name}": (verdicts, lambda each, name=name: each[name]) for name in verdicts[METHODS[0], seeds[0]]
    }
    measures["supernet curvature"] = (found, lambda each: each.curvature)
    measures["supernet accuracy"] = (found, lambda each: each.accuracy)
    measures["skips"] = (found, lambda each: each.skips)
    if "pgd-20" in config.attacks:
        harmonic = lambda each: float(score.harmonic_robustness(each["clean"], each["pgd-20"]))
        measures["harmonic robustness"] = (verdicts, harmonic)
    numbers: dict[str, Any] = {"seeds": len(seeds)}
    for name, (table, of) in measures.items():
        ours, theirs = column(table, "advrush", of), column(table, "darts", of)
        numbers[name] = {"darts": float(theirs.mean()), "advrush": float(ours.mean())}
        numbers.setdefault(difference(len(seeds)), {})[name] = float((ours - theirs).mean())
        if len(seeds) >= ENOUGH:
            half = scipy.stats.t.ppf(0.975, len(seeds) - 1) * (ours - theirs).std(ddof=1) / np.sqrt(len(seeds))
            numbers.setdefault("gain_interval", {})[name] = float(half)
    return numbers | compared(len(seeds), *measures, "difference")


def _note(config: ConfigDict, train, test) -> str:
    note = f"{len(train[1]):,} training and {len(test[1]):,} test images of {'x'.join(map(str, test[0].shape[1:]))}"
    lossy = " JPEG CIFAR-10 is lossy: not comparable with CIFAR-10." if "jpeg" in config.data.name else ""
    return f"{note}, in [0, 1].{lossy}"
