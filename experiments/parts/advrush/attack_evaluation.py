"""Evaluation of trained networks in the experiment on AdvRush: attacks, and the loss around test images."""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.parts.proxy_data import proxies
from framework import attacks, runs
from framework.core import keys
from framework.nas.advrush import landscape
from framework.runs import files

ATTACKS = ("fgsm", "pgd-20", "pgd-100", "apgd-ce", "autoattack")
WATCHED = 32  # images for measures of curvature


def attack(config: ConfigDict, run: runs.Run, name: str, apply, test, key) -> dict[str, float]:
    """Measures the accuracy after each attack on all images, or reads it from the file of a killed run."""
    path = run.path / "robustness" / f"{name}.json"
    if path.exists():
        return files.read_object(path, "remove it, and the same command makes it again")
    epsilon, batch, step = config.epsilon, min(250, len(test[1])), config.training.step_size
    rules = {
        "fgsm": lambda: attacks.fgsm(epsilon),
        "pgd-20": lambda: attacks.pgd(epsilon, steps=20, step_size=step),
        "pgd-100": lambda: attacks.pgd(epsilon, steps=100, step_size=step),
        "apgd-ce": lambda: attacks.apgd(epsilon),
    }
    accuracy = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for attack_name in config.attacks:
            if attack_name == "autoattack":
                robust = attacks.autoattack(key, apply, *test, epsilon=epsilon, batch=batch)[1]
                accuracy[attack_name] = float(robust.mean())
            else:
                options = proxies.COMPILE[config.compile]
                scores = attacks.evaluate(
                    key, apply, *test, rules[attack_name](), batch=batch, options=options
                ).accuracy
                accuracy |= {"clean": scores["clean"], attack_name: list(scores.values())[-1]}
    masked = [warning for warning in caught if warning.category is attacks.GradientMaskingWarning]
    lines = list(dict.fromkeys(f"{name}: {warning.message}" for warning in masked))
    files.write_json(run.file(f"warnings/{name}.json"), {"warnings": lines})
    for line in lines:
        warnings.warn(line, attacks.GradientMaskingWarning, stacklevel=2)
    files.write_json(run.file(f"robustness/{name}.json"), accuracy)
    return accuracy


def read_warnings(run: runs.Run) -> list[str]:
    """Reads the warnings of `attacks` about the accuracies of this run."""
    paths = sorted((run.path / "warnings").glob("*.json"))
    return [line for path in paths for line in files.read_object(path, "remove the directory of the run")["warnings"]]


def landscape_of(config: ConfigDict, apply, test, key) -> dict[str, Any]:
    """The loss surface around the first test image, and the mean largest eigenvalue around the first ones."""
    images, labels = jnp.asarray(test[0][:WATCHED]), jnp.asarray(test[1][:WATCHED])
    top, places, heights = _landscape_program(proxies.COMPILE[config.compile])(apply, images, labels, key)
    return {"eigenvalue": float(top.mean()), "steps": np.asarray(places), "surface": np.asarray(heights)}


@functools.cache
def _landscape_program(options: tuple):
    """One program for all networks of a frame."""

    def measure(apply, images, labels, key):
        loss = jax.jit(lambda x, label: optax.softmax_cross_entropy_with_integer_labels(apply(x[None])[0], label))
        top = landscape.top_eigenvalues(keys.derive(key, "eigenvalues"), loss, images, labels, 10)
        return top, *landscape.surface(keys.derive(key, "surface"), loss, images[0], labels[0], 0.2, 15)

    return jax.jit(measure, compiler_options=dict(options))
