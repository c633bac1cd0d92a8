"""The warning that a network may be less robust than it seems, and the check of an attack's radius."""

import inspect
import math
import warnings
from typing import Any

import numpy as np

from framework.core.tracing import is_traced


class GradientMaskingWarning(UserWarning):
    """An evaluation may overestimate robustness, for example because gradients are masked."""


def warn(message: str) -> None:
    """Warns at the caller's line, the first frame outside this package."""
    level, frame = 2, inspect.currentframe().f_back
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("framework.attacks"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, GradientMaskingWarning, stacklevel=level)


def check_scale(name: str, norm: str | None, epsilon: Any, shape: tuple[int, ...]) -> None:
    """Warns of a ball that covers every image, as a radius in units of 0 to 255 does.

    Args:
      name: of the attack.
      norm: `linf` or `l2`; None for an attack without a norm, which is not checked.
      epsilon: the radius; None, a traced and an infinite one are not checked.
      shape: of the images, `(N, ...)`.

    Warns:
      GradientMaskingWarning: for an L-inf radius of 1 or more, or an L2 radius of the diagonal of [0, 1]^pixels or
        more.
    """
    if epsilon is None or norm is None or is_traced(epsilon):
        return
    radius, diameter = float(np.max(epsilon)), {"linf": 1.0, "l2": math.sqrt(np.prod(shape[1:]))}[norm]
    if diameter <= radius < math.inf:
        advice = f"; in units of 0 to 255 divide it by 255, {radius:g} / 255" if norm == "linf" else ""
        warn(f"{name}: a ball of {norm} radius {radius:g} covers all images in [0, 1]{advice}")
