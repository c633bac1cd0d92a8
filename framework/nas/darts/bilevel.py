"""Bilevel search: architectures by the validation loss, weights by the training loss, in turns.

    alpha <- alpha - Adam(d L_val(w', alpha) / d alpha),    then    w <- w - SGD(d L_train(w, alpha) / d w)

with w' = w (first order), or w' = w - eta (momentum + d L_train / d w + decay w), one step of the weights on the same
batch (second order); then

    d L_val / d alpha (w', alpha) - eta d^2 L_train / (d alpha d w) (w, alpha) d L_val / d w (w', alpha).

Reference: Liu, Simonyan and Yang, arXiv 1806.09055, and the authors' program (quark0/darts, f276dd3): its optimisers,
its schedules, and that the architecture's step comes first.
"""

import dataclasses
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from framework.core import checks, keys
from framework.core.devices import shard_batch
from framework.core.types import Key, Metrics, Params
from framework.models import training
from framework.nas.darts import augmentation, space, supernet
from framework.nas.darts.space import Alphas
from framework.nas.darts.supernet import Supernet
from framework.nas.regularization import OuterLoss, Regularizer

FINITE_DIFFERENCE_EPSILON = 0.01  # the length of the step of the reference's difference, in units of 1 / ||v||
Hessian = Literal["exact", "difference"]
HESSIANS = ("exact", "difference")


@jax.tree_util.register_static
@dataclass(frozen=True)
class Config:
    """A search; hashable, and static under `jit`. The numbers are the reference's.

    Args:
      epochs: of the training images.
      batch: images of a training batch, and of a validation batch.
      order: 1; or 2, with the weights' step unrolled.
      hessian: of order 2, the mixed derivative `exact`, or its `difference` as the reference takes it.
      rate, rate_end: of the weights, along a cosine from one to the other.
      momentum, decay: of the weights.
      clip: the largest norm of their gradient.
      alpha_rate, alpha_decay: of Adam on the alphas.
      augment: images shifted by up to 4 places and mirrored.
      regulariser: a term of the validation loss, such as `advrush.paper()`.
      shuffled: False is the authors' AdvRush: training images in their order, one validation batch for all steps.
      frozen_norms: weights train on running statistics once the regulariser is on; the authors' AdvRush as well.

    Raises:
      ValueError: for a number out of range, or an unknown name.
    """

    epochs: int = 50
    batch: int = 64
    order: int = 1
    hessian: Hessian = "exact"
    rate: float = 0.025
    rate_end: float = 0.001
    momentum: float = 0.9
    decay: float = 3e-4
    clip: float = 5.0
    alpha_rate: float = 3e-4
    alpha_decay: float = 1e-3
    augment: bool = False
    regulariser: Regularizer | None = None
    shuffled: bool = True
    frozen_norms: bool = False

    def __post_init__(self):
        if not all(isinstance(count, numbers.Integral) and count >= 1 for count in (self.epochs, self.batch)):
            raise ValueError(f"a search needs 1 epoch and 1 image a batch, got {self.epochs} and {self.batch}")
        for name in ("rate", "rate_end", "momentum", "decay", "alpha_rate", "alpha_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {getattr(self, name)}")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0, inf for none, got {self.clip}")
        if self.order not in (1, 2):
            raise ValueError(f"order must be 1 or 2, got {self.order}")
        if self.hessian not in HESSIANS:
            raise ValueError(f"hessian must be one of {', '.join(HESSIANS)}, got {self.hessian!r}")


class Data(NamedTuple):
    """What a search learns from; any arrays of these shapes, so that a chosen part of a set is as good as all of it."""

    images: jax.Array  # [N, H, W, C], as the network is to see them
    labels: jax.Array  # [N]
    valid_images: jax.Array  # [M, H, W, C]
    valid_labels: jax.Array  # [M]


