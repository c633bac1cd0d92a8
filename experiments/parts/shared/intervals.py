"""Standard errors of means over seeds, and words for comparisons over too few of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from framework import runs
from framework.runs.reporting.intervals import ENOUGH


def standard_error(values: Sequence[float] | np.ndarray) -> float:
    """The standard error of the mean of `values`, `[seeds]`; 0 for fewer than three, which cannot show a spread."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) >= ENOUGH else 0.0


def mark_comparisons(seeds: int, *numbers: str) -> dict[str, Any]:
    """Marks the numbers of a result that are compared over too few seeds: "one seed, no interval".

    Args:
      seeds: the number of seeds of each number.
      numbers: names, or the beginnings of dotted names.

    Returns:
      `no_interval`, an entry of the result; nothing from three seeds on.
    """
    words = runs.no_interval(seeds)
    return {"no_interval": dict.fromkeys(numbers, words)} if words else {}


def difference(seeds: int) -> str:
    """The word for a difference of means over a number of seeds: a gain only if it has an interval."""
    return "gain" if seeds >= ENOUGH else "difference"


def bars(seeds: int, unit: str = "seeds", marks: str = "bars") -> str:
    """The sentence of a caption about means and error bars of `standard_error`; "" if there are none."""
    return f" Means over {seeds} {unit}, {marks}: standard errors." if seeds >= ENOUGH else ""
