"""The flash back end under an open load: channels apart, one bus grant a step.

Requests in order of arrival against `max(arrival, die free)` and `max(data ready, bus free)` would be a simpler
recurrence and a wrong one: a late command goes before early data that are not there yet. Here each step grants the bus
to whoever can have it first, so that times equal those of an event simulation to the nanosecond.

Reference: bus order of MQSim (Tavakkol et al., FAST 2018).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.ssd.engine import bus_arbiter
from framework.ssd.engine.bus_arbiter import Phases, Rules


class Queues(NamedTuple):
    """Operations in the order in which each queue serves them, queue behind queue, an empty place behind each."""

    ready_event: (
        jax.Array
    )  # [places] int32: what an operation waits for; at an empty place the last gate, which never opens
    code: jax.Array  # [places] int32, see `grants.pack`
    first: jax.Array  # [planes, classes, LUNs, channels, 1] int32: a queue's first place


class QueueTimes(NamedTuple):
    """When each operation's command was given and when it was done, `[designs, places]` int64 ns."""

    begun: jax.Array  # no places unless asked for
    done: jax.Array


def count(tree) -> int:
    """How many designs the numbers are of: the last axis of those that have one."""
    return max(leaf.shape[0] if jnp.ndim(leaf) else 1 for leaf in jax.tree.leaves(tree))


def serve(queues: Queues, arrival: jax.Array, phases: Phases, rules: Rules, steps: int, record: bool) -> QueueTimes:
    """All operations of an open load.

    Args:
      queues: the operations.
      arrival: `[gates]` or `[designs, gates]` int64 ns, the last gate not among them.
      phases: the durations, scalars or `[designs]`.
      rules: what a LUN may do.
      steps: bus grants of the busiest channel, or more.
      record: whether to tell when operations began.
    """
    designs = max(count(phases), arrival.shape[0] if arrival.ndim == 2 else 1)
    places = len(queues.code)
    never = jnp.full((*arrival.shape[:-1], 1), bus_arbiter.NEVER)
    arrivals = jnp.concatenate([arrival, never], -1)[..., queues.ready_event]
    position = jnp.broadcast_to(queues.first, (*queues.first.shape[:-1], designs))
    luns = bus_arbiter.begin(position, bus_arbiter.look_up(arrivals, position))

    def grant(luns, _):
        luns, made = bus_arbiter.step(luns, queues.code, phases, rules, arrivals)
        index = lambda flags, operation: jnp.where(flags, operation, places)
        begun = [(index(made.begun, made.operation), made.start)] if record else []
        done = [(index(made.done, made.operation), made.end)]
        if rules.suspends:
            done.append((index(made.resumed, made.suspended_planes), made.held_end))
        return luns, (begun, done)

    _, (begun, done) = jax.lax.scan(grant, luns, length=steps)
    return QueueTimes(_last(begun, places if record else 0, designs), _last(done, places, designs))


def _last(reports: list, places: int, designs: int) -> jax.Array:
    """The last report of each operation, `[designs, places]`."""
    latest = jnp.zeros(designs * places, jnp.int64)
    for index, time in reports:
        time = jnp.broadcast_to(time[:, None] if time.ndim < index.ndim else time, index.shape)
        flat = jnp.where(index < places, index + places * jnp.arange(designs), designs * places)
        latest = latest.at[flat.ravel()].max(time.ravel(), mode="drop")
    return latest.reshape(designs, places)
