"""Loads: recorded ones, and made ones of any rate, mixture, size and locality."""

import dataclasses
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core import keys
from framework.core.precision import x64
from framework.core.types import Key
from framework.ssd.device.geometry import SECTOR
from framework.ssd.workload.requests import (
    LATEST,
    READ,
    TRIM,
    WRITE,
    Load,
    wrap,
)
from framework.ssd.workload.trace_formats import FORMATS
from framework.ssd.workload.traces import TraceWarning, read_trace

GIB = 2**30
PATTERNS = ("uniform", "sequential", "zipf", "hot-cold")
_OF_PATTERN = {"skew": "zipf", "hot": "hot-cold", "heat": "hot-cold"}  # choices without effect on other patterns


def poisson(key: Key, requests: int, rate: float, **choices: Any) -> Load:
    """Requests that come at random, so many a second on average; an open load.

    Args:
      key: for times, addresses and kinds.
      requests: how many.
      rate: a second.
      **choices: as in `closed`.

    Raises:
      ValueError: for an unknown choice or a number out of range.
    """
    if not 0 < rate < np.inf:
        raise ValueError(f"rate must be positive and finite, in requests a second, got {rate}")
    _at_least_one("requests", requests)
    with x64():
        gaps = jax.random.exponential(keys.derive(key, "arrival"), (requests,), jnp.float64)
        arrival = np.asarray(jnp.floor(1e9 / rate * jnp.cumsum(gaps)).astype(jnp.int64))
    if arrival[-1] > LATEST:
        raise ValueError(f"{requests} requests at {rate} a second take {arrival[-1] / 1e9:.0f} s, more than 13 days")
    return _apply_choices(key, arrival, 0, choices)


def closed(key: Key, requests: int, queue_depth: int, **choices: Any) -> Load:
    """Requests of which so many are always in flight: the next one comes when one has ended.

    Args:
      key: for addresses and kinds.
      requests: how many.
      queue_depth: how many are in flight.
      **choices: `read_ratio` (1.0); `size` in bytes (8192), or several of which each request draws one; `span`, the
        bytes from 0 on that are asked for (1 GiB; a device takes `Design.capacity` at most); `pattern`: `uniform` (the
        default), `sequential`, `zipf` or `hot-cold`; `skew` of zipf (0.99); the share `hot` of the span (0.2) that
        takes the share `heat` of hot-cold requests (0.8); `align`, a multiple that requests begin at (the size; of
        several, the smallest).

    Raises:
      ValueError: for an unknown choice, one without effect on the pattern, or a number out of range.
    """
    _at_least_one("queue_depth", queue_depth)
    _at_least_one("requests", requests)
    return _apply_choices(key, np.zeros(requests, np.int64), queue_depth, choices)


def closed_replay(load: Load, queue_depth: int) -> Load:
    """The requests of a load as a closed one: in their order, so many in flight, whenever they arrived.

    Args:
      load: of any kind, such as a trace.
      queue_depth: how many are in flight.

    Raises:
      ValueError: for a queue depth below 1.
    """
    _at_least_one("queue_depth", queue_depth)
    return dataclasses.replace(load, arrival=np.zeros(len(load), np.int64), queue_depth=queue_depth)


def _apply_choices(key: Key, arrival: np.ndarray, queue_depth: int, choices: dict[str, Any]) -> Load:
    known = list(inspect.signature(_make).parameters)[3:]
    pattern = choices.get("pattern", "uniform")
    for name in choices:
        if name not in known:
            raise ValueError(f"a load has no choice {name!r}; it has {', '.join(known)}")
        if name in _OF_PATTERN and pattern != _OF_PATTERN[name] and pattern in PATTERNS:
            raise ValueError(f"{name} is for pattern={_OF_PATTERN[name]!r}, and has no effect on {pattern!r}")
    return _make(key, arrival, queue_depth, **choices)


