"""Plans for devices with a page map, a write buffer or TRIM: the sequence of everything that goes to flash."""

from typing import NamedTuple

import numpy as np

from framework.ssd.device.design import Design
from framework.ssd.engine import bus_arbiter
from framework.ssd.engine.closed_loop import FREES_SLOT, NO_OWNER
from framework.ssd.engine.queues import (
    Plan,
    Work,
    page_types,
    round_up,
)
from framework.ssd.ftl import buffer, preconditioning, translation
from framework.ssd.workload.requests import (
    READ,
    TRIM,
    WRITE,
    Pages,
)


class _Stream(NamedTuple):
    """What reaches the map, in order; `[entries]`."""

    kind: np.ndarray  # READ, WRITE or TRIM
    page: np.ndarray
    size: np.ndarray
    ready_event: np.ndarray
    owner: np.ndarray


def plan(design: Design, count: int, pages: Pages) -> Plan:
    """The operations of pages asked for, of `count` requests."""
    trims = pages.kind == TRIM
    writes = pages.kind == WRITE
    served = _serve_buffer(design, pages)
    stream, buffered = _stream(design, count, pages, served, writes)
    hits = pages.request[served.hit | trims]
    pushes = served.victim[writes] != buffer.NONE if design.cache.pages else np.zeros(0, bool)
    eviction = np.where(pushes, np.cumsum(pushes) - 1, -1).astype(np.int32)
    effect = _effect(design, stream)
    return Plan(
        *_operations(design, stream, effect),
        hits,
        buffered,
        eviction,
        int(writes.sum()),
        *(int(effect_column.sum()) for effect_column in (effect.relocated, effect.erased, effect.valid)),
        served.left,
    )


def _serve_buffer(design: Design, pages: Pages) -> buffer.Served:
    if design.cache.pages:
        return buffer.serve(_freeing(design, pages.kind, pages.size), pages.page, design.cache.pages)
    return buffer.Served(np.zeros(len(pages.kind), bool), np.full(len(pages.kind), buffer.NONE), 0)


def _freeing(design: Design, kind: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Kinds as the buffer and the map see them: a TRIM of a part of a page leaves it as it is, as a read does."""
    return np.where((kind == TRIM) & (size < design.geometry.page_bytes), READ, kind).astype(np.int32)


def _stream(design, count: int, pages: Pages, served: buffer.Served, writes) -> tuple[_Stream, np.ndarray]:
    """What reaches the map, and the requests of the pages that the buffer takes."""
    if not design.cache.pages:
        return _Stream(pages.kind, pages.page, pages.size, pages.request, pages.request), pages.request[:0]
    pushed = served.victim != buffer.NONE
    goes = (~writes & ~served.hit) | pushed
    ready_event = count + np.cumsum(writes) - 1  # of a buffered write
    stream = _Stream(
        np.where(pushed, WRITE, pages.kind)[goes],
        np.where(pushed, served.victim, pages.page)[goes],
        np.where(pushed, design.geometry.page_bytes, pages.size)[goes],
        np.where(pushed, ready_event, pages.request)[goes].astype(np.int32),
        np.where(pushed, FREES_SLOT, pages.request)[goes].astype(np.int32),
    )
    return stream, pages.request[writes]


def _effect(design: Design, stream: _Stream) -> translation.Effect:
    """What the map makes of it; nothing where pages stay put."""
    if design.ftl.mapping == "ideal":
        none = np.zeros(len(stream.kind), np.int32)
        return translation.Effect(none, none, none, design.geometry.locate(stream.page).row)
    state = preconditioning.state_of(design)
    count = len(stream.kind)
    fill = (0, round_up(count) - count)  # with reads, which change nothing
    kind = _freeing(design, stream.kind, stream.size)
    kind, page = np.pad(kind, fill, constant_values=READ), np.pad(stream.page, fill)
    _, effect = translation.translate(state, kind, page, design.ftl, design.geometry)
    return translation.Effect(*(np.asarray(column)[:count] for column in effect))


def _operations(design: Design, stream: _Stream, effect: translation.Effect) -> tuple[Work, np.ndarray, np.ndarray]:
    """On flash, in order: before a write the pages that are moved, a read and a program each, and the erases."""
    internal = 2 * effect.relocated + effect.erased
    length = np.where(stream.kind == TRIM, 0, internal + 1)
    entry = np.repeat(np.arange(len(length)), length)
    step = np.arange(len(entry)) - np.repeat(np.cumsum(length) - length, length)
    copies, of_host = 2 * effect.relocated[entry], step == internal[entry]
    asked = np.where(stream.kind[entry] == READ, bus_arbiter.READ, bus_arbiter.PROGRAM)
    kind = np.where(of_host, asked, np.where(step >= copies, bus_arbiter.ERASE, step % 2)).astype(np.int32)
    offset = effect.offset[entry] - np.where(of_host, 0, np.maximum(effect.relocated[entry] - step // 2, 0))
    page_bytes = 0 if design.ftl.copyback else design.geometry.page_bytes
    size = np.where(of_host, stream.size[entry], np.where(kind == bus_arbiter.ERASE, 0, page_bytes)).astype(np.int32)
    types = page_types(design, stream.page[entry], kind, offset % design.geometry.pages)
    work = Work(stream.page[entry], kind, size, types, of_host & (kind == bus_arbiter.READ))
    owner = np.where(of_host, stream.owner[entry], NO_OWNER).astype(np.int32)
    return work, stream.ready_event[entry].astype(np.int32), owner
