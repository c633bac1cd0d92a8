"""The parts that all rules share: workers with their own steps, and a master with which they exchange.

A rule says what a worker does with its gradient and what happens where worker and master meet. From these two come a
round, in which every worker takes one step, and a single event, in which one worker does.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jax import lax

from framework.core import optimizers
from framework.core.tracing import is_traced
from framework.core.types import Batch, Loss, Params

Number = float | jax.Array


class Worker(NamedTuple):
    """Where a worker stands; in a `State` with leaves `[workers, ...]`."""

    params: Params  # its own
    optimizer: optax.OptState
    extra: Any  # what the rule keeps next to them: gradients not pushed yet, a velocity, or nothing
    steps: jax.Array  # [] int32, local steps taken
    pulled: jax.Array  # [] int32, the master's version when they last met
    staleness: jax.Array  # [] int32, versions that others had made when they last met


class Master(NamedTuple):
    """Where the master stands."""

    params: Params
    optimizer: optax.OptState  # () where the rule has none for it
    version: jax.Array  # [] int32, changes so far


class State(NamedTuple):
    """Where distributed training stands."""

    master: Master
    workers: Worker  # leaves [workers, ...]

    @property
    def centre(self) -> Params:
        """The master's parameters."""
        return self.master.params

    @property
    def worker_mean(self) -> Params:
        """The mean of the workers' parameters, summed in their order."""
        return mean(self.workers.params)


class Rule(NamedTuple):
    """A distributed SGD rule as pure functions.

    `init(params, workers)` puts all where `params` are; ValueError for fewer than 1 worker.
    `step(state, loss, batches, axis=None)` takes batches with leaves `[workers, batch, ...]`; under `pmap` or
    `shard_map`, `axis` is the name of the mapped axis, and state and batches hold the workers of one device.
    `event(state, loss, worker, batch)` is the step of one worker on a batch `[batch, ...]`; its number may be traced.
    """

    init: Callable[[Params, int], State]  # (params, workers)
    step: Callable[..., State]  # a step of every worker
    event: Callable[[State, Loss, jax.Array, Batch], State] | None  # a step of one worker; None: it waits for all
    due: Callable[[jax.Array], jax.Array]  # local steps taken -> whether the worker meets the master after the last


class Parts(NamedTuple):
    """What makes a rule."""

    optimizer: optax.GradientTransformation  # of each worker
    server: optax.GradientTransformation | None  # of the master
    extra: Callable[[Params], Any]  # a worker's extra at the start
    look: Callable[[Worker], Params]  # where a worker takes its gradient
    local: Callable[[Worker, Params, jax.Array], Worker]  # (worker, gradient, loss) -> the worker after its step
    due: Callable[[jax.Array], jax.Array]  # steps taken, this one included -> whether worker and master meet
    meet: Callable[[Master, Params, Worker], tuple[Master, Worker]]  # (master, parameters before the step, worker)
    together: bool  # whether `meet` takes all workers at once, with leaves [workers, ...]


def rule(parts: Parts, check: Callable[[int], None] = lambda workers: None) -> Rule:
    """The rule that is made of these parts; `check` looks at the number of workers.

    Raises:
      ValueError: for an optimiser that is none, such as a learning rate, or one that wants functions of the loss, such
        as `optax.lbfgs`.
    """
    for optimizer in (parts.optimizer, parts.server):
        if optimizer is not None:
            optimizers.check(optimizer, "a rule")
    meet_all = parts.meet if parts.together else _in_turn(parts)

    def init(params: Params, workers: int) -> State:
        if workers < 1:
            raise ValueError(f"a rule needs at least 1 worker, got {workers}")
        check(workers)
        zero = jnp.zeros((), jnp.int32)
        params = jax.tree.map(jnp.asarray, params)
        worker = Worker(params, parts.optimizer.init(params), parts.extra(params), zero, zero, zero)
        copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (workers, *leaf.shape)), worker)
        return State(Master(params, parts.server.init(params) if parts.server else (), zero), copies)

    def step(state: State, loss: Loss, batches: Batch, axis: str | None = None) -> State:
        chex.assert_equal_shape_prefix(jax.tree.leaves((state.workers.params, batches)), prefix_len=1)
        before = state.workers
        values, gradients = jax.vmap(jax.value_and_grad(loss))(jax.vmap(parts.look)(before), batches)
        after = jax.vmap(parts.local)(before, gradients, values)

        def meet() -> State:
            # local optimisers are the workers' own business and stay where they are
            started, met = gather((before.params, after._replace(optimizer=())), axis)
            master, met = meet_all(state.master, started, met)
            return State(master, local_part(met, after, axis)._replace(optimizer=after.optimizer))

        return lax.cond(jnp.any(parts.due(after.steps)), meet, lambda: State(state.master, after))

    def event(state: State, loss: Loss, worker: jax.Array, batch: Batch) -> State:
        before = jax.tree.map(lambda leaf: leaf[worker], state.workers)
        value, gradient = jax.value_and_grad(loss)(parts.look(before), batch)
        after = parts.local(before, gradient, value)
        master, after = _if_due(parts, state.master, before.params, after)
        return State(master, jax.tree.map(lambda leaves, new: leaves.at[worker].set(new), state.workers, after))

    return Rule(init, step, None if parts.together else event, parts.due)


