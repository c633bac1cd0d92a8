"""Networks of the studies, as tuples of layers."""

from framework.snn import layers as layer
from framework.snn.layers import Layer

VGG_SMALL = ((16, 16), (32, 32), (64, 64))
VGG_16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def mlp(hidden: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    """Dense layers of these widths, and one for the classes; images want a `layer.flatten()` before them."""
    return (*(layer.dense(width) for width in hidden), layer.dense(classes))


def cnn(
    classes: int, channels: tuple[int, int] = (12, 64), kernel: int = 5, padding: str = "VALID", pool: str = "average"
) -> tuple[Layer, ...]:
    """Two convolutions, each before a pool of 2x2, and a dense layer: by default 12c5-2s-64c5-2s, for 28x28 images.

    Reference: the MNIST network of the program of Park et al., arXiv 1809.03142, there with dropout and max pooling.
    """
    hidden = [each for width in channels for each in (layer.conv(width, kernel, 1, padding), layer.pool(pool))]
    return (*hidden, layer.flatten(), layer.dense(classes))


def vgg(
    classes: int,
    blocks: tuple[tuple[int, ...], ...] = VGG_16,
    dense: tuple[int, ...] = (512, 512),
    pool: str = "average",
) -> tuple[Layer, ...]:
    """Blocks of 3x3 convolutions with batch norm, each before a pool of 2x2, then dense layers.

    Args:
      classes: of the last layer.
      blocks: channels of each convolution, block by block: `VGG_16`, for sides from 32 on, or `VGG_SMALL`, from 8 on.
      dense: widths of the dense layers before the last.
      pool: `average` or `max`.

    Reference: Simonyan and Zisserman, arXiv 1409.1556; with norms as in the program of Park et al.
    """
    layers: list[Layer] = []
    for widths in blocks:
        for width in widths:
            layers += [layer.conv(width, 3, bias=False), layer.norm()]
        layers.append(layer.pool(pool))
    layers.append(layer.flatten())
    for width in dense:
        layers += [layer.dense(width, bias=False), layer.norm()]
    return (*layers, layer.dense(classes))
