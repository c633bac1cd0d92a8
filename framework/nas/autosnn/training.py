"""Training of spiking networks by surrogate gradient: one network from scratch, or all of a space at once.

The loss is the paper's, the squared error between votes and one-hot labels; batch norm keeps running statistics; every
spike is counted in the graph. A supernet's step draws an architecture, each as likely as any other, and trains it.
AdvRush's regulariser, which nobody has tried on spikes, may be added: there are no alphas, so it moves the weights.

Reference: Na et al., arXiv 2201.12738, section 5; Guo et al., arXiv 1904.00420; for the regulariser arXiv 2108.01289.
"""

import dataclasses
import numbers
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from framework.core import keys
from framework.core.chunked_scan import advance
from framework.core.tracing import is_traced
from framework.core.types import Key, Metrics, Params
from framework.models import training
from framework.nas.autosnn import supernet as spiking_supernet
from framework.nas.autosnn.network import Network, Outputs
from framework.nas.autosnn.space import Space
from framework.nas.autosnn.supernet import Supernet
from framework.nas.regularization import Regularizer

ADAM = optax.adam(1e-3)  # the paper's
Answer = Callable[..., tuple[Outputs, Params]]  # (params, state, images, key, pinned, train)


@dataclasses.dataclass(frozen=True)
class Config:
    """How a supernet or a network is trained; the paper's numbers.

    Args:
      epochs: of the whole training.
      batch: images a step; what fills no batch waits for the next epoch.
      paths: architectures that a supernet's step trains on its batch, their gradients averaged; 1 in the paper.
      regulariser: of the loss's curvature in the images, whose slopes are those of the surrogate; none in the paper.

    Raises:
      ValueError: if a number is no whole one of at least 1.
    """

    epochs: int = 600
    batch: int = 96
    paths: int = 1
    regulariser: Regularizer | None = None

    def __post_init__(self):
        counts = self.epochs, self.batch, self.paths
        if not all(isinstance(count, numbers.Integral) and count >= 1 for count in counts):
            raise ValueError(f"epochs, batch and paths must be at least 1 each, and whole numbers, got {counts}")

    def steps(self, images: int) -> int:
        """Steps of a whole training on so many images."""
        return self.epochs * (images // self.batch)


class State(NamedTuple):
    """Where a training stands."""

    inner: training.State  # its params: {"params": ..., "state": batch statistics}
    spikes: jax.Array  # [], mean over this epoch's steps so far, an image
    pinned: jax.Array  # [slots] int32, choices that are not drawn; -1 where they are


class Trainer(NamedTuple):
    """A training as a pair of pure functions."""

    init: Callable[..., State]  # (key, count of images, pinned=None)
    step: Callable[[State, tuple[jax.Array, jax.Array]], tuple[State, Metrics]]  # (state, (images, labels))


def supernet_trainer(space: Space, config: Config, optimizer: optax.GradientTransformation = ADAM) -> Trainer:
    """Single-path training of all architectures of a space, or of one from scratch.

    Slots whose choice is pinned train that candidate alone: with all slots pinned this is the training of one network,
    and one compiled program trains the supernet and every network. The optimiser moves every weight in every step,
    those of blocks that were not drawn by their momentum alone.

    Args:
      of: the space.
      config: batch and paths.
      optimizer: of optax.

    Returns:
      A `Trainer`; its metrics are loss, accuracy and spikes an image of the step, and the curvature, where it counts.

    Reference: arXiv 2201.12738, section 5.1; several paths a step are an option beyond it.
    """

    def answer(params, state, images, key, pinned, train):
        drawn = jax.random.randint(key, (space.slots,), 0, len(space.candidates))
        return spiking_supernet.apply(space, params, state, jnp.where(pinned < 0, drawn, pinned), images, train)

    return _trainer(lambda key: spiking_supernet.init(key, space), answer, space.slots, config, optimizer)


def network_trainer(network: Network, config: Config, optimizer: optax.GradientTransformation = ADAM) -> Trainer:
    """Training of one network from scratch; as `supernet_trainer`."""
    answer = lambda params, state, images, _, pinned, train: network.apply(params, state, images, train)
    return _trainer(network.init, answer, 0, config, optimizer)


def train_supernet(
    key: Key, images: Any, labels: Any, space: Space, config: Config, optimizer: optax.GradientTransformation = ADAM
) -> Supernet:
    """The whole training of a supernet, in one traceable call.

    Args:
      key: a typed key.
      images: `[N, height, width, channels]` floats, or recordings `[N, T, height, width, channels]`; who searches on a
        subset hands in the subset.
      labels: `[N]` integers, of at least two classes.
      of: the space.
      config: epochs, batch, paths.
      optimizer: of optax.

    Returns:
      A `Supernet`, for `enumerate`, `evaluate`, `evolve` and `inherit`.

    Raises:
      ValueError: if labels and images differ in number, a label lies outside the classes, all are of one class, or a
        batch does not fit.
    """
    return supernet(
        _train(supernet_trainer(space, config, optimizer), key, images, labels, space.classes, config), space
    )


def train_network(
    key: Key, images: Any, labels: Any, network: Network, config: Config, optimizer: optax.GradientTransformation = ADAM
) -> tuple[Params, Params]:
    """The whole training of one network from fresh weights, as `train_supernet`: (params, batch statistics)."""
    tree = _train(
        network_trainer(network, config, optimizer), key, images, labels, network.classes, config
    ).inner.params
    return tree["params"], tree["state"]


def supernet(state: State, space: Space) -> Supernet:
    """What a training has reached, ready for the search."""
    return Supernet(state.inner.params["params"], state.inner.params["state"], state.spikes, space)


def squared_error(outputs: Outputs, labels: jax.Array) -> jax.Array:
    """The paper's loss: mean over batch and classes of (votes - one-hot)^2."""
    return jnp.mean(jnp.square(outputs.votes - jax.nn.one_hot(labels, outputs.votes.shape[-1])))


def check_labels(images: Any, labels: Any, classes: int, what: str = "training") -> None:
    """Refuses images and labels that no search can use; what is traced is judged by its shape alone.

    Raises:
      ValueError: if there is no image, there are not as many labels, a label is no whole number or lies outside the
        classes, or all are of one class.
    """
    if not len(images) or np.shape(labels) != (len(images),):
        raise ValueError(
            f"the {what} set needs at least 1 image and a label for each, got {len(images)} images and labels "
            f"of shape {np.shape(labels)}"
        )
    if is_traced(labels):
        return
    values = np.asarray(labels)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"labels of the {what} set must be whole numbers from 0 to {classes - 1}, got {values.dtype}")
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(
            f"labels of the {what} set must lie in 0 .. {classes - 1}, got {values.min()} .. {values.max()}"
        )
    if len(np.unique(values)) < 2:
        raise ValueError(f"the {what} set needs images of at least 2 classes, got only class {values[0]}")


