"""Event files read without the code that wrote them, and what they should hold."""

import json
import struct

import numpy as np


def crc32c(content):
    """The checksum of RFC 3720, bit by bit."""
    remainder = 0xFFFFFFFF
    for byte in content:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def masked(content):
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    """The contents of a TFRecord file; every checksum must hold."""
    content, result = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert struct.unpack("<I", content[8:12]) == (masked(content[:8]),)
        result.append(content[12 : 12 + length])
        assert struct.unpack("<I", content[12 + length : 16 + length]) == (masked(result[-1]),)
        content = content[16 + length :]
    return result


def read(folder):
    """Series -> [(step, {name: value})] of all event files below a folder."""
    from tensorboardX.proto.event_pb2 import Event

    series = {}
    for path in folder.rglob("*tfevents*"):
        name = path.parent.relative_to(folder).as_posix()
        assert name not in series, "one file a series"
        first, *events = [Event.FromString(record) for record in records(path)]
        assert first.file_version == "brain.Event:2"
        rows = [event for event in events if event.HasField("summary")]
        series[name] = [(row.step, {value.tag: value.simple_value for value in row.summary.value}) for row in rows]
    return series


def expected(metrics):
    """The same from `metrics.jsonl`, for rows whose only word is their phase."""
    series = {}
    for line in metrics.read_text().splitlines():
        row = json.loads(line)
        name = f"{row.pop('phase')}/seed-{row.pop('seed')}"
        step = row.pop("step")
        series.setdefault(name, []).append((step, {key: float(np.float32(value)) for key, value in row.items()}))
    return series
