"""Checks of a caller's arguments, and their conversion to 64-bit numbers."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import collinearity, diagnostics, frames
from framework.causal.config import Config
from framework.causal.frames import Names
from framework.causal.knowledge import Knowledge
from framework.causal.learn import moments
from framework.core.tracing import is_traced


def check(
    x: Any, knowledge: Knowledge | None, config: Config, names: Sequence[str] | None = None
) -> tuple[Any, Knowledge | None, Names | None]:
    """The values of a table (float64 where they are concrete), knowledge in the order of its columns, and its names.

    Args:
      x: `[n, d]`, an array, or a frame with names of its own (`frames`).
      knowledge: a prior, or None.
      config: what is to become of the columns.
      names: one a column, or None: then those of the knowledge, if it has any.

    Raises:
      ValueError: if x is not `[n, d]` with at least 3 rows, holds something other than real numbers, NaN, infinity, a
        masked value, constant columns, columns that are exact linear combinations of others (`collinearity`) or have
        one name, cannot be transformed so, the knowledge is of other columns, or knowledge or config are something
        else. A tracer has its shape checked.

    Warns:
      AssumptionWarning: if the rows seem to depend on each other, or columns to be codes of groups (`diagnostics`).
    """
    if not isinstance(config, Config):
        raise ValueError(f"config must be a causal.Config, got {type(config).__name__}")
    if frames.is_frame(x):
        x, names = frames.from_frame(x)
    x = x if is_traced(x) else frames.from_array(x)
    if x.ndim != 2 or x.shape[0] < 3 or x.shape[1] < 1:
        raise ValueError(f"a table [rows, columns] of at least 3 rows and 1 column is wanted, got shape {x.shape}")
    if knowledge is not None:
        if not isinstance(knowledge, Knowledge):
            raise ValueError(f"knowledge must be a causal.Knowledge or None, got {type(knowledge).__name__}")
        knowledge, names = (knowledge, knowledge.names) if names is None else (knowledge.align(names), names)
        if knowledge.size != x.shape[1]:
            raise ValueError(f"knowledge of {knowledge.size} columns does not fit a table of {x.shape[1]}")
    if not is_traced(x):
        _check_values(x, config, names or default_names(x.shape[1]))
        diagnostics.warn(x, names or default_names(x.shape[1]), stacklevel=3)
    return x, knowledge, None if names is None else tuple(names)


def check_numbers(**numbers: Any) -> None:
    """Numbers that must be None, traced, or finite and at least 0, each of a batch.

    Raises:
      ValueError: for anything else, by name.
    """
    for name, value in numbers.items():
        if value is not None and not is_traced(value) and not np.all(np.isfinite(value) & (np.asarray(value) >= 0)):
            raise ValueError(f"{name} must be finite and at least 0, got {value}")


def in_float64(tree: Any) -> Any:
    """The numbers of a pytree as float64, one by one before they enter a compiled program.

    Under a `vmap` of a 32-bit caller an array of NumPy's goes by the name of float32 and is float64: a program compiled
    for the name would be handed the array.
    """
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def on_host(tree: Any) -> Any:
    """A pytree as NumPy arrays, whose 64 bits a 32-bit caller can go on computing with; left as it is while traced."""
    traced = is_traced(tree)
    return tree if traced else jax.tree.map(np.asarray, tree)


def check_logarithms(x: np.ndarray, transform: str, names: Sequence[str]) -> None:
    """Raises ValueError where a transform takes logarithms of what has none."""
    if transform == "log_standardize" and x.min(initial=np.inf) <= -moments.LOG_SHIFT:
        column = int(np.argwhere(x <= -moments.LOG_SHIFT)[0][1])
        raise ValueError(
            f"log_standardize needs values above {-moments.LOG_SHIFT:g}, but {names[column]} goes down to "
            f"{x[:, column].min():g}"
        )


def default_names(columns: int) -> Names:
    """What columns without names are called in errors."""
    return tuple(f"column {j}" for j in range(columns))


def _check_values(x: np.ndarray, config: Config, names: Sequence[str]) -> None:
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        counts = ", ".join(f"{count} in {names[j]}" for j, count in enumerate(np.bincount(bad[:, 1])) if count)
        raise ValueError(
            f"a table must be finite, but row {row} of {names[column]} is {x[row, column]} (missing or infinite: "
            f"{counts}): fill or drop such rows, or leave such columns out"
        )
    constant = [names[j] for j in np.flatnonzero(_is_constant(x))]
    if constant:
        others = f" (so is {', '.join(constant[1:])})" if len(constant) > 1 else ""
        raise ValueError(f"{constant[0]} is constant{others}: a column that never varies has no causes; leave it out")
    collinearity.check(x, names)
    check_logarithms(x, config.transform, names)
    if config.score == "logistic" and not np.isin(x, (0.0, 1.0)).all():
        row, column = np.argwhere(~np.isin(x, (0.0, 1.0)))[0]
        raise ValueError(f"the logistic score needs 0 and 1, but row {row} of {names[column]} is {x[row, column]:g}")


def _is_constant(x: np.ndarray) -> np.ndarray:
    """True for columns that do not vary by more than rounding, `[d]` bool; as `moments.transformed` decides."""
    largest = np.abs(x).max(axis=0)
    units = np.where(largest > 0, largest, 1)
    return (x / units).std(axis=0) <= 16 * np.finfo(np.float64).eps
