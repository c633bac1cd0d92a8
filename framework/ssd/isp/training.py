"""In-storage processing: the channels of a device train a model on the pages that they hold.

Each channel's controller is a worker, the cache controller is the master, and a page of flash is a minibatch: the
samples that fit it, as the paper has it (10 images of 784 pixels and a label, a byte each, on 8 KB). The device's clock
orders the events; the rule is applied to them in that order, so that simulated time and convergence belong together.

Reference: Choe et al., arXiv 1610.02273.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core.precision import x64
from framework.core.types import Batch, Loss, Params
from framework.sgd.rule import Rule, State
from framework.ssd.device.design import Design
from framework.ssd.isp import controllers as processors
from framework.ssd.isp.clock import StepSchedule, rounds, turns
from framework.ssd.isp.controllers import Controllers, MinibatchCost

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
      finite: whether all parameters of master and workers are finite numbers at the end; if not, training diverged.
    """

    time: np.ndarray
    observations: Any
    state: State
    schedule: StepSchedule
    read_pages: int
    energy: float
    finite: bool


def train(
    design: Design,
    rule: Rule,
    loss: Loss,
    params: Params,
    pages: Batch,
    *,
    controllers: Controllers | None = None,
    cost: MinibatchCost | None = None,
    epochs: int = 1,
    every: int = 1,
    watch: Watch = lambda state: state.centre,
    stored_bytes: int | None = None,
) -> Trace:
    """Trains on the device.

    A page must fit a page of flash, and all of them the device, since their reading is timed.

    Args:
      design: its channels are the workers.
      rule: of `framework.sgd`; one with `event` runs at the workers' own pace, any other in rounds.
      loss: (params, page) -> scalar.
      params: the start.
      pages: samples by page, leaves `[pages, samples, ...]`; page p lies where the device's striping puts it. Pages
        that would make one channel's share longer than another's are not used. As stored, a page takes the bytes of
        its arrays.
      controllers: the processors.
      cost: of a minibatch; counted in the loss where none is given.
      epochs: how often each page is read.
      every: steps of all workers between two looks.
      watch: what to keep of the state at a look, by default the centre's parameters.
      stored_bytes: of a page on flash, where it is stored otherwise than handed in: pixels of a byte each, say, that
        the loss sees as floats.

    Returns:
      A `Trace`; looks come after every `every` steps of each worker, and steps that fill no look are left out.

    Raises:
      ValueError: if a page takes more bytes than a page of flash, there are more pages than the device has, a channel
        holds no page, or a number is out of range.

    Warns:
      DivergenceWarning: if parameters are not finite at the end, with the look from which on that was seen.
    """
    controllers = Controllers() if controllers is None else controllers
    check_pages(design, pages, stored_bytes)
    held = share(design, pages)
    steps = jax.tree.leaves(held)[0].shape[1] * epochs
    if epochs < 1 or not 1 <= every <= steps:
        raise ValueError(f"every must lie in 1 to {steps} steps, for at least 1 epoch, got {every} and {epochs}")
    page = jax.tree.map(lambda leaf: leaf[0, 0], held)
    cost = processors.work(loss, params, page) if cost is None else cost
    looks = steps // every
    events = looks * every * (1 if rule.event is None else design.geometry.channels)
    planned = schedule(design, controllers, cost, rule, events)
    state, observations = learn(rule, loss, params, held, planned.worker, events // looks, watch)
    read = looks * every * design.geometry.channels
    time = np.asarray(planned.time)[events // looks - 1 :: events // looks]
    finite = bool(_finite((state.centre, state.workers.params)).all())
    if not finite:
        _warn_of_divergence(observations, time)
    return Trace(
        time, observations, state, planned, read, energy(design, controllers, cost, read, int(time[-1])), finite
    )


def check_pages(design: Design, pages: Batch, stored_bytes: int | None = None) -> None:
    """Refuses pages that do not fit the pages of flash of a device, or that are more than it has.

    Args:
      design: the device.
      pages: leaves `[pages, samples, ...]`, or their shapes.
      stored_bytes: of a page on flash; by default of its arrays.

    Raises:
      ValueError: with the bytes or the pages that there are.
    """
    leaves = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for leaf in jax.tree.leaves(pages)]
    if not leaves or any(len(leaf.shape) < 2 for leaf in leaves):
        raise ValueError(f"pages take leaves [pages, samples, ...], got the shapes {[leaf.shape for leaf in leaves]}")
    if stored_bytes is not None and stored_bytes < 1:
        raise ValueError(f"stored_bytes must be at least 1, got {stored_bytes}")
    size, most = stored_bytes, design.geometry.page_bytes
    if size is None:
        size = sum(leaf.dtype.itemsize * int(np.prod(leaf.shape[1:])) for leaf in leaves)
    if size > most:
        kinds = ", ".join(f"{leaf.dtype} {list(leaf.shape[1:])}" for leaf in leaves)
        samples = leaves[0].shape[1]
        fewer = f"at most {most * samples // size} samples a page or " if most * samples >= size else ""
        raise ValueError(
            f"a page of {samples} samples takes {size} bytes ({kinds}), but a page of flash holds {most}: take {fewer}"
            "a device of larger page_bytes, or say how many bytes a page takes as it is stored (stored_bytes)"
        )
    count, held = leaves[0].shape[0], design.logical_pages
    if count > held:
        raise ValueError(f"{count} pages do not fit a device of {held}: take a larger device, or fewer pages")


class DivergenceWarning(UserWarning):
    """Training ended with parameters that are no finite numbers."""


def _finite(tree: Any) -> np.ndarray:
    """Whether each leaf of numbers is finite all over, `[leaves]` bool."""
    numbers = [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return np.array([np.isfinite(leaf.astype(np.float64)).all() for leaf in numbers])


def _warn_of_divergence(observations: Any, time: np.ndarray) -> None:
    looks = ([leaf[i] for leaf in jax.tree.leaves(observations)] for i in range(len(time)))
    bad = [i for i, look in enumerate(looks) if not _finite(look).all()]
    since = f", first seen at look {bad[0]}, {time[bad[0]]} ns" if bad else ""
    warnings.warn(
        f"training diverged: parameters are not finite at the end{since}; take a lower rate",
        DivergenceWarning,
        stacklevel=3,
    )


def share(design: Design, pages: Batch) -> Batch:
    """The pages of each channel, leaves `[channels, pages of one, samples, ...]`.

    Raises:
      ValueError: if the leaves do not agree on the number of pages, or a channel holds none.
    """
    counts = {len(leaf) for leaf in jax.tree.leaves(pages)}
    if len(counts) != 1:
        raise ValueError(f"all leaves must have as many pages, got {sorted(counts)}")
    channels = design.geometry.channels
    channel = np.asarray(design.geometry.locate(np.arange(counts.pop())).channel)
    rows = [np.flatnonzero(channel == i) for i in range(channels)]
    per_channel = min(map(len, rows))
    if not per_channel:
        raise ValueError(f"{len(channel)} pages leave one of {channels} channels without any: an empty shard")
    chosen = np.stack([channel_rows[:per_channel] for channel_rows in rows])
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], pages)


