"""Attacks one after another on the images that withstood those before, in batches of one shape."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from framework.attacks import inputs, losses
from framework.attacks.attack import Apply, Attack
from framework.core import devices, keys
from framework.core.devices import Options
from framework.core.types import Key

Watch = Callable[[str, int, int], None]  # (attack, images done, images in all)


class Evaluation(NamedTuple):
    """What attacks made of a network."""

    images: np.ndarray  # [N, ...]: adversarial where not robust, the clean image where that is wrong, else the original
    robust: np.ndarray  # [N] bool: right on the clean image and after every attack
    accuracy: dict[str, float]  # `clean`, then the share of images still right after each attack, in their order


def evaluate(
    key: Key,
    attacks: Attack | Sequence[Attack],
    apply: Apply,
    images: Any,
    labels: Any,
    *,
    batch: int = 250,
    watch: Watch | None = None,
    options: Options = (),
) -> Evaluation:
    """The worst that attacks do to each image; only images that are still right go on to the next attack.

    The last batch is filled up, so that every attack is compiled once, whatever is left; attacks that differ in numbers
    alone share a program. Several devices share a batch out. Each image has its own random draws: neither the batch nor
    its neighbours change a verdict.

    Args:
      key: a typed key; the i-th attack and the j-th image draw from their own.
      attacks: one, or several in their order; the same one repeated is a restart.
      apply: images `[batch, ...]` -> logits `[batch, classes]`, traceable, each image on its own. Another function
        object is compiled anew; `jax.tree_util.Partial(function, params)` is compiled once for all parameters.
      images: `[N, ...]`, floats in [0, 1].
      labels: `[N]`, integers in [0, classes).
      batch: images at a time, at least 1.
      watch: called after each batch, to show progress.
      options: of the compiler; see `core.advance`.

    Returns:
      An `Evaluation`. An image whose logits are NaN is never robust.

    Raises:
      ValueError: for a key, attacks, images, labels or logits that are not as above, more targets than other classes,
        or a network that gives NaN on a clean image.

    Example:
      >>> from framework import attacks
      >>> network = lambda images: jax.numpy.concatenate([images, 1 - images], axis=1).reshape(-1, 2)
      >>> images = np.array([0.6, 0.9]).reshape(2, 1, 1, 1)  # class 0 from a brightness of 0.5 on
      >>> found = attacks.evaluate(jax.random.key(0), attacks.fgsm(0.2), network, images, [0, 0])
      >>> found.robust.tolist(), found.images.ravel().round(2).tolist()
      ([False, True], [0.4, 0.9])
    """
    keys.check(key)
    attacks = tuple(attacks) if isinstance(attacks, Iterable) else (attacks,)
    images, labels = inputs.checked(images, labels, batch)
    apply = traced(apply)
    logits = outputs(apply, images, batch)
    robust = right(logits, labels)
    inputs.check_attacks(attacks, logits.shape[-1])
    found, attacked = images.copy(), _attacked(options)
    accuracy = {"clean": float(robust.mean())}
    for place, attack in enumerate(attacks):
        left, own = np.flatnonzero(robust), jax.random.fold_in(key, place)
        for done, rows, count in batches(left, min(batch, len(images))):
            adversarial, withstood = attacked((rows, images[rows], labels[rows]), attack, own, apply)
            broken = ~np.asarray(withstood)[:count]
            found[rows[:count][broken]] = np.asarray(adversarial)[:count][broken]
            robust[rows[:count][broken]] = False
            if watch:
                watch(attack.name, done, len(left))
        accuracy[attack.name] = float(robust.mean())
    return Evaluation(found, robust, accuracy)


def traced(apply: Apply) -> jax.tree_util.Partial:
    """The network as an argument of compiled functions: its parameters, if it holds any, and the function itself."""
    return apply if isinstance(apply, jax.tree_util.Partial) else jax.tree_util.Partial(apply)


def clean(apply: Apply, images: np.ndarray, labels: np.ndarray, batch: int) -> np.ndarray:
    """Which images are right as they are, `[N]` bool.

    Raises:
      ValueError: if logits are NaN or of another shape than `[N, classes]`, or a label is no class.
    """
    return right(outputs(apply, images, batch), labels)


def right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which logits of clean images are right, `[N]` bool; errors as `clean`."""
    inputs.check_logits(logits, labels)
    return np.array(losses.correct(logits, labels))


def outputs(apply: Apply, images: np.ndarray, batch: int) -> np.ndarray:
    """Logits of all images, `[N, classes]`."""
    parts = batches(np.arange(len(images)), min(batch, len(images)))
    return np.concatenate([np.asarray(_logits(images[rows], traced(apply)))[:count] for _, rows, count in parts])


def batches(rows: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """(rows done with this batch, `[size]` rows, how many of them count); what is missing repeats the first."""
    for start in range(0, len(rows), size):
        own = rows[start : start + size]
        yield start + len(own), np.concatenate([own, np.repeat(own[:1], size - len(own))]), len(own)


def _answers(images: jax.Array, apply: Apply) -> jax.Array:
    return apply(images)


def _found(
    given: tuple[jax.Array, jax.Array, jax.Array], attack: Attack, key: Key, apply: Apply
) -> tuple[jax.Array, jax.Array]:
    """Images, and which of them are right still; the image in row i of all draws from the i-th key."""
    rows, images, labels = given
    found = attack(jax.vmap(jax.random.fold_in, (None, 0))(key, rows), apply, images, labels)
    return found, losses.correct(apply(found), labels)


@functools.cache
def _attacked(options: Options) -> Callable:
    return devices.spread(_found, in_axes=(0, None, None, None), options=options)


_logits = devices.spread(_answers, in_axes=(0, None))
