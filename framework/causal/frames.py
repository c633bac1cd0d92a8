"""Conversion of data frames (pandas, polars, pyarrow) and arrays to plain float64 numbers.

A cell that is not a number is never converted to one: not the code of a category, not a date, not a text of digits.
"""

import decimal
import numbers
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Names = tuple[str, ...]
_TEMPORAL = "dates or times; give a number, such as the days since the first of them"


class Column(NamedTuple):
    """One column of a frame."""

    name: str
    values: np.ndarray  # [n], of any type
    categorical: bool


def is_frame(x: Any) -> bool:
    """True for a table with named columns: a DataFrame, a pyarrow Table, or what `data.read_table` returns."""
    return any(hasattr(type(x), name) for name in ("columns", "column_names")) or _is_named_table(x)


def from_frame(frame: Any, names: Sequence[str] | None = None) -> tuple[np.ndarray, Names]:
    """Reads the values and the column names of a data frame.

    Accepted are pandas and polars DataFrames, pyarrow Tables and the tables of `framework.data`, with columns of
    numbers and of truth values (1 and 0), nullable ones included.

    Args:
      frame: the frame.
      names: the columns to read, in this order; by default all.

    Returns:
      The values, `[n, d]` float64 with NaN for missing cells, and the names of the columns.

    Raises:
      ValueError: if two columns have one name, a selected one is missing, or columns hold something other than real
        numbers: all of them are named, with what they hold and what to do.
    """
    if _is_named_table(frame):
        columns = [Column(name, *column) for name, column in zip(frame.names, _plain(frame.values.T), strict=True)]
    else:
        columns = list(_columns(frame))
    labels = [column.name for column in columns]
    if twice := sorted({name for name in labels if labels.count(name) > 1}):
        raise ValueError(f"two columns of the table are called {', '.join(map(repr, twice))}: each needs its own name")
    if missing := [name for name in names or () if name not in labels]:
        raise ValueError(f"the rows lack the columns {', '.join(missing)} of the fitted table")
    chosen = columns if names is None else [columns[labels.index(name)] for name in names]
    values = _to_floats(chosen, "column {!r} of the table holds something other than numbers")
    return (np.stack(values, axis=1) if values else np.zeros((len(frame), 0))), tuple(column.name for column in chosen)


def from_array(x: Any) -> np.ndarray:
    """Reads an array of real numbers as float64; the masked values of a NumPy array are NaN, as missing ones are.

    Raises:
      ValueError: if it is no array of real numbers (complex numbers, dates, texts, fields, a sparse matrix), or cells
        of an array of objects are none: all such columns are named, with what they hold.
    """
    if hasattr(x, "nnz") and hasattr(x, "toarray"):
        raise ValueError(f"a table must be dense, got {type(x).__name__}: give x.toarray()")
    if isinstance(x, dict | set | str) or (hasattr(x, "collect") and not hasattr(x, "__array__")):
        raise ValueError(f"a table is an array [rows, columns] or a DataFrame, got {type(x).__name__}")
    try:
        array = np.ma.asarray(x) if isinstance(x, np.ma.MaskedArray) else np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"a table is an array [rows, columns] or a DataFrame, got {type(x).__name__}: {error}"
        ) from None
    if array.dtype.kind == "O" and array.ndim == 2:
        filled = np.ma.filled(array, None) if isinstance(array, np.ma.MaskedArray) else array
        columns = [Column(f"column {j}", column, False) for j, column in enumerate(filled.T)]
        values = _to_floats(columns, "{} of the table holds something other than numbers")
        return np.stack(values, axis=1) if values else np.zeros(array.shape)
    if array.dtype.kind not in "biuf" and not _is_float(array.dtype):
        raise ValueError(f"a table of real numbers is wanted, got {array.dtype}")
    floats = array.astype(np.float64, copy=False)
    return np.ma.filled(floats, np.nan) if isinstance(array, np.ma.MaskedArray) else floats


def _is_named_table(x: Any) -> bool:
    return isinstance(x, tuple) and hasattr(x, "names") and hasattr(x, "values")


