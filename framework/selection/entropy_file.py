"""Lists of entropies as files: a line `index <tab> entropy <tab> class` a point, without a header.

The index is the point's own in its data set. Of the published lists, those of CIFAR-100 and SVHN number the lines
of a shuffled pass instead: beside the data set's labels such a list is refused here.

Reference: the lists beside arXiv 2106.04784.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from framework.core import files
from framework.selection.inputs import check_entropy

_WHOLE = re.compile(r"-?[0-9]{1,18}")  # what int64 holds


class EntropyList(NamedTuple):
    """The entropies of a data set in the order of its own indices, 0 to N - 1."""

    entropy: np.ndarray  # [N] float64, nats, positive
    classes: np.ndarray  # [N] int64


def read(path: str | os.PathLike, labels: jax.Array | None = None) -> EntropyList:
    """A list from its file, whose lines may come in any order.

    Args:
      path: the file.
      labels: `[N]`, those of the data set in the order of its indices; they must be the list's classes.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if a line is no such line, an entropy is not positive and finite, an index comes twice or is missing,
        or lengths or classes are not those of the labels; with the line or the index.
    """
    rows = [_row(line, path, number) for number, line in enumerate(_lines(path), 1)]
    if not rows:
        raise ValueError(f"{path}: empty; a line 'index <tab> entropy <tab> class' a point is wanted")
    indices, entropy, classes = (np.array(column) for column in zip(*rows, strict=True))
    _check_indices(indices, path)
    order = np.argsort(indices)
    found = EntropyList(entropy[order], classes[order])
    if labels is not None:
        _check_labels(found.classes, np.asarray(labels), path)
    return found


def write(path: str | os.PathLike, indices: jax.Array, entropy: jax.Array, classes: jax.Array) -> None:
    """A list into a file, by ascending index, each entropy with as many digits as tell it from its neighbours.

    Args:
      path: the file; it is whole or as it was.
      indices: `[N]`, the data set's own: each of 0 to N - 1 once. Of TFDS ids `indices_of` makes them.
      entropy: `[N]` nats, float32 or float64.
      classes: `[N]` int.

    Raises:
      ValueError: if the columns differ in length, an index comes twice or is missing, an entropy is not positive and
        finite, or indices or classes are not whole numbers.
    """
    indices, entropy, classes = (np.asarray(column) for column in (indices, entropy, classes))
    if not indices.shape == entropy.shape == classes.shape:
        shapes = f"{indices.shape}, {entropy.shape} and {classes.shape}"
        raise ValueError(f"{path}: indices, entropies and classes must be as many, got {shapes}")
    check_entropy(entropy)
    if other := [column.dtype for column in (indices, classes) if not np.issubdtype(column.dtype, np.integer)]:
        raise ValueError(f"{path}: indices and classes must be whole numbers, got {other[0]}")
    _check_indices(indices, path)
    rows = [f"{indices[i]}\t{float(entropy[i])!r}\t{int(classes[i])}\n" for i in np.argsort(indices)]
    files.write_bytes(Path(path), "".join(rows).encode())


def indices_of(ids: Sequence[str]) -> np.ndarray:
    """The data set's own indices, `[N]`, from ids that end in them: `train_16399`, `train/00017`.

    TFDS keeps records in a shuffled order; a list is joined by these numbers, never by the place of a record.

    Raises:
      ValueError: if an id does not end in a number, or a number comes twice.
    """
    names = [str(name) for name in ids]
    ends = [name[len(name.rstrip("0123456789")) :] for name in names]
    for name, end in zip(names, ends, strict=True):
        if not _WHOLE.fullmatch(end):
            raise ValueError(f"the id {name[:80]!r} does not end in an index of at most 18 digits, as train_16399 does")
    indices = np.array([int(end) for end in ends], np.int64)
    values, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"two ids end in the index {values[counts.argmax()]}; each point must have its own")
    return indices


def _lines(path: str | os.PathLike) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file (byte {error.start})") from None


def _row(line: str, path: str | os.PathLike, number: int) -> tuple[int, float, int]:
    cells = line.split("\t")
    try:
        entropy = float(cells[1])
        index, label = (int(_WHOLE.fullmatch(cell)[0]) for cell in (cells[0], cells[2]))
    except (ValueError, IndexError, TypeError):
        raise ValueError(f"{path}, line {number}: {line[:80]!r} is not 'index <tab> entropy <tab> class'") from None
    if len(cells) != 3 or "_" in line or not 0 < entropy < np.inf:
        raise ValueError(
            f"{path}, line {number}: one positive, finite entropy between two tabs is wanted, got {line[:80]!r}"
        )
    return index, entropy, label


def _check_indices(indices: np.ndarray, path: str | os.PathLike) -> None:
    count = len(indices)
    outside = (indices < 0) | (indices >= count)
    if outside.any():
        raise ValueError(f"{path}: index {indices[outside][0]} is outside of 0 to {count - 1}, for {count:,} points")
    if (twice := np.bincount(indices, minlength=count) > 1).any():
        raise ValueError(f"{path}: index {twice.argmax()} comes twice; each of 0 to {count - 1} must come once")


def _check_labels(classes: np.ndarray, labels: np.ndarray, path: str | os.PathLike) -> None:
    if len(classes) != len(labels):
        raise ValueError(f"{path}: {len(classes):,} entropies do not fit a data set of {len(labels):,} points")
    if (other := classes != labels).any():
        first, wrong = other.argmax(), np.count_nonzero(other)
        raise ValueError(
            f"{path}: the list of another data set, or of another order: {wrong:,} of {len(labels):,} classes differ, "
            f"the first at index {first} ({classes[first]} against {labels[first]})"
        )