class State(NamedTuple):
    """Where a search stands."""

    alphas: Alphas
    params: Params  # weights, and running statistics in leaves `mean` and `var`
    alpha_optimizer: optax.OptState
    optimizer: optax.OptState
    gamma: jax.Array  # [], the weight of the curvature
    warmup: jax.Array  # [] int32, epochs before it counts
    key: Key  # of the whole search
    step: jax.Array  # [] int32, steps taken


class Searcher(NamedTuple):
    """A search as a pair of pure functions."""

    init: Callable[..., State]  # (key, data, gamma, warmup), the last two by default the regulariser's
    step: Callable[[State, Data], tuple[State, Metrics]]


def searcher(net: Supernet, config: Config) -> Searcher:
    """The functions of a search; hold on to them, since what each call makes is compiled again.

    Searches with different gammas and warm-ups share one program: DARTS is AdvRush that is always warming up.

    Returns:
      A `Searcher`: `init(key, data, gamma=None, warmup=None)`, by default the regulariser's, which refuses data that do
      not fit by a `ValueError`, and `step(state, data)`, whose metrics are `loss` and `accuracy` of the training batch,
      `valid_loss`, and `curvature` where there is a regulariser.
    """
    regulariser = config.regulariser

    def init(key: Key, data: Data, gamma: Any = None, warmup: Any = None) -> State:
        check(net, config, data)
        gamma = (regulariser.gamma if regulariser else 0.0) if gamma is None else gamma
        warmup = (regulariser.warmup if regulariser else config.epochs) if warmup is None else warmup
        return start(key, space.init_alphas(keys.derive(key, "alphas")), data.images.shape[-1], gamma, warmup)

    @partial(jax.jit, static_argnums=2)
    def start(key: Key, alphas: Alphas, colours: int, gamma: Any, warmup: Any) -> State:
        params = supernet.init(keys.derive(key, "weights"), net, colours)
        optimizers = _alpha_optimizer(config).init(alphas), _optimizer(config).init(params)
        numbers = jnp.asarray(gamma, jnp.float32), jnp.asarray(warmup, jnp.int32)
        return State(alphas, params, *optimizers, *numbers, keys.derive(key, "search"), jnp.zeros((), jnp.int32))

    return Searcher(init, _step(net, config))


def search(key: Key, net: Supernet, train: Any, valid: Any, config: Config | None = None) -> State:
    """A whole search in one traceable call.

    Args:
      key: of the search.
      net: the supernet.
      train, valid: (images `[N, H, W, C]`, labels `[N]`); of weights, of alphas.
      config: the numbers; DARTS's of first order by default.

    Returns:
      The last state; `genotype(state.alphas)` are its cells.

    Raises:
      ValueError: for data that do not fit.
    """
    config = config or Config()
    data, run = Data(*map(jnp.asarray, (*train, *valid))), searcher(net, config)
    state = run.init(key, data)
    return lax.scan(lambda s, _: (run.step(s, data)[0], None), state, length=step_count(config, len(train[1])))[0]


