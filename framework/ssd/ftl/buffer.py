"""A write buffer in DRAM: which pages it serves, and which it pushes out to flash.

First in, first out: a page that is written again stays where it is and costs no program; a new page takes the place of
the one that has been there longest, which goes to flash. What is still there at the end stays there.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.ssd.workload.requests import READ, TRIM, WRITE

NONE = -1


class Served(NamedTuple):
    """What became of each page; `[pages]`."""

    hit: Any  # bool: memory serves it (a read of what is there)
    victim: Any  # int64: the page that a write pushed out; NONE for none
    left: int  # pages that lie there at the end


def serve(kind: np.ndarray, page: np.ndarray, capacity: int) -> Served:
    """Pages asked for one after another.

    Args:
      kind: `[pages]` int32: READ, WRITE or TRIM.
      page: `[pages]` logical pages.
      capacity: pages that the buffer holds.
    """
    names, number = np.unique(page, return_inverse=True)
    hit, victim, ring = _serve(kind.astype(np.int32), number.ravel().astype(np.int32), len(names), capacity)
    victim = np.asarray(victim)
    return Served(np.asarray(hit), np.where(victim == NONE, NONE, names[victim]), int((np.asarray(ring) != NONE).sum()))


@partial(jax.jit, static_argnames=("pages", "capacity"))
def _serve(kind, number, pages: int, capacity: int):
    def step(carry, request):
        slot_of, ring, head = carry
        kind, page = request
        slot = slot_of[page]
        there = slot != NONE
        enters = (kind == WRITE) & ~there
        victim = jnp.where(enters, ring[head], NONE)
        leaves = (kind == TRIM) & there
        outside = jnp.int32(max(pages, capacity))
        slot_of = slot_of.at[jnp.where(victim != NONE, victim, outside)].set(NONE, mode="drop")
        slot_of = slot_of.at[jnp.where(enters | leaves, page, outside)].set(jnp.where(enters, head, NONE), mode="drop")
        index = jnp.where(enters, head, jnp.where(leaves, slot, outside))
        ring = ring.at[index].set(jnp.where(enters, page, NONE), mode="drop")
        head = jnp.where(enters, (head + 1) % capacity, head)
        return (slot_of, ring, head), ((kind == READ) & there, victim)

    start = jnp.full(pages, NONE, jnp.int32), jnp.full(capacity, NONE, jnp.int32), jnp.zeros((), jnp.int32)
    (_, ring, _), (hit, victim) = jax.lax.scan(step, start, (kind, number))
    return hit, victim, ring
