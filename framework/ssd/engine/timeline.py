"""The timeline of a simulation: the use of each bus and each unit of flash over time."""

from typing import NamedTuple

import numpy as np

from framework.ssd.device import timing
from framework.ssd.device.design import Design
from framework.ssd.engine import bus_arbiter
from framework.ssd.engine.queues import Plan
from framework.ssd.report import Times


class Busy(NamedTuple):
    """Nanoseconds at work.

    Args:
      bus: `[channels]` int64.
      luns: `[channels, LUNs]` int64, of each die, or chip where dies take turns.
    """

    bus: np.ndarray
    luns: np.ndarray


class Schedule(NamedTuple):
    """Who held what, when; int64 ns, one entry an operation on flash.

    Args:
      channel: `[operations]`.
      lun: `[operations]`, of its channel.
      kind: `[operations]`: 0 read, 1 program, 2 erase.
      command: `[operations, 2]`, begin and end on the bus, data of a program included.
      data: `[operations, 2]`, of a read's data on the bus; empty intervals for the rest.
      work: `[operations, 2]`, of the LUN.
    """

    channel: np.ndarray
    lun: np.ndarray
    kind: np.ndarray
    command: np.ndarray
    data: np.ndarray
    work: np.ndarray


def schedule_of(design: Design, planned: Plan, times: Times) -> Schedule:
    """The intervals that follow from when operations began and were done."""
    work = planned.work
    at = design.geometry.locate(np.asarray(work.page))
    lun = design.lane_of(at)
    begun, done, kind = np.asarray(times.begun), np.asarray(times.done), np.asarray(work.kind)
    byte = 1000.0 / (float(design.timing.channel_mt_s) * float(design.timing.channel_bytes))
    transfer_ns = np.round(np.asarray(work.size) * byte).astype(np.int64)
    group, first, size = _commands(at.channel, lun, begun)
    moved_together = np.zeros(len(first), np.int64)
    np.add.at(moved_together, group, transfer_ns)
    further = (size[group] - 1) * timing.FURTHER_PLANE
    length = np.select(
        [kind == bus_arbiter.READ, kind == bus_arbiter.PROGRAM],
        [timing.READ_COMMAND + further, timing.PROGRAM_COMMAND + further + moved_together[group]],
        timing.ERASE_COMMAND + further,
    )
    out = np.where(kind == bus_arbiter.READ, transfer_ns + timing.DATA_SETUP, 0)
    end = np.zeros(len(first), np.int64)
    np.maximum.at(end, group, done)
    pair = lambda begin, end: np.stack([begin, end], -1)
    return Schedule(at.channel, lun, kind, pair(begun, begun + length), pair(done - out, done), pair(begun, end[group]))


def _commands(channel: np.ndarray, lun: np.ndarray, begun: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Operations of one command: the command of each, the first operation of each, and how many it has."""
    key = np.stack([channel, lun, begun], -1)
    _, first, group, size = np.unique(key, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return group.ravel(), first, size


def busy(schedule: Schedule, design: Design) -> Busy:
    """How long each bus and each LUN was at work; a suspended operation and the read inside it count once."""
    shape = design.geometry.channels, design.luns
    bus, luns = np.zeros(shape[0], np.int64), np.zeros(shape, np.int64)
    holds = np.concatenate(
        [single(schedule.channel, schedule.command), np.column_stack([schedule.channel, schedule.data])]
    )
    np.add.at(bus, holds[:, 0], holds[:, 2] - holds[:, 1])
    number = schedule.channel * shape[1] + schedule.lun
    work = np.column_stack([number, schedule.work])[np.lexsort((schedule.work[:, 0], number))]
    begin = np.arange(len(work)) == np.searchsorted(work[:, 0], work[:, 0])
    bus_share = np.where(begin, work[:, 1], 0)
    last = 0
    for index, (_, start, end) in enumerate(work):
        last = start if begin[index] else last
        bus_share[index] = max(last, start)
        last = max(last, end)
    np.add.at(luns.reshape(-1), work[:, 0], np.maximum(work[:, 2] - bus_share, 0))
    return Busy(bus, luns)


def single(resource: np.ndarray, intervals: np.ndarray) -> np.ndarray:
    """`[commands, 3]`: resource, begin and end; operations of one command hold the bus once."""
    return np.unique(np.column_stack([resource, intervals]), axis=0)
