import jax
import numpy as np
import pytest

from framework.nas import autosnn
from framework.nas.autosnn import blocks

FOUND = [4, 4, 0, 3, 4]  # of the paper, lambda = -.08


def by_hand(channels, architecture, image=(32, 32, 3), classes=10):
    """Parameters of the paper's backbone: kernels, two numbers a channel of each norm, one a layer of neurons."""
    layer = lambda kernel, before, after: kernel**2 * before * after + 2 * after + 1
    total, before = layer(3, image[2], channels), channels
    for choice, times in zip(architecture, (1, 2, 2, 4, 4), strict=True):
        after, kernel = times * channels, (1, 3, 5, 3, 5)[choice]
        if choice == 0:
            total += layer(1, before, after) if before != after else 0
        else:
            total += layer(kernel, before, after) + layer(kernel, after, after)
        if choice in (3, 4) and before != after:
            total += layer(1, before, after) - 1
        before = after
    return total + before * (image[0] // 8) * (image[1] // 8) * 10 * classes + 1


@pytest.mark.parametrize(("channels", "count"), [(16, 417_626), (32, 1_462_954), (64, 5_436_746), (128, 20_916_874)])
def test_the_published_network_has_its_parameters(channels, count):
    assert autosnn.build_network(autosnn.search_space(channels), FOUND).parameters() == count


@pytest.mark.parametrize("index", [0, 1, 777, 1562, 3124])
def test_every_architecture_has_the_parameters_counted_by_hand(index):
    space = autosnn.search_space(8, (28, 28, 1), 7)
    architecture = np.asarray(space.architecture(index)).tolist()
    assert autosnn.build_network(space, architecture).parameters() == by_hand(8, architecture, (28, 28, 1), 7)


@pytest.mark.parametrize(
    ("blocks", "millions"),
    [([4, 4, 4, 2, 4], 0.565), ([4, 4, 0, 4, 4], 0.516), ([0, 4, 0, 2, 4], 0.501)],
)
def test_published_networks_have_their_parameter_counts(blocks, millions):
    assert autosnn.build_network(autosnn.search_space(16), blocks).parameters() / 1e6 == pytest.approx(
        millions, abs=5e-4
    )


def test_indices_count_from_the_first_slot_on():
    space = autosnn.search_space()
    assert space.size == 3125
    architectures = space.architecture(np.arange(space.size))
    np.testing.assert_array_equal(architectures[:6], [[i % 5, i // 5, 0, 0, 0] for i in range(6)])
    np.testing.assert_array_equal(space.index(architectures), np.arange(space.size))
    assert space.block_names([4, 4, 0, 3, 4]) == ("SRB_k5", "SRB_k5", "skip_connect", "SRB_k3", "SRB_k5")


@pytest.mark.parametrize(
    ("macro", "before_the_votes", "slots"),
    [("SNN_1", (4, 4, 64), 5), ("SNN_2", (1, 1, 64), 5), ("SNN_3", (4, 4, 128), 8), ("SNN_4", (4, 4, 64), 5)],
)
def test_the_backbones_end_where_the_paper_says(macro, before_the_votes, slots):
    space = autosnn.search_space(16, macro=macro)
    net = autosnn.build_network(space, [0] * slots)
    assert net.shapes()[-2] == before_the_votes
    assert space.slots == slots


@pytest.mark.parametrize(
    ("image", "pools"), [((32, 32, 3), 3), ((64, 64, 3), 4), ((128, 128, 2), 5), ((8, 8, 1), 3), ((28, 28, 1), 3)]
)
def test_larger_images_have_a_stem_that_halves_them(image, pools):
    net = autosnn.build_network(autosnn.search_space(4, image), [0] * 5)
    assert sum("pool" in block.name for block in net.blocks) == pools
    assert net.shapes()[-2] == (image[0] >> pools, image[1] >> pools, 16)


def test_further_candidates_have_their_parameters():
    """SCB and SRB of k = 7; the bottleneck's middle convolution is a full one."""
    count = lambda name: (
        autosnn.build_network(
            autosnn.search_space(4, (8, 8, 1), candidates=("skip_connect", name)), [1, 0, 0, 0, 0]
        ).parameters()
        - autosnn.build_network(autosnn.search_space(4, (8, 8, 1)), [0] * 5).parameters()
    )
    assert count("SCB_k7") == count("SRB_k7") == 2 * (49 * 16 + 9)
    assert count("SIB_k3_e6") == (4 * 24 + 49) + (9 * 24 * 24 + 49) + (24 * 4 + 9)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ([0, 0, 0, 0], "got [0, 0, 0, 0]"),
        ([0, 0, 5, 0, 0], "5 integers from 0 to 4"),
        ([0, -1, 0, 0, 0], "skip_connect"),
        ([0.5] * 5, "integers"),
    ],
)
def test_an_architecture_outside_the_space_is_refused(architecture, said):
    with pytest.raises(ValueError, match="an architecture of this space is") as caught:
        autosnn.build_network(autosnn.search_space(), architecture)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"channels": 0}, "at least 1 channel"),
        ({"image": (8.0, 8, 1)}, r"at least 1 channel and an image \(h, w, c\)"),
        ({"image": (4, 4, 1)}, r"max_pool_k2 leaves nothing of an input of \(1, 1, 64\): take a larger image"),
        ({"macro": "SNN_9"}, "macro must be one of"),
        ({"stem": "tall"}, "stem must be one of"),
        ({"candidates": ()}, "at least one, each named once"),
        ({"candidates": ("SRB_k4",)}, "no candidate block 'SRB_k4'"),
    ],
)
def test_a_space_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        autosnn.search_space(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "at least 1 step"),
        ({"neuron": "izhikevich"}, "neuron must be one of"),
        ({"steps": 1.5}, "at least 1 step"),
        ({"tau": 1.0}, "tau must be"),
        ({"tau": float("inf")}, "tau must be above 1 step and finite"),
        ({"statistics": "batch"}, "statistics must be"),
    ],
)
def test_dynamics_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        autosnn.Dynamics(**wrong)


def test_strided_skip_connect_reads_both_pixel_grids():
    """Half the channels from the even places, half from the odd ones."""
    block = blocks.candidate("skip_connect", (3, 4), 2)
    from framework.nas.autosnn import network as chain

    params, _ = chain.init_block(block, (6, 6, 3), autosnn.Dynamics())
    reduce = block.units[0].branches[0].layers[0]
    kernel = chain.sample_params(jax.random.key(0), params)[0]["branches"][0][0]["kernel"]
    assert kernel.shape == (2, 3, 2)
    whole = chain.layer_params(reduce, {"kernel": kernel})["kernel"]
    x = np.random.default_rng(0).random((2, 6, 6, 3), np.float32)
    from framework.snn import operations

    result = operations.affine(chain.as_convolution(reduce), {"kernel": whole}, x)
    np.testing.assert_allclose(result[..., :2], x[:, ::2, ::2] @ kernel[0], rtol=1e-5)
    np.testing.assert_allclose(result[..., 2:], x[:, 1::2, 1::2] @ kernel[1], rtol=1e-5)