def gather(tree: Any, axis: str | None) -> Any:
    """The leaves of all devices' workers, in the workers' order; as they are without an axis."""
    return tree if axis is None else jax.tree.map(lambda leaf: lax.all_gather(leaf, axis, tiled=True), tree)


def local_part(everyone: Any, like: Worker, axis: str | None) -> Any:
    """This device's workers out of all."""
    if axis is None:
        return everyone
    count = len(like.steps)
    start = lax.axis_index(axis) * count
    return jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, start, count), everyone)


def mean(tree: Params) -> Params:
    """Means over the leading axis."""
    return jax.tree.map(lambda leaf: leaf.sum(0) / len(leaf), tree)


def copies(params: Params, like: Params) -> Params:
    """The master's parameters for every worker, with the shapes of `like`."""
    return jax.tree.map(lambda new, old: jnp.broadcast_to(new, old.shape), params, like)


class Accumulated(NamedTuple):
    """Gradients on their way to a master whose optimiser wants the loss that they belong to."""

    gradient: Params
    value: jax.Array  # [] in the default precision


def pack_gradient(gradient: Params, value: jax.Array, optimizer: optax.GradientTransformation) -> Params | Accumulated:
    """What a worker keeps for the master's optimiser: the gradient, and the loss where that wants it."""
    if not optimizers.needs_value(optimizer):
        return gradient
    return Accumulated(gradient, jnp.asarray(value, jnp.result_type(float)))


def nothing(params: Params, optimizer: optax.GradientTransformation) -> Params | Accumulated:
    """`pack_gradient` at the start."""
    return pack_gradient(jax.tree.map(jnp.zeros_like, params), jnp.zeros(()), optimizer)


def server_step(master: Master, pushed: Params | Accumulated, optimizer: optax.GradientTransformation) -> Master:
    """The master after a step of its optimiser along what workers have accumulated."""
    gradient = pushed if isinstance(pushed, Accumulated) else Accumulated(pushed, jnp.zeros(()))
    updates, state = optimizers.update(optimizer, gradient.gradient, master.optimizer, master.params, gradient.value)
    return Master(optax.apply_updates(master.params, updates), state, master.version + 1)


def apply_step(worker: Worker, updates: Params, optimizer: optax.OptState) -> Worker:
    """A worker after an update of its own."""
    params = optax.apply_updates(worker.params, updates)
    return worker._replace(params=params, optimizer=optimizer, steps=worker.steps + 1)


def after_exchange(worker: Worker, before: jax.Array, after: jax.Array) -> Worker:
    """A worker that has met a master whose version went from `before` to `after`."""
    return worker._replace(staleness=before - worker.pulled, pulled=jnp.broadcast_to(after, worker.pulled.shape))


def check_period(name: str, period: Number) -> None:
    """Raises ValueError for a period that is no whole number of steps from 1 on; a traced one cannot be looked at."""
    if not is_traced(period) and not (math.isfinite(period) and period >= 1 and period % 1 == 0):
        raise ValueError(f"{name}: period must be a whole number of local steps from 1 on, got {period}")


def _if_due(parts: Parts, master: Master, before: Params, worker: Worker) -> tuple[Master, Worker]:
    meet = lambda: parts.meet(master, before, worker)
    return lax.cond(parts.due(worker.steps), meet, lambda: (master, worker))


def _in_turn(parts: Parts) -> Callable:
    """All workers meet the master, one after another in their order."""

    def meet_all(master: Master, before: Params, workers: Worker) -> tuple[Master, Worker]:
        return lax.scan(lambda master, one: _if_due(parts, master, *one), master, (before, workers))

    return meet_all
