"""Recorded loads, read from files: every line is a request, is known to be none, or is refused."""

import collections
import gzip
import io
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from framework.ssd.device.design import Design
from framework.ssd.device.geometry import SECTOR
from framework.ssd.workload.requests import Load, check, wrap
from framework.ssd.workload.trace_formats import (
    FORMATS,
    MAXIMUM_LINE,
    UNITS,
    Format,
    Record,
    form_of,
)

_LARGEST = 2**62  # ns or bytes; the end of a request then fits 64 bits, too
_ELSEWHERE = "on device "  # before the device of a request that was passed over, among the events counted
_DENSE = 100  # ns between requests, on average, below which no trace of a drive lies: ten million a second
_OTHERS = {  # what a file begins with
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PK\x03\x04": "a zip archive",
    b"\x07tae": "blktrace's binary records: print them with blkparse -i",
    b"eat\x07": "blktrace's binary records: print them with blkparse -i",
}
_UNIX = {"s": (10**9, 4 * 10**9), "ms": (10**12, 4 * 10**12), "us": (10**15, 4 * 10**15), "ns": (10**18, 4 * 10**18)}


class TraceWarning(UserWarning):
    """A trace was read, but something in it cannot be meant so."""


class _Read(NamedTuple):
    """What a file holds."""

    records: list[Record]  # requests with data
    lines: list[int]  # of each
    skipped: int  # requests without data
    events: collections.Counter  # that are no requests, by action
    count: int  # lines that are not empty


