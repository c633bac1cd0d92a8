"""Recordings of event cameras: files read into structured arrays, and events counted into frames.

Every array has the dtype of the PyPI package `tonic` (x, y, t in microseconds, p), so that `frames` also takes what its
data sets return. N-MNIST, N-Caltech101 and Prophesee files need nothing but NumPy; AEDAT 4 needs the extra `events`.
"""

import numbers
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framework.core import checks
from framework.data import aedat, dat
from framework.data.raw_events import RawEvents, check, check_length

EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)])
_KINDS = {".bin": "bin", ".dat": "dat", ".aedat4": "aedat4"}
_OVERFLOW_ROW, _OVERFLOW = 240, 2**13  # an ATIS "event" in this row says that the clock has moved on by so many us
_N_MNIST = (34, 34)
_FORMATS = {  # of other programs, by how their files begin
    b"#!AER-DAT4": "AEDAT 4",
    b"#!AER-DAT2": "AEDAT 2",
    b"#!AER-DAT3": "AEDAT 3",
    b"\x89HDF": "HDF5",
    b"Event Stream": "Event Stream (.es)",
    b"#ROSBAG": "a ROS bag",
    b"\x93NUMPY": "a NumPy array",
}
_RAW_FORMATS = (b"evt 2.0", b"evt 2.1", b"evt 3.0", b"format EVT2", b"format EVT21", b"format EVT3")  # of Prophesee


class Recording(NamedTuple):
    """One recording of an event camera."""

    events: np.ndarray  # [count] of `EVENT`: x to the right, y down, t in us and never falling, p True for brighter
    size: tuple[int, int]  # (height, width) of the sensor
    source: str  # where it comes from, in one line

    def __str__(self) -> str:
        height, width = self.size
        span = int(self.events["t"][-1]) - int(self.events["t"][0]) if len(self.events) else 0
        return f"{len(self.events):,} events of {height}x{width} pixels in {span:,} us, from {self.source}"


def read_events(
    path: str | os.PathLike,
    kind: str | None = None,
    size: tuple[int, int] | None = None,
    *,
    stream: int | None = None,
    version: int | None = None,
) -> Recording:
    """A recording from its file.

    What a file states counts: the version, the first time (`T0`) and the size in the header of a `dat`, the streams of
    an `aedat4`. The clock of a `dat`, which begins again after 2^32 us, goes on; that of a `bin` file ends after 2^23
    us, and a longer recording is refused as one whose time goes backwards.

    Args:
      path: the file.
      kind: `bin` (N-MNIST, N-Caltech101: 40 bits an event), `dat` (Prophesee, ATIS, N-CARS) or `aedat4` (iniVation
        DV); by default what the file's ending says.
      size: (height, width) of the sensor; by default what the file says, else 34x34 for `bin` (N-MNIST) and for `dat`
        the smallest field that holds all events (N-CARS samples are cut-outs of many sizes), which `source` then says.
      stream: number of the event stream of an `aedat4` file that holds several, one for each camera.
      version: 1 or 2, of a `dat` file whose header states none.

    Returns:
      A `Recording`; its `source` names the streams of an `aedat4` file that were not read.

    Raises:
      FileNotFoundError: if there is no such file.
      ModuleNotFoundError: if AEDAT 4 is read without the extra `events`.
      ValueError: if the file is empty, of no known kind, cut short or damaged (with the byte), or if an event lies
        outside the sensor or before the event ahead of it (with its position, from 0); if a `dat` states another
        version than 1 and 2 or none, half a size, or holds other events than changes of contrast (external triggers);
        if an `aedat4` holds several event streams and none is chosen.

    Warns:
      UserWarning: if an `aedat4` file was not closed by its recorder.

    Reference: Orchard et al. (2015) for `bin`, Sironi et al. (2018) for N-CARS, Prophesee, "DAT file format",
    iniVation's AEDAT 4.0 specification.
    """
    path = Path(path)
    raw = path.read_bytes()
    kind = _kind(path, raw, kind)
    if not raw:
        raise ValueError(f"{path}: the file is empty")
    for name, value, needed in (("stream", stream, "aedat4"), ("version", version, "dat")):
        if value is not None and kind != needed:
            raise ValueError(f"{path}: {name}={value!r} belongs to files of kind {needed}, this one is of kind {kind}")
    try:
        events = _read(raw, kind, size, stream, version)
        if not len(events.t):
            raise ValueError("the file holds no events")
        note = events.note
        if size is None and events.size is None:
            note = "size not stated: the smallest field that holds all events"
        field = events.size or (int(events.y.max()) + 1, int(events.x.max()) + 1)
        size = field if size is None else _checked_size(size)
        check(*events[:4], size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}{_advice(kind, size, error)}") from None
    if events.warning:
        warnings.warn(f"{path}: {events.warning}", stacklevel=2)
    return Recording(_events(*events[:4]), size, f"{path.name} ({kind}{'; ' if note else ''}{note})")