def step_count(config: Config, count: int) -> int:
    """Steps of a search with `count` training images."""
    return config.epochs * (count // config.batch)


def batched_step(step: Callable, vectorized: bool = False) -> Callable:
    """A step of many searches in one program, on states with a leading axis, all on the same data.

    Args:
      step: of `searcher`.
      vectorized: side by side (`vmap`, for accelerators; the CPU code of jax 0.10 can crash on what it makes of four
        searches, that of 0.12 does not), or one after another (`lax.map`).
    """
    if vectorized:
        return lambda states, data: jax.vmap(step, in_axes=(0, None))(states, data)
    return lambda states, data: lax.map(lambda state: step(state, data), states)


def check(net: Supernet, config: Config, data: Data) -> None:
    """Refuses data that make no search.

    Raises:
      ValueError: if images are no floats, shapes do not fit, labels are no classes of the network, or a part holds no
        batch.
    """
    for name, images, labels in (("training", *data[:2]), ("validation", *data[2:])):
        supernet.require_images(images)
        if len(images) != len(labels) or len(images) < config.batch:
            got = f"{len(images)} images and {len(labels)} labels"
            raise ValueError(f"the {name} part must hold {config.batch} images, a batch, and their labels, got {got}")
        checks.labels("labels", labels, net.classes)


def _step(net: Supernet, config: Config) -> Callable[[State, Data], tuple[State, Metrics]]:
    loss = cross_entropy(net, train=True)
    per_example_loss = _curvature(net, config) if config.regulariser else None
    of_alphas, argnums = (_unrolled_gradient, (0, 1)) if config.order == 2 else (_direct_gradient, (0,))

    def step(state: State, data: Data) -> tuple[State, Metrics]:
        epoch = state.step // (len(data.labels) // config.batch)
        late, rate = epoch >= state.warmup, _rate(config, epoch)
        batch, held = _batches(config, state, data, epoch)

        def outer(alphas, params):
            (value, (new_params, _)), slopes = jax.value_and_grad(loss, argnums, has_aux=True)(alphas, params, *held)
            if per_example_loss is None:
                return slopes, new_params, {"valid_loss": value}
            nothing = jnp.zeros((), held[0].dtype), jax.tree.map(jnp.zeros_like, slopes)
            curvature, more = lax.cond(late, lambda: per_example_loss(alphas, params, epoch, *held), lambda: nothing)
            slopes = optax.tree.add_scale(slopes, state.gamma, more)
            return slopes, new_params, {"valid_loss": value, "curvature": curvature}

        slope, params, metrics = of_alphas(config, outer, loss, state, rate, batch)
        change, alpha_optimizer = _alpha_optimizer(config).update(slope, state.alpha_optimizer, state.alphas)
        alphas = optax.apply_updates(state.alphas, change)

        trained = lambda train: jax.value_and_grad(cross_entropy(net, train), 1, has_aux=True)(alphas, params, *batch)
        if config.frozen_norms:
            (value, (new_params, right)), slope = lax.cond(late, lambda: trained(False), lambda: trained(True))
        else:
            (value, (new_params, right)), slope = trained(True)
        change, optimizer = _optimizer(config).update(slope, state.optimizer, params)
        params = training.with_statistics(optax.tree.add_scale(params, -rate, change), new_params)
        new_state = state._replace(alphas=alphas, params=params, alpha_optimizer=alpha_optimizer, optimizer=optimizer)
        return new_state._replace(step=state.step + 1), {"loss": value, "accuracy": right} | metrics

    return step


def cross_entropy(net: Supernet, train: bool) -> OuterLoss:
    """(alphas, params, images, labels) -> (mean cross entropy, (parameters with statistics moved, accuracy))."""

    def loss(alphas, params, images, labels):
        logits, new_params = supernet.apply(net, params, alphas, images, train)
        right = (logits.argmax(-1) == labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (new_params, right)

    return loss


def _curvature(net: Supernet, config: Config) -> Callable:
    """(alphas, params, epoch, images, labels) -> (R, its slopes); of single images, in full precision."""
    regulariser, whole = config.regulariser, config.order == 2
    per_example_loss = cross_entropy(
        dataclasses.replace(net, dtype="float32") if net.dtype == "bfloat16" else net, train=False
    )

    def slopes(alphas, params, epoch, images, labels):
        def penalty(alphas, params):
            summed = lambda a, x: len(x) * per_example_loss(a, params, x, labels)[0]
            return regulariser.penalty(summed, alphas, images, epoch, whole)

        return jax.value_and_grad(penalty, (0, 1) if whole else (0,))(alphas, params)

    return slopes


def _direct_gradient(config: Config, outer, loss, state: State, rate, batch) -> tuple[Alphas, Params, Metrics]:
    """First order: the slope in alphas, the parameters with statistics moved, what was seen on the way."""
    (slope,), new_params, metrics = outer(state.alphas, state.params)
    return slope, new_params, metrics


def _unrolled_gradient(config: Config, outer, loss, state: State, rate, batch) -> tuple[Alphas, Params, Metrics]:
    """Second order; statistics are moved by the training batch alone."""
    inner = lambda alphas, params: loss(alphas, params, *batch)
    slope, (new_params, _) = jax.grad(inner, 1, has_aux=True)(state.alphas, state.params)
    momentum = optax.tree.get(state.optimizer, "trace")
    change = jax.tree.map(lambda w, m, g: config.momentum * m + g + config.decay * w, state.params, momentum, slope)
    ahead = training.with_statistics(optax.tree.add_scale(state.params, -rate, change), state.params)
    (direct, v), _, metrics = outer(state.alphas, ahead)
    v = training.with_statistics(v, jax.tree.map(jnp.zeros_like, v))
    of_alphas = lambda params: jax.grad(inner, has_aux=True)(state.alphas, params)[0]
    hessian = mixed_derivative(of_alphas, state.params, v, config.hessian)
    return optax.tree.add_scale(direct, -rate, hessian), training.with_statistics(state.params, new_params), metrics


def mixed_derivative(
    of_alphas: Callable[[Params], Params], params: Params, v: Params, hessian: Hessian = "exact"
) -> Params:
    """d^2 L / (d alpha d w) v, from the gradient in alpha as a function of w.

    `difference`: (g(w + R v) - g(w - R v)) / 2R with R = .01 / ||v||, as the reference takes it.
    """
    if hessian == "exact":
        return jax.jvp(of_alphas, (params,), (v,))[1]
    norm = optax.tree.norm(v)
    reach = jnp.where(norm > 0, FINITE_DIFFERENCE_EPSILON / jnp.where(norm > 0, norm, 1), FINITE_DIFFERENCE_EPSILON)
    gradients = [of_alphas(jax.tree.map(lambda w, d, s=sign: w + s * reach * d, params, v)) for sign in (1, -1)]
    return jax.tree.map(lambda ahead, behind: (ahead - behind) / (2 * reach), *gradients)


def _batches(config: Config, state: State, data: Data, epoch: jax.Array) -> tuple[tuple, tuple]:
    """A training and a validation batch, each (images, labels)."""
    position = state.step % (len(data.labels) // config.batch)
    order, held = jnp.arange(len(data.labels)), jnp.arange(config.batch)
    key = jax.random.fold_in(state.key, state.step)
    if config.shuffled:
        order = jax.random.permutation(keys.derive(jax.random.fold_in(state.key, epoch), "order"), order)
        held = jax.random.permutation(keys.derive(key, "held"), len(data.valid_labels))[: config.batch]
    chosen = lax.dynamic_slice_in_dim(order, position * config.batch, config.batch)
    batches = []
    for name, images, labels in (("train", *data[:2]), ("valid", *data[2:])):
        rows = chosen if name == "train" else held
        drawn = images[rows]
        if config.augment:
            drawn = augmentation.shift_and_flip(keys.derive(key, name), drawn)
        batches.append(shard_batch((drawn, labels[rows])))
    return tuple(batches)


def _rate(config: Config, epoch: jax.Array) -> jax.Array:
    """The weights' learning rate: a cosine over epochs, the same within one."""
    share = (1 + jnp.cos(jnp.pi * epoch / config.epochs)) / 2
    return config.rate_end + (config.rate - config.rate_end) * share


def _optimizer(config: Config) -> optax.GradientTransformation:
    """Momentum of gradients that are clipped, then decayed; the rate comes after."""
    clip, decay = optax.clip_by_global_norm(config.clip), optax.add_decayed_weights(config.decay)
    return optax.chain(clip, decay, optax.trace(config.momentum))


def _alpha_optimizer(config: Config) -> optax.GradientTransformation:
    """Adam with the decay inside the gradient, as torch has it."""
    adam = optax.scale_by_adam(0.5, 0.999)
    return optax.chain(optax.add_decayed_weights(config.alpha_decay), adam, optax.scale(-config.alpha_rate))
