"""Transfer attacks: adversarial images made on one network are tested on another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from framework.attacks import inputs, losses, network
from framework.attacks.attack import Apply, Attack
from framework.attacks.evaluation import evaluate, is_correct, predict
from framework.core.types import Array, Key


def transfer(
    key: Key,
    source: Apply,
    target: Apply,
    images: Float[Array, "n ..."],
    labels: Int[Array, " n"] | Sequence[int],
    attacks: Attack | Sequence[Attack],
    *,
    batch: int = 250,
) -> tuple[Float[np.ndarray, "n ..."], Bool[np.ndarray, " n"]]:
    """Attacks a network through a substitute (black-box attack).

    Args:
      key: a typed key.
      source: the substitute, images -> logits, whose gradients are used.
      target: the attacked network, images -> logits, which is only evaluated.
      images: `[N, ...]`, floats in [0, 1].
      labels: `[N]`, integers.
      attacks: as for `evaluate`; they run on the source.
      batch: images per step, at least 1.

    Returns:
      The images made on the source, `[N, ...]`, and `robust`, `[N]` bool: True where the target classifies both the
      clean image and that image correctly.

    Raises:
      ValueError: as `evaluate`.

    Reference: Papernot et al., arXiv 1602.02697.
    """
    images, labels = inputs.as_arrays(images, labels, batch)
    target = network.snapshot(target)
    adversarial = evaluate(key, source, images, labels, attacks, batch=batch).images
    clean_correct = is_correct(predict(target, images, batch), labels)
    return adversarial, clean_correct & _is_robust(target, adversarial, labels, batch)


def transfer_matrix(
    key: Key,
    networks: Mapping[str, Apply],
    images: Any,
    labels: Any,
    attacks: Attack | Sequence[Attack],
    *,
    batch: int = 250,
) -> dict[str, dict[str, float]]:
    """Measures the accuracy of every network on the images made on every network.

    Args:
      key: as for `transfer`.
      networks: name to network, images -> logits.
      images: as for `transfer`.
      labels: as for `transfer`.
      attacks: as for `transfer`.
      batch: as for `transfer`.

    Returns:
      Source to target to accuracy: the share of images that the target classifies correctly, both clean and made on
      the source.

    Raises:
      ValueError: as `evaluate`.
    """
    images, labels = inputs.as_arrays(images, labels, batch)
    networks = {name: network.snapshot(apply) for name, apply in networks.items()}
    clean = {name: is_correct(predict(apply, images, batch), labels) for name, apply in networks.items()}
    table = {}
    for source, source_apply in networks.items():
        adversarial = evaluate(key, source_apply, images, labels, attacks, batch=batch).images
        table[source] = {
            name: float((clean[name] & _is_robust(apply, adversarial, labels, batch)).mean())
            for name, apply in networks.items()
        }
    return table


def _is_robust(apply: Apply, adversarial: np.ndarray, labels: np.ndarray, batch: int) -> np.ndarray:
    return np.asarray(losses.is_correct(predict(apply, adversarial, batch), labels))