def _make(
    key: Key,
    arrival: np.ndarray,
    queue_depth: int,
    read_ratio: float = 1.0,
    size: int | tuple[int, ...] = 8192,
    span: int = GIB,
    pattern: str = "uniform",
    skew: float = 0.99,
    hot: float = 0.2,
    heat: float = 0.8,
    align: int = 0,
) -> Load:
    sizes = np.atleast_1d(np.asarray(size))
    if len(sizes) == 0 or sizes.dtype.kind not in "iu" or (sizes < SECTOR).any() or (sizes % SECTOR).any():
        raise ValueError(f"size must be positive multiples of {SECTOR} bytes, got {size}")
    sizes = sizes.astype(np.int64)
    align = align or int(sizes.min())
    _at_least_one("span", span)
    _at_least_one("align", align)
    if align % SECTOR:
        raise ValueError(f"align must be a positive multiple of {SECTOR} bytes, got {align}")
    for name, share in (("read_ratio", read_ratio), ("hot", hot), ("heat", heat)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be a share from 0 to 1, got {share}")
    slots = (span - int(sizes.max())) // align + 1
    if slots < 1:
        raise ValueError(f"span of {span} bytes holds no request of {int(sizes.max())}")
    count = len(arrival)
    draw = lambda name: _uniform(keys.derive(key, name), count)
    slot = _slots(pattern, slots, draw, skew, hot, heat)
    drawn = sizes[np.minimum((draw("size") * len(sizes)).astype(np.int64), len(sizes) - 1)]
    kind = np.where(draw("kind") < read_ratio, READ, WRITE).astype(np.int32)
    uniform = int(sizes[0]) if len(sizes) == 1 and align % sizes[0] == 0 else 0
    return Load(arrival, slot * align, drawn, kind, queue_depth, uniform)


def _uniform(key: Key, count: int) -> np.ndarray:
    with x64():
        return np.asarray(jax.random.uniform(key, (count,), jnp.float64))


def _slots(pattern: str, slots: int, draw, skew: float, hot: float, heat: float) -> np.ndarray:
    """Which of `slots` places each request asks for, int64."""
    if pattern == "sequential":
        return np.arange(len(draw("slot")), dtype=np.int64) % slots
    if pattern == "uniform":
        return np.minimum((draw("slot") * slots).astype(np.int64), slots - 1)
    if pattern == "zipf":
        return _scatter(_zipf(draw("slot"), slots, skew), slots)
    if pattern == "hot-cold":
        warm = max(int(hot * slots), 1)
        in_warm = (draw("heat") < heat) | (warm == slots)
        width, begin = np.where(in_warm, warm, slots - warm), np.where(in_warm, 0, warm)
        return begin + np.minimum((draw("slot") * width).astype(np.int64), width - 1)
    raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, got {pattern!r}")


def _zipf(drawn: np.ndarray, slots: int, skew: float) -> np.ndarray:
    """Ranks from 0 on with probability proportional to (rank + 1)^-skew, by the inverse of the continuous law."""
    if not skew >= 0:
        raise ValueError(f"skew must be at least 0, got {skew}")
    if abs(skew - 1) < 1e-9:
        rank = (slots + 1.0) ** drawn
    else:
        rank = (drawn * ((slots + 1.0) ** (1 - skew) - 1) + 1) ** (1 / (1 - skew))
    return np.clip(rank.astype(np.int64) - 1, 0, slots - 1)


def _scatter(rank: np.ndarray, slots: int) -> np.ndarray:
    """Ranks spread over the span: a multiplication modulo `slots` that leaves no two on one place."""
    step = int(0.6180339887 * slots) | 1
    while np.gcd(step, slots) != 1:
        step += 2 if slots % 2 == 0 else 1
    return np.array([(int(r) * step) % slots for r in rank], np.int64) if slots > 2**31 else rank * step % slots


def _at_least_one(name: str, value: int) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


__all__ = [
    "FORMATS",
    "PATTERNS",
    "READ",
    "TRIM",
    "WRITE",
    "Load",
    "TraceWarning",
    "closed",
    "closed_replay",
    "poisson",
    "read_trace",
    "wrap",
]
