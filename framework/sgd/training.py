"""A whole run of a rule: data in shards, one a worker, and batches drawn from them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from framework.core import checks, keys, programs
from framework.core.types import Batch, Key, Loss, Params
from framework.sgd import placement
from framework.sgd.rule import Rule, State


class Source(NamedTuple):
    """Where the workers' batches come from."""

    shards: Batch  # leaves [workers, samples, ...]
    keys: Key | None  # [workers], of each one's order; None: as the samples stand


def shard(data: Batch, workers: int, batch: int, key: Key | None = None) -> Source:
    """Splits samples among workers: worker i holds the i-th run of N // workers of them; the rest is not used.

    Args:
      data: a pytree of arrays `[N, ...]`.
      workers: how many.
      batch: samples that a step of one worker takes.
      key: for an order of its own in each epoch and shard; without one the samples come as they stand.

    Raises:
      ValueError: if the leading axes differ, a shard holds less than one batch, or `workers` or `batch` is no whole
        number of at least 1.
    """
    return Source(_split(_use_whole_batches(data, workers, batch), workers), _keys(key, workers))


def _use_whole_batches(data: Batch, workers: int, batch: int) -> Batch:
    """The samples that shards of one length hold, leaves `[workers x samples, ...]`."""
    checks.counts(workers=workers, batch=batch)
    lengths = {len(leaf) for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1:
        raise ValueError(f"data must have one leading axis, the samples; got lengths {sorted(lengths)}")
    per_worker = lengths.pop() // workers
    if batch > per_worker:
        raise ValueError(
            f"a shard of {workers} workers holds {per_worker} samples: a batch must hold 1 to that, got {batch}"
        )
    return jax.tree.map(lambda leaf: leaf[: per_worker * workers], data)


def _split(samples: Batch, workers: int) -> Batch:
    return jax.tree.map(lambda leaf: leaf.reshape(workers, -1, *leaf.shape[1:]), samples)


def _keys(key: Key | None, workers: int) -> Key | None:
    if key is None:
        return None
    keys.check(key)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(workers))


def orders(source: Source, epoch: jax.Array) -> jax.Array:
    """The order of the workers' samples in an epoch, `[workers, samples]`; without keys as they stand."""
    workers, per_worker = jax.tree.leaves(source.shards)[0].shape[:2]
    if source.keys is None:
        return jnp.broadcast_to(jnp.arange(per_worker), (workers, per_worker))
    return jax.vmap(lambda key: jax.random.permutation(jax.random.fold_in(key, epoch), per_worker))(source.keys)


def batches(source: Source, position: jax.Array, batch: int, order: jax.Array) -> Batch:
    """The workers' batches, leaves `[workers, batch, ...]`, of the step that is at `place` in its epoch."""
    rows = lax.dynamic_slice_in_dim(order, position * batch, batch, axis=1)
    return jax.tree.map(lambda samples: jax.vmap(lambda shard, rows: shard[rows])(samples, rows), source.shards)


def run(
    rule: Rule,
    loss: Loss,
    params: Params,
    data: Batch,
    *,
    workers: int,
    batch: int = 10,
    steps: int | None = None,
    devices: int | None = None,
    key: Key | None = None,
    form: str = "pmap",
) -> State:
    """Trains with every worker on a shard of its own.

    Rule and loss are read again by every call; runs that compute the same share one compiled program.

    Args:
      rule: of this package.
      loss: (params, batch) -> scalar, the mean over a batch.
      params: the start of all.
      data: samples, a pytree with leaves `[N, ...]`.
      workers: W.
      batch: samples a step and worker.
      steps: local steps of each worker; where none are given, one epoch.
      devices: D, a divisor of W; where none is given, the largest there is. The result is the same to rounding.
      key: shuffles each shard each epoch; without one the samples come as they stand.
      form: `pmap` or `shard_map`.

    Returns:
      The state after the last step; with several processes, its workers are those of this process.

    Raises:
      ValueError: for devices that do not divide the workers, a shard that holds less than one batch, an unknown form,
        or workers, batch or steps that are no whole number of at least 1.

    Example:
      >>> import optax
      >>> from framework import sgd
      >>> samples = jnp.arange(8.0)
      >>> loss = lambda centre, batch: jnp.mean((centre - batch) ** 2) / 2
      >>> rule = sgd.synchronous(optax.sgd(1.0))
      >>> state = sgd.run(rule, loss, jnp.zeros(()), samples, workers=2, batch=4)
      >>> float(state.centre)  # one step to the mean of all
      3.5
    """
    devices = placement.devices_for(workers, devices)
    data = _use_whole_batches(data, workers, batch)
    steps = len(jax.tree.leaves(data)[0]) // workers // batch if steps is None else steps
    checks.counts(steps=steps)
    start = rule.init(params, workers)
    arguments = start.master, (start.workers, data, _keys(key, workers))
    alone = lambda master, local: _train(rule, loss, batch, steps, master, local, None)
    on_one = programs.frozen(alone, *arguments)
    if devices == 1:
        return State(*_program(on_one, None, devices, form)(*arguments))
    # what collectives do follows from the work on one device, by which the program is known
    still = programs.snapshot(loss)
    on_each = lambda master, local, axis: _train(rule, still, batch, steps, master, local, axis)
    return State(*_program(on_one, _Unseen(on_each), devices, form)(*arguments))


class _Unseen(NamedTuple):
    """A function that makes no difference to a cache."""

    function: Callable

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Unseen)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=32)
def _program(on_one: Callable, on_each: _Unseen | None, devices: int, form: str) -> Callable:
    """All steps on all devices, compiled once for all rules and losses that compute the same."""
    function = on_each.function if on_each else lambda master, local, axis: on_one(master, local)
    return placement.place_workers(function, devices, form)


def _train(
    rule: Rule, loss: Loss, batch: int, steps: int, master: Any, local: Any, axis: str | None
) -> tuple[Any, Any]:
    """All steps of the workers of one device."""
    started, samples, keys = local
    source = Source(_split(samples, len(started.steps)), keys)  # within the program, where it copies nothing
    length = jax.tree.leaves(source.shards)[0].shape[1] // batch  # steps of an epoch; what fills no batch is left

    def epoch(state: State, number: jax.Array) -> tuple[State, None]:
        order = orders(source, number)
        step = lambda position, state: rule.step(state, loss, batches(source, position, batch, order), axis)
        return lax.fori_loop(0, jnp.minimum(length, steps - number * length), step, state), None

    state, _ = lax.scan(epoch, State(master, started), jnp.arange(-(-steps // length)))
    return state.master, state.workers
