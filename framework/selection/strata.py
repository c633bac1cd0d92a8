"""Selection over strata of a score (coverage-centric), and around its median (moderate)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from framework.core import checks, keys
from framework.core.tracing import is_traced
from framework.core.types import Array, Key
from framework.selection.groups import equal_quotas, take_from_groups
from framework.selection.inputs import check_features, check_labels, check_size, check_vector
from framework.selection.ranking import smallest


def coverage_centric(
    key: Key, scores: Float[Array, " n"], size: int, cutoff_rate: float = 0.1, strata: int = 50
) -> Int[Array, " k"]:
    """Coverage-centric coreset selection (CCS): removes the hardest points and samples all strata of the rest equally.

    Strata have equal widths between the least and the greatest remaining score; one with too few points gives all.

    Args:
      key: of the draws, and of the order of equal scores at the cutoff.
      scores: `[N]`, larger means harder.
      size: k, static.
      cutoff_rate: beta, the share of all points that is removed as too hard, at most 1 - k / N.
      strata: number of strata, at least 1.

    Returns:
      `[k]` int32, stratum by stratum.

    Raises:
      ValueError: if fewer points remain than requested, a score is NaN or infinite, or an argument is out of range.

    Reference: arXiv 2210.15809, algorithm 1.
    """
    check_vector(scores, "the score")
    if not is_traced(scores) and np.isinf(values := np.asarray(scores)).any():
        raise ValueError(f"the score of point {np.isinf(values).argmax():,} is infinite; strata need finite ones")
    keys.check(key, strata=strata)
    count = len(scores)
    check_size(size, count)
    checks.in_interval("cutoff_rate", cutoff_rate, "[0, 1]")
    remaining = count - int(cutoff_rate * count + 1e-9)
    if size > remaining:
        raise ValueError(
            f"{size:,} points are asked for, but a cutoff_rate of {cutoff_rate} leaves {remaining:,} of {count:,}"
        )
    if not size:
        return jnp.zeros(0, jnp.int32)
    points = smallest(scores, remaining, keys.derive(key, "ties"))
    return _sample_strata(key, points, jnp.asarray(scores, jnp.float32), size, strata)


@partial(jax.jit, static_argnames=("size", "strata"))
def _sample_strata(key: Key, points: Array, scores: Array, size: int, strata: int) -> jax.Array:
    scores = scores[points]
    low, high = scores.min(), scores.max()
    position = (scores - low) / jnp.where(high > low, high - low, 1.0) * strata
    stratum = jnp.clip(jnp.floor(position), 0, strata - 1).astype(jnp.int32)
    quotas = equal_quotas(jnp.zeros(strata, jnp.int32).at[stratum].add(1), size)
    return points[take_from_groups(jax.random.uniform(key, (len(points),)), stratum, quotas, size)]


def moderate(
    features: Float[Array, "n d"],
    labels: Int[Array, " n"],
    size: int,
    classes: int | None = None,
    key: Key | None = None,
) -> Int[Array, " k"]:
    """Moderate coreset: the points whose distance to the mean of their class is nearest to the median distance.

        d_i = || z_i - mean_{j: y_j = y_i} z_j ||,    by | d_i - median d |

    Args:
      features: z, `[N, d]`.
      labels: y, `[N]`, from 0 on.
      size: k, static.
      classes: number of classes; required if the labels are traced.
      key: orders points that are equally near; without one they keep the order of their indices.

    Returns:
      `[k]` int32, the nearest first.

    Raises:
      ValueError: if there are fewer points than requested, labels and features differ in number, or features are not
        finite.

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
    return smallest(_distance_from_median(jnp.asarray(features), jnp.asarray(labels), classes), size, key)


@partial(jax.jit, static_argnames="classes")
def _distance_from_median(features: Array, labels: Array, classes: int) -> jax.Array:
    counts = jnp.zeros(classes).at[labels].add(1.0)
    means = jnp.zeros((classes, features.shape[1])).at[labels].add(features) / jnp.maximum(counts, 1)[:, None]
    distances = jnp.linalg.norm(features - means[labels], axis=1)
    return jnp.abs(distances - jnp.median(distances))
