import pytest

from framework.nas.autosnn import baselines
from framework.nas.autosnn.baselines import BASELINES

layer = lambda kernel, before, after: kernel**2 * before * after + 2 * after + 1  # convolution, norm, neuron
dense = lambda before, after: before * after + 1


def residual(before, after, stride):
    """Two convolutions, and a projection where the shape changes."""
    same = before == after and stride == 1
    return layer(3, before, after) + layer(3, after, after) + (0 if same else layer(1, before, after) - 1)


def wu(c):
    body = layer(3, 3, c) + layer(3, c, 2 * c) + 1 + layer(3, 2 * c, 4 * c) + 1
    body += layer(3, 4 * c, 8 * c) + layer(3, 8 * c, 4 * c)
    return body + dense(4 * c * 64, 8 * c) + dense(8 * c, 4 * c) + dense(4 * c, 100)


def fang(c):
    return layer(3, 3, c) + 5 * layer(3, c, c) + dense(64 * c, 8 * c) + dense(8 * c, 100)


def lee(c):
    blocks = residual(c, 2 * c, 1) + residual(2 * c, 4 * c, 2) + residual(4 * c, 8 * c, 1) + residual(8 * c, 8 * c, 2)
    return layer(3, 3, c) + 1 + blocks + dense(16 * 8 * c, 16 * c) + dense(16 * c, 100)


def zheng(c):
    blocks = 3 * residual(c, c, 1) + residual(c, 2 * c, 2) + 2 * residual(2 * c, 2 * c, 1)
    blocks += residual(2 * c, 4 * c, 2) + residual(4 * c, 4 * c, 1)
    return layer(3, 3, c) + blocks + 1 + dense(16 * 4 * c, 2 * c) + dense(2 * c, 100)


CASES = [
    *[("CIFARNet-Wu", wu, c, m) for c, m in ((16, 0.71), (32, 2.83), (64, 11.28), (128, 45.05))],
    *[("CIFARNet-Fang", fang, c, m) for c, m in ((16, 0.16), (32, 0.60), (64, 2.34), (128, 9.23), (256, 36.72))],
    *[("ResNet11-Lee", lee, c, m) for c, m in ((16, 1.165), (32, 4.60), (64, 18.30))],
    *[("ResNet19-Zheng", zheng, c, m) for c, m in ((16, 0.23), (32, 0.93), (64, 3.68), (128, 14.69))],
]


@pytest.mark.parametrize(("name", "by_hand", "channels", "millions"), CASES)
def test_each_network_has_the_parameters_counted_by_hand(name, by_hand, channels, millions):
    count = BASELINES[name](channels).parameters()
    assert count == by_hand(channels)
    assert count / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_last_images_have_the_sides_of_the_programs():
    ends = {name: make(16).shapes()[-2] for name, make in BASELINES.items()}
    assert ends == {"CIFARNet-Wu": (64,), "CIFARNet-Fang": (128,), "ResNet11-Lee": (256,), "ResNet19-Zheng": (32,)}
    assert baselines.resnet19_zheng(16).shapes()[-3] == (4, 4, 64)
