"""AutoAttack: an ensemble of four parameter-free attacks, one after another.

Reference: Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks", arXiv 2003.01690.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from framework.attacks import evaluation
from framework.attacks.attack import Apply, Attack
from framework.attacks.auto_pgd import apgd, apgd_targeted
from framework.attacks.evaluation import Evaluation, Progress
from framework.attacks.fab import fab_targeted
from framework.attacks.square_attack import square
from framework.core.types import Array, Key

TARGETS = 9


def standard(epsilon: float | jax.Array, norm: str = "linf", classes: int = 10) -> tuple[Attack, ...]:
    """The attacks of AutoAttack's standard version: APGD-CE, APGD-T, FAB-T (9 targets each) and Square (5,000 queries).

    Args:
      epsilon: radius of the ball, above 0.
      norm: `linf` or `l2`, in small or capital letters.
      classes: of the network, at least 4; below 10 there are fewer targets.

    Returns:
      Attacks for `evaluate`, in this order.

    Raises:
      ValueError: for an epsilon not above 0, an unknown norm or fewer than 4 classes.
    """
    if classes < 4:
        radius = f"{float(epsilon):.4g}" if isinstance(epsilon, float | int) else "epsilon"
        raise ValueError(
            f"AutoAttack's targeted loss compares 4 logits, the network has {classes}: take evaluate() with (apgd"
            f"({radius}), apgd({radius}, loss='margin'), *fab_targeted({radius}, targets={classes - 1}), "
            f"square({radius}))"
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
    images: Float[Array, "n h w c"],
    labels: Int[Array, " n"] | Sequence[int],
    *,
    epsilon: float = 8 / 255,
    norm: str = "linf",
    batch: int = 250,
    progress: Progress | None = None,
) -> tuple[Float[np.ndarray, "n h w c"], Bool[np.ndarray, " n"]]:
    """Runs AutoAttack's standard version on a network.

    Args:
      key: a typed key.
      apply: images `[batch, H, W, C]` -> logits `[batch, classes]`, traceable; see `evaluate`.
      images: `[N, H, W, C]`, floats in [0, 1].
      labels: `[N]`, integers in [0, classes).
      epsilon: radius of the ball, above 0.
      norm: `linf` or `l2`, in small or capital letters.
      batch: images per step, at least 1.
      progress: called after each batch with (attack, images done, images in all).

    Returns:
      `images_adv` `[N, H, W, C]` and `robust` `[N]` bool. Where `robust` is True the image is the original; elsewhere
      it is adversarial, or the clean image if the network misclassifies that one.

    Raises:
      ValueError: for input that is not as above, a network of fewer than 4 classes or one that gives NaN.

    Warns:
      GradientMaskingWarning: if robustness may be overestimated: the network is random or in training mode, gives
        probabilities, has no gradients, epsilon covers all images, or Square succeeds where gradient attacks fail.

    Reference: arXiv 2003.01690.
    """
    return evaluate(key, apply, images, labels, epsilon=epsilon, norm=norm, batch=batch, progress=progress)[:2]


def evaluate(
    key: Key,
    apply: Apply,
    images: Any,
    labels: Any,
    *,
    epsilon: float = 8 / 255,
    norm: str = "linf",
    batch: int = 250,
    progress: Progress | None = None,
) -> Evaluation:
    """Runs AutoAttack's standard version and returns the accuracy after each attack too.

    Args:
      key: a typed key.
      apply: as for `autoattack`.
      images: as for `autoattack`.
      labels: as for `autoattack`.
      epsilon: radius of the ball, above 0.
      norm: `linf` or `l2`, in small or capital letters.
      batch: images per step, at least 1.
      progress: as for `autoattack`.

    Returns:
      An `Evaluation`; its first two fields are those that `autoattack` returns.

    Raises:
      ValueError: as `autoattack`.
    """
    attacks_for = lambda classes: standard(epsilon, norm, classes)
    return evaluation.evaluate_for_classes(key, apply, images, labels, attacks_for, batch=batch, progress=progress)
