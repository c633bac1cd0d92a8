"""TensorBoard's event files of a run: the rows of `metrics.jsonl`, and nothing else, for its curves.

A series is what has one seed and the same words (phase, arm, ...): one folder below `tensorboard/`, so that TensorBoard
draws the series of a number over each other. Its values are float32; the time of an event is when it was written.
"""

import re
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.core.files import naming, parse_json

FILES = "events.out.tfevents.*"


def follower(metrics: Path, folder: Path) -> Callable[[], None]:
    """A function that brings the event files up to date with the rows, however often it is called.

    Its first call, and each after rows were taken back, writes all files again; other calls append what is new. After
    each the files hold every whole row once, and a process that is killed loses none of them.

    Args:
      metrics: the rows, `metrics.jsonl`; need not be there yet.
      folder: where the event files are.

    Raises:
      ValueError: if the package tensorboardX is not installed; when called, if a row is damaged.
    """
    _require_package()
    read, stamp = None, 0  # bytes of whole rows that the files hold; what tells these files from those before

    def follow() -> None:
        nonlocal read, stamp
        if read is None or read > _size(metrics):
            for file in folder.rglob(FILES):
                file.unlink()
            read, stamp = 0, time.time_ns()
        rows = _whole_lines(metrics, read)
        _append(folder, stamp, [_row(metrics, line) for line in rows.split(b"\n")[:-1]])
        read += len(rows)

    return follow


def is_current(metrics: Path, folder: Path) -> bool:
    """Whether there are event files, written after the last row; true where there are no rows."""
    if not _size(metrics):
        return True
    written = [file.stat().st_mtime_ns for file in folder.rglob(FILES)]
    return max(written, default=0) >= metrics.stat().st_mtime_ns


def _require_package() -> None:
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise ValueError("--tensorboard needs the package tensorboardX: pip install '.[logs]'") from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _whole_lines(path: Path, begin: int) -> bytes:
    """The lines from byte `begin` on, without one that a killed launch left unfinished."""
    if not path.exists():
        return b""
    with open(path, "rb") as file:
        file.seek(begin)
        lines = file.read()
    return lines[: lines.rfind(b"\n") + 1]


def _row(metrics: Path, line: bytes) -> dict[str, Any]:
    """One row; it is refused where it is none of `Run.log`."""
    try:
        row = parse_json(line)
        known = isinstance(row, dict) and all(type(row.get(name)) is int for name in ("step", "seed"))
    except ValueError:
        known = False
    if not known or not all(abs(row[name]) < 2**63 for name in ("step", "seed")):
        raise ValueError(f"{metrics}: a damaged row, {line[:80].decode('utf-8', 'replace')!r}; give another --workdir")
    return row


def _append(folder: Path, stamp: int, rows: list[dict[str, Any]]) -> None:
    """Adds rows to the files of this stamp, each to that of its series."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.summary_pb2 import Summary

    now, events = time.time(), {}
    for row in rows:
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name not in ("step", "seed") and isinstance(value, int | float)
        ]
        event = Event(wall_time=now, step=row["step"], summary=Summary(value=values))
        events.setdefault(_series(row), []).append(event)
    for series, records in events.items():
        path = folder / series / FILES.replace("*", str(stamp))
        if not path.exists():  # TensorBoard forgets at a START what an earlier file of the series told it
            begin = Event(wall_time=now, session_log=SessionLog(status=SessionLog.START))
            records = [Event(wall_time=now, file_version="brain.Event:2"), begin, *records]
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), open(path, "ab") as file:
            file.write(b"".join(_record(event.SerializeToString()) for event in records))


def _series(row: dict[str, Any]) -> Path:
    """The folder of a row's series: its words, each made fit for a file's name, and its seed."""
    words = [re.sub(r"^\.*$|[^\w.+=-]+", "_", value) for value in row.values() if isinstance(value, str)]
    return Path(*words, f"seed-{row['seed']}")


def _record(content: bytes) -> bytes:
    """The framing of a TFRecord: length and content, each with its masked CRC."""
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack("<Q", len(content))
    return b"".join(part + struct.pack("<I", masked_crc32c(part)) for part in (length, content))
