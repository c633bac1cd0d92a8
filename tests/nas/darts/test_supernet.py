import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas.advrush import curvature
from framework.nas.darts import bilevel, space, supernet
from framework.nas.darts.supernet import Supernet

pytestmark = pytest.mark.slow

QUICK = {"xla_backend_optimization_level": 0}  # of one call, compiling takes most of the time
REFERENCE = json.loads((Path(__file__).parent / "pytorch.json").read_text())  # of benchmarks/nas_torch.py
NET = Supernet(4, 2, 5, reductions=(1,), dtype="float64")
LABELS = np.array([0, 3, 4])


@pytest.fixture(scope="module")
def fixed():
    """Weights, alphas and images of fixed numbers, on which the reference was made."""
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        name = path[-1].key
        if name in ("mean", "var", "scale"):
            return np.full(leaf.shape, float(name != "mean"))
        return rng.normal(size=leaf.shape) * 0.3

    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda key: supernet.init(key, NET), jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(fill, shapes)
    return params, space.Alphas(*rng.normal(size=(2, 14, 8))), rng.random((3, 8, 8, 3))


@pytest.fixture(scope="module")
def trained(fixed):
    """Loss, slope in alphas and moved parameters of one training batch."""
    params, alphas, images = fixed
    with jax.enable_x64(True):
        step = jax.jit(jax.value_and_grad(bilevel.cross_entropy(NET, True), has_aux=True), compiler_options=QUICK)
        return step(alphas, params, images, LABELS)


def test_loss_and_alpha_gradient_equal_pytorchs(trained):
    (value, _), slope = trained
    np.testing.assert_allclose(value, REFERENCE["loss"], rtol=1e-12)
    for result, expected in zip(slope, REFERENCE["alphas"], strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-11)


@pytest.mark.long
def test_curvature_equals_pytorchs_double_backward(fixed, trained):
    _, alphas, images = fixed
    (_, (updated, _)), _ = trained
    with jax.enable_x64(True):
        loss = bilevel.cross_entropy(NET, False)
        summed = lambda a, x: 3 * loss(a, updated, x, LABELS)[0]
        penalty = jax.value_and_grad(lambda a: curvature.penalty(summed, a, jnp.asarray(images), 1.5))
        value, slope = jax.jit(penalty, compiler_options=QUICK)(alphas)
    np.testing.assert_allclose(value, REFERENCE["curvature"], rtol=1e-10)
    for result, expected in zip(slope, REFERENCE["curvature_alphas"], strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-11)


def test_the_published_supernet_has_1930618_parameters():
    shapes = jax.eval_shape(lambda key: supernet.init(key, supernet.Supernet(channels=16, cells=8)), jax.random.key(0))
    assert supernet.parameter_count(shapes) == 1_930_618


def test_cells_at_a_third_and_at_two_thirds_reduce():
    assert [i for i in range(8) if Supernet(cells=8).reduces(i)] == [2, 5]
    assert [i for i in range(20) if Supernet(cells=20).reduces(i)] == [6, 13]
    assert [i for i in range(3) if Supernet(cells=3, reductions=()).reduces(i)] == []


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"channels": 5}, "even number"),
        ({"cells": 0}, "a cell and 2 classes"),
        ({"classes": 1}, "a cell and 2 classes"),
        ({"form": "dense"}, "form must be one of matrices, grouped"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"reductions": (8,)}, "reductions must be a tuple of cells, numbered from 0 to 7, or None, got"),
        ({"reductions": [1]}, "reductions must be a tuple of cells"),
    ],
)
def test_shapes_that_make_no_network_are_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        supernet.Supernet(**settings)


def test_images_that_two_reductions_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiples of 4"):
        supernet.apply(NET, {}, space.init_alphas(jax.random.key(0)), jnp.zeros((2, 10, 8, 3)))


@pytest.mark.long
@pytest.mark.parametrize("options", [{"form": "grouped"}, {"remat": True}, {"dtype": "bfloat16"}])
def test_every_form_of_a_cell_is_the_same_function(options):
    """Value and slope in alphas; in half the bits to about a hundredth."""
    plain = Supernet(2, 1, 4, reductions=(0,))
    params = supernet.init(jax.random.key(0), plain, 1)
    alphas = space.init_alphas(jax.random.key(1))
    images = np.random.default_rng(0).random((8, 8, 8, 1)).astype(np.float32)
    result = []
    for net in (plain, supernet.Supernet(2, 1, 4, reductions=(0,), **options)):
        slope = jax.value_and_grad(
            lambda a, net=net: bilevel.cross_entropy(net, True)(a, params, images, np.arange(8) % 4)[0]
        )
        result.append(jax.jit(slope, compiler_options=QUICK)(alphas))
    tolerance = 0.05 if "dtype" in options else 1e-5
    np.testing.assert_allclose(result[1][0], result[0][0], rtol=tolerance)
    scale = np.abs(result[0][1].reduce).max()
    np.testing.assert_allclose(
        result[1][1].reduce, result[0][1].reduce, atol=(10 if "dtype" in options else 1) * tolerance * scale
    )