def _train(trainer: Trainer, key: Key, images: Any, labels: Any, classes: int, config: Config) -> State:
    check_labels(images, labels, classes)
    state = trainer.init(key, len(images))
    data = (jnp.asarray(images), jnp.asarray(labels))
    return advance(trainer.step, state, data, config.steps(len(images)))[0]


def _trainer(
    start: Callable[[Key], tuple[Params, Params]],
    answer: Answer,
    slots: int,
    config: Config,
    optimizer: optax.GradientTransformation,
) -> Trainer:
    def loss(pinned, epoch, tree, images, labels, key):
        def path(carry, path_key):
            outputs, new_stats = answer(tree["params"], carry, images, path_key, pinned, True)
            right = (outputs.votes.argmax(-1) == labels).mean()
            value, path_metrics = (
                squared_error(outputs, labels),
                {"accuracy": right, "spikes": outputs.spikes.sum(-1).mean()},
            )
            if config.regulariser:
                still = lambda params, images: answer(params, carry, images, path_key, pinned, False)[0]
                path_metrics["curvature"] = _curvature(config.regulariser, still, tree["params"], images, labels, epoch)
                value += config.regulariser.gamma * path_metrics["curvature"]
            return new_stats, (value, path_metrics)

        paths = jax.random.split(key, config.paths)
        new_stats, path_metrics = lax.scan(path, tree["state"], paths, unroll=config.paths == 1)
        value, metrics = jax.tree.map(jnp.mean, path_metrics)
        return value, (tree | {"state": new_stats}, metrics)

    inner = lambda pinned, epoch: training.trainer(partial(loss, pinned, epoch), optimizer, config.batch)

    def init(key: Key, count: int, pinned: Any = None) -> State:
        params, state = start(keys.derive(key, "weights"))
        tree = {"params": params, "state": state}
        pinned = jnp.asarray(np.full(slots, -1) if pinned is None else pinned, jnp.int32)
        return State(inner(pinned, 0).init(tree, count, keys.derive(key, "training")), jnp.zeros(()), pinned)

    def step(state: State, data: tuple[jax.Array, jax.Array]) -> tuple[State, Metrics]:
        epoch, position = jnp.divmod(state.inner.step, len(data[0]) // config.batch)
        new_state, metrics = inner(state.pinned, epoch).step(state.inner, data)
        before = jnp.where(position > 0, state.spikes, 0)
        mean = before + (metrics["spikes"] - before) / (position + 1)
        return State(new_state, mean, state.pinned), metrics

    return Trainer(init, step)


def _curvature(
    regulariser: Regularizer, still: Callable, params: Params, images: jax.Array, labels: jax.Array, epoch: jax.Array
) -> jax.Array:
    """R of the loss of single images, so with norms on running statistics; 0 while it warms up."""
    summed = lambda params, images: len(images) * squared_error(still(params, images), labels)
    penalty = lambda: regulariser.penalty(summed, params, images, epoch, differentiate_all=True)
    return lax.cond(epoch >= regulariser.warmup, penalty, lambda: jnp.zeros(()))
