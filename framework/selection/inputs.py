"""What a caller hands in, checked where it is known."""

from typing import Any

import jax
import numpy as np


def known(value: Any) -> bool:
    """Whether a value is there now, and not only under a transformation."""
    return not isinstance(value, jax.core.Tracer)


def check_size(size: int, count: int) -> None:
    """Raises ValueError unless 0 to `count` points are asked for."""
    if not 0 <= size <= count:
        raise ValueError(f"a selection must hold 0 to {count:,} points, as many as there are; asked for {size:,}")


def check_vector(values: Any, name: str) -> None:
    """Raises ValueError unless the values are one number a point, none of them NaN."""
    if np.ndim(values) != 1:
        raise ValueError(f"{name} must be one number a point, [N], got shape {np.shape(values)}")
    if known(values) and np.isnan(values := np.asarray(values)).any():
        raise ValueError(f"{name} of point {np.isnan(values).argmax():,} is NaN; every point needs a number")


def check_entropy(entropy: Any) -> None:
    """Raises ValueError unless there is one positive, finite entropy a point; a logarithm is taken of each."""
    if np.ndim(entropy) != 1 or not len(entropy):
        raise ValueError(f"entropies must be one a point, [N] with N at least 1, got shape {np.shape(entropy)}")
    if not known(entropy):
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
    if known(features) and not (finite := np.isfinite(np.asarray(features)).all(1)).all():
        raise ValueError(f"the features of point {finite.argmin():,} are not all finite")
