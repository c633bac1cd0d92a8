"""Timing: durations of all phases, from data-sheet numbers to nanoseconds.

Reference: ONFI NV-DDR2 as MQSim has it (ONFI_Channel_NVDDR2); PCIe packets of 128 bytes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.ssd.engine.bus_arbiter import Phases

# ns, NV-DDR2
_CS, _WC, _WB, _RR, _DBSY, _ADL, _DQSRE, _RPRE, _WPST, _WPSTH = 20, 25, 100, 20, 500, 70, 15, 15, 6, 15
READ_COMMAND = _CS + 6 * _WC + _WB + _RR
PROGRAM_COMMAND = _CS + 6 * _WC + _ADL + _WPST + _WPSTH + _WB
ERASE_COMMAND = _CS + 4 * _WC + _WB
FURTHER_PLANE = _DBSY + 6 * _WC
DATA_SETUP = _RPRE + _DQSRE

_PAYLOAD, _HEADERS = 128, 20 + 6 + 2  # bytes of a PCIe packet


class Timing(NamedTuple):
    """The numbers of a data sheet: leaves, which may be swept.

    Args:
      read_us, program_us: of the array; one number, or a tuple of 1 to 8, one a page type. A page type is the place of
        a bit in its cell: of two numbers the first is for the pages 0, 2, 4 .. of a block, of three for 0, 3, 6 ..
      erase_us: of a block.
      channel_mt_s: million transfers a second on a channel.
      channel_bytes: a transfer.
      host_gb_s: of the host link, each way, 10^9 bytes a second.
      memory_us: DRAM and controller, a page or a TRIM.
      suspend_program_us, suspend_erase_us: until a read can begin in the place of what gives way to it.
      margin_program_us, margin_erase_us: a read does not suspend what has no more than so much left.
    """

    read_us: Any = 75.0
    program_us: Any = 750.0
    erase_us: Any = 3800.0
    channel_mt_s: Any = 1000 / 3
    channel_bytes: Any = 1
    host_gb_s: Any = 4.0
    memory_us: Any = 1.0
    suspend_program_us: Any = 100.0
    suspend_erase_us: Any = 700.0
    margin_program_us: Any = 100.0
    margin_erase_us: Any = 700.0


POSITIVE = ("read_us", "program_us", "erase_us", "channel_mt_s", "channel_bytes", "host_gb_s", "memory_us")
TYPED = ("read_us", "program_us")
LONGEST = 1e8  # us
MOST_TYPES = 8


def by_type(duration: Any) -> tuple:
    """One number a page type."""
    return tuple(duration) if isinstance(duration, tuple | list) else (duration,)


def nanoseconds(microseconds: Any) -> Any:
    """Whole nanoseconds, int64."""
    return jnp.round(jnp.asarray(microseconds, jnp.float64) * 1000).astype(jnp.int64)


def phases(timing: Timing) -> Phases:
    """The durations of the back end, int64 ns; the transfer of a byte is not rounded."""
    fixed = lambda number: jnp.asarray(number, jnp.int64)
    return Phases(
        fixed(READ_COMMAND),
        fixed(PROGRAM_COMMAND),
        fixed(ERASE_COMMAND),
        fixed(FURTHER_PLANE),
        fixed(DATA_SETUP),
        1000.0 / (jnp.asarray(timing.channel_mt_s, jnp.float64) * timing.channel_bytes),
        tuple(nanoseconds(duration) for duration in by_type(timing.read_us)),
        tuple(nanoseconds(duration) for duration in by_type(timing.program_us)),
        nanoseconds(timing.erase_us),
        nanoseconds(timing.suspend_program_us),
        nanoseconds(timing.suspend_erase_us),
        nanoseconds(timing.margin_program_us),
        nanoseconds(timing.margin_erase_us),
    )


def link(size: Any, host_gb_s: Any) -> Any:
    """Nanoseconds on the host link: 28 bytes of headers for each 128 of data, int64."""
    packets = -(-size // _PAYLOAD)
    return jnp.ceil(packets * (_PAYLOAD + _HEADERS) / jnp.asarray(host_gb_s, jnp.float64)).astype(jnp.int64)


def check(timing: Timing) -> None:
    """Refuses numbers that are no durations or rates; what is traced passes.

    Raises:
      ValueError: by name.
    """
    for name, value in timing._asdict().items():
        most = MOST_TYPES if name in TYPED else 1
        if not 1 <= len(by_type(value)) <= most:
            right = f"1 to {most} page types" if name in TYPED else "one number"
            raise ValueError(f"{name} takes {right}, got {len(by_type(value))}")
        for duration in by_type(value):
            check_number(name, duration, positive=name in POSITIVE, most=LONGEST)
            timed = name.endswith("_us") and name in POSITIVE
            if timed and is_concrete(duration) and not np.all(np.asarray(duration) >= 0.001):
                raise ValueError(f"{name} must be at least a nanosecond, 0.001, got {duration}")


def check_number(name: str, value: Any, positive: bool, most: float) -> None:
    """Refuses what is no number, or one out of its range; what is traced passes.

    Raises:
      ValueError: by name.
    """
    if isinstance(value, str):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if is_concrete(value):
        values = np.asarray(value)
        if not np.all(((values > 0) if positive else (values >= 0)) & (values <= most)):
            kind = "positive" if positive else "at least 0"
            raise ValueError(f"{name} must be {kind} and at most {most:g}, got {value}")


def is_concrete(value: Any) -> bool:
    """Whether it is a number or an array of numbers; not what stands for one while a transformation is at work."""
    numbers = int | float | np.ndarray | np.generic | jax.Array
    return isinstance(value, numbers) and not (isinstance(value, bool) or is_traced(value))
