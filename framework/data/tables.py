"""Numeric tables and edge lists from CSV files, with errors that name the line and the column."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAXIMUM_CELL = 200  # characters of a bad cell that an error repeats at most


class Table(NamedTuple):
    """A numeric table with named columns."""

    names: tuple[str, ...]  # one a column, no two the same
    values: np.ndarray  # [rows, columns] float64, finite
    source: str  # where it comes from


def read_table(path: str | os.PathLike) -> Table:
    """A CSV file of finite numbers under a header of column names; empty lines are skipped, rows of empty cells not.

    Returns:
      The table; `[0, columns]` values where nothing stands below the header.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is empty or not in UTF-8, the header is missing, repeats a name or leaves one out, a row
        is too short or too long, or a cell is missing, text, NaN or infinite; with line and column.
    """
    names, rows = _read(path)
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"{path}: the header is missing: its first line holds only numbers, {','.join(names)[:MAXIMUM_CELL]}"
        )
    values = [[_number(cell, path, line, name) for name, cell in zip(names, row, strict=True)] for line, row in rows]
    return Table(names, np.array(values, np.float64).reshape(-1, len(names)), str(path))


def read_edges(path: str | os.PathLike) -> list[dict[str, str]]:
    """A CSV file of edges with the header `source,target` and further columns as they come.

    Returns:
      One dict an edge, header to cell, spaces stripped.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if `source` or `target` is missing from the header or from a row, a row has another length, or the
        file is no CSV as `read_table` takes it; with the line.
    """
    names, rows = _read(path)
    missing = {"source", "target"} - set(names)
    if missing:
        raise ValueError(f"{path}: an edge list needs the columns source,target; its header is {','.join(names)}")
    edges = []
    for line, row in rows:
        edge = dict(zip(names, row, strict=True))
        if not edge["source"] or not edge["target"]:
            raise ValueError(f"{path}, line {line}: source and target must both be named, got {','.join(row)!r}")
        edges.append(edge)
    return edges


def _read(path: str | os.PathLike) -> tuple[tuple[str, ...], Iterator[tuple[int, list[str]]]]:
    """The header, and the rows with their line numbers; lines without a comma and a character are no rows."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a text file in UTF-8 (byte {error.start}); a CSV with a header is wanted"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = ((reader.line_num, [cell.strip() for cell in row]) for row in _checked(reader, path))
    lines = ((number, row) for number, row in lines if len(row) > 1 or any(row))
    _, header = next(lines, (0, []))
    if not header:
        raise ValueError(f"{path}: empty; a CSV with a header of column names is wanted")
    for position, name in enumerate(header):
        if not name:
            raise ValueError(f"{path}: column {position + 1} of the header has no name")
        if name in header[:position]:
            raise ValueError(f"{path}: the header names column {name!r} twice")
    return tuple(header), _of_length(lines, len(header), path)


def _checked(reader, path) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not a CSV row ({error})") from None


def _of_length(lines, length: int, path) -> Iterator[tuple[int, list[str]]]:
    for number, row in lines:
        if len(row) != length:
            hint = "; cells are separated by commas, not semicolons" if any(";" in cell for cell in row) else ""
            raise ValueError(f"{path}, line {number}: {len(row)} cells where the header has {length}{hint}")
        yield number, row


def _number(cell: str, path, line: int, name: str) -> float:
    where = f"{path}, line {line}, column {name!r}"
    if not cell:
        raise ValueError(f"{where}: the cell is missing; fill or drop such rows first")
    if not _is_number(cell):
        raise ValueError(f"{where}: {cell[:MAXIMUM_CELL]!r} is text, a number is wanted")
    value = float(cell)
    if not np.isfinite(value):
        raise ValueError(f"{where}: {cell!r} is not a finite number")
    return value


def _is_number(cell: str) -> bool:
    """Whether a cell is a number as other programs write it; Python's own 1_000 and foreign digits are not."""
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell
