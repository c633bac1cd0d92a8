"""Attacks one after another on the images that withstood those before, in batches of one shape."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from framework.attacks import inputs, losses, masking, network
from framework.attacks.attack import Apply, Attack
from framework.core import keys, programs
from framework.core.devices import Options
from framework.core.types import Key

Watch = Callable[[str, int, int], None]  # (attack, images done, images in all)
STANDARD = {"apgd-ce", "apgd-t", "fab-t", "square"}  # after which gradients should have nothing left for Square


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

    The network is read anew by every call: weights, mode and whatever else it holds may have changed in place. Networks
    that compute the same with other weights share compiled programs. The last batch is filled up, so that every attack
    is compiled once, whatever is left; attacks that differ in numbers alone share a program. Several devices share a
    batch out. Each image has its own random draws: neither the batch nor its neighbours change a verdict.

    Args:
      key: a typed key; the i-th attack and the j-th image draw from their own.
      attacks: one, or several in their order; the same one repeated is a restart.
      apply: images `[batch, ...]` -> logits `[batch, classes]`, traceable, each image on its own, in evaluation mode: a
        function, a bound method, a model of flax nnx, equinox or keras on JAX, a `jax.tree_util.Partial`.
      images: `[N, ...]`, floats in [0, 1].
      labels: `[N]`, integers in [0, classes).
      batch: images at a time, at least 1.
      watch: called after each batch, to show progress.
      options: of the compiler; see `core.advance`.

    Returns:
      An `Evaluation`. An image whose logits are NaN is never robust.

    Raises:
      ValueError: for a key, attacks, images, labels or logits that are not as above, more targets than other classes,
        a network that cannot be traced, changes its own state or gives NaN on a clean image.

    Warns:
      masking.Doubt: where the verdict may not be worth what it seems: the network is random or training, gives
        probabilities or has no gradients, or a ball of radius epsilon covers all images.

    Example:
      >>> from framework import attacks
      >>> network = lambda images: jax.numpy.concatenate([images - 0.5, 0.5 - images], axis=1).reshape(-1, 2)
      >>> images = np.array([0.6, 0.9]).reshape(2, 1, 1, 1)  # class 0 from a brightness of 0.5 on
      >>> found = attacks.evaluate(jax.random.key(0), attacks.fgsm(0.2), network, images, [0, 0])
      >>> found.robust.tolist(), found.images.ravel().round(2).tolist()
      ([False, True], [0.4, 0.9])
    """
    attacks = tuple(attacks) if isinstance(attacks, Iterable) else (attacks,)
    return run(key, lambda classes: attacks, apply, images, labels, batch=batch, watch=watch, options=options)


def run(
    key: Key,
    attacks_for: Callable[[int], Sequence[Attack]],
    apply: Apply,
    images: Any,
    labels: Any,
    *,
    batch: int,
    watch: Watch | None,
    options: Options = (),
) -> Evaluation:
    """`evaluate` with attacks that follow from the number of classes."""
    keys.check(key)
    images, labels = inputs.checked(images, labels, batch)
    still, size = network.snapshot(apply), min(batch, len(images))
    logits = outputs(still, images, batch)
    robust = right(logits, labels)
    attacks = attacks_for(logits.shape[-1])
    inputs.check_attacks(attacks, logits.shape[-1])
    masking.check_scale(attacks, images)
    masking.check_logits(logits, lambda images: outputs(network.snapshot(apply), images, size), images[:size])
    constant = len(logits) > 1 and (logits == logits[0]).all()  # as before training: there is nothing to mask
    if not constant and any(attack.name != "square" for attack in attacks):
        masking.check_gradients(still, images[:size], labels[:size], options)
    found, attacked = images.copy(), programs.spread(_attack_of(still), (0, None, None), options)
    accuracy = {"clean": float(robust.mean())}
    for place, attack in enumerate(attacks):
        left, own = np.flatnonzero(robust), jax.random.fold_in(key, place)
        for done, rows, count in batches(left, size):
            adversarial, withstood = attacked((rows, images[rows], labels[rows]), attack, own)
            broken = ~np.asarray(withstood)[:count]
            found[rows[:count][broken]] = np.asarray(adversarial)[:count][broken]
            robust[rows[:count][broken]] = False
            if watch:
                watch(attack.name, done, len(left))
        accuracy[attack.name] = float(robust.mean())
    if set(accuracy) >= STANDARD:
        masking.compare(accuracy)
    return Evaluation(found, robust, accuracy)


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
    answers = programs.spread(network.snapshot(apply), in_axes=(0,))
    size = min(batch, len(images))
    parts = [
        inputs.checked_rows(answers(images[rows]), size)[:count]
        for _, rows, count in batches(np.arange(len(images)), size)
    ]
    return np.concatenate(parts)


def batches(rows: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """(rows done with this batch, `[size]` rows, how many of them count); what is missing repeats the first."""
    for start in range(0, len(rows), size):
        own = rows[start : start + size]
        yield start + len(own), np.concatenate([own, np.repeat(own[:1], size - len(own))]), len(own)


def _attack_of(apply: Apply) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Images, and which of them are right still; the image in row i of all draws from the i-th key."""

    def attacked(given: tuple[jax.Array, jax.Array, jax.Array], attack: Attack, key: Key):
        rows, images, labels = given
        found = attack(jax.vmap(jax.random.fold_in, (None, 0))(key, rows), apply, images, labels)
        return found, losses.correct(apply(found), labels)

    return attacked
