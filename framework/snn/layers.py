"""Layers as plain descriptions: one tuple of them is a DNN, a spiking network, or the source of a conversion.

A dense, convolutional or recurrent layer, with the norm that directly follows it, ends in a unit: a ReLU in a DNN, a
neuron or a neural code in a spiking network. The last of them has no unit: it gives the logits. Images are
`[..., height, width, channels]`, kernels `[height, width, in, out]` and `[in, out]`, as in flax.
"""

import dataclasses
import numbers
from typing import NamedTuple

from jax import lax

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
    """x W + b + s R, with the unit's own output s of the step before."""

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
    """A fully connected layer of so many units.

    Raises:
      ValueError: for fewer than 1.
    """
    _check_features("dense", features)
    return Dense(features, bias)


def recurrent(features: int, bias: bool = True) -> Recurrent:
    """A fully connected layer whose units also see each other's last output.

    Raises:
      ValueError: for fewer than 1.
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
    """A convolution of so many channels.

    Args:
      features: channels of the output.
      kernel, strides: one number, or one for height and one for width.
      padding: `SAME`, `VALID`, or `HALF`: floor(kernel / 2) zeros on every side, as PyTorch's programs write it; it
        differs from `SAME` where a stride leaves an odd number of zeros to share out.
      bias: whether there is one.

    Raises:
      ValueError: for a number below 1 or an unknown padding.
    """
    _check_features("conv", features)
    if padding not in PADDINGS:
        raise ValueError(f"conv: padding must be one of {', '.join(PADDINGS)}, got {padding!r}")
    return Conv(features, _pair("conv", "kernel", kernel), _pair("conv", "strides", strides), padding, bias)


def pads(of: Conv, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Zeros before and behind each side of an image of (height, width)."""
    if of.padding == "HALF":
        return [(k // 2, k // 2) for k in of.kernel]
    return lax.padtype_to_pads(size, of.kernel, of.strides, of.padding)


def pool(kind: str = "average", window: int | tuple[int, int] = 2) -> Pool:
    """Pooling; rows and columns that fill no window are left out.

    Args:
      kind: `average` or `max`.
      window: its sides and strides, one number, or one for height and one for width.

    Raises:
      ValueError: for another kind or a side below 1.
    """
    if kind not in POOLS:
        raise ValueError(f"pool: kind must be one of {', '.join(POOLS)}, got {kind!r}")
    return Pool(kind, _pair("pool", "window", window))


def norm(momentum: float = 0.9, epsilon: float = 1e-5, over: str = "time") -> Norm:
    """Batch normalisation, over the axes that `over` names besides batch and space.

    Args:
      momentum: of the running statistics, in [0, 1): what is left of them after a step.
      epsilon: added to the variance, above 0.
      over: in a spiking network, `step`: each time step has statistics of its own, and the running ones move at every
        step; `time`: all steps together; `threshold`: as `time`, and scaled by the unit's threshold, so that currents
        have its size (Zheng et al.). In a DNN the three are one.

    Raises:
      ValueError: if a number is out of its range, or `over` is unknown.

    Reference: Ioffe and Szegedy, arXiv 1502.03167; `threshold`: Zheng et al., arXiv 2011.05280.
    """
    if over not in STATISTICS:
        raise ValueError(f"norm: over must be one of {', '.join(STATISTICS)}, got {over!r}")
    if not 0 <= momentum < 1 or not epsilon > 0:
        raise ValueError(f"norm: momentum must lie in [0, 1) and epsilon above 0, got {momentum} and {epsilon}")
    return Norm(momentum, epsilon, over)


def flatten() -> Flatten:
    """Images to vectors, for a dense layer."""
    return Flatten()


class Stage(NamedTuple):
    """A weighted layer, its norm, whether a unit follows, and what merely passes on: pools and flattening."""

    weighted: int  # place in the tuple of layers
    norm: int | None
    unit: bool
    before: tuple[int, ...]  # pools and flattening between the unit before and this layer


def stages(layers: tuple[Layer, ...]) -> tuple[Stage, ...]:
    """How a tuple of layers is walked, one stage a weighted layer.

    Raises:
      ValueError: if there is no weighted layer, a norm does not follow one, anything stands behind the last one, or the
        last one is recurrent; names the layer.
    """
    weighted = [i for i, each in enumerate(layers) if isinstance(each, WEIGHTED)]
    if not weighted:
        raise ValueError("a network needs at least one dense, conv or recurrent layer")
    found, passed = [], []
    for i, each in enumerate(layers):
        if isinstance(each, WEIGHTED):
            follows = i + 1 < len(layers) and isinstance(layers[i + 1], Norm)
            found.append(Stage(i, i + 1 if follows else None, i != weighted[-1], tuple(passed)))
            passed = []
        elif isinstance(each, Norm):
            if i == 0 or not isinstance(layers[i - 1], WEIGHTED):
                raise ValueError(f"layer {i} (norm) must directly follow a dense, conv or recurrent layer")
        elif isinstance(each, Pool | Flatten):
            passed.append(i)
        else:
            raise ValueError(f"layer {i}, a {type(each).__name__}, has no spiking form: take those of snn.layer")
    if passed:
        raise ValueError(f"layer {passed[0]} ({name(layers[passed[0]])}) stands behind the last weighted layer")
    if isinstance(layers[weighted[-1]], Recurrent):
        raise ValueError(f"layer {weighted[-1]} (recurrent) is the last, which has no unit to feed back: take dense")
    return tuple(found)


def name(of: Layer) -> str:
    """What a layer is called in messages and reports."""
    return type(of).__name__.lower()


def _check_features(what: str, features: int) -> None:
    if features < 1 or features % 1:
        raise ValueError(f"{what}: features must be at least 1, got {features}")


def _pair(what: str, which: str, value: int | tuple[int, int]) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(isinstance(each, numbers.Integral) and each >= 1 for each in pair):
        raise ValueError(f"{what}: {which} must be one or two numbers of at least 1, got {value}")
    return int(pair[0]), int(pair[1])
