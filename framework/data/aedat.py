"""AEDAT 4, the format of iniVation's DV: compressed packets of FlatBuffers, the events' among them.

Every number is read behind a check of its place, so that a damaged file ends in an error that names the byte.

Reference: iniVation, "AEDAT 4.0 file format"; Google, "FlatBuffers internals".
"""

from xml.etree import ElementTree

import numpy as np

_MAGIC = b"#!AER-DAT4.0\r\n"
_EVENT = np.dtype({"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"], "itemsize": 16})
_SIDE = "node[@name='info']/attr[@key='size{}']"
_NONE, _LZ4, _LZ4_HIGH = range(3)


def read(raw: bytes) -> tuple[tuple[np.ndarray, ...], tuple[int, int]]:
    """The first event stream of a file.

    Returns:
      Columns x, y, t (us since 1970), p; and (height, width) of the sensor.

    Raises:
      ModuleNotFoundError: if the file is compressed and the extra `events` is not installed.
      ValueError: if the file is of another version, cut short, damaged, or without an event stream; with the byte.
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
    stream, size = min(_event_streams(streams).items())
    packets = []
    while start < end:
        number, length = _integer(raw, start, 4), _integer(raw, start + 4, 4)
        if start + 8 + length > end:
            raise ValueError(f"cut short at byte {end}: the packet of byte {start} has {length} bytes")
        if number == stream:
            packets.append(_packet(raw, start + 8, length, compression))
        start += 8 + length
    if finished:
        _unpacked(raw, end, len(raw) - end, compression)  # the table of packets closes the file is whole too
    events = np.concatenate(packets) if packets else np.zeros(0, _EVENT)
    return tuple(events[name] for name in "xytp"), size


def _header(header: bytes) -> tuple[int, int, str]:
    """Compression, first byte after the packets (none or negative in an unfinished file), and the streams in XML."""
    root = _root(header)
    compression, table, info = (_field(header, root, slot) for slot in range(3))
    if info is None:
        raise ValueError("the header describes no streams")
    kind = _NONE if compression is None else _integer(header, compression, 4)
    if kind not in (_NONE, _LZ4, _LZ4_HIGH):
        raise ValueError(f"compression {kind} is not read: only none (0) and LZ4 (1, 2) are")
    return kind, -1 if table is None else _integer(header, table, 8, signed=True), _text(header, info)


def _event_streams(description: str) -> dict[int, tuple[int, int]]:
    """(height, width) of every event stream, by its number."""
    if "<!" in description:
        raise ValueError("the header's XML holds declarations, which no recorder writes")
    try:
        tree = ElementTree.fromstring(description)
    except ElementTree.ParseError as error:
        raise ValueError(f"the header's XML is damaged: {error}") from None
    streams = {}
    for node in tree.iterfind("./node/node"):
        if node.findtext("attr[@key='typeIdentifier']") == "EVTS":
            name, sides = node.get("name", ""), [node.findtext(_SIDE.format(axis), "") for axis in "YX"]
            if not all(number.isdecimal() and len(number) < 9 for number in (name, *sides)):
                raise ValueError(f"the header's event stream {name!r} has no number or no sensor size")
            streams[int(name)] = int(sides[0]), int(sides[1])
    if not streams:
        raise ValueError("the header names no stream of events (EVTS)")
    return streams


def _packet(raw: bytes, start: int, length: int, compression: int) -> np.ndarray:
    """The events of one packet."""
    buffer = _unpacked(raw, start, length, compression)
    try:
        field = _field(buffer, _root(buffer), 0)
        if field is None:
            return np.zeros(0, _EVENT)
        vector = field + _integer(buffer, field, 4)
        count = _integer(buffer, vector, 4)
        return np.frombuffer(buffer, _EVENT, count, vector + 4)
    except ValueError as error:
        raise ValueError(f"the packet of byte {start} is damaged: {error}") from None


def _unpacked(raw: bytes, start: int, length: int, compression: int) -> bytes:
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
