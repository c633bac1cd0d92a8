"""How far a mean over seeds may be off."""

from collections.abc import Sequence

import numpy as np


def standard_error(values: Sequence[float] | np.ndarray) -> float:
    """The standard error of the mean of `values`, `[seeds]`; 0 of a single one, which tells of no spread."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
