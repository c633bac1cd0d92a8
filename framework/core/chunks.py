"""A long scan in pieces of fixed length, so that the host can look in, save and go on between them."""

import functools
from collections.abc import Iterator
from typing import Any

import jax

from framework.core.types import Metrics, State, Step

Options = tuple[tuple[str, Any], ...]  # of the compiler, such as ("xla_backend_optimization_level", 0)


def advance(step: Step, state: State, fixed: Any, length: int, options: Options = ()) -> tuple[State, Metrics]:
    """`length` steps in one compiled scan.

    Args:
      step: (state, fixed) -> (state, metrics); hashable, and the same object in every call, or it is compiled anew.
      state: a pytree of arrays.
      fixed: a pytree of what stays the same (data, a Config); an argument, so that new data compile nothing.
      length: how many steps, at least 1.
      options: of the compiler, where it is not to be left alone.

    Returns:
      The state after the last step, and the metrics with leaves `[length, ...]`.

    Example:
      >>> from framework import core
      >>> double = lambda state, fixed: (2 * state, {"before": state})
      >>> state, metrics = core.advance(double, 1, None, length=4)
      >>> int(state), metrics["before"].tolist()
      (16, [1, 2, 4, 8])
    """
    return _compiled(options)(step, state, fixed, length)


@functools.cache
def _compiled(options: Options):
    def scan(step, state, fixed, length):
        return jax.lax.scan(lambda carry, _: step(carry, fixed), state, length=length)

    return jax.jit(scan, static_argnums=(0, 3), compiler_options=dict(options))


def chunks(
    step: Step, state: State, fixed: Any, steps: int, chunk: int, done: int = 0, options: Options = ()
) -> Iterator[tuple[int, State, Metrics]]:
    """Drives `step` from `done` to `steps` in pieces of `chunk` steps.

    The last state equals that of one call, `advance(step, state, fixed, steps - done)`, bit for bit. Pieces end on
    multiples of `chunk`, so that a run taken up in the middle uses what was compiled before.

    Yields:
      `(done, state, metrics)` after each piece: the steps taken in all, the state, the metrics of the piece.

    Raises:
      ValueError: if `chunk` is less than 1 or `done` lies outside of `[0, steps]`.
    """
    if chunk < 1:
        raise ValueError(f"a chunk must hold at least 1 step, got {chunk}")
    if not 0 <= done <= steps:
        raise ValueError(f"steps already taken must lie between 0 and {steps}, got {done}")
    while done < steps:
        length = min(chunk - done % chunk, steps - done)
        state, metrics = advance(step, state, fixed, length, options)
        done += length
        yield done, state, metrics
