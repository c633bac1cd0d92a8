"""Trace formats: MQSim's ASCII, MSR Cambridge's CSV, and the output of blkparse.

Reference: MQSim, `traces/`; SNIA IOTTA block-io/388 (MSR Cambridge); blkparse(1), default format, and
`process_default` in its source, `blkparse_fmt.c`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from framework.ssd.device.geometry import SECTOR
from framework.ssd.workload.requests import READ, TRIM, WRITE

UNITS = {"ns": 1, "100ns": 100, "us": 10**3, "ms": 10**6, "s": 10**9}  # of time, in ns
MAXIMUM_LINE = 120  # characters of a line that an error repeats
_NUMBER = re.compile(r"[0-9]{1,18}")
_TIME = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,18}))?")  # nanoseconds since 1970 have 19 digits
_HEADER = ("timestamp", "hostname", "disk", "type", "offset", "size", "responsetime")


class Record(NamedTuple):
    """A request of a trace."""

    arrival: int  # ns on the trace's own clock
    offset: int  # bytes
    size: int  # bytes; 0: a request without data, such as a flush
    kind: int
    device: str  # as the trace names it


class Format(NamedTuple):
    """A form of traces."""

    expected: str  # what a line should be
    # (line, ns a unit of time); a word for an event that is no request, None for a line that is no event
    parse: Callable[[str, int], Record | str | None]
    unit: str  # of time, of UNITS
    units: tuple[str, ...]  # that its times may be in


def time(text: str, name: str, unit: int) -> int:
    """A time in ns; parts of a unit are allowed where the unit is longer than 100 ns.

    Raises:
      ValueError: if it is no such number.
    """
    match = _TIME.fullmatch(text)
    whole, part = match.groups() if match else (None, None)
    if match and part is None:
        return unit * int(whole)
    if match and unit > UNITS["100ns"]:
        return int(whole) * unit + int(part) * unit // 10 ** len(part)
    if match:
        raise ValueError(f"{name} must be an integer of at least 0; of times in seconds say so: time_unit='s'")
    raise ValueError(f"{name} must be an integer of at least 0")


def _whole(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be an integer of at least 0 with at most 18 digits")
    return int(text)


def _positive(text: str, name: str) -> int:
    value = _whole(text, name)
    if not value:
        raise ValueError(f"{name} must be positive")
    return value


def _mqsim(line: str, unit: int) -> Record:
    cells = line.split()
    if len(cells) != 5:
        raise ValueError(f"{len(cells)} columns instead of 5")
    arrival, device, start, size, kind = cells
    _whole(device, "the device")
    if kind not in ("0", "1"):
        raise ValueError("the type must be 0 (write) or 1 (read)")
    return Record(
        time(arrival, "the arrival time", unit),
        SECTOR * _whole(start, "the start sector"),
        SECTOR * _positive(size, "the size"),
        READ if kind == "1" else WRITE,
        device,
    )


def _msr(line: str, unit: int) -> Record | None:
    cells = [cell.strip() for cell in line.split(",")]
    if cells[0].lower() == "timestamp":
        names = tuple(cell.lower() for cell in cells)
        if names not in (_HEADER, tuple("disknumber" if name == "disk" else name for name in _HEADER)):
            raise ValueError("a header of other columns")
        return None
    if len(cells) != 7:
        raise ValueError(f"{len(cells)} columns instead of 7")
    ticks, host, disk, kind, offset, size, response = cells
    _whole(disk, "the disk")
    _whole(response, "the response time")
    kinds = {"read": READ, "write": WRITE}
    if kind.lower() not in kinds:
        raise ValueError("the type must be Read or Write")
    return Record(
        time(ticks, "the timestamp", unit),
        _whole(offset, "the offset"),
        _whole(size, "the size"),
        kinds[kind.lower()],
        f"{host}.{disk}",
    )


_BEGIN = re.compile(r"\s*\d+,\d+\s")
_EVENT = re.compile(r"\s*(\d+,\d+)\s+\d+\s+\d+\s+(\d+)\.(\d+)\s+\d+\s+(\S+)\s+(\S+)")
# What follows the flags; the process's name is printed raw and may hold brackets and spaces.
_SECTORS = re.compile(r"(\d+) \+ (\d+) (?:\(\s*\d+\) )?\[.*\]\s*$", re.DOTALL)
_NO_SECTORS = re.compile(r"(?:\(\s*\d+\) )?\[.*\]\s*$", re.DOTALL)
_PACKET = re.compile(r"\d+ (?:\([0-9a-f. ]*\) )?\[.*\]\s*$", re.DOTALL)  # bytes, and the command: SCSI passed through


def _blkparse(line: str, unit: int) -> Record | str | None:
    """Requests are the events queued (Q); other events, and the summary at the end, are none."""
    event = _EVENT.match(line)
    if not event:
        if _BEGIN.match(line):
            raise ValueError("an event that is cut off")
        return None
    device, seconds, fraction, action, flags = event.groups()
    if action != "Q":
        return action
    rest = line[event.end() :].lstrip()
    arrival = unit * _whole(seconds, "the time") + _whole(fraction[:9].ljust(9, "0"), "the time")
    kind = TRIM if "D" in flags else READ if "R" in flags else WRITE
    match = _SECTORS.match(rest)
    if not match:
        if _NO_SECTORS.match(rest) or _PACKET.match(rest):
            return Record(arrival, 0, 0, kind, device)
        raise ValueError("an event that is cut off")
    if not set(flags) & set("RWD"):
        return f"{action} {flags}"
    start, size = (
        _whole(text, name) for text, name in zip(match.groups(), ("the start sector", "the size"), strict=True)
    )
    return Record(arrival, SECTOR * start, SECTOR * size, kind, device)


FORMATS = {
    "mqsim": Format(
        "expected: arrival_ns device start_sector sectors type, type 0 for a write and 1 for a read",
        _mqsim,
        "ns",
        ("ns", "us", "ms", "s"),
    ),
    "msr": Format(
        "expected: Timestamp,Hostname,Disk,Type,Offset,Size,ResponseTime, in 100 ns and bytes",
        _msr,
        "100ns",
        tuple(UNITS),
    ),
    "blkparse": Format(
        "expected: MAJ,MIN CPU SEQUENCE SECONDS PID Q RWBS SECTOR + SECTORS [PROCESS]", _blkparse, "s", ("s",)
    ),
}


def form_of(line: str) -> str:
    """The format that a line has the form of, or ""."""
    for name, form in FORMATS.items():
        try:
            if form.parse(line, UNITS[form.unit]) is not None:
                return name
        except ValueError:
            continue
    return ""
