"""Training of a classifier on arrays: a new order of the images in every epoch, batches of one size."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Int

from framework.core import checks, keys, optimizers
from framework.core.devices import shard_batch
from framework.core.types import Array, Key, Metrics, Params

RUNNING = ("mean", "var", "mask")  # names of leaves that no gradient changes
Loss = Callable[[Params, jax.Array, jax.Array, Key], tuple[jax.Array, tuple[Params, Metrics]]]


class State(NamedTuple):
    """State of a training."""

    params: Params
    optimizer: optax.OptState
    order: Int[Array, " count"]  # the images of this epoch
    key: Key  # of the whole training
    step: Int[Array, ""]  # steps done


class Trainer(NamedTuple):
    """Training as a pair of pure functions."""

    init: Callable[[Params, int, Key], State]  # (params, number of images, key)
    step: Callable[[State, tuple[jax.Array, jax.Array]], tuple[State, Metrics]]  # (state, (images, labels))


def trainer(loss: Loss, optimizer: optax.GradientTransformation, batch: int) -> Trainer:
    """Steps of an optimiser over batches drawn without replacement; images that fill no batch wait for the next epoch.

    Devices that take the steps `TOGETHER` (`core.devices`) divide every batch among them.

    Args:
      loss: (params, images, labels, key) -> (scalar, (params with updated running statistics, metrics)). Leaves called
        `mean`, `var` or `mask`, as keys of dicts or fields, take the values of these params; the optimiser updates all
        others.
      optimizer: of optax; one that needs the loss, such as `optax.polyak_sgd`, gets it.
      batch: images per step, at least 1.

    Returns:
      A `Trainer`; its step adds `loss` to the metrics. Its `init` raises ValueError if there are fewer images than a
      batch holds, or for an invalid key.

    Raises:
      ValueError: if `batch` is not a whole number of at least 1, or the optimiser is not one of optax or needs
        functions of the loss, as `optax.lbfgs` does.
    """
    checks.counts(batch=batch)
    optimizers.check(optimizer, "a trainer")

    def init(params: Params, count: int, key: Key) -> State:
        keys.check(key)
        if batch > count:
            raise ValueError(f"a batch must hold 1 to {count} images, the training set, got {batch}")
        return State(params, optimizer.init(params), jnp.arange(count), key, jnp.zeros((), jnp.int32))

    def step(state: State, data: tuple[Array, Array]) -> tuple[State, Metrics]:
        images, labels = (jnp.asarray(part) for part in data)
        count = len(images)
        epoch, index = jnp.divmod(state.step, count // batch)
        order_key = keys.derive(jax.random.fold_in(state.key, epoch), "order")
        order = lax.cond(index == 0, lambda: jax.random.permutation(order_key, count), lambda: state.order)
        rows = lax.dynamic_slice_in_dim(order, index * batch, batch)
        loss_key = keys.derive(jax.random.fold_in(state.key, state.step), "loss")
        batch_of_data = shard_batch((images[rows], labels[rows]))
        value_and_aux, gradient = jax.value_and_grad(loss, has_aux=True)(state.params, *batch_of_data, loss_key)
        value, (new_params, metrics) = value_and_aux
        updates, optimizer_state = optimizers.update(optimizer, gradient, state.optimizer, state.params, value)
        params = with_statistics(optax.apply_updates(state.params, updates), new_params)
        return State(params, optimizer_state, order, state.key, state.step + 1), metrics | {"loss": value}

    return Trainer(init, step)


def with_statistics(params: Params, source: Params) -> Params:
    """Replaces running statistics, leaves called `mean`, `var` or `mask`, by those of another tree.

    Args:
      params: a pytree.
      source: a pytree of the same structure.

    Returns:
      The leaves of `params`, with running statistics of `source`.
    """
    return jax.tree_util.tree_map_with_path(lambda path, *pair: pair[_is_running(path)], params, source)


def _is_running(path: tuple) -> bool:
    last = path[-1] if path else None
    return getattr(last, "key", getattr(last, "name", None)) in RUNNING


def accuracy(logits: Callable[[jax.Array], jax.Array], images: Any, labels: Any, batch: int = 500) -> float:
    """The share of images whose largest logit is their label's, and none of whose logits is NaN.

    Args:
      logits: images `[batch, ...]` -> `[batch, classes]`.
      images: `[N, ...]`; N a multiple of `batch`, or less than it.
      labels: `[N]`.
      batch: images per step, at least 1.

    Returns:
      The accuracy, in [0, 1].

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

    def count_correct(part: tuple[Array, Array]) -> jax.Array:
        values = logits(part[0])
        return ((values.argmax(-1) == part[1]) & ~jnp.isnan(values).any(-1)).sum()

    counts = lax.map(count_correct, parts)
    return int(counts.sum()) / len(images)
