"""What a caller hands in, checked where it is known."""

from typing import Any

import numpy as np

from framework.core.tracing import is_traced


def check_size(size: int, count: int) -> None:
    """Raises ValueError unless 0 to `count` points are asked for, a whole number of them."""
    for number in (size, count):
        if not isinstance(number, int | np.integer):
            raise ValueError(f"points come in whole numbers, got {number!r}")
    if not 0 <= size <= count:
        raise ValueError(f"a selection must hold 0 to {count:,} points, as many as there are; asked for {size:,}")


def check_vector(values: Any, name: str) -> None:
    """Raises ValueError unless the values are one number a point, none of them NaN; `name` is in the singular."""
    if np.ndim(values) != 1:
        raise ValueError(f"{name} must be one number a point, [N], got shape {np.shape(values)}")
    if not is_traced(values) and np.isnan(values := np.asarray(values)).any():
        raise ValueError(f"{name} of point {np.isnan(values).argmax():,} is NaN; every point needs a number")


def check_labels(labels: Any, count: int, classes: int) -> None:
    """Raises ValueError unless there is one label a point, a whole number from 0 to `classes` - 1."""
    _check_whole(labels, count, classes, "labels", "label of point")


def check_indices(indices: Any, count: int, points: int) -> None:
    """Raises ValueError unless there are `count` indices of `points` points, no two the same."""
    _check_whole(indices, count, points, "indices", "index at place")
    if not is_traced(indices) and len(indices) and (times := np.bincount(indices)).max() > 1:
        raise ValueError(f"the index {times.argmax()} comes {times.max()} times; no two may be the same")


def _check_whole(values: Any, count: int, limit: int, names: str, one: str) -> None:
    if np.shape(values) != (count,):
        raise ValueError(f"{count:,} points need as many {names}, got shape {np.shape(values)}")
    if not np.issubdtype(values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype, np.integer):
        raise ValueError(f"{names} must be whole numbers from 0 to {limit - 1}")
    if not is_traced(values) and (bad := (np.asarray(values) < 0) | (np.asarray(values) >= limit)).any():
        place = bad.argmax()
        raise ValueError(f"the {one} {place:,} is {np.asarray(values)[place]}; {names} are 0 to {limit - 1}")


def check_entropy(entropy: Any) -> None:
    """Raises ValueError unless there is one positive, finite entropy a point; a logarithm is taken of each."""
    if np.ndim(entropy) != 1 or not len(entropy):
        raise ValueError(f"entropies must be one a point, [N] with N at least 1, got shape {np.shape(entropy)}")
    if is_traced(entropy):
        return
    entropy = np.asarray(entropy)
    bad = ~((entropy > 0) & np.isfinite(entropy))
    if bad.any():
        point = bad.argmax()
        raise ValueError(
            f"the entropy of point {point:,} is {entropy[point]}; all must be positive and finite, for their logarithms"
        )


def check_features(features: Any) -> None:
    """Raises ValueError unless the features are `[N, d]` with d at least 1, all finite."""
    if np.ndim(features) != 2 or not np.shape(features)[1]:
        raise ValueError(f"features must be [N, d] with d at least 1, got shape {np.shape(features)}")
    if not is_traced(features) and not (finite := np.isfinite(np.asarray(features)).all(1)).all():
        raise ValueError(f"the features of point {finite.argmin():,} are not all finite")
