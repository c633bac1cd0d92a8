"""Turns user errors into one `error:` line."""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from framework.runs.experiment import one_line

P = ParamSpec("P")
R = TypeVar("R")
USER_ERRORS = (ValueError, OSError, MemoryError)  # what a user can mend


def print_text(text: str) -> None:
    """Prints a text; where its reader has gone (`| head`) the program ends without a word, as other tools do."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
        sys.exit(128 + signal.SIGPIPE)


def exit_with_error_line(
    work: Callable[P, R], verbose: Callable[[], bool], mendable: tuple[type[Exception], ...] = USER_ERRORS
) -> Callable[P, R]:
    """The same work, which ends the program with exit code 2 and a line `error: ...` on stderr for what can be mended.

    Args:
      work: what is to be done.
      verbose: whether the trace is wanted as well.
      mendable: the errors that a user can mend.
    """

    @functools.wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except mendable as error:
            if verbose():
                traceback.print_exc()
            print(f"error: {one_line(error)}", file=sys.stderr)
            sys.exit(2)

    return call
