"""Exact linear relations between the columns of a table: copies in another unit, sums, shares that add up to one.

No data can tell the members of such a relation apart: the covariance is singular, and arrows around it are arbitrary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-4  # of a residual, as a share of the column's standard deviation
_TERMS = 8  # of a relation that an error writes out
_SAFETY = 64.0  # rounding errors add up
_NEAR = 10 * TOLERANCE**2  # an eigenvalue of a correlation matrix below which a relation is looked for


class Relation(NamedTuple):
    """A column that is a constant plus multiples of others."""

    column: int
    others: tuple[int, ...]
    coefficients: tuple[float, ...]  # one for each of `others`
    constant: float


def check(x: np.ndarray, names: Sequence[str]) -> None:
    """Raises ValueError if columns of a table are exact linear combinations of others.

    Args:
      x: `[n, d]` float64, finite, no column constant.
      names: one a column.

    Raises:
      ValueError: with every relation as an equation, and the column to leave out for each.
    """
    dependent = relations(x)
    if not dependent:
        return
    first = dependent[0]
    kind = f"a copy of {names[first.others[0]]}" if len(first.others) == 1 else "an exact sum of other columns"
    equations = "; ".join(_equation(relation, names) for relation in dependent[:_TERMS])
    more = f"; and {len(dependent) - _TERMS} more" if len(dependent) > _TERMS else ""
    left_out = ", ".join(names[relation.column] for relation in dependent)
    raise ValueError(
        f"{names[first.column]} is {kind}: {equations}{more}. No data can tell such columns apart: leave out "
        f"{left_out}, or another column of each equation"
    )


def relations(x: np.ndarray) -> list[Relation]:
    """The columns that are linear combinations of earlier ones, up to the rounding of the numbers.

    A relation counts if it holds in every row within the rounding of the values (their floating-point type, or the
    decimals with which they are written), and its residual is less than `TOLERANCE` of the column's standard deviation:
    noise, however small, is no rounding. With no more rows than columns every column is a combination of others, so
    that only pairs are compared there.

    Args:
      x: `[n, d]` float64, finite, no column constant.
    """
    rows, columns = x.shape
    if rows <= columns:
        correlation = _correlation(_standardize(x))
        close = np.triu(np.abs(correlation) > 1 - _NEAR, 1)
        candidates = [(int(j), np.array([i])) for i, j in np.argwhere(close)]
    elif np.linalg.eigvalsh(_correlation(_standardize(_some_rows(x))))[0] > _NEAR:
        return []  # what holds in every row holds in some
    else:
        candidates = _dependent(_standardize(x))
    result: dict[int, Relation] = {}
    for column, others in candidates:
        if column not in result and (relation := _relation(x, column, others)) is not None:
            result[column] = relation
    return list(result.values())


def _some_rows(x: np.ndarray) -> np.ndarray:
    """Enough rows, spread over the table, to see whether its columns are independent."""
    return x[:: max(1, len(x) // (1000 + 10 * x.shape[1]))]


def _standardize(x: np.ndarray) -> np.ndarray:
    """The columns with mean 0 and variance 1; 0 where one does not vary. Safe for the largest and smallest numbers."""
    scaled = x / np.maximum(np.abs(x).max(axis=0), np.finfo(np.float64).tiny)
    centred = scaled - scaled.mean(axis=0)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    return centred / np.where(spread > 0, spread, 1)


def _correlation(standardized: np.ndarray) -> np.ndarray:
    return standardized.T @ standardized / len(standardized)


def _dependent(centred: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Each column that nearly lies in the span of independent earlier ones, and those of them that it needs."""
    basis: list[int] = []
    directions = np.zeros((len(centred), 0))
    dependent = []
    for j, column in enumerate(centred.T):
        rest = column - directions @ (directions.T @ column)
        rest = rest - directions @ (directions.T @ rest)
        norm = np.linalg.norm(rest)
        if norm > 3 * TOLERANCE * np.linalg.norm(column):
            basis.append(j)
            directions = np.concatenate([directions, rest[:, None] / norm], axis=1)
            continue
        weights = np.linalg.lstsq(centred[:, basis], column, rcond=None)[0]
        dependent.append((j, np.array(basis)[np.abs(weights) > 3 * TOLERANCE]))
    return dependent


def _relation(x: np.ndarray, column: int, others: np.ndarray) -> Relation | None:
    """The relation between a column and others, if it holds in every row up to rounding."""
    units = np.append(np.abs(x[:, others]).max(axis=0), 1.0)
    unit = np.abs(x[:, column]).max()
    design = np.append(x[:, others], np.ones((len(x), 1)), axis=1) / units
    weights = np.linalg.lstsq(design, x[:, column] / unit, rcond=None)[0] * (unit / units)
    residual = x[:, column] - x[:, others] @ weights[:-1] - weights[-1]
    members, factors = np.append(others, column), np.append(np.abs(weights[:-1]), 1)
    size = np.abs(x[:, members]).max(axis=0) @ factors + abs(weights[-1])
    rounding = _SAFETY * _floating(x[:, members]) * size
    decimals = factors @ np.array([_step(x[:, j]) for j in members]) / 2
    if np.abs(residual).max() > rounding + 1.01 * decimals or residual.std() > TOLERANCE * x[:, column].std():
        return None
    constant = 0.0 if abs(weights[-1]) <= rounding + min(decimals, TOLERANCE * size) else float(weights[-1])
    return Relation(column, tuple(map(int, others)), tuple(map(float, weights[:-1])), constant)


def _floating(x: np.ndarray) -> float:
    """The relative rounding of values that may have been of 32 bits once."""
    with np.errstate(over="ignore"):
        single = np.array_equal(x.astype(np.float32), x)
    return float(np.finfo(np.float32 if single and (x % 1).any() else np.float64).eps)


def _step(values: np.ndarray) -> float:
    """The last decimal with which all values are written, .01 for one; 0 where they have more than nine digits."""
    largest = np.abs(values).max()
    for digits in range(10):
        step = 10.0 ** (math.floor(math.log10(largest)) - digits)
        steps = values / step
        if np.all(np.abs(steps - np.round(steps)) <= 1e-13 * largest / step):
            return step
    return 0.0


def _equation(relation: Relation, names: Sequence[str]) -> str:
    terms = [(weight, f" {names[j]}") for weight, j in zip(relation.coefficients, relation.others, strict=True)]
    more = f" + {len(terms) - _TERMS} more terms" if len(terms) > _TERMS else ""
    terms = terms[:_TERMS] + ([(relation.constant, "")] if relation.constant else [])
    text = ""
    for weight, name in terms:
        size = f"{abs(weight):.6g}"
        size = "" if name and size == "1" else size
        sign = "-" if weight < 0 else "+"
        text += (f" {sign} " if text else sign.replace("+", "")) + f"{size}{name}".strip()
    return f"{names[relation.column]} = {text}{more}"
