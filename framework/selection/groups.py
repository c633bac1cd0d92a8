"""Selection balanced over groups of points, such as classes or strata of a score."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Int, Shaped

from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Array, Key
from framework.selection.inputs import check_size

Select = Callable[[Key, Any, int], jax.Array]  # (key, points with leaves [N, ...], size) -> indices [size]


def equal_quotas(counts: Int[Array, " groups"] | list[int], size: int | jax.Array) -> Int[Array, " groups"]:
    """The number of points that each group contributes: the same for all, but no group more than it has.

    From the smallest group to the largest, each contributes min(its points, floor(remaining size / remaining groups)).

    Args:
      counts: points of each group, `[groups]`, at least 0; may be traced.
      size: the sum of the quotas, from 0 to the sum of the counts; may be traced.

    Returns:
      `[groups]` int32.

    Raises:
      ValueError: if there are fewer points than requested, or a number is not whole or is negative.

    Reference: Zheng et al., "Coverage-centric coreset selection for high pruning rates", arXiv 2210.15809, algorithm 1.
    """
    if not is_traced(counts) and not is_traced(size):
        points = np.asarray(counts)
        if points.ndim != 1 or (points != points.astype(int)).any() or points.min(initial=0) < 0:
            raise ValueError(f"groups hold whole numbers of points from 0 on, [groups], got {points.tolist()}")
        check_size(np.asarray(size).item(), int(points.sum()))
    return _equal_quotas(jnp.asarray(counts, jnp.int32), jnp.asarray(size, jnp.int32))


@jax.jit
def _equal_quotas(counts: jax.Array, size: jax.Array) -> jax.Array:
    order = jnp.argsort(counts, stable=True)

    def step(remaining: jax.Array, group: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        count, groups = group
        quota = jnp.minimum(count, remaining // groups)
        return remaining - quota, quota

    remaining_groups = jnp.arange(len(counts), 0, -1, dtype=jnp.int32)
    quotas = lax.scan(step, size, (counts[order], remaining_groups))[1]
    return jnp.zeros_like(counts).at[order].set(quotas)


def take_from_groups(
    priority: Shaped[Array, " n"], groups: Int[Array, " n"], quotas: Int[Array, " groups"], size: int
) -> Int[Array, " k"]:
    """Takes the points of lowest priority number from each group, as many as its quota.

    Args:
      priority: `[N]`.
      groups: `[N]`, the group of each point.
      quotas: `[groups]`, whose sum is `size`.
      size: k, static.

    Returns:
      `[k]` int32, group by group, the lowest first.
    """
    order = jnp.lexsort((priority, groups))
    counts = jnp.zeros(len(quotas), jnp.int32).at[groups].add(1)
    rank = jnp.arange(len(order)) - (jnp.cumsum(counts) - counts)[groups[order]]
    return order[jnp.nonzero(rank < quotas[groups[order]], size=size)[0]].astype(jnp.int32)


def balance_classes(select: Select, labels: Int[Array, " n"]) -> Select:
    """Applies a selection method within each class, with `equal_quotas`.

    Args:
      select: (key, points, size) -> indices; `points` is a pytree with leaves `[N, ...]`.
      labels: `[N]`, concrete, because under a transformation the sizes of the classes are unknown.

    Returns:
      A method of the same signature; its indices come class by class. Each class has its own key.

    Raises:
      ValueError: if the labels are not `[N]` whole numbers from 0 on, or are traced. The returned method raises it if
        a leaf of its points has another length, and as `select`.
    """
    if is_traced(labels):
        raise ValueError("balance_classes needs concrete labels: close over them, and transform keys and scores")
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        raise ValueError(f"labels must be [N] whole numbers from 0 on, got {labels.dtype} of shape {labels.shape}")
    members = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]

    def select_by_class(key: Key, points: Any, size: int) -> jax.Array:
        keys.check(key)
        check_size(size, len(labels))
        for leaf in jax.tree.leaves(points):
            if np.shape(leaf)[:1] != labels.shape:
                raise ValueError(f"{len(labels):,} labels need points [{len(labels)}, ...], got shape {np.shape(leaf)}")
        with jax.ensure_compile_time_eval():
            quotas = np.asarray(equal_quotas(np.array([len(rows) for rows in members], np.int32), size))
        parts = [jnp.zeros(0, jnp.int32)]
        for label, (rows, quota) in enumerate(zip(members, quotas.tolist(), strict=True)):
            if quota:
                points_of_class = jax.tree.map(lambda leaf, rows=rows: leaf[rows], points)
                indices = select(jax.random.fold_in(key, label), points_of_class, quota)
                parts.append(jnp.asarray(rows, jnp.int32)[indices])
        return jnp.concatenate(parts)

    return select_by_class
