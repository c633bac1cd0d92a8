"""ResNet for small images: 6n + 2 layers, shortcuts without parameters; and how it is trained.

Reference: He et al., "Deep residual learning for image recognition", arXiv 1512.03385, section 4.2. The recipe and the
shortcut (option A) are those of the networks behind the published entropy lists of arXiv 2106.04784.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from framework.core import keys
from framework.core.convolutions import convolve
from framework.core.types import Key, Metrics, Params
from framework.models import batch_norm, initial, training

STAGES = 3
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the published networks' inputs: ImageNet's
Augment = Callable[[Key, jax.Array], jax.Array]


@jax.tree_util.register_static
@dataclass(frozen=True)
class Config:
    """A residual network; hashable, and static under `jit`."""

    depth: int = 20  # 6n + 2
    classes: int = 10
    channels: int = 3  # of the images
    width: int = 16  # channels of the first stage; each next one doubles them

    def __post_init__(self):
        if self.depth < 8 or self.depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2 layers, such as 8, 20 or 56, got {self.depth}")
        if self.width < 4 or self.width % 4 or min(self.classes, self.channels) < 1:
            got = f"{self.width}, {self.classes}, {self.channels}"
            raise ValueError(f"width must be a multiple of 4, classes and channels at least 1, got {got}")

    @property
    def blocks(self) -> int:
        """Blocks a stage."""
        return (self.depth - 2) // 6


def normalise(images: jax.Array, mean: tuple = MEAN, deviation: tuple = DEVIATION, maximum: float = 255) -> jax.Array:
    """Images of 0 to `maximum`, `[..., channels]`, as the published networks take them."""
    return (jnp.asarray(images, float) / maximum - jnp.array(mean)) / jnp.array(deviation)


def init(key: Key, config: Config) -> Params:
    """Kernels of He's normal distribution, norms at rest, a dense layer from torch's uniform one."""

    def block(channels: int, features: int) -> dict:
        norms = {name: batch_norm.init(features) for name in ("norm1", "norm2")}
        return norms | {"conv1": (3, 3, channels, features), "conv2": (3, 3, features, features)}

    widths = [config.width * 2**stage for stage in range(STAGES)]
    inputs = [config.width, *widths]
    stages = [[block(inputs[stage + (i > 0)], widths[stage]) for i in range(config.blocks)] for stage in range(STAGES)]
    bound = 1 / math.sqrt(widths[-1])
    head = jax.random.uniform(keys.named(key, "head"), (widths[-1] + 1, config.classes), minval=-bound, maxval=bound)
    tree = {
        "stem": (3, 3, config.channels, config.width),
        "norm": batch_norm.init(config.width),
        "stages": stages,
        "head": {"kernel": head[:-1], "bias": head[-1]},
    }
    return initial.he_normal(keys.named(key, "kernels"), tree)


def features(params: Params, images: jax.Array, train: bool = False) -> tuple[jax.Array, Params]:
    """What the dense layer sees: the last stage's channels, mean over all places.

    Args:
      params: of `init`.
      images: `[N, h, w, channels]`, normalised.
      train: norms by the batch.

    Returns:
      `[N, 4 width]`, and the parameters with their running statistics moved.
    """
    x, norm = batch_norm.apply(params["norm"], convolve(images, params["stem"]), train)
    x, stages = jax.nn.relu(x), []
    for place, stage in enumerate(params["stages"]):
        blocks = []
        for i, own in enumerate(stage):
            x, moved = _block(own, x, 2 if place and not i else 1, train)
            blocks.append(moved)
        stages.append(blocks)
    return x.mean((1, 2)), params | {"norm": norm, "stages": stages}


def forward(params: Params, images: jax.Array, train: bool = False) -> tuple[jax.Array, Params]:
    """Logits `[N, classes]`, and the parameters with their running statistics moved; arguments as in `features`."""
    seen, moved = features(params, images, train)
    return seen @ params["head"]["kernel"] + params["head"]["bias"], moved


def _block(own: Params, x: jax.Array, stride: int, train: bool) -> tuple[jax.Array, Params]:
    y, norm1 = batch_norm.apply(own["norm1"], convolve(x, own["conv1"], (stride, stride)), train)
    y, norm2 = batch_norm.apply(own["norm2"], convolve(jax.nn.relu(y), own["conv2"]), train)
    more = y.shape[-1] - x.shape[-1]
    shortcut = jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (more // 2, more // 2)))
    return jax.nn.relu(y + shortcut), own | {"norm1": norm1, "norm2": norm2}


def loss(augment: Augment | None = None, prepare: Callable[[jax.Array], jax.Array] = normalise) -> training.Loss:
    """Mean cross-entropy, as `training.trainer` takes it.

    Args:
      augment: (key, images) -> images, before they are prepared.
      prepare: images as they are kept -> as the network takes them.
    """

    def value(
        params: Params, images: jax.Array, labels: jax.Array, key: Key
    ) -> tuple[jax.Array, tuple[Params, Metrics]]:
        images = images if augment is None else augment(key, images)
        logits, moved = forward(params, prepare(images), train=True)
        accuracy = (logits.argmax(-1) == labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (moved, {"accuracy": accuracy})

    return value


def recipe(steps: int, rate: float = 0.1, decay: float = 1e-4) -> optax.GradientTransformation:
    """SGD with momentum .9 and weight decay, its rate a tenth from half and a hundredth from three quarters of `steps`.

    Published: rate .1, decay 1e-4, batches of 128, 200 epochs.

    Raises:
      ValueError: for fewer than 1 step, or a rate or decay that is negative or not finite.
    """
    if steps < 1 or not (0 <= rate < float("inf") and 0 <= decay < float("inf")):
        raise ValueError(f"a recipe wants 1 step, a finite rate and decay from 0 on, got {steps}, {rate} and {decay}")
    schedule = optax.piecewise_constant_schedule(rate, {steps // 2: 0.1, steps * 3 // 4: 0.1})
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(schedule, momentum=0.9))
