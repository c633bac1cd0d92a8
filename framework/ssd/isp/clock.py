"""When in-storage workers take their steps: the device's clock alone, whatever they learn.

A channel controller has one page buffer: while it computes on a page its chips, which take turns, read the next ones in
their arrays; each comes over the channel when the buffer is free, and its chip goes on to its next page. Where a worker
meets the master, its parameters cross the on-chip bus, the master applies them, and parameters cross back.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from framework.ssd.isp.controllers import Durations


class StepSchedule(NamedTuple):
    """The events of a run in their order.

    Args:
      time: `[events]` int64 ns: when the step is taken, and the master met where that is due.
      worker: `[events]` int32: whose step; -1 where all take one together.
      busy: `[workers]` int64 ns spent computing, until the last event.
      exchanging: `[]` int64 ns that the bus and the master spent on exchanges.
    """

    time: jax.Array
    worker: jax.Array
    busy: jax.Array
    exchanging: jax.Array


class _Clock(NamedTuple):
    """Where the device stands, int64 ns."""

    fetched: jax.Array  # [workers, chips]: when each chip's last page left it, the one next in turn first
    done: jax.Array  # [workers]: computing on it ends
    steps: jax.Array  # [workers] int32, taken
    free: jax.Array  # []: bus and master are
    spent: jax.Array  # [], on exchanges


def rounds(durations: Durations, due: jax.Array, count: int, chips: int = 1) -> StepSchedule:
    """All workers step together; where an exchange is due they wait for the last of them.

    The bus takes parameters from one worker after another, the master applies each, and one broadcast goes back.

    Args:
      durations: of the parts of a step.
      due: `[count + 1]` bool, by local steps taken: whether a worker meets the master then.
      count: rounds.
      chips: on a channel.
    """
    workers = len(durations.compute)
    exchange = workers * (durations.transfer + durations.apply) + durations.transfer

    def round_(clock: _Clock, _) -> tuple[_Clock, jax.Array]:
        steps, last = clock.steps + 1, clock.done.max()
        meets = due[steps[0]]
        begin = jnp.where(meets, last + exchange, clock.done)
        spent = clock.spent + jnp.where(meets, exchange, 0)
        clock = _next(clock._replace(steps=steps, spent=spent), begin, durations)
        return clock, jnp.where(meets, last + exchange, last)

    clock, time = lax.scan(round_, _begin(durations, chips), length=count)
    return StepSchedule(time, jnp.full(count, -1, jnp.int32), durations.compute * count, clock.spent)


def turns(durations: Durations, due: jax.Array, count: int, chips: int = 1) -> StepSchedule:
    """Workers step at their own pace; who meets the master waits until it has served those that came before.

    Of two that are ready at one time the one of the lower channel goes first.

    Args:
      durations: of the parts of a step.
      due: `[count + 1]` bool, by local steps taken: whether a worker meets the master then.
      count: events.
      chips: on a channel.
    """
    exchange = 2 * durations.transfer + durations.apply

    def event(clock: _Clock, _) -> tuple[_Clock, tuple[jax.Array, jax.Array]]:
        worker = jnp.argmin(clock.done).astype(jnp.int32)
        steps = clock.steps.at[worker].add(1)
        ready = clock.done[worker]
        meets = due[steps[worker]]
        end = jnp.where(meets, jnp.maximum(ready, clock.free) + exchange, ready)
        clock = clock._replace(
            steps=steps,
            free=jnp.where(meets, end, clock.free),
            spent=clock.spent + jnp.where(meets, exchange, 0),
        )
        advanced = _next(clock, end, durations)
        here = jnp.arange(len(clock.done)) == worker
        fetched = jnp.where(here[:, None], advanced.fetched, clock.fetched)
        clock = clock._replace(fetched=fetched, done=jnp.where(here, advanced.done, clock.done))
        return clock, (end, worker)

    clock, (time, worker) = lax.scan(event, _begin(durations, chips), length=count)
    order = jnp.argsort(time, stable=True)  # a step without an exchange may end while others wait for the master
    return StepSchedule(time[order], worker[order], durations.compute * clock.steps, clock.spent)


def _begin(durations: Durations, chips: int) -> _Clock:
    zero = jnp.zeros_like(durations.compute)
    begun = jnp.zeros((), jnp.int64)
    clock = _Clock(jnp.zeros((len(zero), chips), zero.dtype), zero, zero.astype(jnp.int32), begun, begun)
    return _next(clock, zero, durations)


def _next(clock: _Clock, begin: jax.Array, durations: Durations) -> _Clock:
    """Every worker on its next page, of which it may make room at `begin`."""
    fetched = jnp.maximum(clock.fetched[:, 0] + durations.sense, begin) + durations.fetch
    order = jnp.concatenate([clock.fetched[:, 1:], fetched[:, None]], axis=1)
    return clock._replace(fetched=order, done=fetched + durations.compute)
