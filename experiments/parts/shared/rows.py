"""Rows of `metrics.jsonl` from what a driven training last measured: step, seed, phase, and every metric."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Rows = Callable[[int, Mapping[str, np.ndarray]], list[dict[str, Any]]]  # what `runs.drive` takes: steps done, metrics


def of_one(phase: str, seed: int) -> Rows:
    """One row, of metrics `[steps]`."""
    return lambda done, seen: [_row(done, seed, phase, {name: values[-1] for name, values in seen.items()})]


def of_several(phase: str, seeds: Sequence[int]) -> Rows:
    """A row a seed, of metrics `[steps, seeds]`."""
    return lambda done, seen: [
        _row(done, seed, phase, {name: values[-1, i] for name, values in seen.items()}) for i, seed in enumerate(seeds)
    ]


def _row(done: int, seed: int, phase: str, last: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": done, "seed": seed, "phase": phase} | {name: float(value) for name, value in last.items()}
