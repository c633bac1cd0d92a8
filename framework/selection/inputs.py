"""Checks of the arguments of selection methods; a traced value is checked by its shape and dtype alone."""

from typing import Any

import numpy as np

from framework.core.tracing import is_traced


def check_size(size: int, count: int) -> None:
    """Refuses a number of points to select that is not whole or not from 0 to `count`.

    Args:
      size: points to select.
      count: points that there are.

    Raises:
      ValueError: if either is not a whole number, or `size` is out of range.
    """
    for number in (size, count):
        if not isinstance(number, int | np.integer):
            raise ValueError(f"points come in whole numbers, got {number!r}")
    if not 0 <= size <= count:
        raise ValueError(f"a selection must hold 0 to {count:,} points, as many as there are; asked for {size:,}")


def check_vector(values: Any, name: str) -> None:
    """Refuses values that are not one number for each point, or NaN.

    Args:
      values: `[N]`.
      name: of one value, the beginning of the message.

    Raises:
      ValueError: for another shape, or the first point with NaN.
    """
    if np.ndim(values) != 1:
        raise ValueError(f"{name} must be one number a point, [N], got shape {np.shape(values)}")
    if not is_traced(values) and np.isnan(values := np.asarray(values)).any():
        raise ValueError(f"{name} of point {np.isnan(values).argmax():,} is NaN; every point needs a number")


def check_labels(labels: Any, count: int, classes: int) -> None:
    """Refuses labels that are not one whole number for each point, from 0 to `classes` - 1.

    Args:
      labels: `[N]`.
      count: N.
      classes: number of classes.

    Raises:
      ValueError: for another shape or dtype, or the first label out of range.
    """
    _check_integers(labels, count, classes, "labels", "label of point")


def check_indices(indices: Any, count: int, points: int) -> None:
    """Refuses indices that are not `count` distinct whole numbers from 0 to `points` - 1.

    Args:
      indices: `[count]`.
      count: number of indices.
      points: number of points.

    Raises:
      ValueError: for another shape or dtype, or the first index that is out of range or repeated.
    """
    _check_integers(indices, count, points, "indices", "index at place")
    if not is_traced(indices) and len(indices) and (times := np.bincount(indices)).max() > 1:
        raise ValueError(f"the index {times.argmax()} comes {times.max()} times; no two may be the same")


def _check_integers(values: Any, count: int, limit: int, plural: str, singular: str) -> None:
    if np.shape(values) != (count,):
        raise ValueError(f"{count:,} points need as many {plural}, got shape {np.shape(values)}")
    if not np.issubdtype(values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype, np.integer):
        raise ValueError(f"{plural} must be whole numbers from 0 to {limit - 1}")
    if not is_traced(values) and (bad := (np.asarray(values) < 0) | (np.asarray(values) >= limit)).any():
        row = bad.argmax()
        raise ValueError(f"the {singular} {row:,} is {np.asarray(values)[row]}; {plural} are 0 to {limit - 1}")


def check_entropy(entropy: Any) -> None:
    """Refuses entropies that are not one positive, finite number for each point, because their logarithm is taken.

    Raises:
      ValueError: for another shape, no point, or the first bad entropy.
    """
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
    """Refuses features that are not `[N, d]` with d at least 1, all finite.

    Raises:
      ValueError: for another shape, or the first point with a feature that is not finite.
    """
    if np.ndim(features) != 2 or not np.shape(features)[1]:
        raise ValueError(f"features must be [N, d] with d at least 1, got shape {np.shape(features)}")
    if not is_traced(features) and not (finite := np.isfinite(np.asarray(features)).all(1)).all():
        raise ValueError(f"the features of point {finite.argmin():,} are not all finite")
