"""What a simulation tells: every request's times, and what follows from them."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.ssd import energy, requests
from framework.ssd import grants as bus
from framework.ssd.design import Design
from framework.ssd.queues import Plan
from framework.ssd.requests import Load

HORIZON = 2**51  # ns, 26 days; nearer where `host.outbound` sorts times and numbers as one
STATUS = ("fine", "a request was not served", "times past the horizon", "a latency below the unloaded one")


class Times(NamedTuple):
    """When things happened, int64 ns."""

    issued: Any  # [requests]
    ended: Any  # [requests], host link included
    begun: Any  # [operations]: when the bus was granted for the command
    done: Any  # [operations]: when data were out, or the array at rest


class Report(NamedTuple):
    """What came of a load; leaves may have axes of a batch before those named. Times are int64 ns.

    Args:
      issued: `[requests]`, as the host sent them; under a closed load when their turn came.
      ended: `[requests]`, host link included.
      size: `[requests]` bytes.
      reads: `[requests]` bool.
      written: pages that the host wrote.
      moved: pages that collection moved.
      programmed: pages, moved ones included.
      erased: blocks.
      energy: joules, by what they were spent on.
      wrapped: addresses that were wrapped into the device.
      status: 0, or what is wrong: a place in STATUS.
    """

    issued: Any
    ended: Any
    size: Any
    reads: Any
    written: Any
    moved: Any
    programmed: Any
    erased: Any
    energy: energy.Energy
    wrapped: Any
    status: Any

    @property
    def latency(self) -> Any:
        """`[requests]` int64 ns, from being issued to being ended, host link included."""
        return self.ended - self.issued

    @property
    def requests(self) -> int:
        """How many."""
        return self.issued.shape[-1]

    @property
    def elapsed(self) -> Any:
        """Ns from the first request to the last end."""
        return self.ended.max(-1) - self.issued.min(-1)

    @property
    def iops(self) -> Any:
        """Requests a second."""
        return self.requests / (1e-9 * self.elapsed)

    @property
    def bandwidth(self) -> Any:
        """Bytes a second."""
        return self.size.sum(-1) / (1e-9 * self.elapsed)

    @property
    def mean_us(self) -> Any:
        """Mean latency in microseconds."""
        return self.latency.mean(-1) / 1000

    @property
    def max_us(self) -> Any:
        """Largest latency in microseconds."""
        return self.latency.max(-1) / 1000

    @property
    def write_amplification(self) -> Any:
        """Pages programmed for each page that the host wrote; 1 where it wrote none."""
        xp = jnp if isinstance(self.written, jax.Array) else np
        return xp.where(self.written > 0, self.programmed / xp.maximum(self.written, 1), 1.0)

    def percentile(self, percent: float) -> Any:
        """The latency in microseconds that so many percent of the requests stay at or below (nearest rank).

        Raises:
          ValueError: if `percent` is not in (0, 100].
        """
        xp = jnp if isinstance(self.issued, jax.Array) else np
        return xp.sort(self.latency, axis=-1)[..., nearest_rank(percent, self.requests) - 1] / 1000


def nearest_rank(percent: float, count: int) -> int:
    """The least number of `count` values that are so many percent of them, 1 .. count.

    Raises:
      ValueError: if `percent` is not in (0, 100].
    """
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile must lie above 0 and at most at 100, got {percent}")
    return math.ceil(percent * count / 100)


def status_of(times: Times, least: Any, horizon: int) -> Any:
    """A place in STATUS, from times, the least latency of each request, and what times may not exceed."""
    status = jnp.where(times.ended - times.issued < least, 3, 0).max()
    status = jnp.where(times.ended.max() > horizon, 2, status)
    return jnp.where(times.ended.min() <= 0, 1, status)


def make_report(design: Design, load: Load, planned: Plan, times: Times, status: Any) -> Report:
    """The report of a run, inside 64 bits."""
    kind, size, work = load.kind, load.size, planned.work
    count = lambda which: (work.kind == which).sum()
    programs, erases = count(bus.PROGRAM), count(bus.ERASE)
    elapsed = times.ended.max() - times.issued.min()
    carried = (size * (kind != requests.TRIM)).sum()
    spent = energy.spent(design.power, count(bus.READ), programs, erases, work.size.sum(), carried, elapsed)
    amounts = planned.written, planned.moved, programs, erases
    return Report(times.issued, times.ended, size, kind == requests.READ, *amounts, spent, load.wrapped, status)
