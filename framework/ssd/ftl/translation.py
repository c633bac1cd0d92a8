"""The page map at work: pages written out of place, blocks collected when free ones run out, wear spread.

Each plane keeps its own blocks: one that is written, `reserve` free ones, and the rest. When the written one is full,
the next free block takes its place, and while fewer than `reserve` are left, a victim's valid pages are moved into it
and the victim is erased.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.ssd.device.design import Design
from framework.ssd.device.geometry import Geometry
from framework.ssd.ftl import victims
from framework.ssd.ftl.mapping import Ftl
from framework.ssd.workload.requests import TRIM, WRITE

NOWHERE = -1
_OUTSIDE = 2**31 - 1  # an index that is dropped


class State(NamedTuple):
    """Where every page lies; int32."""

    map: jax.Array  # [planes, rows]: physical page of its plane, or NOWHERE
    owner: jax.Array  # [planes, blocks, pages]: the row that is there, or NOWHERE
    valid: jax.Array  # [planes, blocks]: pages with an owner
    erases: jax.Array  # [planes, blocks]
    opened: jax.Array  # [planes, blocks]: when it was begun, as the how-manieth block of its plane; NOWHERE: free
    at: jax.Array  # [planes]: the block that is written
    offset: jax.Array  # [planes]: its next page
    clock: jax.Array  # [planes]: blocks begun
    free: jax.Array  # [planes]: free blocks
    drawn: jax.Array  # []: victims drawn at random


class Effect(NamedTuple):
    """What each request brought about, `[requests]` int32."""

    relocated: jax.Array  # pages
    erased: jax.Array  # blocks
    valid: jax.Array  # pages that the victims counted as valid
    offset: jax.Array  # in its block, of the page that was read or written; of one that is nowhere, of its row


def empty(design: Design) -> State:
    """A device as it left the factory."""
    geometry, rows = design.geometry, design.ftl.rows(design.geometry)
    planes, blocks = geometry.plane_count, geometry.blocks
    full = lambda value, *shape: jnp.full((planes, *shape), value, jnp.int32)
    return State(
        map=full(NOWHERE, rows),
        owner=full(NOWHERE, blocks, geometry.pages),
        valid=full(0, blocks),
        erases=full(0, blocks),
        opened=full(NOWHERE, blocks).at[:, 0].set(0),
        at=full(0),
        offset=full(0),
        clock=full(1),
        free=full(blocks - 1),
        drawn=jnp.zeros((), jnp.int32),
    )


def fill(design: Design) -> State:
    """Every logical page written once, in order."""
    geometry, rows = design.geometry, design.ftl.rows(design.geometry)
    planes, pages = geometry.plane_count, geometry.pages
    every = lambda array: jnp.broadcast_to(jnp.asarray(array, jnp.int32), (planes, *np.shape(array)))
    last, offset = divmod(rows - 1, pages)
    owner = np.full(geometry.blocks * pages, NOWHERE)
    owner[:rows] = np.arange(rows)
    block = np.arange(geometry.blocks)
    return empty(design)._replace(
        map=every(np.arange(rows)),
        owner=every(owner.reshape(geometry.blocks, pages)),
        valid=every(np.clip(rows - block * pages, 0, pages)),
        opened=every(np.where(block <= last, block, NOWHERE)),
        at=every(last),
        offset=every(offset + 1),
        clock=every(last + 1),
        free=every(geometry.blocks - last - 1),
    )


@partial(jax.jit, static_argnames=("ftl", "geometry"))
def translate(state: State, kind: Any, page: Any, ftl: Ftl, geometry: Geometry) -> tuple[State, Effect]:
    """Requests of one page each, one after another.

    Args:
      state: where pages lie before.
      kind: `[requests]` int32: READ, WRITE or TRIM.
      page: `[requests]` logical pages.
      ftl: the rules.
      geometry: the device.
    """
    plane, row = geometry.plane_of(page)
    key = jax.random.key(ftl.seed)
    step = partial(_step, ftl=ftl, key=key)
    requests = (kind.astype(jnp.int32), plane.astype(jnp.int32), row.astype(jnp.int32))
    return jax.lax.scan(step, state, requests)


def _step(state: State, request: tuple, ftl: Ftl, key: Any) -> tuple[State, Effect]:
    kind, plane, row = request
    pages = state.owner.shape[2]
    writes = kind == WRITE
    zero = jnp.zeros((), jnp.int32)
    full = lambda carry: writes & (carry[0].offset[plane] == pages)
    state, relocated, erased, valid = jax.lax.while_loop(
        full, partial(_next_block, plane=plane, ftl=ftl, key=key), (state, zero, zero, zero)
    )
    old = _read(state.map[plane, row])
    leaves = (kind != 0) & (old != NOWHERE)
    block, offset = state.at[plane], state.offset[plane]
    old_block = jnp.where(leaves, old // pages, _OUTSIDE)
    new = block * pages + offset
    to_block = jnp.where(writes, block, _OUTSIDE)
    owner = state.owner.at[plane, old_block, old % pages].set(NOWHERE, mode="drop")
    there = jnp.where(writes, offset, jnp.where((kind == TRIM) | (old == NOWHERE), row, old) % pages)
    following = state._replace(
        map=state.map.at[plane, row].set(jnp.where(writes, new, jnp.where(kind == TRIM, NOWHERE, old))),
        owner=owner.at[plane, to_block, offset].set(row, mode="drop"),
        valid=state.valid.at[plane, old_block].add(-1, mode="drop").at[plane, to_block].add(1, mode="drop"),
        offset=state.offset.at[plane].add(writes.astype(jnp.int32)),
    )
    return following, Effect(relocated, erased, valid, there.astype(jnp.int32))


def _read(value: jax.Array) -> jax.Array:
    """What was read, sorted above a smaller number: XLA does not repeat a sort, and so does not read again later.

    It would copy the whole array for that, at each request. For the same end what is written below depends on it.
    """
    return jax.lax.sort(jnp.stack([value, jnp.full_like(value, -(2**31))]), dimension=0)[1]


def _next_block(carry: tuple, plane: jax.Array, ftl: Ftl, key: Any) -> tuple:
    """The written block is full: the next one, and collection until enough are free."""
    state, *counts = carry
    state = _open(state, plane, _free_block(state, plane, ftl))
    scarce = lambda carry: carry[0].free[plane] < ftl.reserve
    collect = lambda carry: _collect(carry, victims.choose(carry[0], plane, ftl, key), plane, ftl)
    carry = jax.lax.while_loop(scarce, collect, (state, *counts))
    if not ftl.static_wear:
        return carry
    uneven = lambda carry: (~carry[1]) & victims.is_uneven(carry[0][0], plane, ftl)
    settle = lambda carry: (_collect(carry[0], victims.least_worn(carry[0][0], plane), plane, ftl), jnp.array(True))
    return jax.lax.while_loop(uneven, settle, (carry, jnp.array(False)))[0]


def _free_block(state: State, plane: jax.Array, ftl: Ftl) -> jax.Array:
    free = state.opened[plane] == NOWHERE
    if ftl.dynamic_wear:
        return jnp.argmin(jnp.where(free, state.erases[plane], _OUTSIDE)).astype(jnp.int32)
    return jnp.argmax(free).astype(jnp.int32)


def _open(state: State, plane: jax.Array, block: jax.Array) -> State:
    return state._replace(
        opened=state.opened.at[plane, block].set(state.clock[plane]),
        at=state.at.at[plane].set(block),
        offset=state.offset.at[plane].set(0),
        clock=state.clock.at[plane].add(1),
        free=state.free.at[plane].add(-1),
    )


def _collect(carry: tuple, victim: jax.Array, plane: jax.Array, ftl: Ftl) -> tuple:
    """Moves a victim's valid pages behind what is written, into one more block where they do not fit, and erases it."""
    state, relocated, erased, valid = carry
    pages = state.owner.shape[2]
    rows = _read(state.owner[plane, victim])
    stays = rows != NOWHERE
    count = stays.sum(dtype=jnp.int32)
    at, offset = state.at[plane], state.offset[plane]
    spills = offset + count > pages
    further = _free_block(state, plane, ftl)
    target = offset + jnp.cumsum(stays, dtype=jnp.int32) - 1
    block, slot = jnp.where(target < pages, at, further), target % pages
    put_block, put_row = jnp.where(stays, block, _OUTSIDE), jnp.where(stays, rows, _OUTSIDE)
    first = jnp.minimum(count, pages - offset)
    counted = _read(state.valid[plane, victim])
    opened = state.opened.at[plane, victim].set(NOWHERE)
    emptied = state.owner.at[plane, victim].set(jnp.minimum(rows, NOWHERE))
    following = state._replace(
        map=state.map.at[plane, put_row].set(block * pages + slot, mode="drop"),
        owner=emptied.at[plane, put_block, slot].set(rows, mode="drop"),
        valid=state.valid.at[plane, victim]
        .set(jnp.minimum(counted, 0))
        .at[plane, at]
        .add(first)
        .at[plane, further]
        .add(count - first),
        erases=state.erases.at[plane, victim].add(1),
        opened=opened.at[plane, jnp.where(spills, further, _OUTSIDE)].set(state.clock[plane], mode="drop"),
        at=state.at.at[plane].set(jnp.where(spills, further, at)),
        offset=state.offset.at[plane].set(offset + count - jnp.where(spills, pages, 0)),
        clock=state.clock.at[plane].add(spills.astype(jnp.int32)),
        free=state.free.at[plane].add(1 - spills.astype(jnp.int32)),
        drawn=state.drawn + 1,
    )
    return following, relocated + count, erased + 1, valid + counted
