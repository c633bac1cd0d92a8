"""Descriptions of layers: a tuple of them is a DNN, a spiking network, or the source of a conversion.

A unit follows each dense, convolutional or recurrent layer and its norm: a ReLU in a DNN, a neuron or a neural code in
a spiking network. The last of these layers has no unit: its currents are the logits. Images are
`[..., height, width, channels]`, kernels `[height, width, in, out]` and `[in, out]`, as in flax.
"""

import dataclasses
import numbers
from typing import NamedTuple

from jax import lax

from framework.core import checks

PADDINGS = ("SAME", "VALID", "HALF")
POOLS = ("average", "max")
STATISTICS = ("step", "time", "threshold")


@dataclasses.dataclass(frozen=True)
class Dense:
    """x W + b over the last axis."""

    features: int
    bias: bool = True


@dataclasses.dataclass(frozen=True)
class Recurrent:
    """x W + b + s R, with the output s of its units in the step before."""

    features: int
    bias: bool = True


@dataclasses.dataclass(frozen=True)
class Conv:
    """Cross-correlation of images with a kernel."""

    features: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    padding: str
    bias: bool


@dataclasses.dataclass(frozen=True)
class Pool:
    """Mean or maximum of windows that do not overlap."""

    kind: str
    window: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Norm:
    """Batch normalisation of the last axis."""

    momentum: float
    epsilon: float
    over: str


@dataclasses.dataclass(frozen=True)
class Flatten:
    """Images to vectors, in the order height, width, channels."""


Layer = Dense | Recurrent | Conv | Pool | Norm | Flatten
WEIGHTED = (Dense, Recurrent, Conv)


def dense(features: int, bias: bool = True) -> Dense:
    """A fully connected layer.

    Args:
      features: number of units, at least 1.
      bias: whether it has one.

    Returns:
      The layer.

    Raises:
      ValueError: for fewer than 1 unit.
    """
    _check_features("dense", features)
    return Dense(features, bias)


def recurrent(features: int, bias: bool = True) -> Recurrent:
    """A fully connected layer whose units also receive the last outputs of all its units.

    Args:
      features: number of units, at least 1.
      bias: whether it has one.

    Returns:
      The layer.

    Raises:
      ValueError: for fewer than 1 unit.
    """
    _check_features("recurrent", features)
    return Recurrent(features, bias)


def conv(
    features: int,
    kernel: int | tuple[int, int] = 3,
    strides: int | tuple[int, int] = 1,
    padding: str = "SAME",
    bias: bool = True,
) -> Conv:
    """A convolution of images.

    Args:
      features: channels of the output.
      kernel, strides: one number, or one for height and one for width.
      padding: `SAME`, `VALID`, or `HALF`: floor(kernel / 2) zeros on every side, as PyTorch's programs write it; it
        differs from `SAME` where a stride leaves an odd number of zeros to distribute.
      bias: whether it has one.

    Returns:
      The layer.

    Raises:
      ValueError: for a number below 1 or an unknown padding.
    """
    _check_features("conv", features)
    checks.one_of("conv: padding", padding, PADDINGS)
    return Conv(features, _pair("conv", "kernel", kernel), _pair("conv", "strides", strides), padding, bias)


def explicit_pads(layer: Conv, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Numbers of zeros before and after each side of an image.

    Args:
      layer: a convolution.
      size: (height, width) of the image.

    Returns:
      (before, after) of the height and of the width.
    """
    if layer.padding == "HALF":
        return [(k // 2, k // 2) for k in layer.kernel]
    return lax.padtype_to_pads(size, layer.kernel, layer.strides, layer.padding)


def pool(kind: str = "average", window: int | tuple[int, int] = 2) -> Pool:
    """Pooling; rows and columns that fill no window are dropped.

    Args:
      kind: `average` or `max`.
      window: its sides and strides, one number, or one for height and one for width.

    Returns:
      The layer.

    Raises:
      ValueError: for another kind or a side below 1.
    """
    checks.one_of("pool: kind", kind, POOLS)
    return Pool(kind, _pair("pool", "window", window))


def norm(momentum: float = 0.9, epsilon: float = 1e-5, over: str = "time") -> Norm:
    """Batch normalisation, over the axes that `over` names in addition to batch and space.

    Args:
      momentum: of the running statistics, in [0, 1): the share of them that is left after a step.
      epsilon: added to the variance, above 0.
      over: in a spiking network, `step`: each time step has its statistics, and the running ones are updated at every
        step; `time`: all steps together; `threshold`: as `time`, and scaled by the unit's threshold (Zheng et al.). In
        a DNN the three are the same.

    Returns:
      The layer.

    Raises:
      ValueError: if a number is out of its range, or `over` is unknown.

    Reference: Ioffe and Szegedy, arXiv 1502.03167; `threshold`: Zheng et al., arXiv 2011.05280.
    """
    checks.one_of("norm: over", over, STATISTICS)
    checks.in_interval("norm: momentum", momentum, "[0, 1)")
    checks.positive("norm: epsilon", epsilon, finite=False)
    return Norm(momentum, epsilon, over)


def flatten() -> Flatten:
    """Images to vectors, for a dense layer."""
    return Flatten()


class Stage(NamedTuple):
    """A weighted layer with its norm, its unit, and the pools and flattening before it; layers by their index."""

    weighted: int
    norm: int | None
    unit: bool  # True where a unit follows
    preceding: tuple[int, ...]  # pools and flattening between the previous unit and this layer


def network_stages(layers: tuple[Layer, ...]) -> tuple[Stage, ...]:
    """Splits a tuple of layers into stages, one for each weighted layer.

    Raises:
      ValueError: if there is no weighted layer, a norm does not follow one, any layer follows the last one, or the
        last one is recurrent; names the layer.
    """
    weighted = [i for i, layer in enumerate(layers) if isinstance(layer, WEIGHTED)]
    if not weighted:
        raise ValueError("a network needs at least one dense, conv or recurrent layer")
    stages, preceding = [], []
    for i, layer in enumerate(layers):
        if isinstance(layer, WEIGHTED):
            follows = i + 1 < len(layers) and isinstance(layers[i + 1], Norm)
            stages.append(Stage(i, i + 1 if follows else None, i != weighted[-1], tuple(preceding)))
            preceding = []
        elif isinstance(layer, Norm):
            if i == 0 or not isinstance(layers[i - 1], WEIGHTED):
                raise ValueError(f"layer {i} (norm) must directly follow a dense, conv or recurrent layer")
        elif isinstance(layer, Pool | Flatten):
            preceding.append(i)
        else:
            raise ValueError(f"layer {i}, a {type(layer).__name__}, has no spiking form: take those of snn.layers")
    if preceding:
        i = preceding[0]
        raise ValueError(f"layer {i} ({layer_name(layers[i])}) stands after the last weighted layer")
    if isinstance(layers[weighted[-1]], Recurrent):
        raise ValueError(f"layer {weighted[-1]} (recurrent) is the last, which has no unit to feed back: take dense")
    return tuple(stages)


def layer_name(layer: Layer) -> str:
    """Name of a layer's kind in messages and reports."""
    return type(layer).__name__.lower()


def _check_features(kind: str, features: int) -> None:
    if features < 1 or features % 1:
        raise ValueError(f"{kind}: features must be at least 1, got {features}")


def _pair(kind: str, field: str, value: int | tuple[int, int]) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(side, numbers.Integral) and side >= 1 for side in pair):
        raise ValueError(f"{kind}: {field} must be one or two numbers of at least 1, got {value}")
    return int(pair[0]), int(pair[1])
