"""Architectures of the experiments, as tuples of layers: MLP, CNN and VGG."""

from framework.snn.layers import Layer, conv, flatten, norm
from framework.snn.layers import dense as dense_layer
from framework.snn.layers import pool as pool_layer

VGG_SMALL = ((16, 16), (32, 32), (64, 64))
VGG_16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def mlp(hidden: tuple[int, ...], classes: int) -> tuple[Layer, ...]:
    """Multilayer perceptron; images need a `layers.flatten()` before it.

    Args:
      hidden: widths of the hidden layers.
      classes: units of the last layer.

    Returns:
      A tuple of layers.
    """
    return (*(dense_layer(width) for width in hidden), dense_layer(classes))


def cnn(
    classes: int, channels: tuple[int, int] = (12, 64), kernel: int = 5, padding: str = "VALID", pool: str = "average"
) -> tuple[Layer, ...]:
    """Two convolutions, each followed by a 2x2 pool, and a dense layer: by default 12c5-2s-64c5-2s, for 28x28 images.

    Args:
      classes: units of the last layer.
      channels: of the two convolutions.
      kernel: side of their kernels.
      padding: as in `layers.conv`.
      pool: `average` or `max`.

    Returns:
      A tuple of layers.

    Reference: the MNIST network of the program of Park et al., arXiv 1809.03142, there with dropout and max pooling.
    """
    hidden = [layer for width in channels for layer in (conv(width, kernel, 1, padding), pool_layer(pool))]
    return (*hidden, flatten(), dense_layer(classes))


def vgg(
    classes: int,
    blocks: tuple[tuple[int, ...], ...] = VGG_16,
    dense: tuple[int, ...] = (512, 512),
    pool: str = "average",
) -> tuple[Layer, ...]:
    """VGG: blocks of 3x3 convolutions with batch norm, each followed by a 2x2 pool, then dense layers.

    Args:
      classes: units of the last layer.
      blocks: channels of each convolution, block by block: `VGG_16`, for sides from 32 on, or `VGG_SMALL`, from 8 on.
      dense: widths of the dense layers before the last.
      pool: `average` or `max`.

    Returns:
      A tuple of layers.

    Reference: Simonyan and Zisserman, arXiv 1409.1556; with norms as in the program of Park et al.
    """
    layers: list[Layer] = []
    for widths in blocks:
        for width in widths:
            layers += [conv(width, 3, bias=False), norm()]
        layers.append(pool_layer(pool))
    layers.append(flatten())
    for width in dense:
        layers += [dense_layer(width, bias=False), norm()]
    return (*layers, dense_layer(classes))
