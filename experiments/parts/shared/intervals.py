"""How far a mean over seeds may be off, and what a comparison over too few of them says instead."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from framework import runs
from framework.runs.reporting.intervals import ENOUGH


def standard_error(values: Sequence[float] | np.ndarray) -> float:
    """The standard error of the mean of `values`, `[seeds]`; 0 of fewer than three, which tell of no spread."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) >= ENOUGH else 0.0


def mark_comparisons(seeds: int, *numbers: str) -> dict[str, Any]:
    """Puts "one seed, no interval" beside the numbers of a result that are compared over so few seeds.

    Args:
      seeds: behind each of the numbers.
      numbers: names, or the beginnings of dotted names.

    Returns:
      `no_interval`, an entry of the result; nothing from three seeds on.
    """
    words = runs.no_interval(seeds)
    return {"no_interval": dict.fromkeys(numbers, words)} if words else {}


def difference(seeds: int) -> str:
    """The word for a difference of means over so many seeds: it is a gain only where it has an interval."""
    return "gain" if seeds >= ENOUGH else "difference"


def bars(seeds: int, what: str = "seeds", drawn: str = "bars") -> str:
    """The sentence of a caption on means and error bars, for figures that draw `standard_error`; "" where none is."""
    return f" Means over {seeds} {what}, {drawn}: standard errors." if seeds >= ENOUGH else ""
