"""Invariants of every simulation; a violation is an error."""

from typing import Any

import numpy as np

from framework.core.precision import x64
from framework.ssd.device.design import Design
from framework.ssd.engine import bus_arbiter, closed_forms
from framework.ssd.engine.queues import Plan
from framework.ssd.engine.timeline import Schedule, schedule_of, single
from framework.ssd.report import STATUS, Report, Times
from framework.ssd.workload import requests
from framework.ssd.workload.requests import Load


class InvariantError(RuntimeError):
    """A simulation contradicts itself: a fault of the program, not of its input."""


def check(design: Design, load: Load, planned: Plan, times: Times, report: Report) -> None:
    """All invariants of a run.

    Each request and operation ends, once and not before it begins; no latency lies below that of an idle device; no bus
    and no LUN is booked twice; the requests in flight, integrated over time, are the sum of latencies (Little's law),
    and never more than the queue depth; the link carries no more than its rate.

    Raises:
      InvariantError: naming what is broken, and where.
    """
    if report.status:
        first = _first(design, load, report)
        raise InvariantError(f"{STATUS[int(report.status)]}; the first with it is request {first}")
    _operations_end(times)
    _little(load, report)
    schedule = schedule_of(design, planned, times)
    check_bookings(schedule, suspends=design.rules.suspends)
    least = np.where(load.kind != requests.TRIM, load.size, 0)
    for reads in (True, False):
        carried = int(least[report.reads == reads].sum())
        if carried / float(design.timing.host_gb_s) > report.elapsed:
            raise InvariantError(f"the host link carried {carried} bytes in {report.elapsed} ns, more than its rate")


def _first(design: Design, load: Load, report: Report) -> int:
    with x64():
        least = np.asarray(closed_forms.least_latency(design, load))
    bad = {1: report.ended <= 0, 2: report.ended == report.ended.max(), 3: report.latency < least}
    return int(np.argmax(bad[int(report.status)]))


def _operations_end(times: Times) -> None:
    bad = np.asarray(times.done) <= np.asarray(times.begun)
    if bad.any():
        raise InvariantError(f"operation {int(np.argmax(bad))} is not done after it has begun")


def _little(load: Load, report: Report) -> None:
    """In flight over time, from the sequence of events alone."""
    moments = np.concatenate([report.issued, report.ended])
    change = np.concatenate([np.ones(report.requests, np.int64), -np.ones(report.requests, np.int64)])
    order = np.lexsort((change, moments))
    moments, flying = moments[order], np.cumsum(change[order])
    area = int((flying[:-1] * np.diff(moments)).sum())
    if area != int(report.latency.sum()) or flying[-1] != 0:
        raise InvariantError(f"Little's law: {area} request-ns in flight, {int(report.latency.sum())} ns of latency")
    if load.queue_depth and flying.max() > load.queue_depth:
        raise InvariantError(f"{int(flying.max())} requests in flight where the queue depth is {load.queue_depth}")


def check_bookings(schedule: Schedule, suspends: bool = False) -> None:
    """No two phases on one bus, no two operations on one LUN; a suspended operation may have a read inside.

    Raises:
      InvariantError: naming the resource and the time.
    """
    bus = np.concatenate(
        [single(schedule.channel, schedule.command), np.column_stack([schedule.channel, schedule.data])]
    )
    _apart(bus[bus[:, 2] > bus[:, 1]], "channel")
    luns = np.column_stack([schedule.channel * (schedule.lun.max(initial=0) + 1) + schedule.lun, schedule.work])
    if suspends:
        for kinds in (schedule.kind == bus_arbiter.READ, schedule.kind != bus_arbiter.READ):
            _apart(np.unique(luns[kinds], axis=0), "lane")
    else:
        _apart(np.unique(luns, axis=0), "lane")


def _apart(booked: Any, what: str) -> None:
    booked = booked[np.lexsort((booked[:, 1], booked[:, 0]))]
    twice = (booked[1:, 0] == booked[:-1, 0]) & (booked[1:, 1] < booked[:-1, 2])
    if twice.any():
        number, begin, _ = booked[1:][twice][0]
        raise InvariantError(f"{what} {number} is booked twice at {begin} ns")
