"""DAT, the format of Prophesee's and ATIS cameras: lines of text, then eight bytes an event.

After the lines, which begin with %, stand two bytes, the type of the events and the size of one. An event is 32 bits of
time in us, then 32 bits that hold, from the lowest, x, y and the polarity: 9, 8 and 1 bits in version 1, 14, 14 and 4
in version 2. The clock begins again after 2^32 us (71 minutes), which is undone.

Reference: Prophesee, "DAT file format"; version 1 and the line T0 as the program `faery` has them.
"""

import re

import numpy as np

from framework.data.raw_events import RawEvents, check_length

_BITS = {"1": (9, 8), "2": (14, 14)}  # of x and y; all above them are the polarity's
_PIXEL_TYPES = (0, 12)  # two-dimensional events; the second is the newer name of changes of contrast
_TRIGGER = 14
_CONTENT = "data file containing"
_CONTRAST = re.compile(r"\b(cd|td|dvs)\b|event2d|eventcd|contrast|change", re.IGNORECASE)
_WRAP = 2**32  # us after which the clock begins again
_LATEST = 2**62  # of T0, so that no time leaves an int64


def read(raw: bytes, version: int | None = None) -> RawEvents:
    """The events of a file.

    Args:
      raw: the file.
      version: 1 or 2, for a file whose header states none.

    Raises:
      ValueError: if the header states no version, an unknown one or another than `version`, half a size, or other
        content than changes of contrast; if the events are of another type (external triggers, for example), or the
        file is cut short; with the byte.
    """
    header, start = _header(raw)
    content = header.get(_CONTENT, "")
    if content and not _CONTRAST.search(content):
        raise ValueError(f"the header says that it holds {content!r}: only changes of contrast (CD) are read")
    if len(raw) < start + 2:
        raise ValueError(f"cut short at byte {len(raw)}: after the header stand two bytes, type and size of an event")
    kind, width = raw[start], raw[start + 1]
    if kind not in _PIXEL_TYPES or width != 8:
        what = "external triggers" if kind == _TRIGGER else f"events of type {kind}"
        raise ValueError(f"byte {start}: {what} of {width} bytes; only events of type 0 or 12 and 8 bytes are read")
    x_bits, y_bits = _BITS[_version(header, version)]
    check_length(raw, start + 2, 8)
    t, packed = np.frombuffer(raw, "<u4", offset=start + 2).reshape(-1, 2).T
    x, y = packed & (2**x_bits - 1), packed >> x_bits & (2**y_bits - 1)
    return RawEvents(x, y, _unwrap(t) + _first_time(header), packed >> (x_bits + y_bits), _size(header))


def _header(raw: bytes) -> tuple[dict[str, str], int]:
    """The lines by their first word, and the first byte after them."""
    start, header = 0, {}
    while raw[start : start + 1] == b"%":
        end = raw.find(b"\n", start)
        if end < 0:
            raise ValueError(f"cut short at byte {len(raw)}, inside the header line of byte {start}")
        line = raw[start + 1 : end].decode("latin-1").strip()
        named = line.lower().startswith(_CONTENT)
        key, value = (_CONTENT, line[len(_CONTENT) :]) if named else line.partition(" ")[::2]
        key, value = key.lower(), " ".join(value.split())
        if header.setdefault(key, value) != value and key in ("version", "height", "width", "geometry", "t0"):
            raise ValueError(f"byte {start}: the header states {key} twice, as {header[key][:40]} and {value[:40]}")
        start = end + 1
    return header, start


def _version(header: dict[str, str], asked: int | None) -> str:
    stated = header.get("version", "").removesuffix(".0")
    if asked is not None and (str(asked) not in _BITS or stated not in ("", str(asked))):
        raise ValueError(f"version={asked!r} was asked for: 1 or 2, and the header states {stated[:40] or 'none'}")
    if not stated and asked is None:
        other = next((key for key in ("evt", "format") if key in header), None)
        if other:
            raise ValueError(f"the header states '{other} {header[other][:40]}', a RAW file: convert it to DAT")
        raise ValueError("the header states no version: give version=1 (9 bits of x, 8 of y) or version=2 (14 and 14)")
    if (stated or str(asked)) not in _BITS:
        raise ValueError(f"the header states version {stated[:40]!r}: only 1 and 2 are read")
    return stated or str(asked)


def _unwrap(t: np.ndarray) -> np.ndarray:
    """Times as int64 whose clock does not begin again: a fall by more than half its span is one turn."""
    t = t.astype(np.int64)
    turns = np.diff(t) < -_WRAP // 2
    if turns.any():
        t[1:] += _WRAP * np.cumsum(turns)
    return t


def _first_time(header: dict[str, str]) -> int:
    """What the header wants added to all times."""
    stated = header.get("t0", "0")
    if not stated.isdecimal() or len(stated) > 19 or int(stated) >= _LATEST:
        raise ValueError(f"the header states T0 {stated[:40]!r}: it must be a whole number of us")
    return int(stated)


def _size(header: dict[str, str]) -> tuple[int, int] | None:
    """(height, width) that the header states, None where it states neither."""
    sides = [header.get(name) for name in ("height", "width")]
    if "geometry" in header:
        sides = header["geometry"].lower().split("x")[::-1]
    if sides == [None, None]:
        return None
    if len(sides) != 2 or not all(side and side.isdecimal() for side in sides):
        raise ValueError(
            f"the header states half a size or none that can be read: height {sides[0]}, width {sides[-1]}"
        )
    return int(sides[0][:9]), int(sides[1][:9])  # longer numbers are too wide anyway
