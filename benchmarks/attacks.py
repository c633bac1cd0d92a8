"""Attacks compared with PyTorch's libraries: same network, weights and images, same process, in one run.

    pip install torch==2.13.0 && pip install -e '.[bench]'
    pip install --no-deps torchattacks==3.5.1  # it asks for torchvision
    python benchmarks/attacks.py --output=benchmarks/results/attacks.md

    autoattack   AutoAttack's standard version: verdicts and time compared with pyautoattack
    single       every attack by itself compared with pyautoattack, torchattacks and foolbox

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import statistics
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import attack_peers
import jax
import numpy as np
import optax
import tables
import torch
from absl import app, flags
from attack_peers import Module, Verdicts, Watch, Weights
from tables import Part, Row, at_least, at_most

from framework import attacks, data
from framework.attacks import ensemble, losses
from framework.models import training

CHOSEN = flags.DEFINE_list("parts", ["autoattack", "single"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
COUNT = flags.DEFINE_integer("images", 1000, "test images")
THREADS = flags.DEFINE_integer("threads", 2, "PyTorch's threads; XLA takes all cores that it is given")
SEEDS = flags.DEFINE_integer("seeds", 2, "autoattack: keys of this framework's runs, after one that compiles")
NORMS = flags.DEFINE_list("norms", ["linf", "l2"], "which")
BATCH = flags.DEFINE_integer("batch", 250, "images at a time, on both sides")

TRAINED = 797  # of scikit-learn's 1,797 digits; the others are attacked
EPSILONS = {"linf": 0.1, "l2": 0.5}


def select_norms() -> list[tuple[str, float]]:
    return [(norm, EPSILONS[norm]) for norm in NORMS.value]


class Task(NamedTuple):
    """A trained network on both sides, and the images that it is attacked on."""

    apply: jax.tree_util.Partial
    module: Module
    images: np.ndarray  # [N, 8, 8, 1]
    labels: np.ndarray  # [N]


@cache
def task() -> Task:
    """Trained adversarially, by PGD in 5 steps at epsilon .1, in 600 steps of 64 images."""
    digits = data.digits()
    images = (digits.images / digits.maximum).astype(np.float32).reshape(-1, 8, 8, 1)
    labels = np.asarray(digits.labels, np.int32)
    attack = attacks.pgd(EPSILONS["linf"], steps=5)

    def loss(weights: Weights, images: jax.Array, labels: jax.Array, key: jax.Array):
        hard = attack(key, lambda x: attack_peers.network(weights, x), images, labels)
        return losses.cross_entropy(attack_peers.network(weights, hard), labels).mean(), (weights, {})

    trainer = training.trainer(loss, optax.adam(3e-3), 64)
    state = trainer.init(attack_peers.initial(jax.random.key(0), 8, (8, 16)), TRAINED, jax.random.key(1))
    fixed = images[:TRAINED], labels[:TRAINED]
    state, _ = jax.jit(lambda state: jax.lax.scan(lambda s, _: trainer.step(s, fixed), state, length=600))(state)
    chosen = slice(TRAINED, TRAINED + COUNT.value)
    apply = jax.tree_util.Partial(attack_peers.network, state.params)
    return Task(apply, Module(state.params), images[chosen], labels[chosen])


def ours(chosen: tuple[attacks.Attack, ...], seed: int) -> Verdicts:
    watch = Watch()
    evaluation = attacks.evaluate(
        jax.random.key(seed), task().apply, task().images, task().labels, chosen, batch=BATCH.value
    )
    return Verdicts(evaluation.robust, *watch.read())


def autoattack() -> Iterator[Row]:
    """scikit-learn's digits from the 798th on, which were not trained on; two 3 x 3 convolutions (8 and 16 channels,
    stride 2) and a dense layer, trained adversarially by PGD in 5 steps at .1 L-inf. Robust accuracy in %, ours as the
    mean over {seeds} keys, agreement as the least over them; seconds of a whole evaluation by the clock
    and by the processor (all cores together), ours with everything compiled before.
    """
    for norm, epsilon in select_norms():
        chosen = ensemble.standard(epsilon, norm)
        first, *runs = (ours(chosen, seed) for seed in range(SEEDS.value + 1))
        peer = attack_peers.reference(
            task().module, task().images, task().labels, epsilon, norm, "standard", BATCH.value
        )
        mine = statistics.mean(float(run.robust.mean()) for run in runs)
        seconds = statistics.median(run.seconds for run in runs)
        agree = min(float((run.robust == peer.robust).mean()) for run in runs)
        cells = {
            "norm": f"{norm}, {epsilon}",
            "images": str(len(task().labels)),
            "pyautoattack %": f"{100 * peer.robust.mean():.1f}",
            "ours %": f"{100 * mine:.2f}",
            "verdicts agree %": f"{100 * agree:.1f}",
            "s pyautoattack": peer.seconds,
            "s ours": seconds,
            "CPU s pyautoattack": peer.processor,
            "CPU s ours": statistics.median(run.processor for run in runs),
            "s compiling": first.seconds - seconds,
        }
        goals = {
            "robust accuracy within .3 points": at_most(100 * abs(mine - float(peer.robust.mean())), 0.3),
            "at least 99 % of the verdicts the same": at_least(100 * agree, 99),
            "at least 2 times its speed": at_least(peer.seconds / seconds, 2),
            "the same in processor time": f"{peer.processor / cells['CPU s ours']:.1f}",
        }
        yield Row(cells, goals)


def single() -> Iterator[Row]:
    """The same network and images; each attack on every image that is right: robust accuracy in %, seconds of processor
    time. torchattacks runs with as many steps and queries as the standard version, foolbox what it has: FGSM and PGD,
    which pyautoattack has not. PGD takes 20 steps of epsilon / 8. `at most 1 point` compares with pyautoattack, or else
    with the other two.
    """
    for norm, epsilon in select_norms():
        for name, chosen in alone(norm, epsilon).items():
            mine = [ours(chosen, seed) for seed in range(2)][1]  # the first is compiled
            peers = {peer: run(norm, epsilon, name) for peer, run in PEERS.items()}
            cells: dict[str, float | str] = {
                "attack": f"{name}, {norm}",
                "ours": _percent(mine),
                "CPU s": mine.processor,
            }
            for peer, measurement in peers.items():
                cells[peer] = _percent(measurement) if measurement else ""
                cells[f"CPU s {peer}"] = measurement.processor if measurement else ""
            rivals = [peers["pyautoattack"]] if peers["pyautoattack"] else [m for m in peers.values() if m]
            apart = max(100 * abs(float(mine.robust.mean() - rival.robust.mean())) for rival in rivals)
            fastest = min(measurement.processor for measurement in peers.values() if measurement)
            goals = {
                "at most 1 point": at_most(apart, 1),
                "times the fastest peer's speed": f"{fastest / mine.processor:.1f}",
            }
            yield Row(cells, goals)


def alone(norm: str, epsilon: float) -> dict[str, tuple[attacks.Attack, ...]]:
    standard = ensemble.standard(epsilon, norm)
    return {
        "fgsm": (attacks.fgsm(epsilon, norm),),
        "pgd-20": (attacks.pgd(epsilon, norm, steps=20, step_size=epsilon / 8),),
        "apgd-ce": standard[:1],
        "apgd-t": standard[1:10],
        "fab-t": standard[10:19],
        "square": standard[19:],
    }


def _peer(run: Callable[..., Verdicts], names: Callable[[str, str], bool]) -> Callable[..., Verdicts | None]:
    """Runs an attack of a library."""

    def verdicts(norm: str, epsilon: float, name: str) -> Verdicts | None:
        if not names(norm, name):
            return None
        return run(task().module, task().images, task().labels, epsilon, norm, name, BATCH.value)

    return verdicts


FEW = ("fgsm", "pgd-20")
PEERS = {
    "pyautoattack": _peer(attack_peers.reference, lambda norm, name: name not in FEW),
    "torchattacks": _peer(attack_peers.torchattacks_of, lambda norm, name: norm == "linf" or name not in FEW),
    "foolbox": _peer(attack_peers.foolbox_of, lambda norm, name: name in FEW),
}
LIBRARIES = ("torch", "pyautoattack", "torchattacks", "foolbox")
PARTS = {
    "autoattack": Part("AutoAttack", autoattack, LIBRARIES),
    "single": Part("Every attack by itself", single, LIBRARIES),
}


def _percent(verdicts: Verdicts) -> str:
    return f"{100 * verdicts.robust.mean():.1f}"


def main(argv: list[str]) -> None:
    torch.set_num_threads(THREADS.value)
    warnings.simplefilter("ignore")
    sides = f", PyTorch on {THREADS.value} threads"
    tables.run(PARTS, "Attacks compared with PyTorch's libraries", CHOSEN.value, OUTPUT.value, sides)


if __name__ == "__main__":
    app.run(main)
