"""Text, JSON and CSV files that are whole or absent."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framework.core.files import parse_json, write_bytes


def write_text(path: Path, content: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Writes JSON atomically; arrays and their scalars become lists and numbers.

    Raises:
      ValueError: if a number is NaN or infinite, which JSON cannot hold; names where it stands.
    """
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file atomically; numbers so that they read back exactly."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([plain(cell) for cell in row] for row in rows)
    write_text(path, buffer.getvalue())


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      ValueError: if it is not JSON, or none that a run writes; names the file and the line.
    """
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
      ValueError: if it is damaged; ends with the advice.
    """
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {advice}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds no object; {advice}")
    return content


def plain(value: Any, where: str = "") -> Any:
    """Arrays, NumPy and JAX scalars as the lists and numbers that JSON and CSV hold."""
    if isinstance(value, dict):
        return {str(key): plain(item, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if hasattr(value, "dtype"):
        return plain(np.asarray(value).tolist(), where)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the number {where or value} is {value}, which JSON cannot hold: it must be finite")
    return value
