"""One network of several kinds of blocks, whose numbers are dyadic, so that no order of additions rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from framework.nas import autosnn
from framework.nas.autosnn import blocks, export, meters
from framework.nas.autosnn import network as chain
from framework.snn.neurons import models
from framework.snn.nir import interpreter

pytestmark = pytest.mark.slow

STEPS, BATCH = 5, 4
DYNAMICS = autosnn.Dynamics(steps=STEPS)
BLOCKS = (
    blocks.convolution(4),
    blocks.candidate("SRB_k3", (4, 6)),
    blocks.max_pool(),
    blocks.candidate("skip_connect", (6, 6), 2),
    blocks.candidate("SRB_k3", (6, 6)),
    blocks.dense(20),
)


@pytest.fixture(scope="module")
def net():
    return autosnn.Network(BLOCKS, (8, 8, 2), 2, DYNAMICS)


@pytest.fixture(scope="module")
def weights(net):
    random = np.random.default_rng(0)

    def dyadic(path, leaf):
        name = path[-1].key
        if name == "var":
            return jnp.full(leaf.shape, 1 - 1e-5)
        if name == "scale":
            return jnp.asarray(random.choice([1.0, 2.0], leaf.shape), jnp.float32)
        if name in ("shift", "mean"):
            return jnp.asarray(random.integers(0, 5, leaf.shape) / 8, jnp.float32)
        return leaf if name == "decay" else jnp.asarray(random.integers(-4, 10, leaf.shape) / 16, jnp.float32)

    return tuple(jax.tree_util.tree_map_with_path(dyadic, tree) for tree in net.init(jax.random.key(0)))


@pytest.fixture(scope="module")
def images():
    return np.float32(np.random.default_rng(1).integers(0, 17, (BATCH, 8, 8, 2)) / 16)


@pytest.fixture(scope="module")
def answer(net, weights, images):
    """What it answers, and the rasters of all units by block."""

    @jax.jit
    def walk(params, state, images):
        x, observed = images, []
        for block, local, running in zip(net.blocks, params, state, strict=True):
            outputs, _, _ = chain.walk_block(block, local, running, x, DYNAMICS)
            observed.append(outputs)
            x = outputs[-1]
        return net.apply(params, state, images)[0], observed

    return walk(*weights, images)


def test_every_layer_fires_and_spikes_are_counted(answer):
    outputs, observed = answer
    for index, rasters in enumerate(observed):
        for raster in rasters[1:]:
            assert set(np.unique(raster)) == {0, 1}
        counted = sum(np.asarray(raster).sum((0, *range(2, raster.ndim))) for raster in rasters[1:])
        np.testing.assert_array_equal(outputs.spikes[:, index], counted)


def test_votes_are_the_mean_of_ten_voters_a_class(answer):
    outputs, observed = answer
    last = np.asarray(observed[-1][-1])
    np.testing.assert_allclose(outputs.votes[:, 1], last[:, :, 10:].mean((0, 2)), rtol=1e-6)


def test_the_stem_is_a_convolution_a_norm_and_the_neuron_by_hand(answer, net, weights, images):
    local, running = weights[0][0][0]["branches"][0], weights[1][0][0]["branches"][0]
    current = lax.conv_general_dilated(
        images, local[0]["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    current = (current - running[1]["mean"]) * local[1]["scale"] + local[1]["shift"]
    membrane, unit = np.zeros_like(current), models.plif(2.0)
    for t in range(STEPS):
        charged = membrane + 0.5 * (current - membrane)
        spikes = charged >= 1
        membrane = np.where(spikes, 0, charged)
        np.testing.assert_array_equal(answer[1][0][1][t], spikes)
    assert unit.params == {"decay": 0.0}


def test_the_graph_in_nir_spikes_as_the_network(answer, net, weights, images):
    graph = export.to_nir(net, *weights)
    inputs = jnp.broadcast_to(images.transpose(0, 3, 1, 2), (STEPS, BATCH, 2, 8, 8))
    names = ("b0_u1", "b1_u2", "b2_u1", "b3_u1", "b4_u2", "b5_u1", "output")
    result = interpreter.run(graph, inputs, 1.0, outputs=names)
    for name, rasters in zip(names, answer[1], strict=False):
        raster = np.asarray(rasters[-1])
        expected = raster.transpose(0, 1, 4, 2, 3) if raster.ndim == 5 else raster
        np.testing.assert_array_equal(result[name], expected, err_msg=name)
    np.testing.assert_allclose(result["output"].mean(0), answer[0].votes, atol=1e-6)


def test_synaptic_operations_are_those_counted_window_by_window(answer, net, weights, images):
    """A convolution of the spikes with ones says how many additions each output makes."""
    _, observed = answer

    def additions(raster, kernel, stride, out, padding):
        folded = jnp.asarray(raster).reshape(-1, *raster.shape[2:])
        ones = jnp.ones((kernel, kernel, raster.shape[-1], out))
        windows = lax.conv_general_dilated(
            folded, ones, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return float(windows.sum()) / BATCH

    _, first, pooled, _, second, votes = observed
    total = additions(first[0], 3, 1, 6, "SAME") + additions(first[1], 3, 1, 6, "SAME")
    total += additions(first[0], 1, 1, 6, "SAME")  # the projection
    even, odd = pooled[1][..., ::2, ::2, :], pooled[1][..., 1::2, 1::2, :]
    total += 3 * float(even.sum() + odd.sum()) / BATCH
    total += additions(second[0], 3, 1, 6, "SAME") + additions(second[1], 3, 1, 6, "SAME")
    total += float(second[0].sum()) / BATCH  # the identity
    total += (20 * float(votes[0].sum()) + float(votes[1].sum())) / BATCH
    result = meters.costs(net, *weights, images)
    assert result.synops == pytest.approx(total, rel=1e-6)
    assert result.macs == 8 * 8 * 9 * 2 * 4 - 2 * 4 * (4 * 8 * 3 - 4)  # less what the padding saves
    assert result.spikes == pytest.approx(float(answer[0].spikes.sum(-1).mean()))
    assert result.neurons == pytest.approx(result.spikes - float(answer[0].spikes[:, 2].mean()))
    assert result.energy_nj == pytest.approx((0.9 * total + 4.6 * result.macs) / 1e3)
    assert result.energy_with_memory_nj > 2 * result.energy_nj


def test_a_recording_of_one_image_is_that_image(answer, net, weights, images):
    """Every frame the same: the stem, computed at each step, gives the same spikes."""
    frames = np.broadcast_to(images[:, None], (BATCH, STEPS, 8, 8, 2))
    outputs, _ = jax.jit(net.apply)(*weights, frames)
    np.testing.assert_array_equal(outputs.votes, answer[0].votes)
    np.testing.assert_array_equal(outputs.spikes, answer[0].spikes)
    still, timed = (meters.costs(net, *weights, observed) for observed in (images, frames))
    assert timed.macs == STEPS * still.macs
    assert (timed.spikes, timed.neurons, timed.synops) == (still.spikes, still.neurons, still.synops)


def test_statistics_of_each_step_move_as_in_the_authors_program(weights, images):
    """Once a step, so that .9^T is left; the stem of still images once."""
    net = autosnn.Network(BLOCKS[:1] + BLOCKS[-1:], (8, 8, 2), 2, DYNAMICS)
    params, state = net.init(jax.random.key(0))
    still = net.apply(params, state, images, train=True)[1]
    frames = np.broadcast_to(images[:, None], (BATCH, STEPS, 8, 8, 2))
    timed = net.apply(params, state, frames, train=True)[1]
    mean = lambda state: np.asarray(state[0][0]["branches"][0][1]["mean"])
    np.testing.assert_allclose(mean(timed) / mean(still), (1 - 0.9**STEPS) / 0.1, rtol=1e-4)


def test_images_of_another_shape_are_refused(net, weights):
    with pytest.raises(ValueError, match=r"images must be \[B, 8, 8, 2\]"):
        net.apply(*weights, np.zeros((3, 8, 8, 1), np.float32))
    with pytest.raises(ValueError, match=r"images must be floats, .* got uint8"):
        net.apply(*weights, np.zeros((3, 8, 8, 2), np.uint8))
    with pytest.raises(ValueError, match="at least 1 is wanted, got none"):
        meters.costs(net, *weights, np.zeros((0, 8, 8, 2), np.float32))
