"""In-storage processing: the channels of a device train a model on the pages that they hold.

Each channel's controller is a worker, the cache controller is the master, and a page is a minibatch. The device's clock
orders the events; the rule is applied to them in that order, so that simulated time and convergence belong together.

Reference: Choe et al., arXiv 1610.02273.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core.types import Batch, Loss, Params
from framework.sgd.rule import Rule, State
from framework.ssd import controllers as processors
from framework.ssd.clock import Schedule, rounds, turns
from framework.ssd.controllers import Controllers, Work
from framework.ssd.design import Design

Watch = Callable[[State], Any]


class Trace(NamedTuple):
    """A training run on the device's clock.

    Args:
      time: `[looks]` int64 ns.
      seen: what `watch` saw then, leaves `[looks, ...]`.
      state: at the end.
      schedule: all events.
      read_pages: by all channels.
      energy: joules: array reads, pages on the channels, instructions, and the device at rest.
    """

    time: np.ndarray
    seen: Any
    state: State
    schedule: Schedule
    read_pages: int
    energy: float


def train(
    design: Design,
    rule: Rule,
    loss: Loss,
    params: Params,
    pages: Batch,
    *,
    controllers: Controllers | None = None,
    cost: Work | None = None,
    epochs: int = 1,
    every: int = 1,
    watch: Watch = lambda state: state.centre,
) -> Trace:
    """Trains on the device.

    Args:
      design: its channels are the workers.
      rule: of `framework.sgd`; one with `event` runs at the workers' own pace, any other in rounds.
      loss: (params, page) -> scalar.
      params: the start.
      pages: samples by page, leaves `[pages, samples, ...]`; page p lies where the device's striping puts it. Pages
        that would make one channel's share longer than another's are not used.
      controllers: the processors.
      cost: of a minibatch; counted in the loss where none is given.
      epochs: how often each page is read.
      every: steps of all workers between two looks.
      watch: what to keep of the state at a look, by default the centre's parameters.

    Returns:
      A `Trace`; looks come after every `every` steps of each worker, and steps that fill no look are left out.

    Raises:
      ValueError: if a channel holds no page, or a number is out of range.
    """
    controllers = Controllers() if controllers is None else controllers
    held = share(design, pages)
    steps = jax.tree.leaves(held)[0].shape[1] * epochs
    if epochs < 1 or not 1 <= every <= steps:
        raise ValueError(f"every must lie in 1 to {steps} steps, for at least 1 epoch, got {every} and {epochs}")
    page = jax.tree.map(lambda leaf: leaf[0, 0], held)
    cost = processors.work(loss, params, page) if cost is None else cost
    looks = steps // every
    events = looks * every * (1 if rule.event is None else design.geometry.channels)
    planned = schedule(design, controllers, cost, rule, events)
    state, seen = learn(rule, loss, params, held, planned.worker, events // looks, watch)
    read = looks * every * design.geometry.channels
    time = np.asarray(planned.time)[events // looks - 1 :: events // looks]
    return Trace(time, seen, state, planned, read, energy(design, controllers, cost, read, int(time[-1])))


def share(design: Design, pages: Batch) -> Batch:
    """The pages of each channel, leaves `[channels, pages of one, samples, ...]`.

    Raises:
      ValueError: if the leaves do not agree on the number of pages, or a channel holds none.
    """
    counts = {len(leaf) for leaf in jax.tree.leaves(pages)}
    if len(counts) != 1:
        raise ValueError(f"all leaves must have as many pages, got {sorted(counts)}")
    channels = design.geometry.channels
    channel = np.asarray(design.geometry.place(np.arange(counts.pop())).channel)
    rows = [np.flatnonzero(channel == i) for i in range(channels)]
    each = min(map(len, rows))
    if not each:
        raise ValueError(f"{len(channel)} pages leave one of {channels} channels without any: an empty shard")
    chosen = np.stack([own[:each] for own in rows])
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], pages)


def schedule(design: Design, controllers: Controllers, cost: Work, rule: Rule, events: int) -> Schedule:
    """When the events of a rule come on a device; int64 ns, whatever the caller's setting.

    Raises:
      ValueError: for a number out of range.
    """
    with jax.enable_x64(True):
        form = rounds if rule.event is None else turns
        due = rule.due(jnp.arange(events + 1))
        durations = processors.durations(design, controllers, cost)
        return jax.tree.map(np.asarray, _timed(durations, due, form, events, design.geometry.chips))


@functools.partial(jax.jit, static_argnames=("form", "events", "chips"))
def _timed(durations: processors.Durations, due: jax.Array, form: Callable, events: int, chips: int) -> Schedule:
    return form(durations, due, events, chips)


def learn(
    rule: Rule, loss: Loss, params: Params, held: Batch, order: Any, every: int, watch: Watch
) -> tuple[State, Any]:
    """The rule applied to the events of a schedule.

    Args:
      rule, loss, params: as for `train`.
      held: of `share`.
      order: `[events]`, whose step each is; of a rule without single events its values do not count.
      every: events between two looks, a divisor of their number.
      watch: state -> what to keep.

    Returns:
      The last state, and what was seen, leaves `[events / every, ...]`.
    """
    channels, each = jax.tree.leaves(held)[0].shape[:2]

    def event(state: State, worker: jax.Array) -> tuple[State, None]:
        if rule.event is None:
            place = state.workers.steps[0] % each
            return rule.step(state, loss, jax.tree.map(lambda leaf: leaf[:, place], held)), None
        place = state.workers.steps[worker] % each
        return rule.event(state, loss, worker, jax.tree.map(lambda leaf: leaf[worker, place], held)), None

    def look(state: State, workers: jax.Array) -> tuple[State, Any]:
        state, _ = lax.scan(event, state, workers)
        return state, watch(state)

    return lax.scan(look, rule.init(params, channels), jnp.asarray(order).reshape(-1, every))


def energy(design: Design, controllers: Controllers, cost: Work, pages: int, elapsed: int) -> float:
    """Joules of so many pages in `elapsed` ns: array reads, channels, instructions, and the device at rest."""
    power, bits = design.power, 8 * pages * design.geometry.page_bytes
    moved = 1e-6 * power.read_uj * pages + 1e-12 * power.channel_pj_bit * bits
    return float(moved + 1e-12 * controllers.operation_pj * cost.operations * pages + 1e-12 * power.idle_mw * elapsed)