def frames(
    recording: Recording | np.ndarray | dict[str, np.ndarray],
    steps: int,
    by: str = "count",
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Events counted into frames: entry [k, y, x, p] is how many events of polarity p pixel (y, x) has in frame k.

    With N events from time t_0 to t_1, frame k of T holds, by count, the events from k floor(N / T) to
    (k + 1) floor(N / T), and the last one the rest besides; by time, those with

        k <= T (t - t_0) / (t_1 - t_0 + 1) < k + 1          whole times, in us
        k <= T (t - t_0) / (t_1 - t_0) < k + 1              other times, in seconds for example; t_1 is in the last

    Only the shares of the whole span count, so that floats may be in any unit, and times below 0 are as any. Whole
    numbers are taken as they are: times in another unit than us, such as ms rounded to integers, cannot be told from
    times in us.

    Args:
      recording: from `read_events`; or a structured array (fields by name or by title, in any order) or a dict of
        columns, with x, y, t and p, sorted by t.
      steps: T, the number of frames.
      by: `count` or `time`.
      size: (height, width); bare events need it.

    Returns:
      [steps, height, width, 2] int32, darker before brighter. Nothing is clipped; the sum is the number of events.

    Raises:
      ValueError: if `steps` is no whole number of at least 1 or, by count, above the number of events; for another
        `by`; if there are no events, none with x, y, t and p, columns of several lengths, masked values, or no size; if
        x, y or p are not integers, or t neither integers nor floats; if an event lies outside the sensor, before the
        one ahead of it, at a time that is not finite, or has a polarity next to 0 and 1.

    Example:
      >>> from framework import data
      >>> seconds = {"t": np.array([0.0, 0.2, 0.9]), "x": np.array([1, 0, 1])} | dict.fromkeys("yp", np.zeros(3, int))
      >>> data.frames(seconds, 2, by="time", size=(1, 2)).sum((1, 2, 3)).tolist()
      [2, 1]
    """
    events = recording
    if isinstance(recording, Recording):
        events, size = recording.events, recording.size if size is None else size
    if size is None:
        raise ValueError("a bare array of events does not know its sensor: give size=(height, width)")
    height, width = _checked_size(size)
    if by not in ("count", "time"):
        raise ValueError(f"events are split by 'count' or by 'time', not by {by!r}")
    x, y, t, p = _columns(events)
    if len(t) == 0:
        raise ValueError("there are no events to count")
    checks.counts(steps=steps)
    if by == "count" and steps > len(t):
        raise ValueError(f"steps must be, by count, at most the {len(t):,} events; got {steps}")
    check(x, y, t, p, (height, width))
    frame = np.repeat(np.arange(steps), np.diff(_bounds(t, steps, by)))
    x, y, p = (column.astype(np.int64) if column.dtype == np.uint64 else column for column in (x, y, p))
    cell = ((frame * height + y) * width + x) * 2 + p
    return np.bincount(cell, minlength=steps * height * width * 2).reshape(steps, height, width, 2).astype(np.int32)


def _columns(events: Any) -> list[np.ndarray]:
    """x, y, t and p, of a type that can be counted."""
    by_name = hasattr(events, "keys")
    dtype = getattr(events, "dtype", None)
    names = set(events.keys()) if by_name else set(getattr(dtype, "fields", None) or ())  # titles among them
    if not set("xytp") <= names:
        has = ", ".join(sorted(map(str, names))) or (type(events).__name__ if dtype is None else dtype)
        raise ValueError(f"events must be a structured array or a dict with the fields x, y, t and p, got {has}")
    if any(np.ma.is_masked(events[name]) for name in "xytp"):
        raise ValueError("events must not be masked: leave out those that do not count")
    columns = [np.asarray(events[name]) for name in "xytp"]
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in zip("xytp", columns, strict=True))
        raise ValueError(f"x, y, t and p must be of one length, with one axis, got {shapes}")
    for name, column, kinds in zip("xytp", columns, ("iu", "iu", "iuf", "biu"), strict=True):
        if column.dtype.kind not in kinds:
            requirement = "integers, or floats in seconds for example" if name == "t" else "integers"
            raise ValueError(f"{name} must be {requirement}, got {column.dtype}")
    return columns


def _bounds(t: np.ndarray, steps: int, by: str) -> np.ndarray:
    """Where each frame begins, and where the last one ends: [steps + 1]."""
    if by == "count":
        starts = np.arange(steps) * (len(t) // steps)
    elif t.dtype.kind == "f" and (t != np.floor(t)).any():
        t = t.astype(np.float64, copy=False)
        starts = np.searchsorted(t, t[0] + (t[-1] - t[0]) * np.arange(steps) / steps)
        starts[1:] = np.where(t[-1] > t[0], starts[1:], len(t))  # all at one time: all in the first frame
    else:
        first, span = int(t[0]), int(t[-1]) - int(t[0]) + 1
        floats = t.dtype.kind == "f"  # else a difference modulo 2^64 is exact for every type of integer
        since = t.astype(float) - float(first) if floats else t.astype(np.uint64) - np.uint64(first % 2**64)
        starts = np.searchsorted(since, np.array([-(-k * span // steps) for k in range(steps)], since.dtype))
    return np.append(starts, len(t))


def _kind(path: Path, raw: bytes, kind: str | None) -> str:
    """What a file is to be read as, by its ending where it is not said, and not against how the file begins."""
    known = ", ".join(_KINDS.values())
    name = next((name for start, name in _FORMATS.items() if raw.startswith(start)), None)
    if raw.startswith(b"%") and (start := next((s for s in _RAW_FORMATS if s in raw[:2000]), None)):
        name = f"Prophesee RAW, {start.decode()}"
    chosen = kind or _KINDS.get(path.suffix.lower())
    if chosen not in _KINDS.values():
        what = f"kind {kind!r} is not known" if kind else f"the ending {path.suffix!r} is of no known kind"
        raise ValueError(f"{path}: {what}: take one of {known}{_conversion(name)}")
    if name and (chosen, name) != ("aedat4", "AEDAT 4"):
        raise ValueError(f"{path}: it is not of kind {chosen}{_conversion(name)}")
    return chosen


def _conversion(name: str | None) -> str:
    if name in (None, "AEDAT 4"):
        return "" if name is None else "; the file is AEDAT 4"
    return f"; the file is {name}, which is not read: convert it to DAT, for example by the package faery"


def _read(raw: bytes, kind: str, size: tuple[int, int] | None, stream: int | None, version: int | None) -> RawEvents:
    if kind == "dat":
        return dat.read(raw, version)
    return aedat.read(raw, stream) if kind == "aedat4" else _read_bin(raw, size)


def _advice(kind: str, size: tuple[int, int] | None, error: ValueError) -> str:
    """What helps against events outside of a sensor that nobody named."""
    if kind == "bin" and size == _N_MNIST and "outside the sensor" in str(error):
        return "; N-MNIST's size is taken unless size=(height, width) says more: (180, 240) for N-Caltech101"
    return ""


def _checked_size(size: Any) -> tuple[int, int]:
    sides = tuple(size) if np.iterable(size) else ()
    if len(sides) != 2 or not all(isinstance(side, numbers.Integral) for side in sides):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    return int(sides[0]), int(sides[1])


def _read_bin(raw: bytes, size: tuple[int, int] | None) -> RawEvents:
    """Five bytes an event: x, y, one bit of polarity, 23 bits of time; rows 240 only move the clock."""
    check_length(raw, 0, 5)
    if size is not None and _checked_size(size)[0] > _OVERFLOW_ROW:
        raise ValueError(
            f"size: in a bin file row {_OVERFLOW_ROW} moves the clock: a sensor has that many rows at most"
        )
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, 5).T
    t = (high & 127).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    overflow = y == _OVERFLOW_ROW
    if overflow.any():
        t, kept = t + _OVERFLOW * np.cumsum(overflow), ~overflow
        x, y, t, high = x[kept], y[kept], t[kept], high[kept]
    return RawEvents(x, y, t, high >> 7, _N_MNIST)


def _events(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray) -> np.ndarray:
    events = np.zeros(len(t), EVENT)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events
