"""Spiking networks that were drawn by hand, as AutoSNN compares with them: same neurons, votes and counting of spikes.

The authors' program lets the two residual networks see one step less than it divides by; here they see all.

Reference: Na et al., arXiv 2201.12738, section 6; the networks: Wu et al., arXiv 1809.05793; Fang et al., arXiv
2007.05785; Lee et al., arXiv 1903.06379; Zheng et al., arXiv 2011.05280.
"""

from framework.nas.autosnn.blocks import (
    Block,
    average_pool,
    candidate,
    convolution,
    dense,
    max_pool,
)
from framework.nas.autosnn.network import VOTES, Dynamics, Network

IMAGE = (32, 32, 3)


def cifarnet_wu(
    channels: int = 128,
    image: tuple[int, int, int] = IMAGE,
    classes: int = 10,
    dynamics: Dynamics = Dynamics(),
) -> Network:
    """Five convolutions of C, 2C, 4C, 8C and 4C channels, averages behind the second and third, three dense layers."""
    c, conv = channels, lambda features: convolution(features, dynamics.statistics)
    body = [conv(c), conv(2 * c), average_pool(), conv(4 * c), average_pool(), conv(8 * c), conv(4 * c)]
    return _network([*body, dense(8 * c), dense(4 * c, flattened=True)], image, classes, dynamics)


def cifarnet_fang(
    channels: int = 256,
    image: tuple[int, int, int] = IMAGE,
    classes: int = 10,
    dynamics: Dynamics = Dynamics(),
) -> Network:
    """Twice three convolutions of C channels and a maximum, and two dense layers."""
    conv = convolution(channels, dynamics.statistics)
    body = [*[conv] * 3, max_pool(), *[conv] * 3, max_pool()]
    return _network([*body, dense(channels // 2 * 16)], image, classes, dynamics)


def resnet11_lee(
    channels: int = 64,
    image: tuple[int, int, int] = IMAGE,
    classes: int = 10,
    dynamics: Dynamics = Dynamics(),
) -> Network:
    """An average behind the stem, residual blocks of 2C, 4C, 8C and 8C channels, two dense layers."""
    c = channels
    stem = [convolution(c, dynamics.statistics), average_pool()]
    body = _residual(c, (2 * c, 4 * c, 8 * c, 8 * c), (1, 2, 1, 2), dynamics)
    return _network([*stem, *body, dense(16 * c)], image, classes, dynamics)


def resnet19_zheng(
    channels: int = 128,
    image: tuple[int, int, int] = IMAGE,
    classes: int = 10,
    dynamics: Dynamics = Dynamics(),
) -> Network:
    """Three residual blocks of C channels, three of 2C, two of 4C, an average, two dense layers."""
    c = channels
    body = _residual(c, (c, c, c, 2 * c, 2 * c, 2 * c, 4 * c, 4 * c), (1, 1, 1, 2, 1, 1, 2, 1), dynamics)
    return _network(
        [convolution(c, dynamics.statistics), *body, average_pool(), dense(2 * c)], image, classes, dynamics
    )


BASELINES = {
    "CIFARNet-Wu": cifarnet_wu,
    "CIFARNet-Fang": cifarnet_fang,
    "ResNet11-Lee": resnet11_lee,
    "ResNet19-Zheng": resnet19_zheng,
}


def _residual(before: int, channels: tuple[int, ...], strides: tuple[int, ...], dynamics: Dynamics) -> list[Block]:
    befores = (before, *channels[:-1])
    return [
        candidate("SRB_k3", pair, stride, dynamics.statistics)
        for pair, stride in zip(zip(befores, channels, strict=True), strides, strict=True)
    ]


def _network(blocks: list[Block], image: tuple[int, int, int], classes: int, dynamics: Dynamics) -> Network:
    """With the voting layer behind; what is dense already needs no flattening."""
    votes = dense(VOTES * classes, flattened=True)
    return Network((*blocks, votes), image, classes, dynamics)
