import pytest

from framework.snn import architectures, network
from framework.snn import layers as layer
from framework.snn.meters import synops


def test_the_small_network_is_that_of_the_program_for_mnist():
    """12c5-2s-64c5-2s: 24 x 24 and 8 x 8 places, 4 x 4 x 64 numbers before the classes."""
    layers = architectures.cnn(10)
    assert network.input_shapes(layers, (28, 28, 1)) == [
        *((28, 28, 1), (24, 24, 12), (12, 12, 12), (8, 8, 64), (4, 4, 64), (1024,), (10,)),
    ]
    assert [item.kind for item in architectures.cnn(10, pool="max") if isinstance(item, layer.Pool)] == ["max", "max"]


def test_vgg_16_macs_and_norms():
    layers = architectures.vgg(10)
    assert synops.macs(layers, (32, 32, 3), padded=True).sum() == 313_725_952
    stages = layer.network_stages(layers)
    assert [stage.norm is not None for stage in stages] == [True] * 15 + [False]
    assert [layers[stage.weighted].bias for stage in stages] == [False] * 15 + [True]


@pytest.mark.parametrize(("blocks", "side"), [(architectures.VGG_16, 32), (architectures.VGG_SMALL, 8)])
def test_a_vgg_takes_images_from_a_side_on(blocks, side):
    layers = architectures.vgg(3, blocks, dense=(4,))
    assert network.input_shapes(layers, (side, side, 1))[-1] == (3,)
    with pytest.raises(ValueError, match="has an empty output"):
        network.input_shapes(layers, (side - 1, side - 1, 1))
