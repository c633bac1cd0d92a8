import numpy as np
import pytest

from framework.snn import layers as layer

CONV = layer.conv(4)


def test_stages_join_a_weighted_layer_with_what_belongs_to_it():
    layers = (CONV, layer.norm(), layer.pool(), layer.conv(8), layer.flatten(), layer.dense(10))
    assert layer.network_stages(layers) == (
        layer.Stage(0, 1, True, ()),
        layer.Stage(3, None, True, (2,)),
        layer.Stage(5, None, False, (4,)),
    )


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ((), "at least one dense, conv or recurrent"),
        ((layer.norm(), CONV), r"layer 0 \(norm\) must directly follow"),
        ((CONV, layer.pool(), layer.norm(), CONV), r"layer 2 \(norm\) must directly follow"),
        ((CONV, layer.pool()), r"layer 1 \(pool\) stands after the last weighted layer"),
        ((layer.recurrent(3),), r"layer 0 \(recurrent\) is the last"),
        ((CONV, "relu"), "layer 1, a str, has no spiking form"),
    ],
)
def test_layers_that_make_no_network_are_refused(layers, what):
    with pytest.raises(ValueError, match=what):
        layer.network_stages(layers)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: layer.dense(0), "dense: features must be at least 1"),
        (lambda: layer.dense(2.5), "dense: features must be at least 1, got 2.5"),
        (lambda: layer.conv(3, strides=2.5), "conv: strides must be one or two numbers of at least 1, got 2.5"),
        (lambda: layer.conv(3, kernel=0), "conv: kernel must be one or two numbers of at least 1"),
        (lambda: layer.conv(3, padding="FULL"), "padding must be one of SAME, VALID, HALF, got 'FULL'"),
        (lambda: layer.pool("sum"), "kind must be one of average, max, got 'sum'"),
        (lambda: layer.pool(window=(1, 2, 3)), "window must be one or two numbers"),
        (lambda: layer.norm(over="batch"), "over must be one of step, time, threshold"),
        (lambda: layer.norm(momentum=1.0), "momentum must lie in"),
    ],
)
def test_a_bad_layer_is_refused(make, what):
    with pytest.raises(ValueError, match=what):
        make()


def test_sides_may_be_numpy_s_numbers():
    assert layer.pool("max", np.int64(3)) == layer.pool("max", 3)
