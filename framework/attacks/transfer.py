"""Transfer: images made to fool one network, shown to another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework.attacks import inputs, losses, network
from framework.attacks.attack import Apply, Attack
from framework.attacks.evaluation import clean, evaluate, outputs
from framework.core.types import Key


def transfer(
    key: Key,
    attacks: Attack | Sequence[Attack],
    source: Apply,
    target: Apply,
    images: Any,
    labels: Any,
    *,
    batch: int = 250,
) -> tuple[np.ndarray, np.ndarray]:
    """The black-box attack of a network through a substitute.

    Args:
      key: a typed key.
      attacks: as for `evaluate`, made on the source.
      source: images -> logits, whose gradients are used.
      target: images -> logits, which is only asked.
      images: `[N, ...]`, floats in [0, 1].
      labels: `[N]`, integers.
      batch: images at a time.

    Returns:
      The images made on the source `[N, ...]`, and which of them the target gets right, having been right on the clean
      image too, `[N]` bool.

    Raises:
      ValueError: as `evaluate`.

    Reference: Papernot et al., arXiv 1602.02697.
    """
    images, labels = inputs.checked(images, labels, batch)
    target = network.snapshot(target)
    made = evaluate(key, attacks, source, images, labels, batch=batch).images
    return made, clean(target, images, labels, batch) & _withstood(target, made, labels, batch)


def matrix(
    key: Key,
    attacks: Attack | Sequence[Attack],
    networks: Mapping[str, Apply],
    images: Any,
    labels: Any,
    *,
    batch: int = 250,
) -> dict[str, dict[str, float]]:
    """Accuracy of every network on the images made on every network.

    Args:
      networks: name to network, images -> logits.
      key, attacks, images, labels, batch: as for `transfer`.

    Returns:
      Source to target to accuracy: the share of images that the target gets right, clean and made on the source.

    Raises:
      ValueError: as `evaluate`.
    """
    images, labels = inputs.checked(images, labels, batch)
    networks = {name: network.snapshot(apply) for name, apply in networks.items()}
    alone = {name: clean(apply, images, labels, batch) for name, apply in networks.items()}
    table = {}
    for source, made_on in networks.items():
        made = evaluate(key, attacks, made_on, images, labels, batch=batch).images
        right = {name: alone[name] & _withstood(apply, made, labels, batch) for name, apply in networks.items()}
        table[source] = {name: float(each.mean()) for name, each in right.items()}
    return table


def _withstood(apply: Apply, made: np.ndarray, labels: np.ndarray, batch: int) -> np.ndarray:
    return np.asarray(losses.correct(outputs(apply, made, batch), labels))
