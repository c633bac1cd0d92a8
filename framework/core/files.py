"""Files written atomically, and files of others read with care (JSON, npz)."""

import contextlib
import io
import json
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

DEEPEST = 64  # objects and lists within each other
_DAMAGED = (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, zlib.error, struct.error)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


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


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises:
      ValueError: if it is not JSON, with the line; if an object names a field twice, a number is NaN, infinite or too
        long, or more than `DEEPEST` objects and lists stand within each other.
    """
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError as error:
        raise ValueError(f"not a text in UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError(f"more than {DEEPEST} objects and lists within each other") from None
    level = [content]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
    if any(isinstance(value, dict | list) for value in level):
        raise ValueError(f"more than {DEEPEST} objects and lists within each other")
    return content


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, numbers and texts; nothing in it is executed.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no such file, damaged, or an array is none of those or claims to be larger than it is.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            arrays = {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except FileNotFoundError:
        raise
    except _DAMAGED as error:
        raise ValueError(f"not an .npz file, or a damaged one ({error})") from None
    if len(arrays) < len(members):
        raise ValueError("an array stands twice in the file")
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed otherwise than NumPy does")
    content = archive.read(member)  # not what a header claims, but what is there
    stream = io.BytesIO(content)
    try:
        shape, in_columns, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except (ValueError, KeyError, TypeError, SyntaxError, SystemError, RecursionError, tokenize.TokenError):
        raise ValueError(f"{member.filename} is not an array as NumPy saves them") from None
    if dtype.kind not in "biufcSU":
        raise ValueError(f"{member.filename} holds {dtype}, neither numbers nor texts")
    at = stream.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - at or not dtype.itemsize:
        raise ValueError(f"{member.filename} claims to be {dtype}{shape}, and has {len(content) - at:,} bytes")
    return np.frombuffer(content, dtype, offset=at).reshape(shape, order="F" if in_columns else "C").copy()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise ValueError(f"the field {twice[:80]!r} stands twice in one object")
    return content


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"the number {number[:80]} is not finite")
    return value


def _inside(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name into an error of the disk, where Python does so for opening only."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
