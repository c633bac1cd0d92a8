"""In-host processing: how long the same training takes on a computer that reads from the device.

Reference: the method of Choe et al., arXiv 1610.02273, as reported; not checked against the paper.
"""

from typing import Any

import numpy as np

from framework.ssd.device.design import Design
from framework.ssd.simulation import simulate
from framework.ssd.workload.requests import READ, Load

POLICIES = ("lru", "pinned")


def expected_time(total: Any, io: Any, simulated_io: Any, overlapped: bool = False) -> Any:
    """Host time on a simulated device, `total - io + simulated_io`.

    Args:
      total: seconds measured on a real host.
      io: seconds of it that it waited for its own drive.
      simulated_io: seconds that the simulated device takes for the same reads.
      overlapped: whether input goes on next to computing: then the longer of the two counts, `max(total - io,
        simulated_io)`, and `io` must hold only what the host waited for.

    Raises:
      ValueError: for a time that is negative or no number, or more waiting than time in all.
    """
    total, io, simulated_io = (np.asarray(value, float) for value in (total, io, simulated_io))
    if not all(np.all(value >= 0) for value in (total, io, simulated_io)) or np.any(io > total):
        raise ValueError(f"times must be at least 0 and io at most the total, got {total}, {io} and {simulated_io}")
    computing = total - io
    return np.maximum(computing, simulated_io) if overlapped else computing + simulated_io


def misses(accesses: Any, memory_pages: int, policy: str = "lru") -> np.ndarray:
    """Which accesses a page cache of the host does not hold, `[accesses]` bool.

    Args:
      accesses: `[accesses]` int, pages in the order in which they are read.
      memory_pages: pages that fit the cache.
      policy: `lru` throws out what was not used for longest, so that passes over more pages than fit miss on every one;
        `pinned` keeps the pages that came first.

    Raises:
      ValueError: for an unknown policy, a negative size or no access.
    """
    accesses = np.asarray(accesses)
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    if memory_pages < 0 or accesses.ndim != 1 or not len(accesses):
        raise ValueError(f"a cache needs accesses [n] and 0 or more pages, got {accesses.shape} and {memory_pages}")
    held: dict[int, None] = {}
    missed = np.zeros(len(accesses), bool)
    for i, page in enumerate(accesses.tolist()):
        missed[i] = page not in held
        if policy == "lru" and not missed[i]:
            del held[page]
        if policy == "lru" or (missed[i] and len(held) < memory_pages):
            held[page] = None
        if len(held) > memory_pages:
            del held[next(iter(held))]
    return missed


def replay(design: Design, pages: Any, queue_depth: int = 32) -> float:
    """Seconds that a device takes to send pages to the host, closed loop.

    Args:
      design: the device.
      pages: `[reads]` int, logical pages in the order in which they are read.
      queue_depth: reads in flight.

    Raises:
      ValueError: for a page past the device's end, or a queue depth below 1.
    """
    if queue_depth < 1:
        raise ValueError(f"queue_depth must be at least 1, got {queue_depth}")
    pages = np.asarray(pages, np.int64)
    if not len(pages):
        return 0.0
    size = design.geometry.page_bytes
    sizes, kinds = np.full(len(pages), size, np.int64), np.full(len(pages), READ, np.int32)
    load = Load(np.zeros(len(pages), np.int64), pages * size, sizes, kinds, queue_depth=queue_depth, uniform=size)
    return float(simulate(design, load).elapsed) * 1e-9
