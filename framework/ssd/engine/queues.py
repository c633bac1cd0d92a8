"""Operations put into the queues of the LUNs that serve them."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.ssd.device.design import Design
from framework.ssd.engine import bus_arbiter
from framework.ssd.engine.open_loop import Queues


class Work(NamedTuple):
    """Operations for the back end, `[operations]` each; those of one queue in the order in which it serves them."""

    page: Any  # int64, logical: says the LUN
    kind: Any  # int32: grants.READ, PROGRAM or ERASE
    size: Any  # int32, bytes on the channel
    page_type: Any  # int32
    first: Any  # bool: whether it is a read of the host, for which there may be queues apart


class Plan(NamedTuple):
    """Flash operations in the order in which they come, and what else requests wait for; NumPy or traced arrays."""

    work: Work  # [operations]
    ready_event: Any  # [operations] int32: the request that brings it, or requests + the buffered write
    owner: Any  # [operations] int32: the request that waits for it, FREES_SLOT or NO_OWNER
    hits: Any  # [hits] int32: requests, once for each page that memory serves
    buffered: Any  # [buffered] int32: requests, once for each page that the buffer takes
    eviction: Any  # [buffered] int32: which eviction that causes, -1 for none
    written: Any  # pages that the host wrote
    relocated: Any  # pages that collection moved
    erased: Any  # blocks
    valid: Any  # valid pages of all victims: moved, counted at the victims
    cached: Any  # pages that lie in the buffer at the end


def page_types(design: Design, page: Any, kind: Any, offset: Any = None) -> Any:
    """The type of each page by its offset in its block; where pages stay put, by the row of its plane."""
    reads, programs = design.page_types
    offset = design.geometry.locate(page).row if offset is None else offset
    types = offset % reads * (kind == bus_arbiter.READ) + offset % programs * (kind == bus_arbiter.PROGRAM)
    return types.astype(np.int32)


def queue(design: Design, work: Work, ready_event: Any, never: int) -> tuple[Queues, Any]:
    """Sorts operations by queue, and within one as they come.

    Args:
      design: says which queues there are.
      work: the operations.
      gate: `[operations]` int32: what each waits for.
      never: the gate of an empty place.

    Returns:
      The queues, and the place of each operation in them.
    """
    xp = jnp if is_traced((work, ready_event)) else np
    work, ready_event = Work(*map(xp.asarray, work)), xp.asarray(ready_event)
    geometry, rules = design.geometry, design.rules
    shape = (rules.planes, 1 + rules.apart, design.luns, geometry.channels)
    at = geometry.locate(work.page)
    plane = at.plane if rules.planes > 1 else 0
    second = ~work.first if rules.apart else 0
    number = ((plane * shape[1] + second) * shape[2] + design.lane_of(at)) * shape[3] + at.channel
    order = xp.argsort(number, stable=True)
    in_order = number[order]
    count, queues = len(order), int(np.prod(shape))
    places = (xp.arange(count) + in_order).astype(np.int32)
    code = bus_arbiter.pack(work.kind, work.page_type, work.size)[order]
    first = xp.searchsorted(in_order, xp.arange(queues)) + xp.arange(queues)
    filled = lambda empty, values: _put(xp, xp.full(round_up(count + queues), empty, np.int32), places, values)
    made = Queues(filled(never, ready_event[order]), filled(0, code), first.reshape(*shape, 1).astype(np.int32))
    return made, _put(xp, xp.zeros(count, np.int32), order, places)


def busiest(design: Design, work: Work) -> int:
    """Bus grants of the busiest channel, rounded up."""
    if is_traced(work):
        return 2 * len(work.page)
    suspended_planes = np.where(np.asarray(work.kind) == bus_arbiter.READ, 2, 1)
    channel = design.geometry.locate(np.asarray(work.page)).channel
    return round_up(int(np.bincount(channel, suspended_planes, design.geometry.channels).max()))


def round_up(count: int) -> int:
    """A length a little larger, so that similar loads share a compiled program."""
    grain = max(256, 2 ** (count.bit_length() - 4))
    return -(-count // grain) * grain


def _put(xp: Any, array: Any, places: Any, values: Any) -> Any:
    if xp is np:
        array[places] = values
        return array
    return array.at[places].set(values)
