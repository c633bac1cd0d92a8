import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn import layers as layer
from framework.snn.meters import synops

CONVOLUTIONS = [
    layer.conv(3),
    layer.conv(2, kernel=(5, 1), strides=(1, 2), padding="VALID"),
    layer.conv(4, kernel=(2, 4), strides=(2, 3)),
    layer.conv(1, kernel=1, strides=2),
    layer.conv(2, kernel=2, strides=3, padding="VALID"),
    layer.conv(2, kernel=(9, 3)),
    layer.conv(3, kernel=(4, 3), strides=(2, 1), padding="HALF"),
]
VGG_16 = (
    *[
        item
        for widths in [(64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3]
        for item in (*[layer.conv(w) for w in widths], layer.pool("max"))
    ],
    layer.flatten(),
    layer.dense(512),
    layer.dense(512),
    layer.dense(10),
)


def response(layer_spec, image):
    """Response of a layer with weights of 1 to [h, w, c]."""
    kernel = jnp.ones((*layer_spec.kernel, image.shape[-1], layer_spec.features))
    names = ("NHWC", "HWIO", "NHWC")
    pads = [(k // 2, k // 2) for k in layer_spec.kernel] if layer_spec.padding == "HALF" else layer_spec.padding
    return jax.lax.conv_general_dilated(image[None], kernel, layer_spec.strides, pads, dimension_numbers=names)


def fan_out_by_probe(layer_spec, shape):
    """Outputs that a spike at each place reaches, [h, w, c]: every place by itself"""
    events = jnp.eye(np.prod(shape)).reshape(-1, *shape)
    responses = np.asarray(jax.vmap(lambda event: response(layer_spec, event))(events))
    return np.sum(responses.reshape(len(events), -1) != 0, axis=1).reshape(shape)


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
def test_fan_out_of_a_convolution_equals_single_spike_probes(conv):
    np.testing.assert_array_equal(synops.fan_out(conv, (6, 7, 2)), fan_out_by_probe(conv, (6, 7, 2)))


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
def test_the_fan_out_of_a_convolution_is_its_transpose_of_ones(conv):
    image = jnp.zeros((11, 8, 3))
    output, transpose = jax.vjp(lambda x: response(conv, x), image)
    np.testing.assert_array_equal(synops.fan_out(conv, image.shape), transpose(jnp.ones_like(output))[0])


def test_the_fan_out_of_a_3x3_convolution_by_hand():
    line = np.array([2, 3, 3, 2])
    np.testing.assert_array_equal(synops.fan_out(layer.conv(5), (4, 4, 1))[..., 0], 5 * np.outer(line, line))


def test_the_fan_out_of_the_other_layers():
    assert (synops.fan_out(layer.dense(7), (3,)) == 7).all()
    assert (synops.fan_out(layer.recurrent(7), (3,)) == 7).all()
    assert synops.fan_out(layer.pool(window=2), (3, 2, 1))[..., 0].tolist() == [[1, 1], [1, 1], [0, 0]]
    assert not synops.fan_out(layer.flatten(), (3, 2, 1)).any()
    assert not synops.fan_out(layer.norm(), (3, 2, 1)).any()


def test_fan_out_before_a_pool_and_flatten_is_that_of_the_window():
    layers = (layer.conv(2), layer.norm(), layer.pool(), layer.conv(3), layer.pool(), layer.flatten(), layer.dense(4))
    first, second, third = synops.fan_outs(layers, (5, 5, 1))
    inner = synops.fan_out(layers[3], (2, 2, 2))
    assert [item.shape for item in (first, second, third)] == [(5, 5, 1), (5, 5, 2), (2, 2, 3)]
    for row, column, channel in np.ndindex(5, 5, 2):
        cut = row == 4 or column == 4
        assert second[row, column, channel] == (0 if cut else inner[row // 2, column // 2, channel])
    assert (third == 4).all()


def test_a_recurrent_spike_also_reaches_its_own_layer():
    first, second, third = synops.fan_outs((layer.recurrent(5), layer.dense(3), layer.dense(2)), (4,))
    assert [set(item.tolist()) for item in (first, second, third)] == [{5}, {5 + 3}, {2}]
    assert synops.macs((layer.recurrent(5), layer.dense(3)), (4,)).tolist() == [4 * 5 + 5 * 5, 5 * 3]


@pytest.mark.slow
def test_count_equals_an_event_by_event_count():
    layers = (layer.conv(2, kernel=3), layer.conv(2, kernel=2, strides=2, padding="VALID"))
    draws = np.random.default_rng(0)
    spikes = [draws.random((3, 2, 5, 4, channels)) < 0.3 for channels in (1, 2)]
    result = synops.count([jnp.asarray(s) for s in spikes], synops.fan_outs(layers, (5, 4, 1)))
    expected = np.zeros((3, 2, 2), int)
    for source, (layer_spec, raster) in enumerate(zip(layers, spikes, strict=True)):
        fan_outs = fan_out_by_probe(layer_spec, raster.shape[2:])
        for t, b, *index in np.argwhere(raster):
            expected[t, b, source] += fan_outs[tuple(index)]
    np.testing.assert_array_equal(result, expected)


def test_one_spike_everywhere_costs_the_macs_of_the_dnn():
    layers = (layer.conv(3, strides=2), layer.norm(), layer.conv(2), layer.flatten(), layer.dense(4))
    fan_outs, dense = synops.fan_outs(layers, (7, 6, 2)), synops.macs(layers, (7, 6, 2))
    once = synops.count([jnp.ones(item.shape) for item in fan_outs], fan_outs)
    np.testing.assert_array_equal(once, dense)
    assert synops.per_mac(once, dense) == 1


def test_real_input_has_no_operations():
    fan_outs = synops.fan_outs((layer.dense(3), layer.dense(2)), (4,))
    result = synops.count([None, jnp.ones((6, 5, 3), bool)], fan_outs)
    assert result.shape == (6, 5, 2)
    assert result[0, 0].tolist() == [0, 6]
    assert synops.per_mac(result.sum(0), synops.macs((layer.dense(3), layer.dense(2)), (4,)))[0] == 36 / 18


def test_counts_of_several_spikes_and_bool_rasters_agree():
    fan_outs = synops.fan_outs((layer.conv(3),), (4, 4, 1))
    raster = jnp.asarray(np.random.default_rng(1).random((6, 2, 4, 4, 1)) < 0.5)
    stepwise = jax.jit(lambda r: synops.count([r], fan_outs))(raster)
    summed = synops.count([raster.sum(0).astype(jnp.float32)], fan_outs)
    np.testing.assert_array_equal(stepwise.sum(0), summed)
    assert summed.dtype == jnp.float32


def test_vgg_16_has_its_known_multiplications():
    padded, exact = synops.macs(VGG_16, (32, 32, 3), padded=True), synops.macs(VGG_16, (32, 32, 3))
    assert padded.sum() == 313_725_952  # 313.7 MMAC
    assert padded[0] == 32 * 32 * 9 * 3 * 64
    assert exact[0] == (3 * 32 - 2) ** 2 * 3 * 64
    assert (exact <= padded).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="conv takes images"):
        synops.fan_out(layer.conv(3), (12,))
    with pytest.raises(ValueError, match="no window fits"):
        synops.fan_out(layer.conv(3, kernel=5, padding="VALID"), (4, 9, 1))
    with pytest.raises(ValueError, match="layer 1"):
        synops.fan_outs((layer.conv(3), layer.dense(2)), (4, 4, 1))


def test_spikes_that_do_not_fit_their_sources_are_refused():
    fan_outs = synops.fan_outs((layer.dense(3), layer.dense(2)), (4,))
    with pytest.raises(ValueError, match="source 1 must end in"):
        synops.count([None, jnp.ones((5, 4))], fan_outs)
    with pytest.raises(ValueError, match="2 sources"):
        synops.count([jnp.ones((5, 4))], fan_outs)
    with pytest.raises(ValueError, match="2 are None"):
        synops.count([None, None], fan_outs)
