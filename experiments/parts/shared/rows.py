"""Rows of `metrics.jsonl` from the last metrics of a chunk of training: step, seed, phase, and every metric."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Rows = Callable[[int, Mapping[str, np.ndarray]], list[dict[str, Any]]]  # what `runs.drive` takes: steps done, metrics


def single_rows(phase: str, seed: int) -> Rows:
    """Makes one row of metrics `[steps]`."""
    return lambda done, metrics: [_row(done, seed, phase, {name: values[-1] for name, values in metrics.items()})]


def batch_rows(phase: str, seeds: Sequence[int]) -> Rows:
    """Makes a row a seed of metrics `[steps, seeds]`."""
    return lambda done, metrics: [
        _row(done, seed, phase, {name: values[-1, i] for name, values in metrics.items()})
        for i, seed in enumerate(seeds)
    ]


def _row(done: int, seed: int, phase: str, last: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": done, "seed": seed, "phase": phase} | {name: float(value) for name, value in last.items()}
