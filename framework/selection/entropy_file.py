"""Files of entropies: a line `index <tab> entropy <tab> class` for each point, without a header.

The index is that of the point in its data set. Of the published lists, those of CIFAR-100 and SVHN number the lines of
a shuffled pass instead; such a list is refused when the labels of the data set are passed as well.

Reference: the lists published with arXiv 2106.04784.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from framework.core import files
from framework.core.types import Array
from framework.selection.inputs import check_entropy

_INTEGER = re.compile(r"-?[0-9]{1,18}")  # what int64 holds


class EntropyList(NamedTuple):
    """The entropies of a data set in the order of its indices, 0 to N - 1."""

    entropy: Float[np.ndarray, " n"]  # float64, nats, positive
    classes: Int[np.ndarray, " n"]


def read_entropy_list(path: str | os.PathLike, labels: Int[Array, " n"] | None = None) -> EntropyList:
    """Reads a list, whose lines may come in any order.

    Args:
      path: the file.
      labels: `[N]`, those of the data set in the order of its indices; they must equal the classes of the list.

    Returns:
      The list in the order of the indices.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if a line is malformed, an entropy is not positive and finite, an index is repeated or missing, or
        lengths or classes differ from those of the labels; with the line or the index.
    """
    rows = [_parse_line(line, path, number) for number, line in enumerate(_lines(path), 1)]
    if not rows:
        raise ValueError(f"{path}: empty; it must have a line 'index <tab> entropy <tab> class' for each point")
    indices, entropy, classes = (np.array(column) for column in zip(*rows, strict=True))
    _check_indices(indices, path)
    order = np.argsort(indices)
    result = EntropyList(entropy[order], classes[order])
    if labels is not None:
        _check_labels(result.classes, np.asarray(labels), path)
    return result


def write_entropy_list(
    path: str | os.PathLike,
    indices: Int[Array, " n"] | Sequence[int],
    entropy: Float[Array, " n"],
    classes: Int[Array, " n"] | Sequence[int],
) -> None:
    """Writes a list, sorted by index, with as many digits as distinguish each entropy from its neighbours.

    Args:
      path: the file; it is written completely or not at all.
      indices: `[N]`, those of the data set: each of 0 to N - 1 once; `parse_indices` makes them from TFDS ids.
      entropy: `[N]` nats, float32 or float64.
      classes: `[N]`.

    Raises:
      ValueError: if the columns differ in length, an index is repeated or missing, an entropy is not positive and
        finite, or indices or classes are not whole numbers.
    """
    indices, entropy, classes = (np.asarray(column) for column in (indices, entropy, classes))
    if not indices.shape == entropy.shape == classes.shape:
        shapes = f"{indices.shape}, {entropy.shape} and {classes.shape}"
        raise ValueError(f"{path}: indices, entropies and classes must be as many, got {shapes}")
    check_entropy(entropy)
    if dtypes := [column.dtype for column in (indices, classes) if not np.issubdtype(column.dtype, np.integer)]:
        raise ValueError(f"{path}: indices and classes must be whole numbers, got {dtypes[0]}")
    _check_indices(indices, path)
    rows = [f"{indices[i]}\t{float(entropy[i])!r}\t{int(classes[i])}\n" for i in np.argsort(indices)]
    files.write_bytes(Path(path), "".join(rows).encode())


def parse_indices(ids: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Reads the indices of a data set from ids that end in them: `train_16399`, `train/00017`.

    TFDS keeps records in a shuffled order; a list is joined by these numbers, never by the position of a record.

    Raises:
      ValueError: if an id does not end in a number, or a number is repeated.
    """
    names = [str(name) for name in ids]
    ends = [name[len(name.rstrip("0123456789")) :] for name in names]
    for name, end in zip(names, ends, strict=True):
        if not _INTEGER.fullmatch(end):
            raise ValueError(f"the id {name[:80]!r} does not end in an index of at most 18 digits, as train_16399 does")
    indices = np.array([int(end) for end in ends], np.int64)
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"two ids end in the index {values[counts.argmax()]}; ids must have distinct indices")
    return indices


def _lines(path: str | os.PathLike) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file (byte {error.start})") from None


def _parse_line(line: str, path: str | os.PathLike, number: int) -> tuple[int, float, int]:
    cells = line.split("\t")
    try:
        entropy = float(cells[1])
        index, label = (int(_INTEGER.fullmatch(cell)[0]) for cell in (cells[0], cells[2]))
    except (ValueError, IndexError, TypeError):
        raise ValueError(f"{path}, line {number}: {line[:80]!r} is not 'index <tab> entropy <tab> class'") from None
    if len(cells) != 3 or "_" in line or not 0 < entropy < np.inf:
        raise ValueError(
            f"{path}, line {number}: must have one positive, finite entropy between two tabs, got {line[:80]!r}"
        )
    return index, entropy, label


def _check_indices(indices: np.ndarray, path: str | os.PathLike) -> None:
    count = len(indices)
    outside = (indices < 0) | (indices >= count)
    if outside.any():
        raise ValueError(f"{path}: index {indices[outside][0]} is outside of 0 to {count - 1}, for {count:,} points")
    if (repeats := np.bincount(indices, minlength=count) > 1).any():
        raise ValueError(f"{path}: index {repeats.argmax()} comes twice; each of 0 to {count - 1} must come once")


def _check_labels(classes: np.ndarray, labels: np.ndarray, path: str | os.PathLike) -> None:
    if len(classes) != len(labels):
        raise ValueError(f"{path}: {len(classes):,} entropies do not fit a data set of {len(labels):,} points")
    if (differs := classes != labels).any():
        first, wrong = differs.argmax(), np.count_nonzero(differs)
        raise ValueError(
            f"{path}: the list of another data set, or of another order: {wrong:,} of {len(labels):,} classes differ, "
            f"the first at index {first} ({classes[first]} against {labels[first]})"
        )
