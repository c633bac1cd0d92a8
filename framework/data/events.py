"""Recordings of event cameras: files read into structured arrays, and events counted into frames.

Every array has the dtype of the PyPI package `tonic` (x, y, t in microseconds, p), so that `frames` also takes what its
data sets return. N-MNIST, N-Caltech101 and Prophesee files need nothing but NumPy; AEDAT 4 needs the extra `events`.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framework.core import counts
from framework.data import aedat

EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.bool_)])
_KINDS = {".bin": "bin", ".dat": "dat", ".aedat4": "aedat4"}
_OVERFLOW_ROW, _OVERFLOW = 240, 2**13  # an ATIS "event" in this row says that the clock has moved on by so many us
_WIDEST = 2**15  # rows or columns that an int16 can count
_DAT_TYPES = (0, 12)  # two-dimensional change detections; the second is the newer name of the first


class Recording(NamedTuple):
    """One recording of an event camera."""

    events: np.ndarray  # [count] of `EVENT`: x to the right, y down, t in us and never falling, p True for brighter
    size: tuple[int, int]  # (height, width) of the sensor
    source: str  # where it comes from, in one line

    def __str__(self) -> str:
        height, width = self.size
        span = int(self.events["t"][-1]) - int(self.events["t"][0]) if len(self.events) else 0
        return f"{len(self.events):,} events of {height}x{width} pixels in {span:,} us, from {self.source}"


def read_events(path: str | os.PathLike, kind: str | None = None, size: tuple[int, int] | None = None) -> Recording:
    """A recording from its file.

    Args:
      path: the file.
      kind: `bin` (N-MNIST, N-Caltech101: 40 bits an event), `dat` (Prophesee, N-CARS) or `aedat4` (iniVation DV); by
        default what the file's ending says.
      size: (height, width) of the sensor; by default what the file says, else 34x34 for `bin` (N-MNIST) and for `dat`
        the smallest field that holds all events (N-CARS samples are cut-outs of many sizes).

    Raises:
      FileNotFoundError: if there is no such file.
      ModuleNotFoundError: if AEDAT 4 is read without the extra `events`.
      ValueError: if the file is empty, of no known kind, cut short or damaged (with the byte), or if an event lies
        outside the sensor or before the event ahead of it (with its position, from 0).

    Reference: Orchard et al. (2015) for `bin`, Sironi et al. (2018) for N-CARS, iniVation's AEDAT 4.0 specification.
    """
    path = Path(path)
    kind = kind or _KINDS.get(path.suffix.lower())
    if kind not in _KINDS.values():
        raise ValueError(f"{path}: kind {kind!r} is not known: take one of {', '.join(_KINDS.values())}")
    raw = path.read_bytes()
    if not raw:
        raise ValueError(f"{path}: the file is empty")
    try:
        columns, found = {"bin": _read_bin, "dat": _read_dat, "aedat4": aedat.read}[kind](raw)
        if not len(columns[0]):
            raise ValueError("the file holds no events")
        size = size or found or tuple(int(c.max()) + 1 for c in columns[1::-1])
        _check(*columns, size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Recording(_events(*columns), size, f"{path.name} ({kind})")


def frames(
    recording: Recording | np.ndarray, steps: int, by: str = "count", size: tuple[int, int] | None = None
) -> np.ndarray:
    """Events counted into frames: entry [k, y, x, p] is how many events of polarity p pixel (y, x) has in frame k.

    With N events from time t_0 to t_1, frame k of T holds, by count, the events from k floor(N / T) to
    (k + 1) floor(N / T), and the last one the rest besides; by time, those with

        k <= T (t - t_0) / (t_1 - t_0 + 1) < k + 1.

    Args:
      recording: from `read_events`, or a structured array with x, y, t and p, sorted by t.
      steps: T, the number of frames.
      by: `count` or `time`.
      size: (height, width); a bare array needs it.

    Returns:
      [steps, height, width, 2] int32, darker before brighter. Nothing is clipped; the sum is the number of events.

    Raises:
      ValueError: if `steps` is no whole number of at least 1 or, by count, above the number of events; for another
        `by`; if there are no events, none with x, y, t and p, or no size; if an event lies outside it, before the one
        ahead of it, or has a polarity beside 0 and 1.
    """
    events, size = (recording.events, size or recording.size) if isinstance(recording, Recording) else (recording, size)
    if size is None:
        raise ValueError("a bare array of events does not know its sensor: give size=(height, width)")
    if by not in ("count", "time"):
        raise ValueError(f"events are split by 'count' or by 'time', not by {by!r}")
    if not set("xytp") <= set(events.dtype.names or ()):
        raise ValueError(f"events must be a structured array with the fields x, y, t and p, got {events.dtype}")
    if len(events) == 0:
        raise ValueError("there are no events to count")
    counts.check(steps=steps)
    if by == "count" and steps > len(events):
        raise ValueError(f"steps must be, by count, at most the {len(events):,} events; got {steps}")
    x, y, t, p = (events[name] for name in "xytp")
    _check(x, y, t, p, size)
    height, width = size
    frame = np.repeat(np.arange(steps), np.diff(_bounds(t, steps, by)))
    place = ((frame * height + y) * width + x) * 2 + p
    return np.bincount(place, minlength=steps * height * width * 2).reshape(steps, height, width, 2).astype(np.int32)


def _bounds(t: np.ndarray, steps: int, by: str) -> np.ndarray:
    """Where each frame begins, and where the last one ends: [steps + 1]."""
    if by == "count":
        starts = np.arange(steps) * (len(t) // steps)
    else:
        first, span = int(t[0]), int(t[-1]) - int(t[0]) + 1
        starts = np.searchsorted(t, np.array([first - (-k * span // steps) for k in range(steps)], np.int64))
    return np.append(starts, len(t))


def _read_bin(raw: bytes) -> tuple[tuple[np.ndarray, ...], tuple[int, int]]:
    """Five bytes an event: x, y, one bit of polarity, 23 bits of time; rows 240 only move the clock."""
    _whole(raw, 0, 5)
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, 5).T
    t = (high & 127).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    moved = y == _OVERFLOW_ROW
    if moved.any():
        t, kept = t + _OVERFLOW * np.cumsum(moved), ~moved
        x, y, t, high = x[kept], y[kept], t[kept], high[kept]
    return (x, y, t, high >> 7), (34, 34)


def _read_dat(raw: bytes) -> tuple[tuple[np.ndarray, ...], tuple[int, int] | None]:
    """Lines that begin with %, two bytes (type, size), then an event in 32 bits of t and 14, 14 and 4 of x, y and p."""
    start, header = 0, {}
    while raw[start : start + 1] == b"%":
        end = raw.find(b"\n", start)
        if end < 0:
            raise ValueError(f"cut short at byte {len(raw)}, inside the header line of byte {start}")
        key, _, value = raw[start + 1 : end].decode("latin-1").strip().partition(" ")
        header[key.lower()] = value.strip()
        start = end + 1
    if len(raw) < start + 2:
        raise ValueError(f"cut short at byte {len(raw)}: after the header stand two bytes, type and size of an event")
    if raw[start] not in _DAT_TYPES or raw[start + 1] != 8:
        raise ValueError(
            f"byte {start}: events of type {raw[start]} and {raw[start + 1]} bytes; "
            "only those of type 0 or 12 and 8 bytes are read"
        )
    _whole(raw, start + 2, 8)
    t, packed = np.frombuffer(raw, "<u4", offset=start + 2).reshape(-1, 2).T
    columns = packed & 0x3FFF, packed >> 14 & 0x3FFF, t, packed >> 28 & 1
    sides = header.get("height", ""), header.get("width", "")
    if not all(side.isdecimal() for side in sides):
        return columns, None
    return columns, (int(sides[0][:9]), int(sides[1][:9]))  # longer numbers are too wide anyway


def _whole(raw: bytes, start: int, each: int) -> None:
    rest = (len(raw) - start) % each
    if rest:
        raise ValueError(
            f"cut short at byte {len(raw)}: an event takes {each} bytes, "
            f"and the one of byte {len(raw) - rest} has {rest}"
        )


def _check(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray, size: tuple[int, int]) -> None:
    """All events lie on the sensor, in the order of time, with polarity 0 or 1."""
    height, width = size
    if not 0 < min(size) <= max(size) <= _WIDEST:
        raise ValueError(f"a sensor has 1 to {_WIDEST:,} rows and columns, got {height}x{width}")
    for name, axis, limit in (("x", x, width), ("y", y, height)):
        if axis.min() < 0 or axis.max() >= limit:
            k = np.argmax((axis < 0) | (axis >= limit))
            raise ValueError(f"event {k} lies at {name} = {axis[k]}, outside the sensor of {height}x{width} pixels")
    if (later := t[1:] < t[:-1]).any():
        k = np.argmax(later) + 1
        raise ValueError(f"time goes backwards at event {k}: {t[k]} us after {t[k - 1]} us")
    if p.dtype != np.bool_ and (p.min() < 0 or p.max() > 1):
        raise ValueError(f"event {np.argmax((p < 0) | (p > 1))} has a polarity that is neither 0 nor 1")


def _events(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray) -> np.ndarray:
    events = np.zeros(len(t), EVENT)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events
