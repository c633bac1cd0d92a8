"""What a caller hands in, checked where it can be, and its numbers in 64 bits whatever the caller's setting."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import moments
from framework.causal.config import Config
from framework.causal.knowledge import Knowledge

Names = tuple[str, ...]


def check(
    x: Any, knowledge: Knowledge | None, config: Config, names: Sequence[str] | None = None
) -> tuple[Any, Knowledge | None, Names | None]:
    """The values of a table (float64 where they are concrete), knowledge in the order of its columns, and its names.

    Args:
      x: `[n, d]`, an array, or a pandas DataFrame with names of its own.
      knowledge: a prior, or None.
      config: what is to become of the columns.
      names: one a column, or None.

    Raises:
      ValueError: if x is not `[n, d]` with at least 3 rows, holds something other than real numbers, NaN, infinity, a
        constant column, two columns that are the same or have one name, cannot be transformed so, the knowledge is of
        other columns, or knowledge or config are something else. A tracer has its shape checked.
    """
    if not isinstance(config, Config):
        raise ValueError(f"config must be a causal.Config, got {type(config).__name__}")
    if is_frame(x):
        x, names = from_frame(x)
    x = x if isinstance(x, jax.core.Tracer) else _in_numbers(x)
    if x.ndim != 2 or x.shape[0] < 3 or x.shape[1] < 1:
        raise ValueError(f"a table [rows, columns] of at least 3 rows and 1 column is wanted, got shape {x.shape}")
    if knowledge is not None:
        if not isinstance(knowledge, Knowledge):
            raise ValueError(f"knowledge must be a causal.Knowledge or None, got {type(knowledge).__name__}")
        knowledge = knowledge if names is None else knowledge.align(names)
        if knowledge.size != x.shape[1]:
            raise ValueError(f"knowledge of {knowledge.size} columns does not fit a table of {x.shape[1]}")
    if not isinstance(x, jax.core.Tracer):
        _check_values(x, config, names or unnamed(x.shape[1]))
    return x, knowledge, None if names is None else tuple(names)


def check_numbers(**numbers: Any) -> None:
    """Numbers that must be None, traced, or finite and at least 0, each of a batch.

    Raises:
      ValueError: for anything else, by name.
    """
    for name, value in numbers.items():
        if (
            value is not None
            and not isinstance(value, jax.core.Tracer)
            and not np.all(np.isfinite(value) & (np.asarray(value) >= 0))
        ):
            raise ValueError(f"{name} must be finite and at least 0, got {value}")


def in_float64(tree: Any) -> Any:
    """The numbers of a pytree as float64, one by one before they enter a compiled program.

    Under a `vmap` of a 32-bit caller an array of NumPy's goes by the name of float32 and is float64: a program compiled
    for the name would be handed the array.
    """
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def on_host(tree: Any) -> Any:
    """A pytree as NumPy arrays, whose 64 bits a 32-bit caller can go on computing with; left as it is while traced."""
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))
    return tree if traced else jax.tree.map(np.asarray, tree)


def is_frame(x: Any) -> bool:
    """Whether a table is a DataFrame."""
    return hasattr(x, "columns") and hasattr(x, "to_numpy")


def from_frame(frame: Any) -> tuple[np.ndarray, Names]:
    """The values of a DataFrame, `[n, d]` float64, NaN where one is missing, and the names of its columns.

    Raises:
      ValueError: if two columns have one name, or one holds something other than numbers.
    """
    names = tuple(str(name) for name in frame.columns)
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ValueError(f"two columns of the table are called {name!r}")
    columns = []
    for position, name in enumerate(names):
        try:
            columns.append(frame.iloc[:, position].to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            raise ValueError(f"column {name!r} of the table holds something other than numbers") from None
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0)), names


def check_logarithms(x: np.ndarray, transform: str, names: Sequence[str]) -> None:
    """Raises ValueError where a transform takes logarithms of what has none."""
    if transform == "log_standardize" and x.min(initial=np.inf) <= -moments.LOG_SHIFT:
        column = int(np.argwhere(x <= -moments.LOG_SHIFT)[0][1])
        raise ValueError(
            f"log_standardize needs values above {-moments.LOG_SHIFT:g}, but {names[column]} goes down to "
            f"{x[:, column].min():g}"
        )


def unnamed(columns: int) -> Names:
    """What columns without names are called in errors."""
    return tuple(f"column {j}" for j in range(columns))


def _in_numbers(x: Any) -> np.ndarray:
    found = np.asarray(x)
    if found.dtype.kind in "cSUmM":
        raise ValueError(f"a table of real numbers is wanted, got {found.dtype}")
    return np.asarray(found, np.float64)


def _check_values(x: np.ndarray, config: Config, names: Sequence[str]) -> None:
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"a table must be finite, but row {row} of {names[column]} is {x[row, column]}")
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if len(constant):
        raise ValueError(f"{names[constant[0]]} is constant: a column that never varies has no causes; leave it out")
    _check_no_two_alike(x, names)
    check_logarithms(x, config.transform, names)
    if config.score == "logistic" and not np.isin(x, (0.0, 1.0)).all():
        row, column = np.argwhere(~np.isin(x, (0.0, 1.0)))[0]
        raise ValueError(f"the logistic score needs 0 and 1, but row {row} of {names[column]} is {x[row, column]:g}")


def _check_no_two_alike(x: np.ndarray, names: Sequence[str]) -> None:
    seen: dict[bytes, str] = {}
    for name, column in zip(names, (x + 0.0).T, strict=True):  # -0 is 0
        original = seen.setdefault(column.tobytes(), name)
        if original != name:
            raise ValueError(f"{name} is a copy of {original}: no data can tell the two apart; leave one out")
