"""Events as a file's reader returns them, before they become a `Recording`, and the checks that all of them pass."""

from typing import NamedTuple

import numpy as np

WIDEST = 2**15  # rows or columns that an int16 can count


class RawEvents(NamedTuple):
    """The events of one file, and what else is to be said of it."""

    x: np.ndarray  # [count] integers
    y: np.ndarray  # [count] integers
    t: np.ndarray  # [count] integers, us
    p: np.ndarray  # [count] 0 or 1
    size: tuple[int, int] | None  # (height, width) of the sensor, None where the file does not state it
    note: str = ""  # what the file holds besides, for `Recording.source`
    warning: str = ""  # what may be wrong with the file


def check(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray, size: tuple[int, int]) -> None:
    """Refuses events off the sensor, out of order in time, or with a polarity other than 0 and 1.

    Raises:
      ValueError: with the position of the first such event, from 0.
    """
    height, width = size
    if not 0 < min(size) <= max(size) <= WIDEST:
        raise ValueError(f"a sensor has 1 to {WIDEST:,} rows and columns, got {height}x{width}")
    for name, axis, limit in (("x", x, width), ("y", y, height)):
        if axis.min() < 0 or axis.max() >= limit:
            k = np.argmax((axis < 0) | (axis >= limit))
            raise ValueError(f"event {k} lies at {name} = {axis[k]}, outside the sensor of {height}x{width} pixels")
    if t.dtype.kind == "f" and not (finite := np.isfinite(t)).all():
        raise ValueError(f"event {np.argmin(finite)} has the time {t[np.argmin(finite)]}: times must be finite")
    if (later := t[1:] < t[:-1]).any():
        k = np.argmax(later) + 1
        unit = "" if t.dtype.kind == "f" else " us"
        raise ValueError(f"time goes backwards at event {k}: {t[k]}{unit} after {t[k - 1]}{unit}")
    if p.dtype != np.bool_ and (p.min() < 0 or p.max() > 1):
        k = np.argmax((p < 0) | (p > 1))
        raise ValueError(f"event {k} has a polarity that is neither 0 nor 1: {p[k]}")


def check_length(raw: bytes, start: int, width: int) -> None:
    """Refuses a file that ends inside an event of so many bytes.

    Raises:
      ValueError: with the byte at which the last event begins.
    """
    rest = (len(raw) - start) % width
    if rest:
        raise ValueError(
            f"cut short at byte {len(raw)}: an event takes {width} bytes, "
            f"and the one of byte {len(raw) - rest} has {rest}"
        )
