"""Grants of a channel's bus: which LUN gets it, what it does with it, and when the grant ends.

A LUN is a die, or a whole chip if its dies take turns; it works on one array operation at a time. Its operations wait
in queues, one for each plane (multi-plane commands) and class (reads that go first, and all others). A read holds the
bus twice, for its command and for its data; between the two the bus is free for other LUNs:

    bus   |command|         ...          |data transfer|
    LUN           |array read (tR)| wait |             | ready

A program holds the bus once, for command and data together; an erase once, for its command.

Arrays end in the axes `[LUNs, channels, designs]`; times are int64 nanoseconds.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

NEVER = 2**60  # a time that never comes
_LATER = 2**58  # past every rank of waiting data: times below 2^51 and up to 128 LUNs
READ, PROGRAM, ERASE = 0, 1, 2
KIND_BITS, TYPE_BITS = 2, 3


class Rules(NamedTuple):
    """What a LUN may do; static."""

    planes: int  # that one command may span
    apart: bool  # reads of the host have queues of their own, the first class
    read_first: bool  # which go first; else the operation goes that came first, of two at a time the read
    data_first: bool  # data that wait have the bus before commands
    suspend_program: bool  # for a read
    suspend_erase: bool

    @property
    def suspends(self) -> bool:
        """Whether anything gives way to a read."""
        return self.suspend_program or self.suspend_erase


class Phases(NamedTuple):
    """Durations in ns, int64 scalars or `[designs]`."""

    read_command: jax.Array
    program_command: jax.Array
    erase_command: jax.Array
    plane: jax.Array  # a command takes longer by so much for each further plane
    setup: jax.Array  # before data come out
    byte: jax.Array  # float64: ns to transfer one byte; a page's transfer is rounded to ns
    read: tuple[jax.Array, ...]  # of the array, one a page type
    program: tuple[jax.Array, ...]
    erase: jax.Array
    suspend_program: jax.Array
    suspend_erase: jax.Array
    margin_program: jax.Array  # what a read lets end that has no more than so much left
    margin_erase: jax.Array


class Luns(NamedTuple):
    """Where the channels stand."""

    position: jax.Array  # [planes, classes, LUNs, channels, designs] int32: next operation of each queue
    head_arrival: jax.Array  # as position, int64: when it arrives; NEVER where there is none
    active: jax.Array  # as position, bool: being read
    ready: jax.Array  # [LUNs, channels, designs]: the LUN is free, or its data are
    bus: jax.Array  # [channels, designs]: the bus is free
    round_robin_next: jax.Array  # [channels, designs] int32: the LUN whose command is next in turn
    remaining: jax.Array  # as ready: what a suspended operation has left
    suspendable: jax.Array  # as ready, int32: the operation at work, if it may be suspended; 0 if not
    suspended_planes: jax.Array  # [planes, LUNs, channels, designs] bool: the planes of that operation


class _Chosen(NamedTuple):
    """The LUN of each channel that the bus is granted to."""

    mine: jax.Array  # [LUNs, channels, designs] bool, one LUN a channel
    start: jax.Array  # [channels, designs]
    live: jax.Array  # [channels, designs] bool: whether the grant takes place
    data: jax.Array  # [channels, designs] bool: for data, else for a command

    def take(self, array: jax.Array) -> jax.Array:
        """That LUN's numbers."""
        return jnp.where(self.mine, array, 0).sum(-3, dtype=array.dtype)

    def flag(self, array: jax.Array) -> jax.Array:
        """That LUN's booleans."""
        return (self.mine & array).any(-3)


class _Work(NamedTuple):
    """What the LUN does with the bus; `[planes, channels, designs]` or without planes."""

    position: jax.Array  # [planes, classes, channels, designs]
    second: jax.Array  # whether it takes from the second class
    operation: jax.Array
    members: jax.Array  # bool: the planes that take part
    kind: jax.Array  # [channels, designs]
    size: jax.Array  # bytes
    page_type: jax.Array


class BusGrant(NamedTuple):
    """What came of one step; `[planes, channels, designs]` unless said otherwise."""

    start: jax.Array  # [channels, designs]: when the bus was granted; NEVER or more where nothing was left
    operation: jax.Array  # int32 place in the queues
    begun: jax.Array  # bool: whether its command was given
    done: jax.Array  # bool: whether its end is known
    end: jax.Array  # when it ends
    resumed: jax.Array  # bool: whether a suspended operation went on
    suspended_planes: jax.Array  # int32: its place
    held_end: jax.Array  # [channels, designs]: when that one ends
    lun: jax.Array  # [LUNs, channels, designs] bool: whose grant it was
    paused: jax.Array  # [channels, designs] bool: whether an operation gave way to it


def pack(kind, page_type, size):
    """Kind, page type and bytes of an operation in one integer."""
    return (size << (KIND_BITS + TYPE_BITS)) | (page_type << KIND_BITS) | kind


def transfer(size, byte):
    """Nanoseconds on the bus, rounded to whole ones."""
    return jnp.round(size * byte).astype(jnp.int64)


