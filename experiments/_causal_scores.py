"""Learned graphs held against true ones."""

from collections.abc import Sequence

import numpy as np

from experiments._spread import standard_error
from framework import causal
from framework.causal import equivalence, intervention, metrics


def measures(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """All measures of one graph; the area under the curve of the weights, where there are any, comes on top."""
    measured = metrics.compare(true, found) | {
        "cpdag_shd": equivalence.cpdag_shd(true, found),
        "sid": intervention.sid(true, found),
        "skeleton_f1": equivalence.skeleton_scores(true, found)["f1"],
    }
    return {name: float(value) for name, value in measured.items()} | {"auprc": ""}


def mean_shd(truths: Sequence[np.ndarray], results: Sequence[causal.Result]) -> tuple[float, float]:
    """Mean and standard error of the SHD of several results."""
    values = [int(metrics.compare(t, r.graph)["shd"]) for t, r in zip(truths, results, strict=True)]
    return float(np.mean(values)), standard_error(values)