def schedule(design: Design, controllers: Controllers, cost: MinibatchCost, rule: Rule, events: int) -> StepSchedule:
    """When the events of a rule come on a device; int64 ns, whatever the caller's setting.

    Raises:
      ValueError: for a number out of range.
    """
    with x64():
        form = rounds if rule.event is None else turns
        due = rule.due(jnp.arange(events + 1))
        durations = processors.durations(design, controllers, cost)
        return jax.tree.map(np.asarray, _schedule(durations, due, form, events, design.geometry.chips))


@functools.partial(jax.jit, static_argnames=("form", "events", "chips"))
def _schedule(durations: processors.Durations, due: jax.Array, form: Callable, events: int, chips: int) -> StepSchedule:
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
    channels, per_channel = jax.tree.leaves(held)[0].shape[:2]

    def event(state: State, worker: jax.Array) -> tuple[State, None]:
        if rule.event is None:
            position = state.workers.steps[0] % per_channel
            return rule.step(state, loss, jax.tree.map(lambda leaf: leaf[:, position], held)), None
        position = state.workers.steps[worker] % per_channel
        return rule.event(state, loss, worker, jax.tree.map(lambda leaf: leaf[worker, position], held)), None

    def look(state: State, workers: jax.Array) -> tuple[State, Any]:
        state, _ = lax.scan(event, state, workers)
        return state, watch(state)

    return lax.scan(look, rule.init(params, channels), jnp.asarray(order).reshape(-1, every))


def energy(design: Design, controllers: Controllers, cost: MinibatchCost, pages: int, elapsed: int) -> float:
    """Joules of so many pages in `elapsed` ns: array reads, channels, instructions, and the device at rest."""
    power, bits = design.power, 8 * pages * design.geometry.page_bytes
    bus_joules = 1e-6 * power.read_uj * pages + 1e-12 * power.channel_pj_bit * bits
    return float(
        bus_joules + 1e-12 * controllers.operation_pj * cost.operations * pages + 1e-12 * power.idle_mw * elapsed
    )
