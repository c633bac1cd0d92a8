"""Selections that are spread over groups of points, such as classes or ranges of a score."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Key
from framework.selection.inputs import check_size

Choose = Callable[[Key, int, Any], jax.Array]  # (key, size, what is known of N points) -> indices [size]


def shares(counts: jax.Array, size: int | jax.Array) -> jax.Array:
    """How many points each group gives: all alike, but no group more than it has.

    From the smallest group to the largest, each gives min(what it has, floor(what is left / groups that are left)).

    Args:
      counts: points of each group, `[groups]` int, at least 0.
      size: how many in all, 0 to their sum; may be traced, as the counts.

    Returns:
      `[groups]` int32, whose sum is `size`.

    Raises:
      ValueError: if there are fewer points than asked for, or a number is not whole or is negative.

    Reference: Zheng et al., "Coverage-centric coreset selection for high pruning rates", arXiv 2210.15809, algorithm 1.
    """
    if not is_traced(counts) and not is_traced(size):
        held = np.asarray(counts)
        if held.ndim != 1 or (held != held.astype(int)).any() or held.min(initial=0) < 0:
            raise ValueError(f"groups hold whole numbers of points from 0 on, [groups], got {held.tolist()}")
        check_size(np.asarray(size).item(), int(held.sum()))
    return _shares(jnp.asarray(counts, jnp.int32), jnp.asarray(size, jnp.int32))


@jax.jit
def _shares(counts: jax.Array, size: jax.Array) -> jax.Array:
    order = jnp.argsort(counts, stable=True)

    def give(left: jax.Array, group: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        count, groups = group
        given = jnp.minimum(count, left // groups)
        return left - given, given

    remaining = jnp.arange(len(counts), 0, -1, dtype=jnp.int32)
    given = lax.scan(give, size, (counts[order], remaining))[1]
    return jnp.zeros_like(counts).at[order].set(given)


def first_of_groups(priority: jax.Array, groups: jax.Array, quotas: jax.Array, size: int) -> jax.Array:
    """The points of least priority number in each group, as many as its quota.

    Args:
      priority: `[N]`.
      groups: `[N]` int, the group of each point.
      quotas: `[groups]` int, whose sum is `size`.
      size: k, static.

    Returns:
      `[k]` int32, group by group, the least first.
    """
    order = jnp.lexsort((priority, groups))
    counts = jnp.zeros(len(quotas), jnp.int32).at[groups].add(1)
    rank = jnp.arange(len(order)) - (jnp.cumsum(counts) - counts)[groups[order]]
    return order[jnp.nonzero(rank < quotas[groups[order]], size=size)[0]].astype(jnp.int32)


def class_balanced(choose: Choose, labels: jax.Array) -> Choose:
    """The same method within each class, all classes alike as far as they reach (`shares`).

    Args:
      choose: (key, size, points) -> indices; `points` is a pytree with leaves `[N, ...]`.
      labels: `[N]` int, concrete: under a transformation the classes would have no sizes.

    Returns:
      A method of the same signature; its indices come class by class. Each class has a key of its own.

    Raises:
      ValueError: if the labels are not `[N]` whole numbers from 0 on, or are not concrete; the method, if a leaf of its
        points has another length, or as `choose`.
    """
    if is_traced(labels):
        raise ValueError("class_balanced needs the labels as they are: close over them, and transform keys and scores")
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        raise ValueError(f"labels must be [N] whole numbers from 0 on, got {labels.dtype} of shape {labels.shape}")
    members = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]

    def balanced(key: Key, size: int, points: Any) -> jax.Array:
        keys.check(key)
        check_size(size, len(labels))
        for leaf in jax.tree.leaves(points):
            if np.shape(leaf)[:1] != labels.shape:
                raise ValueError(f"{len(labels):,} labels need points [{len(labels)}, ...], got shape {np.shape(leaf)}")
        with jax.ensure_compile_time_eval():
            quotas = np.asarray(shares(np.array([len(each) for each in members], np.int32), size))
        parts = [jnp.zeros(0, jnp.int32)]
        for label, (own, quota) in enumerate(zip(members, quotas.tolist(), strict=True)):
            if quota:
                among = jax.tree.map(lambda leaf, own=own: leaf[own], points)
                parts.append(jnp.asarray(own, jnp.int32)[choose(jax.random.fold_in(key, label), quota, among)])
        return jnp.concatenate(parts)

    return balanced