def read_trace(
    path: str | os.PathLike,
    design: Design,
    format: str = "mqsim",
    wrapped: bool = False,
    limit: int = 0,
    *,
    time_unit: str | None = None,
    device: str | None = None,
    sort: bool = False,
) -> Load:
    """A trace as an open load; its first request arrives at 0.

    The devices of a trace are taken as one, where none is named. Addresses are rounded outwards to sectors of 512
    bytes. A file compressed by gzip is read as it is. Of what blkparse prints (default format, with or without `-t`)
    the events queued (Q) are the requests; other events, messages and the summary are none. Requests without data,
    which are flushes, SCSI commands passed through and sizes of 0 in MSR's files, are passed over and counted in
    `Load.skipped`.

    Args:
      path: the file.
      design: whose end no request may reach past.
      format: one of FORMATS: `mqsim`, `msr` or `blkparse`.
      wrapped: takes addresses modulo the capacity instead, and counts them in `Load.wrapped`.
      limit: requests to read; 0 for all.
      time_unit: of the file's times: `ns`, `us`, `ms` or `s`, of MSR's also `100ns`; by default ns for MQSim's files
        and 100 ns for MSR's. Times in us, ms and s may have decimals; those of blkparse are seconds always.
      device: the requests of this device alone: a number in MQSim's files, `HOSTNAME.DISK` in MSR's, `MAJ,MIN` in
        blkparse's.
      sort: puts requests into the order of arrival, where the file does not hold them so; otherwise that is refused.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: for an unknown format or unit, a file that is no text, or a line that is cut off, out of order or
        otherwise not as the format wants it, with the file, the line and what was expected; if no line is a request,
        with what the lines are; or a request past the end of the device.

    Warns:
      TraceWarning: if requests follow one another faster than any drive takes them, or timestamps are not in their
        unit, so that another `time_unit` must be meant; or if blkparse shows requests on two devices of which one is
        mapped to the other, so that they count twice.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown trace format {format!r}: take one of {', '.join(FORMATS)}")
    if limit < 0:
        raise ValueError(f"limit must be at least 1 request, or 0 for all, got {limit}")
    form = FORMATS[format]
    unit = form.unit if time_unit is None else time_unit
    if unit not in form.units:
        raise ValueError(f"time_unit of a {format} trace must be one of {', '.join(form.units)}, got {time_unit!r}")
    read = _read(Path(path), form, UNITS[unit], device, 0 if sort else limit)
    if not read.records:
        raise ValueError(f"{path}: {_without_requests(read, form, device)}")
    records, lines = _in_order(path, read, sort)
    records, lines = (records[:limit], lines[:limit]) if limit else (records, lines)
    load = _load(path, design, records, lines, read.skipped, wrapped)
    if time_unit is None:
        _doubt_unit(path, format, records)
    _doubt_devices(path, read, records)
    return load


def _read(path: Path, form: Format, unit: int, device: str | None, limit: int) -> _Read:
    records, lines, skipped, events, count = [], [], 0, collections.Counter(), 0
    for number, line in _lines(path):
        count += 1
        try:
            record = form.parse(line, unit)
            if record.__class__ is Record and (record.offset >= _LARGEST or record.size >= _LARGEST):
                raise ValueError(f"times and bytes must be below {_LARGEST}")
        except ValueError as error:
            shown = line[:MAXIMUM_LINE]
            raise ValueError(f"{path}, line {number}: {error}, got {shown!r}; {_advice(line, form)}") from None
        if record is None:
            continue
        if record.__class__ is str:
            events[record] += 1
        elif device is not None and device != record.device:
            events[f"{_ELSEWHERE}{record.device}"] += 1
        elif not record.size:
            skipped += 1
        else:
            records.append(record)
            lines.append(number)
            if len(records) == limit:
                break
    return _Read(records, lines, skipped, events, count)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers, read as they are asked for."""
    with open(path, "rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        plain = gzip.GzipFile(fileobj=raw) if packed else raw
        total = None if packed else path.stat().st_size
        try:
            _refuse_binary(path, plain.peek(512)[:512])
            with (
                io.TextIOWrapper(plain, "utf-8-sig", "replace", newline="\n") as text,
                tqdm(total=total, desc=path.name, unit="B", unit_scale=True, disable=None, leave=False) as bar,
            ):
                for number, line in enumerate(text, 1):
                    bar.update(len(line))
                    if line.strip():
                        yield number, line.rstrip("\r\n")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: compressed by gzip, and damaged ({error})") from None


def _refuse_binary(path: Path, head: bytes) -> None:
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise ValueError(f"{path}: {what}; a trace is read as text, or as text compressed by gzip")
    if b"\0" in head:
        raise ValueError(f"{path}: not a text file; a trace is read as text, or as text compressed by gzip")
    if head.startswith(b"fio version"):
        raise ValueError(f"{path}: an iolog of fio, which is not read; {_forms()}")


def _forms() -> str:
    return "traces are read as " + ", ".join(
        f"{name} ({form.expected.removeprefix('expected: ')})" for name, form in FORMATS.items()
    )


def _advice(line: str, form: Format) -> str:
    other = form_of(line)
    same = not other or FORMATS[other] is form
    return form.expected if same else f"{form.expected}; the line has the form of {other}"


def _without_requests(read: _Read, form: Format, device: str | None) -> str:
    """What a file without a request holds instead."""
    if not read.count:
        return f"holds no request; {form.expected}"
    if not read.skipped and not read.events:
        return f"none of {read.count} lines is an event; {_forms()}"
    others = {
        action[len(_ELSEWHERE) :]: count for action, count in read.events.items() if action.startswith(_ELSEWHERE)
    }
    if others and not read.skipped:
        named = ", ".join(f"{name!r} with {count}" for name, count in sorted(others.items()))
        return f"holds no request of device {device!r}, but of {named}; {form.expected}"
    events = ", ".join(f"{count} {action}" for action, count in sorted(read.events.items()))
    suffix = "" if device is None else f" of device {device}"
    parts = [f"{read.skipped} without data"] if read.skipped else []
    parts += [f"events that are no requests ({events})"] if events else []
    return f"holds no request with data{suffix}, only {' and '.join(parts)}; {form.expected}"


def _in_order(path, read: _Read, sort: bool) -> tuple[list[Record], list[int]]:
    """Requests and their lines by arrival, the first at 0."""
    records, lines = read.records, read.lines
    if sort:
        order = sorted(range(len(records)), key=lambda i: records[i].arrival)
        records, lines = [records[i] for i in order], [lines[i] for i in order]
    for i in range(1, len(records)):
        if records[i].arrival < records[i - 1].arrival:
            raise ValueError(
                f"{path}, line {lines[i]}: arrives at {records[i].arrival} ns, before line {lines[i - 1]} at "
                f"{records[i - 1].arrival}; requests must stand in order of arrival, or be sorted: sort=True"
            )
    if records[-1].arrival - records[0].arrival >= _LARGEST:
        raise ValueError(f"{path}, line {lines[-1]}: times and bytes must be below {_LARGEST}")
    return records, lines


def _load(path, design: Design, records: list[Record], lines: list[int], skipped: int, wrapped: bool) -> Load:
    first = records[0].arrival
    columns = [(record.arrival - first, record.offset, record.size, record.kind) for record in records]
    arrival, offset, size, kind = np.array(columns, np.int64).T
    begin, end = offset // SECTOR * SECTOR, -(-(offset + size) // SECTOR) * SECTOR
    load = Load(arrival, begin, end - begin, kind.astype(np.int32), skipped=skipped)
    past = end > design.capacity
    if past.any() and not wrapped:
        bad = int(np.argmax(past))
        raise ValueError(
            f"{path}, line {lines[bad]}: the request ends at byte {end[bad]}, past the device's end of "
            f"{design.capacity}; take a larger device, or wrap addresses"
        )
    try:
        load = wrap(load, design.capacity) if wrapped else load
        check(load, design.capacity)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return load


def _doubt_unit(path, format: str, records: list[Record]) -> None:
    """Warns of times that cannot be in the format's own unit, as far as times can tell."""
    if format == "blkparse":
        return
    unit = FORMATS[format].unit
    stamp = records[0].arrival // UNITS[unit]
    looks = [name for name, (low, high) in _UNIX.items() if format == "msr" and low <= stamp < high]
    if looks:
        _warn(
            f"{path}: timestamps such as {stamp} are no Windows times, in units of 100 ns since 1601, but look like "
            f"Unix times in {looks[0]}; name the unit: time_unit={looks[0]!r}"
        )
        return
    span = records[-1].arrival - records[0].arrival
    if 0 < span < _DENSE * (len(records) - 1):
        _warn(
            f"{path}: {len(records)} requests within {span} ns, times being read in {unit}: no drive is asked so fast; "
            f"if they are in another unit, name it: time_unit='us', 'ms' or 's'"
        )


def _doubt_devices(path, read: _Read, records: list[Record]) -> None:
    """Warns where a request may stand in a trace once for each device that it goes through."""
    devices = collections.Counter(record.device for record in records)
    if len(devices) > 1 and read.events["A"]:
        counts = ", ".join(f"{name} with {count}" for name, count in devices.items())
        _warn(
            f"{path}: requests of several devices ({counts}) are taken as one, and the trace maps one device to "
            f"another ({read.events['A']} events A): a request may count twice; name one device: {min(devices)!r}"
        )


def _warn(message: str) -> None:
    warnings.warn(message, TraceWarning, stacklevel=4)
