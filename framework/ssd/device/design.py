"""A whole device as one typed value: structure that is static, numbers that may be swept."""

import dataclasses
from typing import Any

import jax

from framework.ssd.device import energy
from framework.ssd.device import timing as durations
from framework.ssd.device.energy import Power
from framework.ssd.device.geometry import Geometry, Place, static
from framework.ssd.device.timing import Timing
from framework.ssd.engine.bus_arbiter import Rules
from framework.ssd.ftl.mapping import Ftl

CHOICES = {
    "arbitration": ("data-first", "command-first"),
    "die_mode": ("overlap", "chip-serial"),
    "scheduling": ("fifo", "read-first"),
    "suspend": ("none", "program", "erase", "both"),
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Policy:
    """Who goes first; static.

    Args:
      arbitration: of the bus: `data-first`, data that wait, or `command-first`.
      die_mode: `overlap`, the dies of a chip work at once; `chip-serial`, one after another, as in MQSim.
      multiplane: whether one command serves the pages that wait on several planes of a die; wants `overlap`.
      scheduling: of a queue: `fifo`, or `read-first`, reads before all else.
      suspend: what gives way to a read: `none`, `program`, `erase` or `both`; wants `read-first`.

    Raises:
      ValueError: for a name that is none of its choices, or choices that do not go together.
    """

    arbitration: str = static("data-first")
    die_mode: str = static("overlap")
    multiplane: bool = static(False)
    scheduling: str = static("fifo")
    suspend: str = static("none")

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.suspend != "none" and self.scheduling != "read-first":
            raise ValueError(f"suspend={self.suspend!r} lets reads go first: it wants scheduling='read-first'")
        if self.multiplane and self.die_mode == "chip-serial":
            raise ValueError("multiplane commands are for die_mode='overlap': a serial chip has one queue")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cache:
    """A write buffer in DRAM; static. Pages leave it first in, first out; a page written again stays where it is.

    Args:
      pages: that it holds; 0: no cache, writes end on flash.
      flushes: programs at a time that make room, at least 1; a write waits while all are at work.

    Raises:
      ValueError: for a number below its least.
    """

    pages: int = static(0)
    flushes: int = static(64)

    def __post_init__(self):
        for name, least in (("pages", 0), ("flushes", 1)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(f"cache {name} must be an integer of at least {least}, got {getattr(self, name)!r}")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Design:
    """A device. `timing` and `power` are leaves, which `vmap` and `sweep` may vary; the rest is static.

    Args:
      geometry, policy, ftl, cache, timing, power: a `Geometry`, a `Policy` .. each; MQSim's numbers by default. Where
        only some fields are other ones take `replace`, or a preset: `presets.isp_ml(channels=4)`.

    Raises:
      ValueError: if a number is out of range or the parts do not fit each other.
    """

    geometry: Geometry = dataclasses.field(default_factory=Geometry, metadata={"static": True})
    policy: Policy = dataclasses.field(default_factory=Policy, metadata={"static": True})
    ftl: Ftl = dataclasses.field(default_factory=Ftl, metadata={"static": True})
    cache: Cache = dataclasses.field(default_factory=Cache, metadata={"static": True})
    timing: Timing = dataclasses.field(default_factory=Timing)
    power: Power = dataclasses.field(default_factory=Power)

    def __post_init__(self):
        self.ftl.rows(self.geometry)
        if isinstance(self.timing, Timing):  # not while a transformation looks at the structure
            durations.check(self.timing)
        if isinstance(self.power, Power):
            energy.check(self.power)

    @property
    def structure(self) -> tuple:
        """All that is static, page types included: designs with the same one run in one program."""
        return self.geometry, self.policy, self.ftl, self.cache, self.page_types

    @property
    def page_types(self) -> tuple[int, int]:
        """How many types of pages there are, to read and to program."""
        return len(durations.by_type(self.timing.read_us)), len(durations.by_type(self.timing.program_us))

    @property
    def rules(self) -> Rules:
        """What a LUN of the back end may do."""
        policy = self.policy
        return Rules(
            planes=self.geometry.planes if policy.multiplane else 1,
            apart=policy.scheduling == "read-first" or self.cache.pages > 0,  # reads need not wait for room in a buffer
            read_first=policy.scheduling == "read-first",
            data_first=policy.arbitration == "data-first",
            suspend_program=policy.suspend in ("program", "both"),
            suspend_erase=policy.suspend in ("erase", "both"),
        )

    @property
    def luns(self) -> int:
        """Dies of a channel that work at once, or chips."""
        return self.geometry.chips * (self.geometry.dies if self.policy.die_mode == "overlap" else 1)

    def lane_of(self, at: Place) -> Any:
        """The LUN of its channel that serves a place."""
        return at.chip * self.geometry.dies + at.die if self.policy.die_mode == "overlap" else at.chip

    @property
    def logical_pages(self) -> int:
        """Pages that a host may address."""
        return self.ftl.rows(self.geometry) * self.geometry.plane_count

    @property
    def capacity(self) -> int:
        """Bytes that a host may address."""
        return self.logical_pages * self.geometry.page_bytes

    def replace(self, **changes: Any) -> "Design":
        """The same device but for some fields, of whichever part: `design.replace(chips=8, read_us=60)`.

        Raises:
          ValueError: for an unknown field.
        """
        parts = {}
        for name, value in changes.items():
            part = FIELDS.get(name)
            if part is None:
                raise ValueError(f"a design has no field {name!r}; it has {', '.join(FIELDS)}")
            parts.setdefault(part, {})[names_in(part, name)] = value
        made = {}
        for part, values in parts.items():
            old = getattr(self, part)
            made[part] = old._replace(**values) if isinstance(old, tuple) else dataclasses.replace(old, **values)
        return dataclasses.replace(self, **made)

    def fields(self) -> dict[str, Any]:
        """All fields by the names that `replace` takes."""
        return {name: getattr(getattr(self, part), names_in(part, name)) for name, part in FIELDS.items()}


def names_in(part: str, name: str) -> str:
    """The name of a field inside its part: the cache's are `cache_pages` and `cache_flushes` outside."""
    return name.removeprefix("cache_") if part == "cache" else name


def _fields() -> dict[str, str]:
    fields = {}
    for part, kind in (("geometry", Geometry), ("timing", Timing), ("policy", Policy), ("ftl", Ftl), ("cache", Cache)):
        names = kind._fields if issubclass(kind, tuple) else [field.name for field in dataclasses.fields(kind)]
        fields |= {f"cache_{name}" if part == "cache" else name: part for name in names}
    return fields | dict.fromkeys(Power._fields, "power")


FIELDS = _fields()  # a field's name to the part that it is in
