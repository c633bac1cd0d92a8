"""How long each phase takes: from data-sheet numbers to nanoseconds.

Reference: ONFI NV-DDR2 as MQSim has it (ONFI_Channel_NVDDR2); PCIe packets of 128 bytes.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from framework.ssd.grants import Phases

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

    A page type is the place of a bit in its cell: of two numbers the first is for the pages 0, 2, 4 .. of a block, of
    three for 0, 3, 6 ..
    """

    read_us: Any = 75.0  # of the array; one number, or a tuple of one a page type
    program_us: Any = 750.0
    erase_us: Any = 3800.0
    channel_mt_s: Any = 1000 / 3  # million transfers a second
    channel_bytes: Any = 1  # a transfer
    host_gb_s: Any = 4.0  # each way, 10^9 bytes
    memory_us: Any = 1.0  # DRAM and controller, a page or a TRIM
    suspend_program_us: Any = 100.0  # until a read can begin
    suspend_erase_us: Any = 700.0
    margin_program_us: Any = 100.0  # a read does not suspend what has no more than so much left
    margin_erase_us: Any = 700.0


POSITIVE = ("read_us", "program_us", "erase_us", "channel_mt_s", "channel_bytes", "host_gb_s", "memory_us")
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
        tuple(nanoseconds(each) for each in by_type(timing.read_us)),
        tuple(nanoseconds(each) for each in by_type(timing.program_us)),
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
        least = np.nextafter(0, 1) if name in POSITIVE else 0
        if len(by_type(value)) > MOST_TYPES or not by_type(value):
            raise ValueError(f"{name} takes 1 to {MOST_TYPES} page types, got {len(by_type(value))}")
        for each in by_type(value):
            if not isinstance(each, int | float | np.ndarray | np.generic) or isinstance(each, bool):
                continue
            if not np.all(np.isfinite(each) & (np.asarray(each) >= least) & (np.asarray(each) <= LONGEST)):
                kind = "positive" if name in POSITIVE else "at least 0"
                raise ValueError(f"{name} must be {kind} and at most {LONGEST:g}, got {each}")
            if name.endswith("_us") and name in POSITIVE and not np.all(np.asarray(each) >= 0.001):
                raise ValueError(f"{name} must be at least a nanosecond, 0.001, got {each}")
