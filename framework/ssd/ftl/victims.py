"""Victim selection: the choice of the block to collect.

Reference: Desnoyers, SYSTOR 2012 (greedy, FIFO); Van Houdt, SIGMETRICS 2013 (d-choices); Rosenblum and Ousterhout,
SOSP 1991 (cost-benefit).
"""

from typing import Any

import jax
import jax.numpy as jnp

from framework.ssd.ftl.mapping import Ftl

_MANY = 2**31 - 1


def choose(state: Any, plane: jax.Array, ftl: Ftl, key: Any) -> jax.Array:
    """The victim of a plane, int32, among its blocks that are neither free nor being written.

    greedy: the fewest valid pages. fifo: the one begun first. random: any. d-choices: the fewest valid pages among
    `ftl.choices` drawn with replacement. cost-benefit: the largest `age (1 - u) / 2u`, u its valid share, and age the
    blocks begun since. Of equals the lowest number.

    Args:
      state: a `translation.State`.
      plane: its number.
      ftl: the rules.
      key: for random choices.
    """
    valid, used = state.valid[plane], _in_use(state, plane)
    if ftl.victim == "greedy":
        return _least(valid, used)
    if ftl.victim == "fifo":
        return _least(state.opened[plane], used)
    if ftl.victim == "cost-benefit":
        share = valid / state.owner.shape[2]
        age = state.clock[plane] - state.opened[plane]
        gain = age * (1 - share) / jnp.maximum(2 * share, 1e-6)
        return jnp.argmax(jnp.where(used, gain, -1.0)).astype(jnp.int32)
    draws = ftl.choices if ftl.victim == "d-choices" else 1
    drawn = _draw(used, jax.random.fold_in(key, state.drawn), draws)
    return drawn[jnp.argmin(valid[drawn])]


def is_uneven(state: Any, plane: jax.Array, ftl: Ftl) -> jax.Array:
    """Whether a block in use has been erased so much less often than another that its data should move."""
    erases = state.erases[plane]
    return erases.max() - erases[least_worn(state, plane)] > ftl.static_wear


def least_worn(state: Any, plane: jax.Array) -> jax.Array:
    """The block in use that was erased least often, int32."""
    return _least(state.erases[plane], _in_use(state, plane))


def _in_use(state: Any, plane: jax.Array) -> jax.Array:
    opened = state.opened[plane]
    return (opened >= 0) & (jnp.arange(opened.shape[0]) != state.at[plane])


def _least(values: jax.Array, among: jax.Array) -> jax.Array:
    return jnp.argmin(jnp.where(among, values, _MANY)).astype(jnp.int32)


def _draw(among: jax.Array, key: Any, count: int) -> jax.Array:
    """Some of them, drawn with replacement."""
    index = jax.random.randint(key, (count,), 0, among.sum())
    return jnp.searchsorted(jnp.cumsum(among), index, side="right").astype(jnp.int32)
