"""A long scan in pieces of fixed length, so that the host can look in, save and go on between them."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import PartitionSpec as P

from framework.core import checks, devices, programs
from framework.core.devices import Options, Split
from framework.core.tracing import is_traced
from framework.core.types import Metrics, State, Step


def advance(
    step: Step, state: State, fixed: Any, length: int, options: Options = (), split: Split | None = None
) -> tuple[State, Metrics]:
    """`length` steps in one compiled scan.

    Args:
      step: (state, fixed) -> (state, metrics). It is read again by every call, so that what it holds may have changed;
        steps that compute the same share one compiled program.
      state: a pytree of arrays.
      fixed: a pytree of what stays the same (data, a Config); an argument, so that new data compile nothing.
      length: how many steps, at least 1.
      options: of the compiler, where it is not to be left alone.
      split: how the devices divide the work, where there are several.

    Returns:
      The state after the last step, and the metrics with leaves `[length, ...]`.

    Raises:
      ValueError: if `length` is no whole number of at least 1.

    Example:
      >>> from framework import core
      >>> double = lambda state, fixed: (2 * state, {"before": state})
      >>> state, metrics = core.advance(double, 1, None, length=4)
      >>> int(state), metrics["before"].tolist()
      (16, [1, 2, 4, 8])
    """
    checks.counts(length=length)
    return _advance({}, step, state, fixed, length, options, split)


def _advance(
    read: dict[Any, Step],
    step: Step,
    state: State,
    fixed: Any,
    length: int,
    options: Options = (),
    split: Split | None = None,
) -> tuple[State, Metrics]:
    """`advance`, with the step as it was when it was read first."""
    if split is None or jax.device_count() == 1:
        return _compile(options)(_still(read, step, state, fixed), state, fixed, length)
    rows = devices.rows_of(state, split.state)
    placed = devices.put(state, split.state), devices.put(fixed, split.fixed)
    if split.together:
        with jax.set_mesh(devices.mesh()):
            results = _compile(options)(_still(read, step, *placed), *placed, length)
    else:
        local = devices.part(placed[0], split.state), devices.part(placed[1], split.fixed)
        results = _compile(options, split)(_still(read, step, *local), *placed, length)
    state, metrics = results
    return devices.gather(state, split.state, rows), _rows_behind(devices.gather(metrics, None, None), split, rows)


def _still(read: dict[Any, Step], step: Step, state: State, fixed: Any) -> Step:
    """The step as it is at the first call; inside of a transformation, itself."""
    if is_traced((state, fixed)):
        return step
    if not read:
        read[None] = programs.frozen(step, state, fixed)
    return read[None]


@functools.cache
def _compile(options: Options, split: Split | None = None):
    def scan(step, state, fixed, length):
        every = lambda state, fixed: jax.lax.scan(lambda carry, _: step(carry, fixed), state, length=length)
        if split is None:
            return every(state, fixed)
        metrics = None if split.metrics is None else P(None, devices.AXIS)
        return devices.chunk(every, (split.state, split.fixed), (split.state, metrics))(state, fixed)

    return jax.jit(scan, static_argnums=(0, 3), compiler_options=dict(options))


def _rows_behind(metrics: Metrics, split: Split, rows: int | None) -> Metrics:
    """Metrics `[length, rows, ...]` without the copies that filled the devices up."""
    return metrics if split.metrics is None else jax.tree.map(lambda leaf: leaf[:, :rows], metrics)


def chunks(
    step: Step,
    state: State,
    fixed: Any,
    steps: int,
    chunk: int,
    done: int = 0,
    options: Options = (),
    split: Split | None = None,
) -> Iterator[tuple[int, State, Metrics]]:
    """Drives `step` from `done` to `steps` in pieces of `chunk` steps; it is read once, before the first.

    The last state equals that of one call, `advance(step, state, fixed, steps - done)`, bit for bit. Pieces end on
    multiples of `chunk`, so that a run resumed in the middle uses what was compiled before.

    Yields:
      `(done, state, metrics)` after each piece: the steps taken in all, the state, the metrics of the piece.

    Raises:
      ValueError: if `chunk` is no whole number of at least 1 or `done` lies outside of `[0, steps]`.
    """
    checks.counts(chunk=chunk)
    if not 0 <= done <= steps:
        raise ValueError(f"steps already taken must lie between 0 and {steps}, got {done}")
    if split and jax.device_count() > 1:
        fixed = devices.put(fixed, split.fixed)
    read: dict[Any, Step] = {}
    while done < steps:
        length = min(chunk - done % chunk, steps - done)
        state, metrics = _advance(read, step, state, fixed, length, options, split)
        done += length
        yield done, state, metrics
