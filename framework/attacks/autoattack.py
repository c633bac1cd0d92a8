"""AutoAttack: four attacks without parameters to choose, one after another.

Reference: Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks", arXiv 2003.01690.
"""

from typing import Any

import jax
import numpy as np

from framework.attacks.apgd import apgd, apgd_targeted
from framework.attacks.attack import Apply, Attack
from framework.attacks.evaluation import Evaluation, Watch, run
from framework.attacks.fab import fab_targeted
from framework.attacks.square import square
from framework.core.types import Key

TARGETS = 9


def standard(epsilon: float | jax.Array, norm: str = "linf", classes: int = 10) -> tuple[Attack, ...]:
    """AutoAttack's standard version: APGD-CE, then APGD-T, FAB-T (9 targets each) and Square (5,000 queries).

    Args:
      epsilon: radius of the ball, above 0.
      norm: `linf` or `l2`, in small or capital letters.
      classes: of the network, at least 4; below 10 there are fewer targets.

    Raises:
      ValueError: for an epsilon not above 0, an unknown norm or fewer than 4 classes.
    """
    if classes < 4:
        size = f"{float(epsilon):.4g}" if isinstance(epsilon, float | int) else "epsilon"
        raise ValueError(
            f"AutoAttack's targeted loss compares 4 logits, the network has {classes}: take evaluate() with "
            f"(apgd({size}), apgd({size}, loss='margin'), *fab_targeted({size}, targets={classes - 1}), square({size}))"
        )
    targets = min(TARGETS, classes - 1)
    return (
        apgd(epsilon, norm),
        *apgd_targeted(epsilon, norm, targets=targets),
        *fab_targeted(epsilon, norm, targets=targets),
        square(epsilon, norm),
    )


def autoattack(
    key: Key,
    apply: Apply,
    images: Any,
    labels: Any,
    *,
    epsilon: float = 8 / 255,
    norm: str = "linf",
    batch: int = 250,
    watch: Watch | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Images that a network gets wrong, and which images withstand AutoAttack's standard version.

    Args:
      key: a typed key.
      apply: images `[batch, H, W, C]` -> logits `[batch, classes]`, traceable; see `evaluate`.
      images: `[N, H, W, C]`, floats in [0, 1].
      labels: `[N]`, integers in [0, classes).
      epsilon: radius of the ball, above 0.
      norm: `linf` or `l2`, in small or capital letters.
      batch: images at a time.
      watch: called after each batch, to show progress.

    Returns:
      `images_adv` `[N, H, W, C]`, adversarial where `robust` `[N]` is False (the clean image where that is wrong
      already) and the original where it is True.

    Raises:
      ValueError: for input that is not as above, a network of fewer than 4 classes or one that gives NaN.

    Warns:
      masking.Doubt: where the verdict may not be worth what it seems: the network is random or training, gives
        probabilities, has no gradients, epsilon covers all images, or Square breaks what gradients did not.
    """
    return judge(key, apply, images, labels, epsilon=epsilon, norm=norm, batch=batch, watch=watch)[:2]


def judge(
    key: Key,
    apply: Apply,
    images: Any,
    labels: Any,
    *,
    epsilon: float = 8 / 255,
    norm: str = "linf",
    batch: int = 250,
    watch: Watch | None = None,
) -> Evaluation:
    """`autoattack`, whose arguments, errors and warnings it has, with the accuracy after each of its attacks."""
    chosen = lambda classes: standard(epsilon, norm, classes)
    return run(key, chosen, apply, images, labels, batch=batch, watch=watch)
