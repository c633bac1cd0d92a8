"""What judges a trained network in the study of AdvRush: attacks, and the loss around test images."""

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
WATCHED = 32  # images whose curvature is measured


def attacked(config: ConfigDict, run: runs.Run, name: str, apply, test, key) -> dict[str, float]:
    """Accuracy after each attack, each on all images; from its file where a killed run left one."""
    path = run.path / "verdicts" / f"{name}.json"
    if path.exists():
        return files.read_object(path, "remove it, and the same command makes it anew")
    epsilon, batch, step = config.epsilon, min(250, len(test[1])), config.training.step_size
    made = {
        "fgsm": lambda: attacks.fgsm(epsilon),
        "pgd-20": lambda: attacks.pgd(epsilon, steps=20, step_size=step),
        "pgd-100": lambda: attacks.pgd(epsilon, steps=100, step_size=step),
        "apgd-ce": lambda: attacks.apgd(epsilon),
    }
    accuracy = {}
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        for each in config.attacks:
            if each == "autoattack":
                robust = attacks.autoattack(key, apply, *test, epsilon=epsilon, batch=batch)[1]
                accuracy[each] = float(robust.mean())
            else:
                options = proxies.COMPILE[config.compile]
                seen = attacks.evaluate(key, apply, *test, made[each](), batch=batch, options=options).accuracy
                accuracy |= {"clean": seen["clean"], each: list(seen.values())[-1]}
    lines = list(
        dict.fromkeys(f"{name}: {each.message}" for each in doubts if each.category is attacks.GradientMaskingWarning)
    )
    files.write_json(run.file(f"doubts/{name}.json"), {"doubts": lines})
    for line in lines:
        warnings.warn(line, attacks.GradientMaskingWarning, stacklevel=2)
    files.write_json(run.file(f"verdicts/{name}.json"), accuracy)
    return accuracy


def doubts_of(run: runs.Run) -> list[str]:
    """What `attacks` said against the verdicts of this run, a line each."""
    paths = sorted((run.path / "doubts").glob("*.json"))
    return [line for path in paths for line in files.read_object(path, "remove the directory of the run")["doubts"]]


def landscape_of(config: ConfigDict, apply, test, key) -> dict[str, Any]:
    """The loss surface around the first test image, and the mean largest eigenvalue around the first ones."""
    images, labels = jnp.asarray(test[0][:WATCHED]), jnp.asarray(test[1][:WATCHED])
    top, places, heights = _looking(proxies.COMPILE[config.compile])(apply, images, labels, key)
    return {"eigenvalue": float(top.mean()), "places": np.asarray(places), "surface": np.asarray(heights)}


@functools.cache
def _looking(options: tuple):
    """One program for all networks of a frame."""

    def look(apply, images, labels, key):
        loss = jax.jit(lambda x, label: optax.softmax_cross_entropy_with_integer_labels(apply(x[None])[0], label))
        top = landscape.top_eigenvalues(keys.named(key, "eigenvalues"), loss, images, labels, 10)
        return top, *landscape.surface(keys.named(key, "surface"), loss, images[0], labels[0], 0.2, 15)

    return jax.jit(look, compiler_options=dict(options))
