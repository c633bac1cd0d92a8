"""Training a classifier on arrays: every epoch in an order of its own, batches of one size."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from framework.core import checks, keys, optimizers
from framework.core.devices import over_batch
from framework.core.tracing import is_traced
from framework.core.types import Key, Metrics, Params

RUNNING = ("mean", "var", "mask")  # names of leaves that no gradient moves
Loss = Callable[[Params, jax.Array, jax.Array, Key], tuple[jax.Array, tuple[Params, Metrics]]]


class State(NamedTuple):
    """Where training stands."""

    params: Params
    optimizer: optax.OptState
    order: jax.Array  # [count] int32, the images of this epoch
    key: Key  # of the whole training
    step: jax.Array  # [] int32, steps taken


class Trainer(NamedTuple):
    """Training as a pair of pure functions."""

    init: Callable[[Params, int, Key], State]  # (params, count of images, key)
    step: Callable[[State, tuple[jax.Array, jax.Array]], tuple[State, Metrics]]  # (state, (images, labels))


def trainer(loss: Loss, optimizer: optax.GradientTransformation, batch: int) -> Trainer:
    """Steps of an optimiser over batches drawn without replacement; what fills no batch waits for the next epoch.

    Devices that take its steps `TOGETHER` (`core.devices`) share out every batch.

    Args:
      loss: (params, images, labels, key) -> (scalar, (params with their running statistics moved, metrics)). Leaves
        called `mean`, `var` or `mask`, as keys of dicts or fields, take those, all others what the optimiser makes of
        them.
      optimizer: of optax; one that wants the loss, such as `optax.polyak_sgd`, gets it.
      batch: images a step.

    Returns:
      A `Trainer`; its step adds `loss` to the metrics.

    Raises:
      ValueError: if `batch` is no whole number of at least 1, or the optimiser is none or wants functions of the loss,
        as `optax.lbfgs` does; from `init`, if there are fewer images than a batch
        holds, or no key.
    """
    checks.counts(batch=batch)
    optimizers.check(optimizer, "a trainer")

    def init(params: Params, count: int, key: Key) -> State:
        keys.check(key)
        if batch > count:
            raise ValueError(f"a batch must hold 1 to {count} images, the training set, got {batch}")
        return State(params, optimizer.init(params), jnp.arange(count), key, jnp.zeros((), jnp.int32))

    def step(state: State, data: tuple[jax.Array, jax.Array]) -> tuple[State, Metrics]:
        images, labels = (jnp.asarray(part) for part in data)
        count = len(images)
        epoch, place = jnp.divmod(state.step, count // batch)
        fresh = keys.named(jax.random.fold_in(state.key, epoch), "order")
        order = lax.cond(place == 0, lambda: jax.random.permutation(fresh, count), lambda: state.order)
        chosen = lax.dynamic_slice_in_dim(order, place * batch, batch)
        own = keys.named(jax.random.fold_in(state.key, state.step), "loss")
        shared = over_batch((images[chosen], labels[chosen]))
        measured = jax.value_and_grad(loss, has_aux=True)(state.params, *shared, own)
        (value, (moved, metrics)), gradient = measured
        updates, state_of = optimizers.update(optimizer, gradient, state.optimizer, state.params, value)
        stepped = optax.apply_updates(state.params, updates)
        reached = State(with_statistics(stepped, moved), state_of, order, state.key, state.step + 1)
        return reached, metrics | {"loss": value}

    return Trainer(init, step)


def with_statistics(params: Params, moved: Params) -> Params:
    """Parameters whose running statistics, leaves called `mean`, `var` or `mask`, are those of `moved`."""
    return jax.tree_util.tree_map_with_path(lambda path, *pair: pair[_is_running(path)], params, moved)


def _is_running(path: tuple) -> bool:
    last = path[-1] if path else None
    return getattr(last, "key", getattr(last, "name", None)) in RUNNING


def require_classes(labels: Any, classes: int) -> None:
    """Refuses labels that are no classes; under a transformation nothing is known of them.

    Raises:
      ValueError: if labels are no whole numbers, or one lies outside of 0 to `classes` - 1.
    """
    if is_traced(labels):
        return
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}, got {labels.dtype}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"labels must lie between 0 and {classes - 1}, got {labels.min()} to {labels.max()}")


def accuracy(logits: Callable[[jax.Array], jax.Array], images: Any, labels: Any, batch: int = 500) -> float:
    """The share of images whose largest logit is their label's, and none of whose logits is NaN.

    Args:
      logits: images `[batch, ...]` -> `[batch, classes]`.
      images, labels: `[N, ...]` and `[N]`; N a multiple of `batch`, or less than it.
      batch: images at a time.

    Raises:
      ValueError: if N is neither, `batch` is less than 1, or there are not N labels.

    Example:
      >>> from framework.models import training
      >>> float(training.accuracy(lambda images: images, np.eye(4), np.array([0, 1, 2, 0])))
      0.75
    """
    if batch < 1 or np.shape(labels) != (len(images),):
        raise ValueError(
            f"{len(images)} images need as many labels, [N], and a batch at least 1 image; got labels of "
            f"{np.shape(labels)} and a batch of {batch}"
        )
    batch = min(batch, len(images))
    if not len(images) or len(images) % batch:
        raise ValueError(f"{len(images)} images are no multiple of a batch of {batch}")
    parts = images.reshape(-1, batch, *images.shape[1:]), labels.reshape(-1, batch)

    def right_of(part: tuple[jax.Array, jax.Array]) -> jax.Array:
        found = logits(part[0])
        return ((found.argmax(-1) == part[1]) & ~jnp.isnan(found).any(-1)).sum()

    right = lax.map(right_of, parts)
    return int(right.sum()) / len(images)
