from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from framework.snn import layers as layer
from framework.snn import network
from framework.snn.conversion import normalization, simulation
from framework.snn.conversion.flax_import import from_flax
from framework.snn.neurons import coding

LAYERS = (
    layer.conv(4, bias=False),
    layer.norm(),
    layer.pool(),
    layer.conv(5, padding="VALID"),
    layer.norm(over="step"),
    layer.flatten(),
    layer.dense(6),
    layer.dense(3),
)
IMAGES = np.random.default_rng(0).random((20, 8, 8, 1)).astype(np.float32)


class Flax(nn.Module):
    scales: bool = True
    dilation: int = 1
    deeper: bool = False
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x, train: bool):
        norm = partial(nn.BatchNorm, not train, use_scale=self.scales, use_bias=self.scales, epsilon=self.epsilon)
        x = nn.Conv(4, (3, 3), use_bias=False, kernel_dilation=self.dilation)(x)
        x = nn.relu(norm()(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        x = nn.relu(norm()(nn.Conv(5, (3, 3), padding="VALID")(x)))
        x = nn.relu(nn.Dense(6)(x.reshape(len(x), -1)))
        x = nn.Dense(3)(x)
        return nn.Dense(3)(nn.relu(x)) if self.deeper else x


def variables_of(model):
    """Those of a network whose norms have seen a batch."""
    variables = model.init(jax.random.key(0), IMAGES, True)
    return variables | model.apply(variables, IMAGES, True, mutable=["batch_stats"])[1]


@pytest.fixture(scope="module")
def variables():
    return variables_of(Flax())


@pytest.mark.slow
@pytest.mark.parametrize("scales", [True, False])
def test_a_network_of_flax_becomes_ours(scales):
    model = Flax(scales)
    variables = variables_of(model)
    params = from_flax(LAYERS, variables, apply=partial(model.apply, train=False), images=IMAGES)
    expected = model.apply(variables, IMAGES, False)
    np.testing.assert_allclose(network.forward(LAYERS, params, IMAGES)[0], expected, atol=1e-5)
    spiking = normalization.convert(LAYERS, params, IMAGES, hidden_code=coding.rate(), scale="max")
    np.testing.assert_allclose(simulation.simulate(spiking, IMAGES, 600).logits[-1], expected, atol=0.1)


def test_a_network_of_flax_with_other_layers_is_refused(variables):
    with pytest.raises(ValueError, match=r"layer 8 \(dense\) would be Dense_2, but flax has only Conv_0,"):
        from_flax((*LAYERS, layer.dense(2)), variables)
    with pytest.raises(
        ValueError, match=r"layer 0 \(conv\) has 7 features, bias False; Conv_0 holds kernel \(3, 3, 1, 4\)"
    ):
        from_flax((layer.conv(7, bias=False), *LAYERS[1:]), variables)
    with pytest.raises(ValueError, match=r"layer 0 \(conv\) has a kernel of 5x5; Conv_0 holds kernel \(3, 3, 1, 4\)"):
        from_flax((layer.conv(4, 5, bias=False), *LAYERS[1:]), variables)
    with pytest.raises(ValueError, match=r"layer 0 \(recurrent\) has no counterpart in flax"):
        from_flax((layer.recurrent(4), *LAYERS), variables)
    with pytest.raises(
        ValueError, match=r"layer 1 \(dense\) is given 6 channels; Dense_1 has a kernel \(7, 3\) for 7$"
    ):
        from_flax((layer.dense(6), layer.dense(3)), {"params": dense(5, 6) | {"Dense_1": dense(7, 3)["Dense_0"]}})


def dense(*sizes):
    """Parameters of one dense layer."""
    return {"Dense_0": {"kernel": jnp.ones(sizes), "bias": jnp.ones(sizes[-1])}}


def test_variables_that_are_left_over_are_named(variables):
    """A norm forgotten, and a third dense layer."""
    without = (*LAYERS[:4], *LAYERS[5:])
    with pytest.raises(
        ValueError, match="hold more than the layers: params/BatchNorm_1, batch_stats/BatchNorm_1 belong"
    ):
        from_flax(without, variables)
    with pytest.raises(ValueError, match="hold more than the layers: params/Dense_2 belong to none"):
        from_flax(LAYERS, variables_of(Flax(deeper=True)))
    stats = {"batch_stats": variables["batch_stats"] | {"BatchNorm_2": variables["batch_stats"]["BatchNorm_0"]}}
    with pytest.raises(ValueError, match="hold more than the layers: batch_stats/BatchNorm_2"):
        from_flax(LAYERS, variables | stats)


def test_groups_are_seen_in_the_shape_of_a_kernel():
    layers = (layer.conv(4), layer.conv(6), layer.flatten(), layer.dense(2))
    kernel = lambda *shape: {"kernel": jnp.ones(shape), "bias": jnp.ones(shape[-1])}
    params = {"Conv_0": kernel(3, 3, 1, 4), "Conv_1": kernel(3, 3, 2, 6)} | dense(6, 2)
    with pytest.raises(ValueError, match=r"layer 1 \(conv\) is given 4 channels; Conv_1 has .* for 2 \(of groups"):
        from_flax(layers, {"params": params})


@pytest.mark.parametrize("change", [{"dilation": 2}, {"epsilon": 0.3}])
def test_what_no_shape_shows_is_seen_in_the_logits(change):
    model = Flax(**change)
    variables = variables_of(model)
    from_flax(LAYERS, variables)
    with pytest.raises(
        ValueError, match=r"the layers' logits are off by .* \(of .*\): compare strides, padding, pools"
    ):
        from_flax(LAYERS, variables, apply=partial(model.apply, train=False), images=IMAGES)


def test_the_check_takes_a_network_and_images_that_fit(variables):
    check = partial(from_flax, LAYERS, variables)
    evaluated = partial(Flax().apply, train=False)
    with pytest.raises(ValueError, match=r"takes both: apply=model\.apply and images"):
        check(apply=evaluated)
    with pytest.raises(ValueError, match="takes both"):
        check(images=IMAGES)
    with pytest.raises(ValueError, match=r"must give logits of shape \(20, 3\), as the layers do, got \(20,\)"):
        check(apply=lambda *arguments: evaluated(*arguments).argmax(-1), images=IMAGES)
    with pytest.raises(ValueError, match="logits are off by nan"):
        check(apply=lambda *arguments: evaluated(*arguments) * jnp.nan, images=IMAGES)
    with pytest.raises(ValueError, match=r"layer 6 \(dense\) takes"):
        check(apply=evaluated, images=IMAGES[:, :6, :6])


class N(nnx.Module):
    def __init__(self, rngs):
        self.fc = nnx.Linear(5, 3, rngs=rngs)


class Boxed:
    """As flax's metadata stand around an array."""


@pytest.mark.parametrize(
    ("layers", "variables", "message"),
    [
        ((layer.dense(3),), N(nnx.Rngs(0)), "those of a flax.linen module, a dict with 'params'; got N"),
        ((layer.dense(3),), nnx.state(N(nnx.Rngs(0))), "a dict with 'params'; got "),
        ((layer.dense(3),), dense(5, 3), "a dict with 'params'; got only Dense_0"),
        ((layer.dense(3),), {"params": jnp.ones(3)}, "a dict with 'params'; got only params"),
        ((layer.dense(3),), {"params": {"out": dense(5, 3)["Dense_0"]}}, "would be Dense_0, but flax has only out"),
        ((layer.dense(3),), {"params": {"w": jnp.ones(3)}}, "params/w is no module with parameters but a Array"),
        ((layer.dense(3),), {"params": {"Dense_0": {"kernel": Boxed()}}}, "Dense_0/kernel is no array but a Boxed"),
        ((layer.dense(3),), {"params": {"Dense_0": {"bias": jnp.ones(3)}}}, r"holds no kernel, only bias \(3,\)"),
        (
            (layer.dense(3),),
            {"params": {"Dense_0": dense(5, 3)["Dense_0"] | {"gain": jnp.ones(3)}}},
            r"layer 0 \(dense\): params/Dense_0 holds 'gain', which has no counterpart",
        ),
        ((layer.dense(3),), {"params": dense(5, 3), "lora": {"a": 1}}, "hold a collection 'lora', which has no"),
        (
            (layer.dense(3), layer.norm(), layer.dense(2)),
            {"params": dense(5, 3)},
            r"layer 1 \(norm\) would be BatchNorm_0, but flax has only nothing in batch_stats",
        ),
        (
            (layer.dense(3), layer.norm(), layer.dense(2)),
            {"params": dense(5, 3), "batch_stats": {"BatchNorm_0": {"mean": jnp.ones(3)}}},
            "must hold mean and var, got mean",
        ),
        (
            (layer.dense(3), layer.norm(), layer.dense(2)),
            {"params": dense(5, 3), "batch_stats": {"BatchNorm_0": {"mean": jnp.ones(4), "var": jnp.ones(4)}}},
            r"layer 1 \(norm\) takes numbers of shape \(3,\); BatchNorm_0 holds scale \(4,\)",
        ),
    ],
)
def test_unknown_variables_are_refused_in_one_line(layers, variables, message):
    with pytest.raises(ValueError, match=message) as error:
        from_flax(layers, variables)
    assert "\n" not in str(error.value)


def test_outputs_that_a_module_has_sown_are_no_variables():
    assert len(from_flax((layer.dense(3),), {"params": dense(5, 3), "intermediates": {"h": (1,)}})) == 1
