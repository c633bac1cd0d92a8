"""Blocks of spiking networks, as plain descriptions: the candidates of the search and what stands between them.

A block is a small graph of units. A unit sums the currents of its branches and drives a neuron with them; a branch
takes the block's input or an earlier unit's spikes through layers of `snn.layer`. Max pooling is a unit without a
neuron: it passes spikes on. The last unit's spikes are the block's; a block without units is the identity.

Reference: Na et al., "AutoSNN: towards energy-efficient spiking neural networks", ICML 2022, arXiv 2201.12738.
"""

import dataclasses
import re
from collections.abc import Callable

from framework.snn import layers as described
from framework.snn.layers import Layer

CANDIDATES = ("skip_connect", "SCB_k3", "SCB_k5", "SRB_k3", "SRB_k5")  # of the paper's search, index 0 to 4
FURTHER = ("SCB_k7", "SRB_k7", *(f"SIB_k{kernel}_e{expansion}" for kernel in (3, 5) for expansion in (1, 3, 6)))
_NAMES = re.compile(r"(SCB|SRB)_k([1-9]\d*)|(SIB)_k([1-9]\d*)_e([1-9]\d*)")


@dataclasses.dataclass(frozen=True)
class Reduce:
    """Half the channels from the pixels at even places, half from those at odd ones: 1x1 products with stride 2."""

    features: int


@dataclasses.dataclass(frozen=True)
class Branch:
    """Layers between a source of spikes and a unit; without layers the spikes themselves are the current."""

    source: int  # 0: the block's input; i: its i-th unit, from 1
    layers: tuple[Layer | Reduce, ...] = ()


@dataclasses.dataclass(frozen=True)
class Unit:
    """The sum of its branches' currents, and the neuron that it drives."""

    branches: tuple[Branch, ...]
    fires: bool = True  # False: no neuron, what comes in goes out


@dataclasses.dataclass(frozen=True)
class Block:
    """Units in the order in which they are computed."""

    name: str
    units: tuple[Unit, ...]


def candidate(name: str, channels: tuple[int, int], stride: int = 1, statistics: str = "step") -> Block:
    """A block that the search may choose.

        skip_connect   the identity; a 1x1 convolution and a neuron where channels change; `Reduce` at stride 2
        SCB_k          two convolutions, each with a neuron
        SRB_k          the same, and the input joins the second neuron's current, projected where shapes change
        SIB_k_e        1x1 to e times the channels, k x k, 1x1 back, and the input joins (at stride 1)

    Args:
      name: `skip_connect`, `SCB_k3`, `SRB_k5`, `SIB_k3_e6` and the like.
      channels: of input and output.
      stride: 1 or 2.
      statistics: over what batch normalisation is, as in `layer.norm`.

    Returns:
      A `Block` that takes images `[height, width, channels[0]]` to `[.., .., channels[1]]`, the sides over `stride`.

    Raises:
      ValueError: for an unknown name, an even kernel, or `skip_connect` of stride 2 to an odd number of channels.

    Reference: arXiv 2201.12738, section 4; the middle of SIB is a full convolution, as in the authors' program.
    """
    if stride not in (1, 2):
        raise ValueError(f"stride of {name} must be 1 or 2, got {stride}")
    if name == "skip_connect":
        return Block(name, _skip(channels, stride, statistics))
    match = _NAMES.fullmatch(name)
    if not match or int(match[2] or match[4]) % 2 == 0:
        known = f"{', '.join(CANDIDATES + FURTHER)}, or the like with another odd kernel"
        raise ValueError(f"there is no candidate block {name!r}: take one of {known}")
    kernel = int(match[2] or match[4])
    if match[3]:
        return Block(name, _inverted_bottleneck(channels, kernel, int(match[5]), stride, statistics))
    return Block(name, _two_convolutions(channels, kernel, stride, statistics, residual=match[1] == "SRB"))


def convolution(features: int, statistics: str = "step", kernel: int = 3) -> Block:
    """One convolution with its norm and neuron."""
    return Block(f"conv_k{kernel}", (Unit((Branch(0, _convolution(features, kernel, 1, statistics)),)),))


def max_pool(window: int = 2) -> Block:
    """The maximum of windows of spikes, which are spikes again."""
    return Block(f"max_pool_k{window}", (Unit((Branch(0, (described.pool("max", window),)),), fires=False),))


def average_pool(window: int | tuple[int, int] = 2) -> Block:
    """The mean of windows of spikes, and a neuron behind it."""
    return Block("avg_pool", (Unit((Branch(0, (described.pool("average", window),)),)),))


def dense(features: int, flattened: bool = False) -> Block:
    """A fully connected layer without bias, and a neuron; `flattened` if its input is a vector already."""
    layers = () if flattened else (described.flatten(),)
    return Block("dense", (Unit((Branch(0, (*layers, described.dense(features, bias=False))),)),))


def _convolution(features: int, kernel: int, stride: int, statistics: str) -> tuple[Layer, ...]:
    convolution = described.conv(features, kernel, stride, "HALF", bias=False)
    return convolution, described.norm(over=statistics)


def _skip(channels: tuple[int, int], stride: int, statistics: str) -> tuple[Unit, ...]:
    before, after = channels
    if stride == 1 and before == after:
        return ()
    if stride == 1:
        return (Unit((Branch(0, _convolution(after, 1, 1, statistics)),)),)
    if after % 2:
        raise ValueError(f"skip_connect of stride 2 needs an even number of channels behind it, got {after}")
    return (Unit((Branch(0, (Reduce(after), described.norm(over=statistics))),)),)


def _two_convolutions(
    channels: tuple[int, int], kernel: int, stride: int, statistics: str, residual: bool
) -> tuple[Unit, ...]:
    before, after = channels
    first = Branch(0, _convolution(after, kernel, stride, statistics))
    second = Branch(1, _convolution(after, kernel, 1, statistics))
    if not residual:
        return Unit((first,)), Unit((second,))
    same = stride == 1 and before == after
    shortcut = Branch(0, () if same else _convolution(after, 1, stride, statistics))
    return Unit((first,)), Unit((second, shortcut))


def _inverted_bottleneck(
    channels: tuple[int, int], kernel: int, expansion: int, stride: int, statistics: str
) -> tuple[Unit, ...]:
    before, after = channels
    wide: Callable[[int, int], tuple[Layer, ...]] = lambda k, s: _convolution(expansion * before, k, s, statistics)
    last = [Branch(2, _convolution(after, 1, 1, statistics))]
    if stride == 1:
        last.append(Branch(0, () if before == after else _convolution(after, 1, 1, statistics)))
    return Unit((Branch(0, wide(1, 1)),)), Unit((Branch(1, wide(kernel, stride)),)), Unit(tuple(last))
