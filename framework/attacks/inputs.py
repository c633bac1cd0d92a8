"""What callers hand in, checked: one line says what is wrong, where, and what would be right."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from framework.attacks.attack import Attack, check_images
from framework.core import checks


def checked(images: Any, labels: Any, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels as arrays; float16 and bfloat16 become float32, in which attacks step.

    Raises:
      ValueError: for images that are no floats in [0, 1], labels that are no integers, numbers that differ, no images,
        or a batch below 1.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    checks.counts(batch=batch)
    if images.ndim < 2 or not len(images) or labels.shape != images.shape[:1]:
        raise ValueError(f"images must be [N, ...] and labels [N], got shapes {images.shape} and {labels.shape}")
    check_images(images)
    if images.dtype.itemsize < 4:
        images = images.astype(np.float32)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    return images, labels


def check_attacks(attacks: Sequence[Attack], classes: int) -> None:
    """Raises ValueError unless all are attacks, whose targets, if they have some, are among the classes."""
    for attack in attacks:
        if not isinstance(attack, Attack):
            raise ValueError(f"attacks must be such as attacks.pgd(8 / 255) makes, got {attack!r}")
        if attack.numbers.get("rank", 0) > classes:
            raise ValueError(
                f"{attack.name}: targets must be at most {classes - 1}, as the network has {classes} classes"
            )


def checked_rows(logits: Any, count: int) -> np.ndarray:
    """Logits of one batch as an array.

    Raises:
      ValueError: for logits that are not `[count, ...]`, or are no floats.
    """
    logits = np.asarray(logits)
    if logits.shape[:1] != (count,):
        raise ValueError(
            f"the network must give logits [{count}, classes] for a batch of {count}, got the shape {logits.shape}"
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"the network must give logits, which are floats, got {logits.dtype}")
    return logits


def check_logits(logits: np.ndarray, labels: np.ndarray) -> None:
    """Of clean images.

    Raises:
      ValueError: for logits that are not `[N, classes]` or are NaN, or labels that are no class.
    """
    if logits.shape == (len(labels), 1):
        raise ValueError(
            "the network gives one logit an image: give two, such as "
            "lambda x: jax.numpy.concatenate([jax.numpy.zeros_like(z := network(x)), z], -1) where class 1 is z > 0"
        )
    if logits.shape[:-1] != labels.shape or logits.shape[-1] < 2:
        raise ValueError(f"the network must give logits [{len(labels)}, classes], got the shape {logits.shape}")
    foreign = (labels < 0) | (labels >= logits.shape[-1])
    if foreign.any():
        at = int(foreign.argmax())
        raise ValueError(f"labels must lie in 0 to {logits.shape[-1] - 1}, image {at} has {labels[at]}")
    missing = np.isnan(logits).any(-1)
    if missing.any():
        raise ValueError(f"the network gives NaN on the clean image {int(missing.argmax())}: nothing to attack")
