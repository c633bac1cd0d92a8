"""Scores from the training dynamics of each point: forgetting events and the area under the margin.

They are accumulated while a network trains: call `update` after each evaluation of a batch, or once an epoch with all
points.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from framework.core.types import Array
from framework.selection.inputs import check_indices, check_labels


class State(NamedTuple):
    """Statistics accumulated over the evaluations of each point; checkpoints hold these field names."""

    right: Bool[Array, " n"]  # classified correctly at the last evaluation
    learned: Bool[Array, " n"]  # classified correctly at any evaluation
    forgotten: Int[Array, " n"]  # times that it changed from correct to wrong
    margins: Float[Array, " n"]  # the sum over evaluations of the logit of y less the largest other one
    looks: Int[Array, " n"]  # evaluations


def init(count: int) -> State:
    """The state of `count` points before any evaluation, at least 0."""
    never, none = jnp.zeros(count, bool), jnp.zeros(count, jnp.int32)
    return State(never, never, none, jnp.zeros(count), none)


def update(
    state: State, indices: Int[Array, " batch"], logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> State:
    """Adds one evaluation of some points.

    Args:
      state: so far.
      indices: `[batch]`, distinct.
      logits: `[batch, classes]`.
      labels: `[batch]`.

    Returns:
      The new state.

    Raises:
      ValueError: if the arguments differ in length, a label or an index is out of range, or an index is repeated.
    """
    if np.ndim(logits) != 2:
        raise ValueError(f"logits must be [B, classes], got shape {np.shape(logits)}")
    check_labels(labels, *np.shape(logits))
    check_indices(indices, len(logits), len(state.looks))
    indices, logits, labels = (jnp.asarray(array) for array in (indices, logits, labels))
    label_logits = jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]
    other_logits = jnp.where(jax.nn.one_hot(labels, logits.shape[-1], dtype=bool), -jnp.inf, logits).max(-1)
    correct = label_logits > other_logits
    return State(
        right=state.right.at[indices].set(correct),
        learned=state.learned.at[indices].max(correct),
        forgotten=state.forgotten.at[indices].add(state.right[indices] & ~correct),
        margins=state.margins.at[indices].add(label_logits - other_logits),
        looks=state.looks.at[indices].add(1),
    )


def forgetting(state: State) -> Int[Array, " n"]:
    """Forgetting events: how often a point changed from correct to wrong.

    Returns:
      `[N]` int32. A point that was never classified correctly gets its number of evaluations and one more, so that it
      comes last in every ranking.

    Reference: Toneva et al., "An empirical study of example forgetting during deep neural network learning", arXiv
    1812.05159, algorithm 1.
    """
    return jnp.where(state.learned, state.forgotten, state.looks + 1)


def aum(state: State) -> Float[Array, " n"]:
    """The area under the margin: the mean over evaluations of the logit of y less the largest other logit.

    Returns:
      `[N]`; smaller means harder, 0 for a point that was never evaluated.

    Reference: Pleiss et al., "Identifying mislabeled data using the area under the margin ranking", arXiv 2001.10528.
    """
    return state.margins / jnp.maximum(state.looks, 1)
