"""Requests of a host, and the pages that they touch."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from framework.core.tracing import is_traced
from framework.ssd.device.geometry import SECTOR, static

READ, WRITE, TRIM = 0, 1, 2
LATEST = 2**50  # ns, 13 days: later arrivals could overflow


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Load:
    """Requests in order of arrival. Under a closed load they wait for one another instead, and `arrival` is 0.

    `load.poisson`, `load.closed` and `load.read_trace` give valid ones; `simulate` checks what is not traced.

    Args:
      arrival: `[requests]` int64 ns, none before the one above it.
      offset: `[requests]` int64 bytes, whole sectors of 512.
      size: `[requests]` int64 bytes, whole sectors.
      kind: `[requests]` int32: 0 `load.READ`, 1 `load.WRITE`, 2 `load.TRIM`, which frees the pages that it covers
        wholly.
      queue_depth: requests in flight; 0: open.
      uniform: bytes, where all requests have that size and begin at a multiple of it; 0 where not. A load that is
        traced has to be uniform.
      wrapped: addresses that were wrapped into the device.
      skipped: requests of a trace that carry no data, such as flushes, and were passed over.
    """

    arrival: Any
    offset: Any
    size: Any
    kind: Any
    queue_depth: int = static(0)
    uniform: int = static(0)
    wrapped: int = static(0)
    skipped: int = static(0)

    def __len__(self) -> int:
        return self.arrival.shape[-1]


class Pages(NamedTuple):
    """Requests split at page borders, `[operations]` each, in order of requests and addresses."""

    request: Any  # int32
    page: Any  # int64, logical
    size: Any  # int32 bytes
    kind: Any  # int32


def check(load: Load, capacity: int) -> None:
    """Refuses a load that is no load, or does not fit a device of so many bytes; a traced one has its shapes checked.

    Raises:
      ValueError: what is wrong, in which request.
    """
    shapes = {np.shape(column) for column in (load.arrival, load.offset, load.size, load.kind)}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or next(iter(shapes)) == (0,):
        raise ValueError(f"a load needs columns of one length, at least 1 request, got shapes {sorted(shapes)}")
    if load.queue_depth < 0:
        raise ValueError(f"queue_depth must be at least 1, or 0 for an open load, got {load.queue_depth}")
    if is_traced(load):
        return
    columns = {name: np.asarray(getattr(load, name)) for name in ("arrival", "offset", "size", "kind")}
    for name, column in columns.items():
        if not np.issubdtype(column.dtype, np.integer):
            raise ValueError(f"a load takes integers, ns and bytes, but its {name} is of {column.dtype}")
    arrival, offset, size, kind = columns.values()
    _refuse(size <= 0, size, "sizes must be positive, but request {} has {} bytes")
    _refuse(size % SECTOR != 0, size, f"sizes must be multiples of {SECTOR} bytes, but request {{}} has {{}}")
    _refuse(offset < 0, offset, "offsets must be at least 0, but request {} begins at byte {}")
    _refuse(
        offset % SECTOR != 0, offset, f"requests must begin at a sector of {SECTOR}, but request {{}} begins at {{}}"
    )
    ends = offset + size
    _refuse(ends > capacity, ends, f"request {{}} ends at byte {{}}, past the device's end of {capacity}")
    _refuse((kind < READ) | (kind > TRIM), kind, "kinds are 0 (read), 1 (write) and 2 (TRIM), but request {} has {}")
    _refuse(
        (arrival < 0) | (arrival > LATEST), arrival, f"arrivals must be 0 to {LATEST} ns, but request {{}} has {{}}"
    )
    if load.uniform:
        other = (size != load.uniform) | (offset % load.uniform != 0)
        _refuse(
            other, size, f"a uniform load has requests of {load.uniform} bytes at multiples of it; request {{}}: {{}}"
        )
    _refuse(np.diff(arrival, prepend=0) < 0, arrival, "arrivals must not go back, but request {} arrives at {} ns")


def _refuse(bad: np.ndarray, values: np.ndarray, message: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(message.format(first, int(values[first])))


def wrap(load: Load, capacity: int) -> Load:
    """Addresses past the end taken modulo the capacity; a request that would then reach over the end begins earlier.

    Raises:
      ValueError: if a request is larger than the device.
    """
    offset, size = np.asarray(load.offset), np.asarray(load.size)
    _refuse(size > capacity, size, f"request {{}} of {{}} bytes is larger than the device of {capacity}")
    inside = np.minimum(offset % capacity, capacity - size)
    wrapped = int((inside != offset).sum())
    return dataclasses.replace(load, offset=inside, wrapped=wrapped, uniform=0 if wrapped else load.uniform)


def split(load: Load, page_bytes: int) -> Pages:
    """The pages of each request; bytes of a page count as far as they are asked for.

    Raises:
      ValueError: for a traced load that is not uniform: how many pages it has must be known.
    """
    if not is_traced(load):
        return _split(load, page_bytes)
    if (
        not load.uniform
        or (load.uniform > page_bytes and load.uniform % page_bytes)
        or (load.uniform < page_bytes and page_bytes % load.uniform)
    ):
        raise ValueError(
            f"a load under a transformation must be uniform, with sizes that fit pages of {page_bytes} bytes, so that "
            f"its pages can be counted; hand it in as it is (in_axes=None), got uniform={load.uniform}"
        )
    many = max(load.uniform // page_bytes, 1)
    request = np.repeat(np.arange(len(load), dtype=np.int32), many)
    page = load.offset[request] // page_bytes + np.tile(np.arange(many), len(load))
    return Pages(request, page, np.full(len(request), min(load.uniform, page_bytes), np.int32), load.kind[request])


def _split(load: Load, page_bytes: int) -> Pages:
    offset, size = np.asarray(load.offset, np.int64), np.asarray(load.size, np.int64)
    first, last = offset // page_bytes, (offset + size - 1) // page_bytes
    count = last - first + 1
    request = np.repeat(np.arange(len(count), dtype=np.int32), count)
    page = first[request] + np.arange(len(request)) - np.repeat(np.cumsum(count) - count, count)
    start = np.maximum(page * page_bytes, offset[request])
    end = np.minimum((page + 1) * page_bytes, (offset + size)[request])
    return Pages(request, page, (end - start).astype(np.int32), np.asarray(load.kind, np.int32)[request])
