"""Devices by name; any field of a design may be given instead of the preset's."""

from collections.abc import Callable
from typing import Any

from framework.ssd.device.design import Design


def mqsim_default(**fields: Any) -> Design:
    """MQSim's default device: 8 channels x 4 chips x 2 dies x 2 planes, 512 GiB, with its data-first bus, its dies
    that take turns and its reads that go before writes; write cache off and mapping ideal.

    An ideal mapping collects no garbage: `mapping="page"` does. The channel is named 333 MT/s and moves a byte in 3 ns,
    as 333 1/3 does. MQSim's own time in DRAM is left out.

    Raises:
      ValueError: for an unknown field or a number out of range.

    Reference: `ssdconfig.xml` of CMU-SAFARI/MQSim.
    """
    serial = {"arbitration": "data-first", "die_mode": "chip-serial", "scheduling": "read-first"}
    return Design().replace(**(serial | fields))


def isp_ml(**fields: Any) -> Design:
    """A device after ISP-ML: 8 channels of one chip, 8 KB pages, 75 us to read, 300 us to program, 5 ms to erase; a
    channel of 333 MT/s, the host link and an ideal mapping, which collects no garbage, are this project's choice.

    Raises:
      ValueError: for an unknown field or a number out of range.

    Reference: arXiv 1610.02273; the numbers are as reported and were not checked against the paper.
    """
    plain = {"chips": 1, "dies": 1, "planes": 1, "read_us": 75.0, "program_us": 300.0, "erase_us": 5000.0}
    return Design().replace(**(plain | fields))


def enterprise_tlc(**fields: Any) -> Design:
    """A drive of TLC flash as data centres have them: 16 channels x 4 chips x 2 dies x 4 planes, 16 KiB pages of three
    types, 1,200 MT/s, 28 % over-provisioning of logical pages, a write cache, suspension; a page map that collects
    garbage, on a drive that has been in use until the cost of collection is steady. The numbers are round ones of this
    project's choosing, fitted to no product; 128 blocks a plane, 412 GB of flash, keep its map small.

    The first load on such a drive takes seconds more, in which it is worn in; the map of its pages takes memory of a
    few hundred megabytes. `mapping="ideal", precondition="none"` is the same drive without collection.

    Raises:
      ValueError: for an unknown field or a number out of range.
    """
    drive = {
        "channels": 16,
        "planes": 4,
        "blocks": 128,
        "pages": 384,
        "page_bytes": 16384,
        "read_us": (55.0, 70.0, 90.0),
        "program_us": (450.0, 700.0, 1200.0),
        "erase_us": 5000.0,
        "channel_mt_s": 1200.0,
        "host_gb_s": 7.0,
        "over_provisioning": 0.28,
        "op_of": "logical",
        "mapping": "page",
        "precondition": "steady",
        "multiplane": True,
        "scheduling": "read-first",
        "suspend": "both",
        "suspend_program_us": 20.0,
        "suspend_erase_us": 40.0,
        "cache_pages": 4096,
        "cache_flushes": 256,
    }
    return Design().replace(**(drive | fields))


NAMES: dict[str, Callable[..., Design]] = {
    "mqsim_default": mqsim_default,
    "isp_ml": isp_ml,
    "enterprise_tlc": enterprise_tlc,
}
