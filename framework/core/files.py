"""Files that are whole or absent: written beside their place and moved into it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically and durably: a reader, or a machine that lost power, sees the old one or the new one.

    Raises:
      OSError: if it cannot be written; the old file is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    try:
        with naming(path), open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name into an error of the disk, where Python does so for opening only."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
