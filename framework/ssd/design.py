"""A whole device as one typed value: structure that is static, numbers that may be swept."""

import dataclasses
from typing import Any

import jax

from framework.ssd import timing as durations
from framework.ssd.energy import Power
from framework.ssd.ftl import Ftl
from framework.ssd.geometry import Geometry
from framework.ssd.grants import Rules
from framework.ssd.timing import Timing

CHOICES = {
    "arbitration": ("data-first", "command-first"),
    "die_mode": ("overlap", "chip-serial"),
    "scheduling": ("fifo", "read-first"),
    "suspend": ("none", "program", "erase", "both"),
}


def _static(default):
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Policy:
    """Who goes first; static.

    Raises:
      ValueError: for a name that is none of its choices, or choices that do not go together.
    """

    arbitration: str = _static("data-first")  # of the bus: data that wait, or commands
    die_mode: str = _static("overlap")  # dies of a chip work at once; chip-serial: one after another, as in MQSim
    multiplane: bool = _static(False)  # one command for the pages that wait on several planes of a die
    scheduling: str = _static("fifo")  # of a queue; read-first: reads before all else
    suspend: str = _static("none")  # what gives way to a read: program, erase or both; wants read-first

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

    Raises:
      ValueError: for a number below its least.
    """

    pages: int = _static(0)  # 0: no cache, writes end on flash
    flushes: int = _static(64)  # programs at a time that make room; a write waits while all are at work

    def __post_init__(self):
        for name, least in (("pages", 0), ("flushes", 1)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(f"cache {name} must be an integer of at least {least}, got {getattr(self, name)!r}")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Design:
    """A device. `timing` and `power` are leaves, the rest is static.

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
        """What a lane of the back end may do."""
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
    def lanes(self) -> int:
        """Dies of a channel that work at once, or chips."""
        return self.geometry.chips * (self.geometry.dies if self.policy.die_mode == "overlap" else 1)

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
    found = {}
    for part, kind in (("geometry", Geometry), ("timing", Timing), ("policy", Policy), ("ftl", Ftl), ("cache", Cache)):
        names = kind._fields if issubclass(kind, tuple) else [field.name for field in dataclasses.fields(kind)]
        found |= {f"cache_{name}" if part == "cache" else name: part for name in names}
    return found | dict.fromkeys(Power._fields, "power")


FIELDS = _fields()  # a field's name to the part that it is in
