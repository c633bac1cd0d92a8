"""The report of a simulation: the times of every request, and statistics of them."""

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.ssd.device import energy
from framework.ssd.device.design import Design
from framework.ssd.engine import bus_arbiter as bus
from framework.ssd.engine.queues import Plan
from framework.ssd.workload import requests
from framework.ssd.workload.requests import Load

HORIZON = 2**51  # ns, 26 days; nearer where `host.outbound` sorts times and numbers as one
KINDS = {"reads": requests.READ, "writes": requests.WRITE, "trims": requests.TRIM}
BACKLOG = 0.05  # of the requests, unanswered when arrivals end: from then on an open load is beyond capacity
STATUS = ("fine", "a request was not served", "times past the horizon", "a latency below the unloaded one")


class Times(NamedTuple):
    """When things happened, int64 ns."""

    issued: Any  # [requests]
    ended: Any  # [requests], host link included
    begun: Any  # [operations]: when the bus was granted for the command
    done: Any  # [operations]: when data were out, or the array at rest


class Statistics(NamedTuple):
    """Of the requests of some kinds; NaN where there is none of them.

    Args:
      requests: how many.
      mean_us, max_us: latencies, host link included.
      iops: requests a second, from the first of them to the end of the last one.
      bandwidth: bytes a second, likewise.
    """

    requests: Any
    mean_us: Any
    max_us: Any
    iops: Any
    bandwidth: Any


