"""The whole device where its channels hang together: a closed load, or a write buffer that may be full.

One step grants the bus of every channel whose turn nothing else can change any more, and lets one event happen: a page
is done, a hit or a buffered write is acknowledged, or a write is let into the buffer. What happens at one time happens
before grants at that time; pages that are done at one time go in the order of their requests.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.ssd.engine import bus_arbiter
from framework.ssd.engine import host_link as link
from framework.ssd.engine.bus_arbiter import NEVER, Phases, Rules
from framework.ssd.engine.open_loop import Queues, count

FREES_SLOT, NO_OWNER = (
    -1,
    -2,
)  # owners of operations that no request waits for: one that makes room for an eviction, others


class Script(NamedTuple):
    """What is to happen, times left out. Gates say when: first one a request, then one a buffered write, then never."""

    queues: Queues
    owner: jax.Array  # [places] int32: the request whose page it is, or FREES_SLOT or NO_OWNER
    pages: jax.Array  # [requests] int32: how many each waits for
    hits: jax.Array  # [hits + 1] int32: requests whose pages memory serves, in order; then the gate that never opens
    buffered: jax.Array  # [buffered + 1] int32: likewise those of buffered writes
    eviction: jax.Array  # [buffered] int32: the how-manieth eviction it causes; -1 for none


class Host(NamedTuple):
    """Requests as the host and its link have them, `[requests]` or `[designs, requests]`; int64 ns."""

    arrival: jax.Array  # of those that do not wait for others
    inbound: jax.Array  # on the link, of a write's data; what comes behind it waits
    outbound: jax.Array  # on the link, of a read's


class Outcome(NamedTuple):
    """Times in int64 ns."""

    issued: jax.Array  # [designs, requests]
    ended: jax.Array  # [designs, requests]
    begun: jax.Array  # [designs, places]; empty unless asked for
    done: jax.Array  # [designs, places]; likewise


class _Counts(NamedTuple):
    """Requests and evictions so far, each `[designs]` int32."""

    issued: jax.Array
    hits: jax.Array
    acknowledged: jax.Array
    admitted: jax.Array
    flushed: jax.Array


class _Free(NamedTuple):
    """When each part of the host link was last taken, each `[designs]` int64 ns."""

    link_in: jax.Array
    link_out: jax.Array
    admission: jax.Array  # the last one


class _State(NamedTuple):
    luns: bus_arbiter.Luns
    completion: jax.Array  # [2, planes, LUNs, channels, designs]: when what was read and what was programmed is done
    operation: jax.Array  # as due, int32: which operation
    gates: jax.Array  # [gates, designs]: when each opens; NEVER while that is not known
    room: jax.Array  # [buffered + 1, designs]: when there is room for each eviction
    missing: jax.Array  # [requests, designs] int32: pages
    issued: jax.Array  # [requests, designs]
    ended: jax.Array  # [requests, designs]
    counts: _Counts
    free: _Free
    begun: jax.Array  # [places, designs]; no places where nothing is recorded
    done: jax.Array
    alive: jax.Array  # [designs] bool


class _Event(NamedTuple):
    """What happens next, `[designs]`."""

    time: jax.Array
    request: jax.Array  # whose page is done; FREES_SLOT or NO_OWNER
    source: jax.Array  # 0: let in, 1: acknowledged, 2: a hit, 3: flash
    at: jax.Array  # [2, planes, LUNs, channels, designs] bool: of flash


def run(
    script: Script,
    host: Host,
    phases: Phases,
    memory: jax.Array,
    depth: jax.Array,
    rules: Rules,
    flushes: int,
    record: bool,
) -> Outcome:
    """A load on a device, to its end.

    Args:
      script: what is to happen.
      host: the requests.
      phases: the durations, scalars or `[designs]`.
      memory: ns of a hit or a buffered write, likewise.
      depth: requests in flight, likewise; of an open load all.
      rules: what a LUN may do.
      flushes: evictions at work at a time.
      record: whether to tell when each operation began and was done.
    """
    designs = max(count((phases, memory, depth)), *(len(leaf) if leaf.ndim == 2 else 1 for leaf in host))
    host = Host(*(jnp.broadcast_to(leaf, (designs, leaf.shape[-1])).T for leaf in host))
    state = _start(script, host, depth, flushes, designs, record)
    least = phases.setup + bus_arbiter.transfer(_smallest(script), phases.byte)  # from a grant to a page that is done
    body = functools.partial(_step, script, host, phases, memory, rules, flushes, least)
    state = jax.lax.while_loop(lambda state: state.alive.any(), body, state)
    return Outcome(state.issued.T, state.ended.T, state.begun.T, state.done.T)


def _smallest(script: Script) -> jax.Array:
    size = script.queues.code >> (bus_arbiter.KIND_BITS + bus_arbiter.TYPE_BITS)
    return jnp.where(script.owner != NO_OWNER, size, 2**24).min(initial=2**24)


def _start(script: Script, host: Host, depth: jax.Array, flushes: int, designs: int, record: bool) -> _State:
    queues = script.queues
    position = jnp.broadcast_to(queues.first, (*queues.first.shape[:-1], designs))
    planes, _, *luns = position.shape
    requests, buffered = len(script.pages), len(script.eviction)
    first = jnp.broadcast_to(jnp.arange(requests)[:, None] < depth, (requests, designs))
    issued = jnp.where(first, host.arrival, NEVER)
    arrived = link.fifo(jnp.where(first, issued, 0).T, jnp.where(first, host.inbound, 0).T).T
    zeros = lambda *shape: jnp.zeros(shape, jnp.int64)
    completion = jnp.full((2, planes, *luns), NEVER)
    noted = zeros(len(queues.code) if record else 0, designs)
    none = jnp.zeros(designs, jnp.int32)
    return _State(
        luns=bus_arbiter.begin(position, jnp.full(position.shape, NEVER)),
        completion=completion,
        operation=jnp.zeros(completion.shape, jnp.int32),
        gates=jnp.concatenate([jnp.where(first, arrived, NEVER), jnp.full((buffered + 1, designs), NEVER)]),
        room=jnp.broadcast_to(
            jnp.where(jnp.arange(buffered + 1) < flushes, 0, NEVER)[:, None], (buffered + 1, designs)
        ),
        missing=jnp.broadcast_to(script.pages[:, None], (requests, designs)),
        issued=issued,
        ended=zeros(requests, designs),
        counts=_Counts(first.sum(0, dtype=jnp.int32), none, none, none, none),
        free=_Free(jnp.where(first, arrived, 0).max(0), zeros(designs), zeros(designs)),
        begun=noted,
        done=noted,
        alive=jnp.ones(designs, bool),
    )


def _step(script: Script, host: Host, phases: Phases, memory, rules: Rules, flushes, least, state) -> _State:
    designs = jnp.arange(state.gates.shape[1])
    luns = state.luns._replace(head_arrival=state.gates[script.queues.ready_event[state.luns.position], designs])
    when, _ = bus_arbiter.candidates(luns, phases, rules)
    soonest = when.min((0, 1))
    event = _next(script, state, memory, designs)
    safe = event.time <= soonest if rules.suspends else event.time < soonest + least
    safe &= event.time < NEVER
    until = jnp.minimum(event.time, soonest + least)
    luns, made = bus_arbiter.step(luns, script.queues.code, phases, rules, before=until)
    completion, operation = _dues(script, state, made, event, safe, rules)
    state = state._replace(
        luns=luns, completion=completion, operation=operation, alive=(event.time < NEVER) | (soonest < NEVER)
    )
    if len(state.begun):
        state = _record(state, made, designs)
    return _happen(script, host, state, event, safe, flushes, designs)


def _next(script: Script, state: _State, memory: jax.Array, designs: jax.Array) -> _Event:
    """The earliest event; of several, that of the first request."""
    _, hits, acknowledged, admitted, _ = state.counts
    requests, buffered = len(script.pages), len(script.eviction)
    ready_event = lambda index: state.gates[index, designs]
    eviction = jnp.append(script.eviction, -1)[admitted]
    room = jnp.where(eviction >= 0, state.room[jnp.maximum(eviction, 0), designs], 0)
    times = (
        jnp.maximum(jnp.maximum(ready_event(script.buffered[admitted]), room), state.free.admission),
        ready_event(requests + jnp.minimum(acknowledged, buffered)) + memory,
        ready_event(script.hits[hits]) + memory,
        state.completion.min((0, 1, 2, 3)),
    )
    times = jnp.stack(times)
    time = times.min(0)
    owners = jnp.where(state.completion == time, script.owner[state.operation], requests)
    owner = owners.min((0, 1, 2, 3))
    whose = jnp.stack([jnp.full_like(owner, NO_OWNER), script.buffered[acknowledged], script.hits[hits], owner])
    whose = jnp.where(times == time, whose, requests)
    request = whose.min(0)
    source = jnp.argmin(whose, axis=0)
    here = (owners == owner) & (state.completion == time)
    number = jnp.arange(here[..., 0].size).reshape(*here.shape[:-1], 1)
    at = here & (number == jnp.where(here, number, here.size).min((0, 1, 2, 3))) & (source == 3)
    return _Event(time, request, source, at)


def _dues(script: Script, state: _State, made: bus_arbiter.BusGrant, event: _Event, safe, rules: Rules):
    """When what is at work will be done, after a round of grants and an event."""
    heard = lambda flags, operation: (flags & (script.owner[operation] != NO_OWNER))[:, None] & made.lun
    read = (script.queues.code[made.operation] & (2**bus_arbiter.KIND_BITS - 1)) == bus_arbiter.READ
    completion = jnp.where(event.at & safe, NEVER, state.completion)
    reads = heard(made.done & read, made.operation)
    programs = heard(made.done & ~read, made.operation)
    sets = jnp.stack([reads, programs])
    if rules.suspends:
        completion = completion.at[1].set(jnp.where(made.lun & made.paused, NEVER, completion[1]))
        completion = completion.at[1].set(
            jnp.where(heard(made.resumed, made.suspended_planes), made.held_end, completion[1])
        )
    completion = jnp.where(sets, made.end[:, None], completion)
    return completion, jnp.where(sets, made.operation[:, None], state.operation)


def _record(state: _State, made: bus_arbiter.BusGrant, designs: jax.Array) -> _State:
    """Notes when operations began and were done."""
    put = lambda array, flags, operation, time: array.at[jnp.where(flags, operation, len(array)), designs].set(
        jnp.broadcast_to(time, flags.shape), mode="drop"
    )
    done = put(state.done, made.done, made.operation, made.end)
    return state._replace(
        begun=put(state.begun, made.begun, made.operation, made.start),
        done=put(done, made.resumed, made.suspended_planes, made.held_end),
    )


def _happen(script: Script, host: Host, state: _State, event: _Event, safe, flushes, designs) -> _State:
    """The event takes place: a gate opens, room is made, or a page is done and perhaps its request."""
    requests = len(script.pages)
    issued, _, _, admitted, flushed = state.counts
    link_in, link_out, admission = state.free
    put = lambda array, flags, index, value: array.at[jnp.where(flags, index, len(array)), designs].set(
        value, mode="drop"
    )
    admits = safe & (event.source == 0)
    made_room = safe & (event.source == 3) & (event.request == FREES_SLOT)
    page = safe & ~admits & ~made_room
    request = jnp.clip(event.request, 0, requests - 1)
    missing = state.missing.at[jnp.where(page, request, requests), designs].add(-1, mode="drop")
    over = page & (missing[request, designs] == 0)
    end = jnp.maximum(event.time, link_out) + host.outbound[request, designs]
    following = jnp.minimum(issued, requests - 1)
    new = over & (issued < requests)
    through = jnp.maximum(end, link_in) + host.inbound[following, designs]
    hit, acknowledged = (safe & (event.source == source) for source in (2, 1))
    happened = _Counts(new, hit, acknowledged, admits, made_room)
    return state._replace(
        gates=put(
            state.gates,
            admits | new,
            jnp.where(admits, requests + admitted, following),
            jnp.where(admits, event.time, through),
        ),
        room=put(state.room, made_room, flushes + flushed, event.time),
        missing=missing,
        issued=put(state.issued, new, following, end),
        ended=put(state.ended, over, request, end),
        counts=jax.tree.map(jnp.add, state.counts, jax.tree.map(lambda flag: flag.astype(jnp.int32), happened)),
        free=_Free(
            link_in=jnp.where(new, through, link_in),
            link_out=jnp.where(over, end, link_out),
            admission=jnp.where(admits, event.time, admission),
        ),
    )
