"""AEDAT 4, the format of iniVation's DV: compressed packets of FlatBuffers, the events' among them.

Every number is read behind a check of its place, so that a damaged file ends in an error that names the byte.

Reference: iniVation, "AEDAT 4.0 file format"; Google, "FlatBuffers internals".
"""

from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from framework.data.raw_events import RawEvents

_MAGIC = b"#!AER-DAT4.0\r\n"
_EVENT = np.dtype({"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "itemsize": 16})
_SIDE = "node[@name='info']/attr[@key='size{}']"
_SOURCE = "node[@name='info']/attr[@key='source']"
_NONE, _LZ4, _LZ4_HIGH = range(3)
_ZSTANDARD = (3, 4)
_KINDS = {"EVTS": "events", "FRME": "frames", "IMUS": "inertial measurements", "TRIG": "triggers"}


class _Stream(NamedTuple):
    kind: str  # EVTS, FRME, IMUS, TRIG or another identifier
    source: str  # the camera, as the header names it
    size: tuple[str, str]  # height and width as the header has them

    def __str__(self) -> str:
        camera = f" of {self.source}" if self.source else ""
        size = f", {self.size[0]}x{self.size[1]}" if all(self.size) else ""
        return f"{_KINDS.get(self.kind, self.kind)}{camera}{size}"


def read(raw: bytes, stream: int | None = None) -> RawEvents:
    """One event stream of a file, with times in us since 1970; the streams passed over are its note.

    Args:
      raw: the file.
      stream: its number in the header; may be left out where there is one event stream only.

    Raises:
      ModuleNotFoundError: if the file is compressed and the extra `events` is not installed.
      ValueError: if the file is of another version, cut short, damaged, or without an event stream, with the byte; if
        it holds several event streams and none is chosen, or `stream` is none of them: lists them.
    """
    if raw[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"byte 0: an AEDAT 4 file begins with {_MAGIC[:12].decode()}, this one with {raw[:12]!r}")
    start = len(_MAGIC) + 4 + _integer(raw, len(_MAGIC), 4)
    header = raw[len(_MAGIC) : start]
    compression, end, streams = _header(header)
    finished = end > 0
    end = end if finished else len(raw)
    if max(start, end) > len(raw):
        raise ValueError(f"cut short at byte {len(raw)}: by its header it goes on beyond byte {max(start, end)}")
    named = _streams(streams)
    stream, size = _choose_stream(named, stream)
    packets = []
    while start < end:
        number, length = _integer(raw, start, 4), _integer(raw, start + 4, 4)
        if start + 8 + length > end:
            raise ValueError(f"cut short at byte {end}: the packet of byte {start} has {length} bytes")
        if number not in named:
            raise ValueError(f"the packet of byte {start} belongs to stream {number}, which the header does not name")
        if number == stream:
            packets.append(_packet(raw, start + 8, length, compression))
        start += 8 + length
    if finished:
        _decompress(raw, end, len(raw) - end, compression)  # the table of packets that closes the file is whole too
    events = np.concatenate(packets) if packets else np.zeros(0, _EVENT)
    others = _list_streams({number: description for number, description in named.items() if number != stream})
    return RawEvents(
        *(events[name] for name in "xytp"),
        size,
        note=f"stream {stream}; not read: {others}" if others else "",
        warning="" if finished else "the recorder did not close the file, whose last events may be missing",
    )


def _header(header: bytes) -> tuple[int, int, str]:
    """Compression, first byte after the packets (none or negative in an unfinished file), and the streams in XML."""
    root = _root(header)
    compression, table, info = (_field(header, root, slot) for slot in range(3))
    if info is None:
        raise ValueError("the header describes no streams")
    kind = _NONE if compression is None else _integer(header, compression, 4)
    if kind not in (_NONE, _LZ4, _LZ4_HIGH):
        name = f"{kind} (Zstandard)" if kind in _ZSTANDARD else kind
        raise ValueError(f"compression {name} is not read: only none (0) and LZ4 (1, 2) are")
    return kind, -1 if table is None else _integer(header, table, 8, signed=True), _text(header, info)


def _streams(description: str) -> dict[int, _Stream]:
    """Every stream that the header names, by its number."""
    if "<!" in description:
        raise ValueError("the header's XML holds declarations, which no recorder writes")
    try:
        tree = ElementTree.fromstring(description)
    except ElementTree.ParseError as error:
        raise ValueError(f"the header's XML is damaged: {error}") from None
    streams = {}
    for node in tree.iterfind("./node/node"):
        kind, name = node.findtext("attr[@key='typeIdentifier']", ""), node.get("name", "")
        sides = tuple(node.findtext(_SIDE.format(axis), "") for axis in "YX")
        if kind == "EVTS" and not all(_is_number(field) for field in (name, *sides)):
            raise ValueError(f"the header's event stream {name!r} has no number or no sensor size")
        if _is_number(name):
            streams[int(name)] = _Stream(kind, " ".join(node.findtext(_SOURCE, "").split())[:80], sides)
    return streams


def _choose_stream(streams: dict[int, _Stream], stream: int | None) -> tuple[int, tuple[int, int]]:
    """The number of the event stream to read, and the (height, width) of its sensor."""
    events = {number: description for number, description in streams.items() if description.kind == "EVTS"}
    if not events:
        raise ValueError("the header names no stream of events (EVTS)")
    if stream is None and len(events) > 1:
        raise ValueError(f"it holds several event streams, choose one by stream=: {_list_streams(events)}")
    if stream is not None and stream not in events:
        raise ValueError(f"stream={stream!r} is no event stream of it: take one of {_list_streams(events)}")
    stream = min(events) if stream is None else stream
    height, width = events[stream].size
    return stream, (int(height), int(width))


def _list_streams(streams: dict[int, _Stream]) -> str:
    return "; ".join(f"{number} ({description})" for number, description in sorted(streams.items()))


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 9


def _packet(raw: bytes, start: int, length: int, compression: int) -> np.ndarray:
    """The events of one packet."""
    buffer = _decompress(raw, start, length, compression)
    try:
        if buffer[8:12] != b"EVTS":
            raise ValueError(f"it holds {bytes(buffer[8:12])!r} in a stream of events")
        field = _field(buffer, _root(buffer), 0)
        if field is None:
            return np.zeros(0, _EVENT)
        vector = field + _integer(buffer, field, 4)
        count = _integer(buffer, vector, 4)
        return np.frombuffer(buffer, _EVENT, count, vector + 4)
    except ValueError as error:
        raise ValueError(f"the packet of byte {start} is damaged: {error}") from None


def _decompress(raw: bytes, start: int, length: int, compression: int) -> bytes:
    if compression == _NONE:
        return raw[start : start + length]
    try:
        from lz4.frame import LZ4FrameDecompressor
    except ImportError as error:
        raise ModuleNotFoundError(
            "reading a compressed AEDAT 4 file needs LZ4; in the checkout: pip install '.[events]'"
        ) from error
    decompressor = LZ4FrameDecompressor()
    try:
        buffer = decompressor.decompress(raw[start : start + length])
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"byte {start} begins no LZ4 frame: {error}") from None
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"cut short or damaged: the LZ4 frame of byte {start} does not end at byte {start + length}")
    return buffer


def _root(buffer: bytes) -> int:
    """Where the root table of a FlatBuffer with a size in front stands."""
    return 4 + _integer(buffer, 4, 4)


def _field(buffer: bytes, table: int, slot: int) -> int | None:
    """Where a table's field stands, None where it has its default."""
    layout = table - _integer(buffer, table, 4, signed=True)
    entry = 4 + 2 * slot
    offset = _integer(buffer, layout + entry, 2) if entry < _integer(buffer, layout, 2) else 0
    return table + offset if offset else None


def _text(buffer: bytes, field: int) -> str:
    start = field + _integer(buffer, field, 4)
    return buffer[start + 4 : start + 4 + _integer(buffer, start, 4)].decode("utf-8", "replace")


def _integer(buffer: bytes, at: int, size: int, signed: bool = False) -> int:
    if not 0 <= at <= len(buffer) - size:
        raise ValueError(f"cut short or damaged: {size} bytes are looked for at byte {at} of {len(buffer)}")
    return int.from_bytes(buffer[at : at + size], "little", signed=signed)
