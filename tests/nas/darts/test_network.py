import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.models import training
from framework.nas import darts
from framework.nas.darts import (
    cells,
    genotype,
    network,
    supernet,
)

QUICK = {"xla_backend_optimization_level": 0}
PLAIN = (("max_pool_3x3", 0), ("skip_connect", 1), ("avg_pool_3x3", 2), ("skip_connect", 0))
CELL = (*PLAIN, ("sep_conv_3x3", 1), ("dil_conv_5x5", 0), ("skip_connect", 4), ("avg_pool_3x3", 1))
OTHER = (*PLAIN, ("skip_connect", 1), ("dil_conv_5x5", 0), ("max_pool_3x3", 4), ("avg_pool_3x3", 1))
FOUND = [genotype.Genotype(cell, (2, 3, 4, 5), cell, (2, 3, 4, 5)) for cell in (CELL, OTHER)]
ADVRUSH = {
    "normal": [
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("sep_conv_5x5", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("skip_connect", 0),
        ("sep_conv_3x3", 1),
    ],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("dil_conv_3x3", 2),
        ("skip_connect", 0),
        ("avg_pool_3x3", 1),
        ("skip_connect", 0),
        ("skip_connect", 2),
    ],
    "reduce_concat": [2, 3, 4, 5],
}


def count(net):
    return supernet.parameter_count(jax.eval_shape(lambda key: network.init(key, net), jax.random.key(0)))


@pytest.mark.slow
def test_the_published_network_of_advrush_has_4158046_parameters():
    result = darts.from_json(ADVRUSH)
    assert count(network.build_network(result)) == 4_158_046
    helped = count(network.build_network(result, auxiliary=True)) - 4_158_046
    assert helped == 4 * 144 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 7690


@pytest.fixture(scope="module")
def together():
    """A shape that holds two genotypes, and the weights of a network of each."""
    net = network.build_network(FOUND, 2, 1, 4, reductions=(0,))
    params = [network.init(jax.random.key(1), net, 1, result) for result in FOUND]
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    outputs = jax.jit(lambda params: network.apply(net, params, images, True), compiler_options=QUICK)
    return net, params, images, [outputs(item) for item in params]


@pytest.mark.slow
def test_a_network_in_a_shape_of_several_is_its_own(together):
    net, params, images, outputs = together
    assert len(net.reduce) == 10
    local = network.build_network(FOUND[0], 2, 1, 4, reductions=(0,))
    places = [net.reduce.index(edge) for edge in local.reduce]
    alone = {name: leaf for name, leaf in params[0].items() if name != "chosen"}
    cell = alone["cells"][0] | {"edges": [alone["cells"][0]["edges"][index] for index in places]}
    apply = jax.jit(lambda params: network.apply(local, params, images, True), compiler_options=QUICK)
    (logits, helped), updated = apply(alone | {"cells": [cell]})
    assert helped is None
    np.testing.assert_allclose(outputs[0][0][0], logits, atol=1e-5)
    assert np.abs(outputs[0][0][0] - outputs[1][0][0]).max() > 1e-3
    before = cell["before"][1]["mean"]
    assert np.abs(updated["cells"][0]["before"][1]["mean"] - before).max() > 0


def test_what_says_which_edges_are_there_is_never_trained(together):
    _, params, _, outputs = together
    stepped = jax.tree.map(lambda leaf: leaf + 1, params[0])
    kept = training.with_statistics(stepped, outputs[0][1])
    np.testing.assert_array_equal(kept["chosen"][1]["mask"], params[0]["chosen"][1]["mask"])
    assert float(params[0]["chosen"][1]["mask"].sum()) == 8


@pytest.mark.slow
def test_drop_path_takes_all_operations_but_identities(together):
    """Dropped for certain, what is left is the network of the identities alone."""
    _, _, images, _ = together
    net = network.build_network(FOUND[0], 2, 1, 4, reductions=())
    params = network.init(jax.random.key(1), net, 1, FOUND[0])
    identities = jnp.array([operation == "skip_connect" for *_, operation in net.normal], jnp.float32)
    alone = params | {"chosen": [{"mask": identities}, params["chosen"][1]]}
    apply = jax.jit(lambda params, **how: network.apply(net, params, images, **how)[0][0], compiler_options=QUICK)
    dropped = apply(params, key=jax.random.key(2), drop=1.0)
    np.testing.assert_allclose(dropped, apply(alone), atol=1e-6)
    assert np.abs(dropped - apply(params)).max() > 1e-3


@pytest.mark.slow
def test_the_auxiliary_head_is_that_of_plain_convolutions():
    """A mean over 5x5 places three apart, 1x1, norm, 2x2, norm, dense; on running statistics."""
    local = cells.sample_params(jax.random.key(0), network.init_auxiliary(6, 4))
    local["one"] |= {"mean": jnp.full(128, 0.1), "shift": jnp.full(128, 0.2)}
    x = np.random.default_rng(0).normal(size=(6, 3, 8, 8)).astype(np.float32)
    result, _ = network.auxiliary_head(local, x, False)
    active = np.maximum(x, 0)
    y = np.stack([[active[..., i : i + 5, j : j + 5].mean((2, 3)) for j in (0, 3)] for i in (0, 3)])
    normed = lambda y, norm: np.maximum((y - norm["mean"]) / np.sqrt(1 + 1e-5) + norm["shift"], 0)
    y = normed(np.einsum("ijcb,cd->bijd", y, local["one"]["kernel"]), local["one"])
    y = normed(np.einsum("bijc,cijd->bd", y, local["two"]["kernel"]), local["two"])
    np.testing.assert_allclose(result, y @ local["classifier"]["kernel"] + local["classifier"]["bias"], atol=1e-4)


@pytest.mark.slow
def test_drop_path_keeps_the_mean_and_drops_whole_samples():
    x = jnp.ones((3, 2000, 1, 1))
    kept = network.drop_path(jax.random.key(0), x, 0.25)
    assert set(np.unique(kept).round(5)) == {0, np.float32(4 / 3).round(5)}
    assert float(kept.mean()) == pytest.approx(1, abs=0.05)
    assert np.array_equal(kept[0], kept[1])


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lambda: network.build_network(FOUND[0], channels=3), "even number of channels"),
        (lambda: network.build_network(FOUND[0], form="dense"), "form must be one of matrices, grouped, got 'dense'"),
        (lambda: network.build_network(FOUND[0], reductions=(20,)), "reductions must be a tuple of cells"),
        (
            lambda: network.build_network([FOUND[0], FOUND[1]._replace(normal_concat=(2,))]),
            "concatenate the same nodes",
        ),
        (lambda: network.edge_indices(network.build_network(FOUND[0]), FOUND[1]), "the network has no edge"),
        (lambda: network.build_network(FOUND[0]._replace(normal=CELL[1:])), "normal must have 8 edges"),
        (lambda: network.auxiliary_head({}, jnp.zeros((4, 1, 4, 4)), True), "needs 8x8 places"),
    ],
)
def test_what_makes_no_network_is_refused(made, what):
    with pytest.raises(ValueError, match=what):
        made()
