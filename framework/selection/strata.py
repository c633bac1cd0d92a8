"""Selections spread over the range of a score: coverage-centric, and moderate."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Key
from framework.selection.groups import first_of_groups, shares
from framework.selection.inputs import check_features, check_labels, check_size, check_vector
from framework.selection.ranking import smallest


def coverage_centric(key: Key, scores: jax.Array, size: int, cut: float = 0.1, strata: int = 50) -> jax.Array:
    """CCS: the hardest points are cut off, and each stratum of the others gives the same number at random.

    Strata have equal widths between the least and the greatest score that is left; one that holds fewer gives all.

    Args:
      key: of the draws, and of who is cut off where scores are equal.
      scores: `[N]`, the larger the harder.
      size: k, static.
      cut: beta, the share of all points that is cut off as too hard, at most 1 - k / N.
      strata: how many, at least 1.

    Returns:
      `[k]` int32, stratum by stratum.

    Raises:
      ValueError: if fewer points are left than asked for, a score is NaN or infinite, or an argument lies outside its
        range.

    Reference: arXiv 2210.15809, algorithm 1.
    """
    check_vector(scores, "the score")
    if not is_traced(scores) and np.isinf(values := np.asarray(scores)).any():
        raise ValueError(f"the score of point {np.isinf(values).argmax():,} is infinite; strata need finite ones")
    keys.check(key, strata=strata)
    count = len(scores)
    check_size(size, count)
    if not 0 <= cut <= 1:
        raise ValueError(f"the share cut off must lie in [0, 1], got {cut}")
    left = count - int(cut * count + 1e-9)
    if size > left:
        raise ValueError(f"{size:,} points are asked for, but a cut of {cut} leaves {left:,} of {count:,}")
    if not size:
        return jnp.zeros(0, jnp.int32)
    kept = smallest(scores, left, keys.named(key, "ties"))
    return _from_strata(key, kept, jnp.asarray(scores, jnp.float32), size, strata)


@partial(jax.jit, static_argnames=("size", "strata"))
def _from_strata(key: Key, kept: jax.Array, scores: jax.Array, size: int, strata: int) -> jax.Array:
    scores = scores[kept]
    low, high = scores.min(), scores.max()
    place = (scores - low) / jnp.where(high > low, high - low, 1.0) * strata
    stratum = jnp.clip(jnp.floor(place), 0, strata - 1).astype(jnp.int32)
    quotas = shares(jnp.zeros(strata, jnp.int32).at[stratum].add(1), size)
    return kept[first_of_groups(jax.random.uniform(key, (len(kept),)), stratum, quotas, size)]


def moderate(
    features: jax.Array, labels: jax.Array, size: int, classes: int | None = None, key: Key | None = None
) -> jax.Array:
    """The points whose distance to their class's mean is nearest to the median of all such distances.

        d_i = || z_i - mean_{j: y_j = y_i} z_j ||,    by | d_i - median d |

    Args:
      features: z, `[N, d]`.
      labels: y, `[N]` int from 0 on.
      size: k, static.
      classes: how many; needed where the labels are not concrete.
      key: of the order of points that are equally near; without one they keep that of their indices.

    Returns:
      `[k]` int32, the nearest first.

    Raises:
      ValueError: if there are fewer points than asked for, labels and features differ in number, or features are bad.

    Reference: Xia et al., "Moderate coreset: a universal method of data selection for real-world data-efficient deep
    learning", ICLR 2023.
    """
    check_features(features)
    check_size(size, len(features))
    if classes is None:
        if is_traced(labels):
            raise ValueError("the number of classes must be given where the labels are not concrete")
        classes = int(np.max(labels, initial=-1)) + 1
    check_labels(labels, len(features), classes)
    if not size:
        return jnp.zeros(0, jnp.int32)
    return smallest(_from_median(jnp.asarray(features), jnp.asarray(labels), classes), size, key)


@partial(jax.jit, static_argnames="classes")
def _from_median(features: jax.Array, labels: jax.Array, classes: int) -> jax.Array:
    counts = jnp.zeros(classes).at[labels].add(1.0)
    means = jnp.zeros((classes, features.shape[1])).at[labels].add(features) / jnp.maximum(counts, 1)[:, None]
    distances = jnp.linalg.norm(features - means[labels], axis=1)
    return jnp.abs(distances - jnp.median(distances))
