"""What training tells of each point: how often it is forgotten, and by what margin it is held.

Measured while a network trains: `update` after every look at a batch, or once an epoch with all points.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.selection.inputs import check_indices, check_labels


class State(NamedTuple):
    """What was seen so far."""

    right: jax.Array  # [N] bool: classified right at the last look
    learned: jax.Array  # [N] bool: classified right at any look
    forgotten: jax.Array  # [N] int32: from right to wrong
    margins: jax.Array  # [N] float32: the sum over the looks of the logit of y less the greatest other one
    looks: jax.Array  # [N] int32


def init(count: int) -> State:
    """Before any look at `count` points, at least 0."""
    never, none = jnp.zeros(count, bool), jnp.zeros(count, jnp.int32)
    return State(never, never, none, jnp.zeros(count), none)


def update(state: State, indices: jax.Array, logits: jax.Array, labels: jax.Array) -> State:
    """One look at some points.

    Args:
      state: so far.
      indices: `[B]` int, no two the same.
      logits: `[B, classes]`.
      labels: `[B]` int.

    Raises:
      ValueError: if there are not as many of each, a label or an index lies outside of its range, or an index comes
        twice.
    """
    if np.ndim(logits) != 2:
        raise ValueError(f"logits must be [B, classes], got shape {np.shape(logits)}")
    check_labels(labels, *np.shape(logits))
    check_indices(indices, len(logits), len(state.looks))
    indices, logits, labels = (jnp.asarray(each) for each in (indices, logits, labels))
    own = jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]
    others = jnp.where(jax.nn.one_hot(labels, logits.shape[-1], dtype=bool), -jnp.inf, logits).max(-1)
    right = own > others
    return State(
        right=state.right.at[indices].set(right),
        learned=state.learned.at[indices].max(right),
        forgotten=state.forgotten.at[indices].add(state.right[indices] & ~right),
        margins=state.margins.at[indices].add(own - others),
        looks=state.looks.at[indices].add(1),
    )


def forgetting(state: State) -> jax.Array:
    """Forgetting events: how often a point went from right to wrong; its looks and one more where it never was right.

    Returns:
      `[N]` int32; points never learned come last in every ranking.

    Reference: Toneva et al., "An empirical study of example forgetting during deep neural network learning", arXiv
    1812.05159, algorithm 1.
    """
    return jnp.where(state.learned, state.forgotten, state.looks + 1)


def aum(state: State) -> jax.Array:
    """The area under the margin: the mean over the looks of the logit of y less the greatest other logit.

    Returns:
      `[N]`; the smaller the harder, 0 for a point never looked at.

    Reference: Pleiss et al., "Identifying mislabeled data using the area under the margin ranking", arXiv 2001.10528.
    """
    return state.margins / jnp.maximum(state.looks, 1)
