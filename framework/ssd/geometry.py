"""What a device consists of, and where its logical pages lie."""

import dataclasses
import itertools
import math
from typing import Any, NamedTuple

import jax

STRIPINGS = tuple("".join(order) for order in itertools.permutations("CWDP"))
SECTOR = 512  # bytes, the unit of a request
_LARGEST = {"channels": 1024, "chips": 64, "dies": 16, "planes": 16, "blocks": 2**20, "pages": 2**16}


class Place(NamedTuple):
    """Where pages lie; integers of one shape."""

    channel: Any
    chip: Any
    die: Any
    plane: Any
    row: Any  # the how-manieth logical page of its plane


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Geometry:
    """Counts at each level, and the size of a page; static.

    Raises:
      ValueError: for a count that is no positive integer or too large, a page that is not whole sectors, or a striping
        that is no order of C (channel), W (way, a chip), D (die) and P (plane).
    """

    channels: int = dataclasses.field(default=8, metadata={"static": True})
    chips: int = dataclasses.field(default=4, metadata={"static": True})  # a channel
    dies: int = dataclasses.field(default=2, metadata={"static": True})  # a chip
    planes: int = dataclasses.field(default=2, metadata={"static": True})  # a die
    blocks: int = dataclasses.field(default=2048, metadata={"static": True})  # a plane
    pages: int = dataclasses.field(default=256, metadata={"static": True})  # a block
    page_bytes: int = dataclasses.field(default=8192, metadata={"static": True})
    striping: str = dataclasses.field(default="CWDP", metadata={"static": True})  # the first letter varies fastest

    def __post_init__(self):
        for name, most in _LARGEST.items():
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
                raise ValueError(f"{name} must be an integer from 1 to {most}, got {count!r}")
        if self.chips * self.dies > 128:
            raise ValueError(f"chips x dies must be at most 128 a channel, got {self.chips} x {self.dies}")
        size = self.page_bytes
        if not isinstance(size, int) or not SECTOR <= size <= 2**20 or size % SECTOR:
            raise ValueError(f"page_bytes must be a multiple of {SECTOR} from {SECTOR} to {2**20}, got {size!r}")
        if self.striping not in STRIPINGS:
            raise ValueError(
                f"striping must be an order of the letters C, W, D, P, such as CWDP, got {self.striping!r}"
            )

    @property
    def plane_count(self) -> int:
        """Planes of the device."""
        return self.channels * self.chips * self.dies * self.planes

    @property
    def physical_pages(self) -> int:
        """Pages of the device."""
        return self.plane_count * self.blocks * self.pages

    @property
    def physical_bytes(self) -> int:
        """Bytes of the device."""
        return self.physical_pages * self.page_bytes

    def place(self, page: Any) -> Place:
        """Where logical pages lie: static striping, one page a plane in turn."""
        sizes = {"C": self.channels, "W": self.chips, "D": self.dies, "P": self.planes}
        found = {}
        for letter in self.striping:
            found[letter] = page % sizes[letter]
            page = page // sizes[letter]
        return Place(*(found[letter] for letter in "CWDP"), page)

    def plane_of(self, page: Any) -> tuple[Any, Any]:
        """The plane of logical pages, numbered channel by channel, and the row there."""
        at = self.place(page)
        return ((at.channel * self.chips + at.chip) * self.dies + at.die) * self.planes + at.plane, at.row

    def page_of(self, plane: Any, row: Any) -> Any:
        """The logical page at a row of a plane: the inverse of `plane_of`."""
        sizes = {"C": self.channels, "W": self.chips, "D": self.dies, "P": self.planes}
        found = {}
        for letter in "PDWC":
            found[letter] = plane % sizes[letter]
            plane = plane // sizes[letter]
        page = row
        for letter in reversed(self.striping):
            page = page * sizes[letter] + found[letter]
        return page

    def __str__(self) -> str:
        counts = f"{self.channels} x {self.chips} x {self.dies} x {self.planes}"
        size = self.physical_bytes
        unit = min(int(math.log2(size) // 10), 4)
        return f"{counts}, {size / 2 ** (10 * unit):.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"