def look_up(array: jax.Array, index: jax.Array) -> jax.Array:
    """Entries of an array that all designs share, or of each design's own, `[designs, ...]`; index `[..., designs]`."""
    return array[index] if array.ndim == 1 else array[jnp.arange(array.shape[0]), index]


def begin(position: jax.Array, head_arrival: jax.Array) -> Luns:
    """All LUNs idle at time 0; `position` and `heads` as in `Luns`."""
    planes, _, *luns = position.shape
    none = jnp.zeros(luns, jnp.int64)
    free = jnp.zeros(luns[1:], jnp.int64)
    return Luns(
        position=position,
        head_arrival=head_arrival,
        active=jnp.zeros(position.shape, bool),
        ready=none,
        bus=free,
        round_robin_next=free.astype(jnp.int32),
        remaining=none,
        suspendable=none.astype(jnp.int32),
        suspended_planes=jnp.zeros((planes, *luns), bool),
    )


def candidates(luns: Luns, phases: Phases, rules: Rules) -> tuple[jax.Array, jax.Array]:
    """When each LUN could have the bus, and whether it waits with data, both `[LUNs, channels, designs]`."""
    data = luns.active.any((0, 1))
    when = jnp.where(data, luns.ready, jnp.maximum(luns.ready, luns.head_arrival.min((0, 1))))
    when = jnp.maximum(when, luns.bus)
    if rules.suspends:
        early = jnp.maximum(luns.head_arrival[:, 0].min(0), luns.bus)
        margin = jnp.where(luns.suspendable == PROGRAM, phases.margin_program, phases.margin_erase)
        gives_way = (luns.suspendable > 0) & ~data & (early + margin < luns.ready)
        when = jnp.where(gives_way, early, when)
    return when, data


def step(
    luns: Luns,
    codes: jax.Array,
    phases: Phases,
    rules: Rules,
    arrivals: jax.Array | None = None,
    before: jax.Array | int = NEVER,
) -> tuple[Luns, BusGrant]:
    """Grants each channel's bus once, to the LUN that can have it first.

    Of several at that time, waiting data go first, the longest ready first among them, or commands go first, in turn.

    Args:
      luns: where the channels stand.
      codes: `[operations]` int32, see `pack`.
      phases: the durations.
      rules: what a LUN may do.
      arrivals: `[operations]` or `[designs, operations]` int64, from which `heads` are renewed; None leaves them be.
      before: grants from this time on wait; a scalar or `[designs]`.
    """
    chosen = _choose(luns, phases, rules, before)
    work = _work(chosen, luns, codes, rules)
    out, end, ready = _durations(chosen, work, phases, rules)
    over = work.members & (chosen.data | (work.kind != READ))
    taken = chosen.mine & chosen.live
    following = luns
    resumed, held_at, paused = jnp.zeros_like(over), work.operation, jnp.zeros_like(chosen.live)
    if rules.suspends:
        following, ready, resumed, paused = _suspend(chosen, work, luns, ready, phases, rules)
        held_at = work.position[:, 1] - 1
    split = lambda flags: _classes(flags, work.second, rules)
    advance = split(over & chosen.live)
    position = (work.position + advance)[:, :, None]
    number = _numbers(luns)
    at_work = jnp.where(chosen.mine, number, 0).sum(0, dtype=jnp.int32)
    round_robin_next = jnp.where(at_work == len(number) - 1, 0, at_work + 1)
    following = following._replace(
        position=jnp.where(chosen.mine, position, luns.position),
        active=jnp.where(taken, split(work.members & ~over)[:, :, None], luns.active),
        ready=jnp.where(taken, ready, luns.ready),
        bus=jnp.where(chosen.live, end, luns.bus),
        round_robin_next=jnp.where(chosen.live & ~chosen.data, round_robin_next, luns.round_robin_next),
    )
    if arrivals is not None:
        renewed = jnp.where(over, look_up(arrivals, work.operation + over), 0)[:, None, None]
        following = following._replace(head_arrival=jnp.where(taken & advance[:, :, None], renewed, luns.head_arrival))
    ended = jnp.where(chosen.data, chosen.start + out, ready)
    begun = work.members & ~chosen.data & chosen.live
    return following, BusGrant(
        chosen.start, work.operation, begun, over & chosen.live, ended, resumed, held_at, ready, taken, paused
    )


def _numbers(luns: Luns) -> jax.Array:
    return jnp.arange(luns.ready.shape[0], dtype=jnp.int32)[:, None, None]


def _choose(luns: Luns, phases: Phases, rules: Rules, before: jax.Array | int) -> _Chosen:
    when, data = candidates(luns, phases, rules)
    start = when.min(0)
    number = _numbers(luns)
    count = len(number)
    away = number - luns.round_robin_next
    away = jnp.where(away < 0, away + count, away).astype(jnp.int64)
    waited = luns.ready * count + number
    rank = jnp.where(data, waited, _LATER + away) if rules.data_first else jnp.where(data, count + waited, away)
    rank = jnp.where(when == start, rank, 2 * NEVER)
    mine = rank == rank.min(0)
    return _Chosen(mine, start, (start < NEVER) & (start < before), (mine & data).any(0))


