"""Configuration of the flash translation layer: page map, spare area, garbage collection."""

import dataclasses
import math

import jax

from framework.ssd.device.geometry import Geometry, static

VICTIMS = ("greedy", "fifo", "d-choices", "cost-benefit", "random")
MAPPINGS = ("ideal", "page")
PRECONDITIONS = ("none", "full", "steady")
OP_OF = ("physical", "logical")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ftl:
    """The flash translation layer; static.

    Args:
      mapping: `ideal`, pages stay where striping puts them; `page`, a map, written out of place and collected.
      over_provisioning: share of pages that the host does not see.
      op_of: of which pages that is a share: `physical`, as MQSim has it, or `logical`.
      victim: whose valid pages are moved: the block of `greedy`, `fifo`, `d-choices`, `cost-benefit` or `random`; see
        `victims.choose`.
      choices: blocks that d-choices looks at.
      reserve: blocks of a plane that collection keeps free, next to the one that is being written.
      copyback: whether moved pages stay inside their plane, without data on the bus.
      dynamic_wear: whether the free block with the fewest erases is written next; else the lowest.
      static_wear: spread of erases above which the least erased block is moved too; 0: never.
      precondition: what a page map finds: `none`, a device from the factory; `full`, each page written once, in order;
        `steady`, then at random, until the cost of collection is steady.
      seed: of preconditioning and of victims drawn at random.

    Raises:
      ValueError: for a name that is none of its choices or a number out of range.
    """

    mapping: str = static("ideal")
    over_provisioning: float = static(0.07)
    op_of: str = static("physical")
    victim: str = static("greedy")
    choices: int = static(10)
    reserve: int = static(1)
    copyback: bool = static(False)
    dynamic_wear: bool = static(True)
    static_wear: int = static(0)
    precondition: str = static("none")
    seed: int = static(0)

    def __post_init__(self):
        for name, choices in (
            ("mapping", MAPPINGS),
            ("victim", VICTIMS),
            ("precondition", PRECONDITIONS),
            ("op_of", OP_OF),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        most = 1 if self.op_of == "physical" else math.inf
        if not 0 <= self.over_provisioning < most:
            raise ValueError(
                f"over_provisioning must be at least 0, and as a share of physical pages below 1, got "
                f"{self.over_provisioning}"
            )
        for name, least in (("choices", 1), ("reserve", 1), ("static_wear", 0), ("seed", 0)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {getattr(self, name)!r}")
        if self.mapping == "ideal" and self.precondition != "none":
            raise ValueError("precondition is for mapping='page': an ideal mapping has nothing to fill")

    def rows(self, geometry: Geometry) -> int:
        """Logical pages of a plane.

        Raises:
          ValueError: if that leaves no page, or no spare block to collect into.
        """
        physical = geometry.blocks * geometry.pages
        share = 1 - self.over_provisioning if self.op_of == "physical" else 1 / (1 + self.over_provisioning)
        rows = math.floor(physical * share + 1e-9)
        if rows < 1:
            raise ValueError(f"over_provisioning={self.over_provisioning} leaves no logical page on {geometry}")
        most = (geometry.blocks - self.reserve - 1) * geometry.pages - 1
        if self.mapping == "page" and rows > most:
            raise ValueError(
                f"over_provisioning={self.over_provisioning} (of {self.op_of}) leaves no spare block: {rows} logical "
                f"pages a plane, but {geometry.blocks} blocks of {geometry.pages} less {self.reserve + 1} in reserve "
                f"and at work hold at most {most}"
            )
        return rows

    def ratio(self, geometry: Geometry) -> float:
        """Physical over logical pages as laws of write amplification want it: of the blocks a victim is chosen from.

        When a victim is chosen the block being written is empty and `reserve - 1` are free: those are taken off.
        """
        return (geometry.blocks - self.reserve) * geometry.pages / self.rows(geometry)
