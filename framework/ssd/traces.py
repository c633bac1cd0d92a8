"""Recorded loads: MQSim's ASCII, MSR Cambridge's CSV, and what blkparse prints.

Reference: MQSim, `traces/`; SNIA IOTTA block-io/388 (MSR Cambridge); blkparse(1), default format.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from framework.ssd.design import Design
from framework.ssd.geometry import SECTOR
from framework.ssd.requests import READ, TRIM, WRITE, Load, check, wrap

MAXIMUM_LINE = 120  # characters of a bad line that an error repeats
_NUMBER = re.compile(r"[0-9]{1,18}")
_LARGEST = 2**62  # ns or bytes; the end of a request then fits 64 bits, too


class Record(NamedTuple):
    """A request of a trace."""

    arrival: int  # ns on the trace's own clock
    offset: int  # bytes
    size: int
    kind: int


def read_trace(
    path: str | os.PathLike, design: Design, format: str = "mqsim", wrapped: bool = False, limit: int = 0
) -> Load:
    """A trace as an open load; its first request arrives at 0.

    The devices of a trace are read and taken as one. Addresses are rounded outwards to sectors of 512 bytes.

    Args:
      path: the file.
      design: whose end no request may reach past.
      format: one of FORMATS: `mqsim`, `msr` or `blkparse`.
      wrapped: takes addresses modulo the capacity instead, and counts them in `Load.wrapped`.
      limit: requests to read; 0 for all.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: for an unknown format, or a line that is cut off, out of order or otherwise not as the format wants
        it, with the file, the line and what was expected; or a request past the end of the device.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown trace format {format!r}: take one of {', '.join(FORMATS)}")
    if limit < 0:
        raise ValueError(f"limit must be at least 1 request, or 0 for all, got {limit}")
    records, lines = [], []
    for number, record in _records(Path(path), FORMATS[format]):
        if records and record.arrival < records[-1].arrival:
            raise ValueError(
                f"{path}, line {number}: arrives at {record.arrival} ns, before line {lines[-1]} at "
                f"{records[-1].arrival}; requests must stand in order of arrival"
            )
        records.append(record)
        lines.append(number)
        if len(records) == limit:
            break
    if not records:
        raise ValueError(f"{path}: holds no request; {FORMATS[format].expected}")
    return _load(path, design, records, lines, wrapped)


def _load(path, design: Design, records: list[Record], lines: list[int], wrapped: bool) -> Load:
    arrival, offset, size, kind = np.array(records, np.int64).T
    begin, end = offset // SECTOR * SECTOR, -(-(offset + size) // SECTOR) * SECTOR
    load = Load(arrival - arrival[0], begin, end - begin, kind.astype(np.int32))
    past = end > design.capacity
    if past.any() and not wrapped:
        first = int(np.argmax(past))
        raise ValueError(
            f"{path}, line {lines[first]}: the request ends at byte {end[first]}, past the device's end of "
            f"{design.capacity}; take a larger device, or wrap addresses"
        )
    try:
        load = wrap(load, design.capacity) if wrapped else load
        check(load, design.capacity)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return load


class Format(NamedTuple):
    """How a line becomes a request."""

    expected: str  # what a line should be
    parse: Callable[[str], Record | None]  # None: a line that is none; ValueError: what is wrong


def _records(path: Path, format: Format) -> Iterator[tuple[int, Record]]:
    """Requests with their line numbers, read as they are asked for."""
    with (
        open(path, encoding="utf-8", errors="replace", newline="\n") as file,
        tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True, disable=None, leave=False) as bar,
    ):
        for number, line in enumerate(file, 1):
            bar.update(len(line))
            if not line.strip():
                continue
            try:
                record = format.parse(line.rstrip("\r\n"))
                if record is not None and max(record) >= _LARGEST:
                    raise ValueError(f"times and bytes must be below {_LARGEST}")
            except ValueError as error:
                shown = line.rstrip("\r\n")[:MAXIMUM_LINE]
                raise ValueError(f"{path}, line {number}: {error}, got {shown!r}; {format.expected}") from None
            if record is not None:
                yield number, record


def _whole(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be an integer of at least 0")
    return int(text)


def _positive(text: str, name: str) -> int:
    value = _whole(text, name)
    if not value:
        raise ValueError(f"{name} must be positive")
    return value


def _mqsim(line: str) -> Record:
    cells = line.split()
    if len(cells) != 5:
        raise ValueError(f"{len(cells)} columns instead of 5")
    arrival, device, start, size, kind = cells
    _whole(device, "the device")
    if kind not in ("0", "1"):
        raise ValueError("the type must be 0 (write) or 1 (read)")
    return Record(
        _whole(arrival, "the arrival time"),
        SECTOR * _whole(start, "the start sector"),
        SECTOR * _positive(size, "the size"),
        READ if kind == "1" else WRITE,
    )


def _msr(line: str) -> Record | None:
    cells = [cell.strip() for cell in line.split(",")]
    if cells[0] == "Timestamp":
        return None
    if len(cells) != 7:
        raise ValueError(f"{len(cells)} columns instead of 7")
    ticks, _, disk, kind, offset, size, response = cells
    _whole(disk, "the disk")
    _whole(response, "the response time")
    kinds = {"read": READ, "write": WRITE}
    if kind.lower() not in kinds:
        raise ValueError("the type must be Read or Write")
    return Record(
        100 * (_whole(ticks, "the timestamp") % 10**16),  # 100 ns since 1601: years fall away, the difference stays
        _whole(offset, "the offset"),
        _positive(size, "the size"),
        kinds[kind.lower()],
    )


_EVENT = re.compile(r"\s*\d+,\d+\s+\d+\s+\d+\s+\d+\.\d+\s+\d+\s+\S+\s+\S+")


def _blkparse(line: str) -> Record | None:
    """Requests are the events queued (Q); other events, and the summary at the end, are none."""
    cells = line.split()
    if not _EVENT.match(line):
        if re.match(r"\s*\d+,\d+\s", line):
            raise ValueError("an event that is cut off")
        return None
    action, flags = cells[5:7]
    if action != "Q" or not set(flags) & set("RWD") or len(cells) < 8 or cells[7] == "[":
        return None
    if len(cells) < 10 or cells[8] != "+":
        raise ValueError("an event that is cut off")
    seconds, fraction = cells[3].split(".")
    kind = TRIM if "D" in flags else READ if "R" in flags else WRITE
    size = _whole(cells[9], "the size")
    if not size:
        return None  # a flush
    arrival = 10**9 * _whole(seconds, "the time") + _whole(fraction[:9].ljust(9, "0"), "the time")
    return Record(arrival, SECTOR * _whole(cells[7], "the start sector"), SECTOR * size, kind)


FORMATS = {
    "mqsim": Format(
        "expected: arrival_ns device start_sector sectors type, type 0 for a write and 1 for a read", _mqsim
    ),
    "msr": Format("expected: Timestamp,Hostname,Disk,Type,Offset,Size,ResponseTime, in 100 ns and bytes", _msr),
    "blkparse": Format("expected: MAJ,MIN CPU SEQUENCE SECONDS PID Q RWBS SECTOR + SECTORS [PROCESS]", _blkparse),
}