class Report(NamedTuple):
    """What came of a load; leaves may have axes of a batch before those named. Times are int64 ns.

    A TRIM carries no data: means, percentiles, throughput and bandwidth are those of reads and writes, and `by_kind`
    tells of each kind apart. `notes` says in words what a reader of the numbers has to bear in mind.

    Args:
      issued: `[requests]`, as the host sent them; under a closed load when their turn came.
      ended: `[requests]`, host link included.
      size: `[requests]` bytes.
      kind: `[requests]`: 0 read, 1 write, 2 TRIM.
      written: pages that the host wrote.
      cached: pages of them that still lie in the write cache at the end, and were not programmed.
      moved: pages that collection moved.
      programmed: pages, moved ones included.
      erased: blocks.
      energy: joules, by what they were spent on.
      wrapped: addresses that were wrapped into the device.
      collects: bool: whether the device collects garbage; an ideal mapping never does.
      overloaded: bool: whether the load was an open one beyond the device's capacity: when arrivals ended more than
        one request in twenty, and two for each unit of flash, still waited. Latencies then grow with the length of the
        load.
      status: 0, or what is wrong: a place in STATUS.
    """

    issued: Any
    ended: Any
    size: Any
    kind: Any
    written: Any
    cached: Any
    relocated: Any
    programmed: Any
    erased: Any
    energy: energy.Energy
    wrapped: Any
    collects: Any
    overloaded: Any
    status: Any

    @property
    def latency(self) -> Any:
        """`[requests]` int64 ns, from being issued to being ended, host link included."""
        return self.ended - self.issued

    @property
    def reads(self) -> Any:
        """`[requests]` bool."""
        return self.kind == requests.READ

    @property
    def requests(self) -> int:
        """How many, TRIMs included."""
        return self.issued.shape[-1]

    @property
    def elapsed(self) -> Any:
        """Ns from the first request to the last end, TRIMs included."""
        return self.ended.max(-1) - self.issued.min(-1)

    @property
    def iops(self) -> Any:
        """Reads and writes a second; NaN where there is none."""
        return self.statistics(requests.READ, requests.WRITE).iops

    @property
    def bandwidth(self) -> Any:
        """Bytes read and written a second; NaN where there are none."""
        return self.statistics(requests.READ, requests.WRITE).bandwidth

    @property
    def mean_us(self) -> Any:
        """Mean latency of reads and writes in microseconds; NaN where there is none."""
        return self.statistics(requests.READ, requests.WRITE).mean_us

    @property
    def max_us(self) -> Any:
        """Largest latency of a read or write in microseconds; NaN where there is none."""
        return self.statistics(requests.READ, requests.WRITE).max_us

    @property
    def by_kind(self) -> dict[str, Statistics]:
        """Of `reads`, `writes` and `trims` apart; the bandwidth of TRIMs is 0."""
        return {name: self.statistics(kind) for name, kind in KINDS.items()}

    @property
    def flushed_pages(self) -> Any:
        """Pages of the host that were programmed; those that a cache held back or took together are not."""
        return self.programmed - self.relocated

    @property
    def write_amplification(self) -> Any:
        """Pages programmed for each page of the host that was (`flushed`); 1 where none was. At least 1.

        Pages that still lie in the write cache at the end, `cached`, do not count.
        """
        xp = _library(self.programmed)
        return xp.where(self.flushed_pages > 0, self.programmed / xp.maximum(self.flushed_pages, 1), 1.0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers has to bear in mind, a line each; of one report whose numbers are known."""
        return tuple(_notes(self))

    def statistics(self, *kinds: int) -> Statistics:
        """Of the requests of these kinds together: `load.READ`, `load.WRITE`, `load.TRIM`."""
        xp = _library(self.ended)
        among = self._among(kinds)
        count = among.sum(-1)
        latency = xp.where(among, self.latency, 0)
        first = xp.where(among, self.issued, self.issued.max(-1, keepdims=True)).min(-1)
        span = xp.where(count > 0, xp.where(among, self.ended, 0).max(-1) - first, 1)
        carried = xp.where(among & (self.kind != requests.TRIM), self.size, 0).sum(-1)
        known = lambda value: xp.where(count > 0, value, xp.nan)[()]
        return Statistics(
            count,
            known(latency.sum(-1) / xp.maximum(count, 1) / 1000),
            known(latency.max(-1) / 1000),
            known(count / (1e-9 * span)),
            known(carried / (1e-9 * span)),
        )

    def percentile(self, percent: float, *kinds: int) -> Any:
        """The latency in microseconds that so many percent of the requests stay at or below (nearest rank).

        Args:
          percent: in (0, 100].
          *kinds: of which requests; by default of reads and writes. NaN where there is none.

        Raises:
          ValueError: if `percent` is not in (0, 100].
        """
        xp = _library(self.issued)
        among = self._among(kinds or (requests.READ, requests.WRITE))
        count = among.sum(-1)
        ordered = xp.sort(xp.where(among, self.latency, self.latency.max(-1, keepdims=True)), axis=-1)
        rank = xp.maximum(nearest_rank(percent, count), 1) - 1
        values = xp.take_along_axis(ordered, xp.asarray(rank)[..., None], axis=-1)[..., 0]
        return xp.where(count > 0, values / 1000, xp.nan)[()]

    def _among(self, kinds: tuple[int, ...]) -> Any:
        return functools.reduce(lambda one, other: one | other, (self.kind == kind for kind in kinds))


def _library(array: Any) -> Any:
    return jnp if isinstance(array, jax.Array) else np


def _notes(report: Report) -> Iterator[str]:
    if not report.collects:
        yield "ideal mapping: no garbage collection"
    if report.overloaded:
        arrivals, end = (1e-6 * float(time.max() - report.issued.min()) for time in (report.issued, report.ended))
        yield (
            f"arrivals ended after {arrivals:.4g} ms, the last answer after {end:.4g} ms: an open load beyond "
            "capacity, whose latencies grow with its length; take a closed replay"
        )
    if report.wrapped:
        yield f"{int(report.wrapped)} addresses lay past the end of the device and were wrapped"
    if report.cached:
        yield (
            f"{int(report.cached)} of {int(report.written)} pages written still lie in the write cache at the end: "
            "they count neither as programmed nor in the write amplification"
        )
    trims = int((report.kind == requests.TRIM).sum())
    if trims:
        yield f"TRIM carries no data: the {trims} requests of it count in no latency or throughput but their own"


def nearest_rank(percent: float, count: Any) -> Any:
    """The least number of `count` values that are so many percent of them, 1 .. count; of arrays of counts one each.

    Raises:
      ValueError: if `percent` is not in (0, 100].
    """
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile must lie above 0 and at most at 100, got {percent}")
    return math.ceil(percent * count / 100) if isinstance(count, int) else _ceil(percent * count / 100)


def _ceil(value: Any) -> Any:
    return _library(value).ceil(value).astype(np.int64)


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
    spent = energy.energy_of(design.power, count(bus.READ), programs, erases, work.size.sum(), carried, elapsed)
    amounts = planned.written, planned.cached, planned.relocated, programs, erases
    collects = np.asarray(design.ftl.mapping != "ideal")
    overloaded = is_overloaded(times, bool(load.queue_depth), design.geometry.channels * design.luns)
    return Report(times.issued, times.ended, size, kind, *amounts, spent, load.wrapped, collects, overloaded, status)


def is_overloaded(times: Times, closed: bool, units: int) -> Any:
    """Whether an open load arrived faster than the device, of so many units of flash, could serve it; bool."""
    if closed:
        return np.asarray(False)
    waiting = (times.ended > times.issued.max(-1, keepdims=True)).sum(-1)
    return (waiting > BACKLOG * times.issued.shape[-1]) & (waiting > 2 * units)
