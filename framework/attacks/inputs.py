"""What callers hand in, checked: one line says what is wrong, where, and what would be right."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from framework.attacks.attack import Attack
from framework.core import counts


def checked(images: Any, labels: Any, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels as arrays; float16 becomes float32, in which attacks step.

    Raises:
      ValueError: for images that are no floats in [0, 1], labels that are no integers, numbers that differ, no images,
        or a batch below 1.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    counts.check(batch=batch)
    if images.ndim < 2 or not len(images) or labels.shape != images.shape[:1]:
        raise ValueError(f"images must be [N, ...] and labels [N], got shapes {images.shape} and {labels.shape}")
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images must be floats in [0, 1], got {images.dtype}: divide by their maximum")
    outside = ~((images >= 0) & (images <= 1)).all(tuple(range(1, images.ndim)))
    if outside.any():
        row = int(outside.argmax())
        span = f"{images[row].min():g} to {images[row].max():g}"
        raise ValueError(f"images must lie in [0, 1] before any normalisation, image {row} spans {span}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    return images.astype(np.float32) if images.dtype == np.float16 else images, labels


def check_attacks(attacks: Sequence[Attack], classes: int) -> None:
    """Raises ValueError unless all are attacks, whose targets, if they have some, are among the classes."""
    for attack in attacks:
        if not isinstance(attack, Attack):
            raise ValueError(f"attacks must be such as attacks.pgd(8 / 255) makes, got {attack!r}")
        if attack.numbers.get("rank", 0) > classes:
            raise ValueError(
                f"{attack.name}: targets must be at most {classes - 1}, as the network has {classes} classes"
            )


def check_logits(logits: np.ndarray, labels: np.ndarray) -> None:
    """Of clean images.

    Raises:
      ValueError: for logits that are not `[N, classes]` or are NaN, or labels that are no class.
    """
    if logits.shape[:-1] != labels.shape or logits.shape[-1] < 2:
        raise ValueError(f"the network must give logits [{len(labels)}, classes], got the shape {logits.shape}")
    foreign = (labels < 0) | (labels >= logits.shape[-1])
    if foreign.any():
        at = int(foreign.argmax())
        raise ValueError(f"labels must lie in 0 to {logits.shape[-1] - 1}, image {at} has {labels[at]}")
    missing = np.isnan(logits).any(-1)
    if missing.any():
        raise ValueError(f"the network gives NaN on the clean image {int(missing.argmax())}: nothing to attack")