def _is_float(dtype: np.dtype) -> bool:
    """True for the floats of JAX that are not NumPy's own, bfloat16 for one."""
    return dtype.kind == "V" and dtype.names is None and "float" in dtype.name


def _plain(columns: Any) -> Iterator[tuple[np.ndarray, bool]]:
    return ((column, False) for column in columns)


def _columns(frame: Any) -> Iterator[Column]:
    """The columns of a frame, each as a NumPy array of what it holds."""
    if hasattr(frame, "iloc"):  # pandas
        for position, name in enumerate(frame.columns):
            column = frame.iloc[:, position]
            categorical = str(column.dtype).startswith(("category", "dictionary"))
            plain = getattr(column.dtype, "kind", "O") in "biuf" and not categorical
            values = column.to_numpy(dtype=np.float64, na_value=np.nan) if plain else _cell_values(column)
            yield Column(str(name), values, categorical)
    elif hasattr(frame, "get_columns"):  # polars
        for column in frame.get_columns():
            categorical = str(column.dtype).startswith(("Categorical", "Enum"))
            yield Column(str(column.name), column.to_numpy(), categorical)
    elif hasattr(type(frame), "column_names"):  # pyarrow
        for name, column in zip(frame.column_names, frame.columns, strict=True):
            yield Column(str(name), column.to_numpy(zero_copy_only=False), str(column.type).startswith("dictionary"))
    else:
        raise ValueError(
            f"a table of type {type(frame).__module__}.{type(frame).__name__} is not understood: give an array, or a "
            "pandas, polars (collected) or pyarrow table"
        )


def _cell_values(column: Any) -> np.ndarray:
    """The cells of a non-numeric pandas column; a temporal column is recognised by its type alone."""
    kind = getattr(column.dtype, "kind", "O")
    return np.zeros(len(column), f"{kind}8[ns]") if kind in "mM" else column.to_numpy()


def _to_floats(columns: Sequence[Column], message: str) -> list[np.ndarray]:
    """The columns as float64; `message` is formatted with the name of a column that is not numeric."""
    faults = {column.name: fault for column in columns if (fault := _fault(column))}
    if faults:
        first, *others = faults
        more = "".join(f"; so does {name!r}: {faults[name]}" for name in others[:20])
        more += f"; and {len(others) - 20} others" if len(others) > 20 else ""
        raise ValueError(f"{message.format(first)}: {faults[first]}{more}")
    return [_floats(column.values) for column in columns]


def _fault(column: Column) -> str:
    """Describes the non-numeric content of a column, with advice; empty if all cells are real numbers."""
    values = column.values
    if column.categorical:
        levels = len(set(values.tolist()))
        return f"{levels} categories, whose codes are no amounts; give a column of 0 and 1 for each but one"
    if values.ndim != 1:
        return "several values in a cell"
    if values.dtype.kind in "biuf":
        return ""
    if values.dtype.kind in "mM":
        return _TEMPORAL
    if values.dtype.kind == "c":
        return "complex numbers; give their real parts, absolute values or angles"
    odd = [cell for cell in values.tolist() if not _is_missing(cell) and not _is_real(cell)]
    if not odd:
        return ""
    count = f"{len(odd)} of {len(values)} cells are"
    if all(isinstance(cell, str) for cell in odd):
        advice = "convert it to numbers first" if all(map(_is_digits, odd)) else "code or leave out"
        return f"{count} text ({odd[0][:40]!r}); {advice}"
    if all(hasattr(cell, "isoformat") or hasattr(cell, "total_seconds") for cell in odd):
        return f"{count} {_TEMPORAL}"
    return f"{count} of type {', '.join(sorted({type(cell).__name__ for cell in odd}))[:80]}"


def _floats(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64, copy=False)
    return np.array([np.nan if _is_missing(cell) else float(cell) for cell in values.tolist()], np.float64)


def _is_missing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")


def _is_real(cell: Any) -> bool:
    return isinstance(cell, numbers.Real | decimal.Decimal | np.bool_)


def _is_digits(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
