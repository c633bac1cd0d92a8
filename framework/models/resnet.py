"""ResNet for small images, 6n + 2 layers with shortcuts without parameters, and its training recipe.

Reference: He et al., "Deep residual learning for image recognition", arXiv 1512.03385, section 4.2. The recipe and the
shortcut (option A) are those of the networks behind the published entropy lists of arXiv 2106.04784.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Num

from framework.core import checks, keys
from framework.core.convolutions import convolve
from framework.core.types import Array, Key, Metrics, Params
from framework.models import batch_norm, initializers, training

STAGES = 3
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the published networks' inputs: ImageNet's
Augment = Callable[[Key, jax.Array], jax.Array]


@jax.tree_util.register_static
@dataclass(frozen=True)
class Config:
    """Structure of a residual network; hashable, and static under `jit`."""

    depth: int = 20  # 6n + 2
    classes: int = 10
    channels: int = 3  # of the images
    width: int = 16  # channels of the first stage; each next one doubles them

    def __post_init__(self):
        if self.depth < 8 or self.depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2 layers, such as 8, 20 or 56, got {self.depth}")
        if self.width < 4 or self.width % 4 or min(self.classes, self.channels) < 1:
            values = f"{self.width}, {self.classes}, {self.channels}"
            raise ValueError(f"width must be a multiple of 4, classes and channels at least 1, got {values}")

    @property
    def blocks(self) -> int:
        """Blocks of a stage."""
        return (self.depth - 2) // 6


def normalise(
    images: Num[Array, "... channels"],
    mean: tuple[float, ...] = MEAN,
    deviation: tuple[float, ...] = DEVIATION,
    maximum: float = 255,
) -> Float[Array, "... channels"]:
    """Normalises images as the published networks take them, (x / maximum - mean) / deviation.

    Args:
      images: x, `[..., channels]`, 0 to `maximum`.
      mean: of each channel, in [0, 1].
      deviation: standard deviation of each channel, above 0.
      maximum: the value of a white pixel.

    Returns:
      `[..., channels]`.
    """
    return (jnp.asarray(images, float) / maximum - jnp.array(mean)) / jnp.array(deviation)


def init(key: Key, config: Config) -> Params:
    """Initialises kernels by He's normal distribution, norms at identity, and the dense layer uniformly as torch.

    Args:
      key: of the draws.
      config: structure of the network.

    Returns:
      A pytree of arrays; running statistics are leaves called `mean` and `var`.
    """

    def block(channels: int, features: int) -> dict:
        norms = {name: batch_norm.init(features) for name in ("norm1", "norm2")}
        return norms | {"conv1": (3, 3, channels, features), "conv2": (3, 3, features, features)}

    widths = [config.width * 2**stage for stage in range(STAGES)]
    inputs = [config.width, *widths]
    stages = [[block(inputs[stage + (i > 0)], widths[stage]) for i in range(config.blocks)] for stage in range(STAGES)]
    limit = 1 / math.sqrt(widths[-1])
    head = jax.random.uniform(keys.derive(key, "head"), (widths[-1] + 1, config.classes), minval=-limit, maxval=limit)
    tree = {
        "stem": (3, 3, config.channels, config.width),
        "norm": batch_norm.init(config.width),
        "stages": stages,
        "head": {"kernel": head[:-1], "bias": head[-1]},
    }
    return initializers.he_normal(keys.derive(key, "kernels"), tree)


def features(
    params: Params, images: Float[Array, "n h w channels"], train: bool = False
) -> tuple[Float[Array, "n features"], Params]:
    """The input of the dense layer: the channels of the last stage, averaged over all pixels.

    Args:
      params: of `init`.
      images: `[N, h, w, channels]`, normalised.
      train: True normalises by the statistics of the batch.

    Returns:
      `[N, 4 width]`, and the params with updated running statistics.
    """
    x, norm = batch_norm.apply(params["norm"], convolve(images, params["stem"]), train)
    x, stages = jax.nn.relu(x), []
    for index, stage in enumerate(params["stages"]):
        blocks = []
        for i, block in enumerate(stage):
            x, new_block = _block(block, x, 2 if index and not i else 1, train)
            blocks.append(new_block)
        stages.append(blocks)
    return x.mean((1, 2)), params | {"norm": norm, "stages": stages}


def forward(
    params: Params, images: Float[Array, "n h w channels"], train: bool = False
) -> tuple[Float[Array, "n classes"], Params]:
    """Computes the logits of images.

    Args:
      params: of `init`.
      images: `[N, h, w, channels]`, normalised.
      train: True normalises by the statistics of the batch.

    Returns:
      Logits `[N, classes]`, and the params with updated running statistics.
    """
    x, new_params = features(params, images, train)
    return x @ params["head"]["kernel"] + params["head"]["bias"], new_params


def _block(block: Params, x: Array, stride: int, train: bool) -> tuple[jax.Array, Params]:
    y, norm1 = batch_norm.apply(block["norm1"], convolve(x, block["conv1"], (stride, stride)), train)
    y, norm2 = batch_norm.apply(block["norm2"], convolve(jax.nn.relu(y), block["conv2"]), train)
    extra = y.shape[-1] - x.shape[-1]
    shortcut = jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (extra // 2, extra // 2)))
    return jax.nn.relu(y + shortcut), block | {"norm1": norm1, "norm2": norm2}


def loss(augment: Augment | None = None, prepare: Callable[[jax.Array], jax.Array] = normalise) -> training.Loss:
    """Mean cross-entropy, as `training.trainer` takes it.

    Args:
      augment: (key, images) -> images, before they are prepared.
      prepare: stored images -> inputs of the network.

    Returns:
      (params, images, labels, key) -> (loss, (new params, metrics)).
    """

    def value(params: Params, images: Array, labels: Array, key: Key) -> tuple[jax.Array, tuple[Params, Metrics]]:
        images = images if augment is None else augment(key, images)
        logits, new_params = forward(params, prepare(images), train=True)
        accuracy = (logits.argmax(-1) == labels).mean()
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return cross_entropy, (new_params, {"accuracy": accuracy})

    return value


def recipe(steps: int, learning_rate: float = 0.1, weight_decay: float = 1e-4) -> optax.GradientTransformation:
    """SGD with momentum .9 and a learning rate that is divided by ten after half and after three quarters of `steps`.

    Published: learning rate .1, weight decay 1e-4, batches of 128, 200 epochs.

    Args:
      steps: of the whole training, at least 1.
      learning_rate: at the start, at least 0.
      weight_decay: at least 0.

    Returns:
      The optimiser.

    Raises:
      ValueError: for fewer than 1 step, or a learning rate or weight decay that is negative or not finite.
    """
    checks.counts(steps=steps)
    checks.non_negative("learning_rate", learning_rate)
    checks.non_negative("weight_decay", weight_decay)
    schedule = optax.piecewise_constant_schedule(learning_rate, {steps // 2: 0.1, steps * 3 // 4: 0.1})
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=0.9))
