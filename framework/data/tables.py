"""Numeric tables and edge lists from CSV files, with errors that name the line and the column."""

import csv
import difflib
import io
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAXIMUM_CELL = 200  # characters of a bad cell that an error repeats at most
EDGE = ("source", "target")  # the columns of every edge list
_TRUTHS = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}  # as pandas reads them
_OTHER_WORDS = {  # headers of other programs, and the column that they mean here
    **dict.fromkeys(("from", "cause", "parent", "src"), "source"),
    **dict.fromkeys(("to", "effect", "child", "dst"), "target"),
    **dict.fromkeys(("type", "rule", "constraint", "knowledge"), "kind"),
}


class Table(NamedTuple):
    """A numeric table with named columns."""

    names: tuple[str, ...]  # one a column, no two the same
    values: np.ndarray  # [rows, columns] float64, finite
    source: str  # where it comes from


def read_table(path: str | os.PathLike) -> Table:
    """Reads a CSV file of finite numbers under a header of column names.

    Empty lines are skipped, rows of empty cells are not. A column whose cells are all `True` or `False` (as pandas
    writes and reads them: also in capitals or small letters throughout) is read as 1 and 0.

    Returns:
      The table; `[0, columns]` values where nothing stands below the header.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is empty or not in UTF-8, the header is missing, repeats a name or leaves one out, a row
        is too short or too long, or a cell is missing, text, NaN or infinite; with line and column of the first such
        cell, and the number of such cells in each column.
    """
    names, rows = _read(path)
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"{path}: the header is missing: its first line holds only numbers, {','.join(names)[:MAXIMUM_CELL]}"
        )
    numbered = list(rows)
    truths = {j for j in range(len(names)) if numbered and all(row[j] in _TRUTHS for _, row in numbered)}
    bad = [
        (line, j) for line, row in numbered for j, cell in enumerate(row) if j not in truths and not _is_finite(cell)
    ]
    if bad:
        raise ValueError(_complaint(path, names, dict(numbered), bad))
    values = [[_TRUTHS[cell] if j in truths else float(cell) for j, cell in enumerate(row)] for _, row in numbered]
    return Table(names, np.array(values, np.float64).reshape(-1, len(names)), str(path))


def read_edges(path: str | os.PathLike, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """Reads a CSV file of edges: the columns `source` and `target`, and the further ones that are named here.

    A column that the caller does not know could change what an edge means, so that it is refused, never passed over.

    Args:
      path: the file.
      columns: the further columns, `("kind",)` for hard knowledge; the file must have each of them.

    Returns:
      One dict an edge, header to cell, spaces stripped.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if a column is missing from the header or unknown, `source` or `target` is missing from a row, a row
        has another length, or the file is no CSV as `read_table` takes it; with the line.
    """
    names, rows = _read(path)
    _check_header(path, names, (*EDGE, *columns))
    edges = []
    for line, row in rows:
        edge = dict(zip(names, row, strict=True))
        if not edge["source"] or not edge["target"]:
            raise ValueError(f"{path}, line {line}: source and target must both be named, got {','.join(row)!r}")
        edges.append(edge)
    return edges


def _check_header(path: str | os.PathLike, names: Sequence[str], required: Sequence[str]) -> None:
    """Raises ValueError unless the header names the wanted columns and no others, with the likely meaning of each."""
    unknown = [name for name in names if name not in required]
    missing = [name for name in required if name not in names]
    if not unknown and not missing:
        return
    suggestions = {name: _meaning(name, missing) for name in unknown}
    said = [
        f"{name!r} is unknown" + (f" (is {suggestions[name]!r} meant?)" if suggestions[name] else "")
        for name in unknown
    ]
    said += [f"{name!r} is missing" for name in missing if name not in suggestions.values()]
    raise ValueError(
        f"{path}: an edge list needs the columns {','.join(required)} and takes no others; its header is "
        f"{','.join(names)[:MAXIMUM_CELL]}: {', '.join(said)[:MAXIMUM_CELL]}"
    )


def _meaning(name: str, missing: Sequence[str]) -> str:
    """The missing column that a header probably means, or nothing."""
    word = name.casefold()
    word = _OTHER_WORDS.get(word, word)
    return next(iter(difflib.get_close_matches(word, missing, 1)), "")


def _complaint(path, names: Sequence[str], rows: dict[int, list[str]], bad: Sequence[tuple[int, int]]) -> str:
    """Names the first bad cell and says why it is one; then the number of bad cells in each column."""
    line, column = bad[0]
    cell, where = rows[line][column], f"{path}, line {line}, column {names[column]!r}"
    if not cell:
        said = f"{where}: the cell is missing; fill or drop such rows first"
    elif not _is_number(cell):
        said = f"{where}: {cell[:MAXIMUM_CELL]!r} is text, a number is wanted"
    else:
        said = f"{where}: {cell!r} is not a finite number"
    if len(bad) == 1:
        return said
    counts = Counter(names[j] for _, j in bad).most_common()
    listed = ", ".join(f"{count} in {name!r}" for name, count in counts)
    return f"{said}; {len(bad)} such cells in all: {listed[: 5 * MAXIMUM_CELL]}"


def _read(path: str | os.PathLike) -> tuple[tuple[str, ...], Iterator[tuple[int, list[str]]]]:
    """The header, and the rows with their line numbers; lines without a comma and a character are no rows."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a text file in UTF-8 (byte {error.start}); a CSV with a header is wanted"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = ((reader.line_num, [cell.strip() for cell in row]) for row in _check_rows(reader, path))
    lines = ((number, row) for number, row in lines if len(row) > 1 or any(row))
    _, header = next(lines, (0, []))
    if not header:
        raise ValueError(f"{path}: empty; a CSV with a header of column names is wanted")
    for position, name in enumerate(header):
        if not name:
            hint = "; pandas leaves out a nameless index with to_csv(index=False)" if position == 0 else ""
            raise ValueError(f"{path}: column {position + 1} of the header has no name{hint}")
        if name in header[:position]:
            raise ValueError(f"{path}: the header names column {name!r} twice")
    return tuple(header), _of_length(lines, len(header), path)


def _check_rows(reader, path) -> Iterator[list[str]]:
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


def _is_finite(cell: str) -> bool:
    return _is_number(cell) and math.isfinite(float(cell))


def _is_number(cell: str) -> bool:
    """Whether a cell is a number as other programs write it; Python's own 1_000 and foreign digits are not."""
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell
