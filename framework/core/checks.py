"""Checks of a caller's values, each with one wording: what, what would be right, and what was given.

Each check returns nothing and raises ValueError. A traced value passes, because its numbers are not known yet.
"""

import numbers
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced


def one_of(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Refuses a value that is not among the choices.

    Args:
      name: what the value is, the beginning of the message.
      value: any value.
      choices: the values allowed, in the order in which the message lists them.

    Raises:
      ValueError: if `value` equals none of the choices.
    """
    choices = list(choices)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def counts(where: str = "", /, **values: Any) -> None:
    """Refuses numbers of steps, images or workers that are not whole numbers of at least 1.

    Args:
      where: text before the name in the message.
      values: the counts by name.

    Raises:
      ValueError: for the first value that is no whole number of at least 1.

    Example:
      >>> from framework.core import checks
      >>> checks.counts(steps=3, batch=np.int64(8))
    """
    for name, value in values.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{where}{name} must be a whole number of at least 1, got {value!r}")


def at_least(name: str, value: Any, minimum: float) -> None:
    """Refuses a number, or an array with an entry, below `minimum` or not a number.

    Args:
      name: what the value is, the beginning of the message.
      value: a real number or an array of them; infinity passes.
      minimum: the least value allowed.

    Raises:
      ValueError: if the value, or an entry, is less than `minimum` or NaN.
    """
    _require(name, value, lambda x: x >= minimum, f"at least {minimum:g}")


def positive(name: str, value: Any, finite: bool = True) -> None:
    """Refuses a number, or an array with an entry, that is not above 0.

    Args:
      name: what the value is, the beginning of the message.
      value: a real number or an array of them.
      finite: whether infinity is refused as well.

    Raises:
      ValueError: if the value, or an entry, is at most 0 or NaN, or infinite where `finite`.
    """
    if finite:
        _require(name, value, lambda x: (x > 0) & np.isfinite(x), "above 0 and finite")
    else:
        _require(name, value, lambda x: x > 0, "above 0")


def non_negative(name: str, value: Any) -> None:
    """Refuses a number, or an array with an entry, that is below 0 or not finite.

    Args:
      name: what the value is, the beginning of the message.
      value: a real number or an array of them.

    Raises:
      ValueError: if the value, or an entry, is negative, infinite or NaN.
    """
    _require(name, value, lambda x: (x >= 0) & np.isfinite(x), "at least 0 and finite")


def finite(name: str, value: Any) -> None:
    """Refuses a number, or an array with an entry, that is infinite or NaN.

    Args:
      name: what the value is, the beginning of the message.
      value: a real number or an array of them.

    Raises:
      ValueError: if the value, or an entry, is infinite or NaN.
    """
    _require(name, value, np.isfinite, "finite")


def in_interval(name: str, value: Any, interval: str) -> None:
    """Refuses a number, or an array with an entry, outside of an interval.

    Args:
      name: what the value is, the beginning of the message.
      value: a real number or an array of them.
      interval: two bounds in the notation of mathematics, such as "[0, 1)"; a bound may be "inf".

    Raises:
      ValueError: if the value, or an entry, lies outside of the interval or is NaN.

    Example:
      >>> from framework.core import checks
      >>> checks.in_interval("momentum", 0.9, "[0, 1)")
    """
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = np.greater_equal if interval[0] == "[" else np.greater
    below = np.less_equal if interval[-1] == "]" else np.less
    _require(name, value, lambda x: above(x, low) & below(x, high), f"in {interval}", verb="lie")


def labels(name: str, values: Any, classes: int) -> None:
    """Refuses labels that are not whole numbers from 0 to `classes - 1`.

    Args:
      name: whose labels they are, such as "labels".
      values: `[N]` integers.
      classes: the number of classes.

    Raises:
      ValueError: if the type is not an integer's or a label lies out of range.
    """
    dtype = getattr(values, "dtype", None) or np.asarray(values).dtype
    if not np.issubdtype(dtype, np.integer):
        raise ValueError(f"{name} must be whole numbers from 0 to {classes - 1}, got {dtype}")
    if is_traced(values):
        return
    values = np.asarray(values)
    if values.size and (values.min() < 0 or values.max() >= classes):
        raise ValueError(f"{name} must lie between 0 and {classes - 1}, got {values.min()} to {values.max()}")


def _require(name: str, value: Any, holds: Any, requirement: str, verb: str = "be") -> None:
    """Raises ValueError unless `holds` is true of every entry of `value`; names the first entry where it is not."""
    if is_traced(value):
        return
    array = np.asarray(value)
    if not (jnp.issubdtype(array.dtype, jnp.integer) or jnp.issubdtype(array.dtype, jnp.floating)):
        raise ValueError(f"{name} must {verb} {requirement}, got {value!r}")
    wrong = ~np.asarray(holds(array))
    if wrong.any():
        raise ValueError(f"{name} must {verb} {requirement}, got {np.ravel(array)[np.ravel(wrong)][0]}")
