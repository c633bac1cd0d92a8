"""Evaluation of a network under attacks: each attack gets the images that are still classified correctly."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from framework.attacks import inputs, losses, masking, network
from framework.attacks.attack import Apply, Attack
from framework.core import keys, programs
from framework.core.devices import Options
from framework.core.types import Array, Key

Progress = Callable[[str, int, int], None]  # (attack, images done, images in all)
AUTOATTACK = {"apgd-ce", "apgd-t", "fab-t", "square"}  # after which gradients should leave nothing for Square


class Evaluation(NamedTuple):
    """Result of attacks on a network."""

    images: Float[np.ndarray, "n ..."]  # originals if robust, else adversarial, or clean if misclassified already
    robust: Bool[np.ndarray, " n"]  # classified correctly on the clean image and after every attack
    accuracy: dict[str, float]  # `clean`, then the share of images still correct after each attack, in their order


class Batch(NamedTuple):
    """A batch of rows of one size; missing rows repeat the first one."""

    done: int  # rows up to the end of this batch
    rows: Int[np.ndarray, " size"]
    count: int  # rows that are not repetitions


def evaluate(
    key: Key,
    apply: Apply,
    images: Float[Array, "n ..."],
    labels: Int[Array, " n"] | Sequence[int],
    attacks: Attack | Sequence[Attack],
    *,
    batch: int = 250,
    progress: Progress | None = None,
    options: Options = (),
) -> Evaluation:
    """Attacks a network and measures its accuracy; an image counts as robust if every attack fails on it.

    The network is read again by every call, because weights, mode and other state may have changed in place. Networks
    that compute the same with other weights share compiled programs. The last batch is padded, so that every attack is
    compiled once; attacks that differ only in numbers share a program. A batch is divided over all devices. Each image
    has its own random draws: its result depends neither on the batch size nor on its neighbours.

    Args:
      key: a typed key; each attack and each image draws from a key derived from it.
      apply: images `[batch, ...]` -> logits `[batch, classes]`, traceable, in evaluation mode; it must treat each image
        independently. A function, a bound method, a model of flax nnx, equinox or keras on JAX, a
        `jax.tree_util.Partial`.
      images: `[N, ...]`, floats in [0, 1].
      labels: `[N]`, integers in [0, classes).
      attacks: one, or several in their order; the same one repeated is a restart.
      batch: images per step, at least 1.
      progress: called after each batch with (attack, images done, images in all).
      options: of the compiler; see `core.advance`.

    Returns:
      An `Evaluation`. An image whose logits are NaN is never robust.

    Raises:
      ValueError: for a key, attacks, images, labels or logits that are not as above, more targets than other classes,
        a network that cannot be traced, changes its own state or gives NaN on a clean image.

    Warns:
      GradientMaskingWarning: if robustness may be overestimated: the network is random or in training mode, gives
        probabilities or has no gradients, or a ball of radius epsilon covers all images.

    Example:
      >>> from framework import attacks
      >>> network = lambda images: jax.numpy.concatenate([images - 0.5, 0.5 - images], axis=1).reshape(-1, 2)
      >>> images = np.array([0.6, 0.9]).reshape(2, 1, 1, 1)  # class 0 from a brightness of 0.5 on
      >>> result = attacks.evaluate(jax.random.key(0), network, images, [0, 0], attacks.fgsm(0.2))
      >>> result.robust.tolist(), result.images.ravel().round(2).tolist()
      ([False, True], [0.4, 0.9])
    """
    attacks = tuple(attacks) if isinstance(attacks, Iterable) else (attacks,)
    return evaluate_for_classes(
        key, apply, images, labels, lambda classes: attacks, batch=batch, progress=progress, options=options
    )


def evaluate_for_classes(
    key: Key,
    apply: Apply,
    images: Any,
    labels: Any,
    attacks_for: Callable[[int], Sequence[Attack]],
    *,
    batch: int,
    progress: Progress | None,
    options: Options = (),
) -> Evaluation:
    """Runs `evaluate` with attacks that depend on the number of classes.

    Args:
      key: as for `evaluate`.
      apply: as for `evaluate`.
      images: as for `evaluate`.
      labels: as for `evaluate`.
      attacks_for: number of classes -> attacks.
      batch: as for `evaluate`.
      progress: as for `evaluate`.
      options: as for `evaluate`.

    Returns:
      An `Evaluation`.

    Raises:
      ValueError: as `evaluate`.
    """
    keys.check(key)
    images, labels = inputs.as_arrays(images, labels, batch)
    fixed, size = network.snapshot(apply), min(batch, len(images))
    logits = predict(fixed, images, batch)
    robust = is_correct(logits, labels)
    attacks = attacks_for(logits.shape[-1])
    inputs.check_attacks(attacks, logits.shape[-1])
    masking.check_scale(attacks, images.shape)
    masking.check_logits(logits, lambda images: predict(network.snapshot(apply), images, size), images[:size])
    constant = len(logits) > 1 and (logits == logits[0]).all()  # as before training: there is nothing to mask
    if not constant and any(attack.name != "square" for attack in attacks):
        masking.check_gradients(fixed, images[:size], labels[:size], options)
    results, run = images.copy(), programs.vmap_over_devices(_attack_rows(fixed), (0, None, None), options)
    accuracy = {"clean": float(robust.mean())}
    for index, attack in enumerate(attacks):
        remaining, attack_key = np.flatnonzero(robust), jax.random.fold_in(key, index)
        for done, rows, count in batches(remaining, size):
            adversarial, correct = run((rows, images[rows], labels[rows]), attack, attack_key)
            wrong = ~np.asarray(correct)[:count]
            results[rows[:count][wrong]] = np.asarray(adversarial)[:count][wrong]
            robust[rows[:count][wrong]] = False
            if progress:
                progress(attack.name, done, len(remaining))
        accuracy[attack.name] = float(robust.mean())
    if set(accuracy) >= AUTOATTACK:
        masking.compare_with_square(accuracy)
    return Evaluation(results, robust, accuracy)


def is_correct(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """True where the logits of a clean image are right.

    Args:
      logits: `[N, classes]`.
      labels: `[N]`.

    Returns:
      `[N]` bool.

    Raises:
      ValueError: if logits are NaN or of another shape than `[N, classes]`, or a label is not a class.
    """
    inputs.check_logits(logits, labels)
    return np.array(losses.is_correct(logits, labels))


def predict(apply: Apply, images: Float[np.ndarray, "n ..."], batch: int) -> Float[np.ndarray, "n classes"]:
    """Computes the logits of all images, batch by batch.

    Args:
      apply: images -> logits.
      images: `[N, ...]`.
      batch: images per step, at least 1.

    Returns:
      `[N, classes]`.

    Raises:
      ValueError: if the network does not give floats `[batch, ...]`.
    """
    run = programs.vmap_over_devices(network.snapshot(apply), in_axes=(0,))
    size = min(batch, len(images))
    parts = []
    for _, rows, count in batches(np.arange(len(images)), size):
        logits = np.asarray(run(images[rows]))
        inputs.check_batch_of_logits(logits, size)
        parts.append(logits[:count])
    return np.concatenate(parts)


def batches(rows: Int[np.ndarray, " n"], size: int) -> Iterator[Batch]:
    """Divides rows into batches of one size.

    Args:
      rows: `[N]`.
      size: of a batch, at least 1.

    Yields:
      A `Batch` at a time.
    """
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield Batch(start + len(part), np.concatenate([part, np.repeat(part[:1], size - len(part))]), len(part))


def _attack_rows(apply: Apply) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """A function of ((rows, images, labels), attack, key) that returns images and where they are still correct.

    The image of row i of the whole data set draws from the i-th key.
    """

    def run(data: tuple[Array, Array, Array], attack: Attack, key: Key):
        rows, images, labels = data
        adversarial = attack(jax.vmap(jax.random.fold_in, (None, 0))(key, rows), apply, images, labels)
        return adversarial, losses.is_correct(apply(adversarial), labels)

    return run
