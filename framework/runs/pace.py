"""A pace for calls to others: no more of them in a minute than are allowed."""

import functools
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def rate_limit(
    function: Callable[P, R],
    per_minute: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[P, R]:
    """The same function, called every 60 / per_minute seconds at most, from however many threads.

    A call that comes too early waits for its turn; turns are given in the order of coming. A pause saves nothing up.

    Args:
      function: what is to be called.
      per_minute: calls in a minute; 0 or None for as many as come.
      clock: the time in seconds.
      sleep: waits for so many seconds.

    Raises:
      ValueError: if `per_minute` is negative.
    """
    if not per_minute:
        return function
    if per_minute < 0:
        raise ValueError(f"calls per minute must be positive, or 0 for no limit, got {per_minute}")
    lock, free = threading.Lock(), clock()

    @functools.wraps(function)
    def in_turn(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal free
        with lock:
            now = clock()
            turn = max(now, free)
            free = turn + 60 / per_minute
        if turn > now:
            sleep(turn - now)
        return function(*args, **kwargs)

    return in_turn
