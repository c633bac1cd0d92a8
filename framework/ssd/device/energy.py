"""Energy by what was done: array operations, bytes on the channels and the host link, and time at rest."""

from typing import Any, NamedTuple

from framework.ssd.device.timing import check_number


class Power(NamedTuple):
    """Energies and powers; leaves. The defaults are round numbers of a data sheet's order, fitted to no device.

    Args:
      read_uj, program_uj: microjoules an array operation on a page.
      erase_uj: microjoules a block.
      channel_pj_bit, host_pj_bit: picojoules a bit on a channel and on the host link.
      idle_mw: milliwatts of the whole device, always.
    """

    read_uj: Any = 2.0
    program_uj: Any = 20.0
    erase_uj: Any = 100.0
    channel_pj_bit: Any = 10.0
    host_pj_bit: Any = 10.0
    idle_mw: Any = 500.0


LARGEST = 1e12  # of each number, in its unit


class Energy(NamedTuple):
    """Joules, by what they were spent on."""

    read: Any
    program: Any
    erase: Any
    channel: Any
    host: Any
    idle: Any
    total: Any


def energy_of(
    power: Power, reads: Any, programs: Any, erases: Any, channel_bytes: Any, host_bytes: Any, ns: Any
) -> Energy:
    """Energy of counts of operations, bytes moved, and a time in ns."""
    parts = (
        1e-6 * power.read_uj * reads,
        1e-6 * power.program_uj * programs,
        1e-6 * power.erase_uj * erases,
        8e-12 * power.channel_pj_bit * channel_bytes,
        8e-12 * power.host_pj_bit * host_bytes,
        1e-12 * power.idle_mw * ns,
    )
    return Energy(*parts, sum(parts))


def check(power: Power) -> None:
    """Refuses numbers that are no energies or powers; what is traced passes.

    Raises:
      ValueError: by name.
    """
    for name, value in power._asdict().items():
        check_number(name, value, positive=False, most=LARGEST)
