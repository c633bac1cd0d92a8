"""The geometry of a device, and the location of its logical pages."""

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


def static(default: Any) -> Any:
    """A field of a dataclass that is structure, not a leaf."""
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Geometry:
    """Counts at each level, and the size of a page; static.

    Args:
      channels: of the device, 1 to 1024.
      chips: a channel, 1 to 64.
      dies: a chip, 1 to 16; chips x dies at most 128.
      planes: a die, 1 to 16.
      blocks: a plane, up to 2^20.
      pages: a block, up to 2^16.
      page_bytes: whole sectors of 512 bytes, up to 1 MiB.
      striping: where one logical page after another lies: an order of C (channel), W (way, a chip), D (die) and P
        (plane), of which the first letter varies fastest.

    Raises:
      ValueError: for a count that is no positive integer or too large, a page that is not whole sectors, or a striping
        that is no order of the four letters.
    """

    channels: int = static(8)
    chips: int = static(4)
    dies: int = static(2)
    planes: int = static(2)
    blocks: int = static(2048)
    pages: int = static(256)
    page_bytes: int = static(8192)
    striping: str = static("CWDP")

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

    def locate(self, page: Any) -> Place:
        """Where logical pages lie: static striping, one page a plane in turn."""
        sizes = {"C": self.channels, "W": self.chips, "D": self.dies, "P": self.planes}
        coordinates = {}
        for letter in self.striping:
            coordinates[letter] = page % sizes[letter]
            page = page // sizes[letter]
        return Place(*(coordinates[letter] for letter in "CWDP"), page)

    def plane_of(self, page: Any) -> tuple[Any, Any]:
        """The plane of logical pages, numbered channel by channel, and the row there."""
        at = self.locate(page)
        return ((at.channel * self.chips + at.chip) * self.dies + at.die) * self.planes + at.plane, at.row

    def page_of(self, plane: Any, row: Any) -> Any:
        """The logical page at a row of a plane: the inverse of `plane_of`."""
        sizes = {"C": self.channels, "W": self.chips, "D": self.dies, "P": self.planes}
        coordinates = {}
        for letter in "PDWC":
            coordinates[letter] = plane % sizes[letter]
            plane = plane // sizes[letter]
        page = row
        for letter in reversed(self.striping):
            page = page * sizes[letter] + coordinates[letter]
        return page

    def __str__(self) -> str:
        counts = f"{self.channels} x {self.chips} x {self.dies} x {self.planes}"
        size = self.physical_bytes
        unit = min(int(math.log2(size) // 10), 4)
        return f"{counts}, {size / 2 ** (10 * unit):.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"
