"""Checks of the images, labels, attacks and logits of an evaluation, one line per message."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from framework.attacks.attack import Attack, check_images
from framework.core import checks


def as_arrays(images: Any, labels: Any, batch: int) -> tuple[Float[np.ndarray, "n ..."], Int[np.ndarray, " n"]]:
    """Converts images and labels to arrays; float16 and bfloat16 become float32, in which attacks step.

    Args:
      images: `[N, ...]`, floats in [0, 1].
      labels: `[N]`, integers.
      batch: images per step.

    Returns:
      Images and labels.

    Raises:
      ValueError: for images that are not floats in [0, 1], labels that are not integers, lengths that differ, no
        images, or a batch below 1.
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
    """Refuses objects that are not attacks, and targets beyond the last class.

    Args:
      attacks: in their order.
      classes: of the network.

    Raises:
      ValueError: for the first object that is not an attack or has more targets than other classes.
    """
    for attack in attacks:
        if not isinstance(attack, Attack):
            raise ValueError(f"attacks must be such as attacks.pgd(8 / 255) makes, got {attack!r}")
        if attack.numbers.get("rank", 0) > classes:
            raise ValueError(
                f"{attack.name}: targets must be at most {classes - 1}, as the network has {classes} classes"
            )


def check_batch_of_logits(logits: np.ndarray, count: int) -> None:
    """Refuses an output of the network that cannot be logits of one batch.

    Args:
      logits: of one batch.
      count: images of the batch.

    Raises:
      ValueError: for logits that are not `[count, ...]`, or are not floats.
    """
    if logits.shape[:1] != (count,):
        raise ValueError(
            f"the network must give logits [{count}, classes] for a batch of {count}, got the shape {logits.shape}"
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"the network must give logits, which are floats, got {logits.dtype}")


def check_logits(logits: np.ndarray, labels: np.ndarray) -> None:
    """Refuses logits of clean images that cannot be attacked, and labels that are not classes.

    Args:
      logits: of all images.
      labels: `[N]`.

    Raises:
      ValueError: for logits that are not `[N, classes]` or are NaN, or labels that are not classes.
    """
    if logits.shape == (len(labels), 1):
        raise ValueError(
            "the network gives one logit an image: give two, such as "
            "lambda x: jax.numpy.concatenate([jax.numpy.zeros_like(z := network(x)), z], -1) where class 1 is z > 0"
        )
    if logits.shape[:-1] != labels.shape or logits.shape[-1] < 2:
        raise ValueError(f"the network must give logits [{len(labels)}, classes], got the shape {logits.shape}")
    outside = (labels < 0) | (labels >= logits.shape[-1])
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"labels must lie in 0 to {logits.shape[-1] - 1}, image {row} has {labels[row]}")
    missing = np.isnan(logits).any(-1)
    if missing.any():
        raise ValueError(f"the network gives NaN on the clean image {int(missing.argmax())}: nothing to attack")