def _work(chosen: _Chosen, luns: Luns, codes: jax.Array, rules: Rules) -> _Work:
    """The operations at hand: those whose data wait, or the oldest that has arrived and those that can go with it."""
    position, active = chosen.take(luns.position), chosen.flag(luns.active)
    second = jnp.zeros_like(chosen.live)
    in_class = lambda pair: pair[:, 0]
    if rules.apart:
        reads, remaining = (chosen.take(luns.head_arrival[:, number]).min(0) for number in (0, 1))
        after = reads > chosen.start if rules.read_first else remaining < reads
        second = jnp.where(chosen.data, active[:, 1].any(0), after)
        in_class = lambda pair: jnp.where(second, pair[:, 1], pair[:, 0])
    operation = in_class(position)
    code = codes[operation]
    kind = code & (2**KIND_BITS - 1)
    members = jnp.ones(operation.shape, bool)
    if rules.planes > 1:
        head_arrival = in_class(chosen.take(luns.head_arrival))
        oldest = jnp.minimum(head_arrival, _LATER) * rules.planes + jnp.arange(rules.planes)[:, None, None]
        lead = jnp.where(oldest == oldest.min(0), kind, 0).sum(0, dtype=kind.dtype)
        members = jnp.where(chosen.data, in_class(active), (head_arrival <= chosen.start) & (kind == lead))
        kind = jnp.where(members, kind, 0)
    page_type = (code >> KIND_BITS) & (2**TYPE_BITS - 1)
    return _Work(position, second, operation, members, kind.max(0), code >> (KIND_BITS + TYPE_BITS), page_type)


def _durations(chosen: _Chosen, work: _Work, phases: Phases, rules: Rules) -> tuple[jax.Array, jax.Array, jax.Array]:
    """After how long each plane's data are out, when the bus is free, and when the LUN or its data are ready."""
    transferred = transfer(work.size, phases.byte)
    out = transferred + phases.setup
    further = 0
    if rules.planes > 1:
        transferred = jnp.where(work.members, transferred, 0)
        out = jnp.where(work.members, out, 0).cumsum(0)
        further = (work.members.sum(0) - 1) * phases.plane
    by_kind = lambda read, program, erase: jnp.where(
        work.kind == READ, read, jnp.where(work.kind == PROGRAM, program, erase)
    )
    command = by_kind(phases.read_command, phases.program_command + transferred.sum(0), phases.erase_command) + further
    array = by_kind(_slowest(phases.read, work), _slowest(phases.program, work), phases.erase)
    end = chosen.start + jnp.where(chosen.data, out[-1], command)
    return out, end, jnp.where(chosen.data, end, end + array)


def _slowest(durations: tuple[jax.Array, ...], work: _Work) -> jax.Array:
    """Of the pages that take part, each by its type."""
    if len(durations) == 1:
        return durations[0]
    of_type = durations[0]
    for number, duration in enumerate(durations[1:], 1):
        of_type = jnp.where(work.page_type == number, duration, of_type)
    return jnp.where(work.members, of_type, 0).max(0)


def _suspend(
    chosen: _Chosen, work: _Work, luns: Luns, ready: jax.Array, phases: Phases, rules: Rules
) -> tuple[Luns, jax.Array, jax.Array, jax.Array]:
    """A read takes the place of an operation at work, which goes on when its data are out."""
    old_ready, old_rest, paused = chosen.take(luns.ready), chosen.take(luns.remaining), chosen.take(luns.suspendable)
    pauses = ~chosen.data & (chosen.start < old_ready)
    cost = jnp.where(paused == PROGRAM, phases.suspend_program, phases.suspend_erase)
    goes_on = chosen.data & (old_rest > 0)
    ready = ready + jnp.where(pauses, cost, 0) + jnp.where(goes_on, old_rest, 0)
    program, erase = rules.suspend_program * PROGRAM, rules.suspend_erase * ERASE
    may = jnp.where(work.kind == PROGRAM, program, jnp.where(work.kind == ERASE, erase, 0))
    taken = chosen.mine & chosen.live
    anew = taken & ~chosen.data & ~pauses
    following = luns._replace(
        remaining=jnp.where(taken, jnp.where(pauses, old_ready - chosen.start, 0), luns.remaining),
        suspendable=jnp.where(anew, may, luns.suspendable).astype(jnp.int32),
        suspended_planes=jnp.where(anew, work.members[:, None], luns.suspended_planes),
    )
    return following, ready, goes_on & chosen.flag(luns.suspended_planes) & chosen.live, pauses & chosen.live


def _classes(flags: jax.Array, second: jax.Array, rules: Rules) -> jax.Array:
    """`[planes, ...]` put into its class, `[planes, classes, ...]`."""
    return jnp.stack([flags & ~second, flags & second], axis=1) if rules.apart else flags[:, None]
