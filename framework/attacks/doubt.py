"""The warning that a verdict is not worth what it seems, and what an attack's own numbers say of it."""

import inspect
import math
import warnings
from typing import Any

import numpy as np

from framework.core.tracing import is_traced


class Doubt(UserWarning):
    """A verdict may not be worth what it seems; most often it is more favourable than the network deserves."""


def warn(message: str) -> None:
    """Warns at the line that called into this package."""
    level, frame = 2, inspect.currentframe().f_back
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("framework.attacks"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, Doubt, stacklevel=level)


def check_scale(name: str, norm: str | None, epsilon: Any, images: Any) -> None:
    """Warns of a ball that covers every image, as one in units of 0 to 255 does.

    Args:
      name: of the attack.
      norm: `linf` or `l2`; of an attack without a norm nothing is known.
      epsilon: the radius; None and a traced one are not looked at, an infinite one is meant.
      images: `[N, ...]`, of which the shape is looked at.

    Warns:
      Doubt: for an L-inf radius of 1 or more, or an L2 radius of the diagonal of [0, 1]^pixels or more.
    """
    if epsilon is None or norm is None or is_traced(epsilon):
        return
    size, whole = float(np.max(epsilon)), {"linf": 1.0, "l2": math.sqrt(np.prod(np.shape(images)[1:]))}[norm]
    if whole <= size < math.inf:
        advice = f"; in units of 0 to 255 divide it by 255, {size:g} / 255" if norm == "linf" else ""
        warn(f"{name}: a ball of {norm} radius {size:g} covers all images in [0, 1]{advice}")
