import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn import layers as layer
from framework.snn import network
from framework.snn.conversion import activation, normalization
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
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def trained():
    """Parameters whose norms and biases all count, and images."""
    params = network.init(jax.random.key(0), LAYERS, SHAPE)
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    updated = [leaf + 0.3 * np.abs(rng.normal(size=leaf.shape)).astype(np.float32) for leaf in leaves]
    return jax.tree.unflatten(tree, updated), rng.random((20, *SHAPE)).astype(np.float32)


@pytest.mark.slow
def test_folding_the_norms_changes_no_logit(trained):
    with jax.enable_x64(True):
        params, images = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), trained)
        kept, folded = normalization.fold_norms(LAYERS, params)
        before, after = network.forward(LAYERS, params, images)[0], network.forward(kept, folded, images)[0]
        assert not any(isinstance(kind, layer.Norm) for kind in kept)
        np.testing.assert_allclose(after, before, rtol=1e-12)


def by_numpy(scale, percentile, a):
    if scale == "neuron":
        return np.percentile(a.reshape(len(a), -1), percentile, axis=0).max()
    return np.percentile(a, percentile) if scale == "layer" else a.max()


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["neuron", "layer", "max"])
def test_scaled_weights_scale_activations_but_not_logits(trained, scale):
    params, images = trained
    spiking = normalization.convert(LAYERS, params, images, scale=scale, percentile=90.0)
    expected = normalization.activations(LAYERS, params, images)
    actual = normalization.activations(spiking.layers, spiking.params, images)
    for a, b, factor in zip(expected, actual, spiking.scales[1:], strict=True):
        np.testing.assert_allclose(b * factor, a, rtol=1e-4, atol=1e-5)
    for a, factor in zip(expected[:-1], spiking.scales[1:-1], strict=True):
        np.testing.assert_allclose(factor, by_numpy(scale, 90.0, np.maximum(a, 0)), rtol=1e-5)
    assert spiking.scales[0] == spiking.scales[-1] == 1


def test_a_layer_that_never_fires_keeps_its_weights(trained):
    params, images = trained
    silent = list(params)
    silent[6] = params[6] | {"kernel": -jnp.abs(params[6]["kernel"]), "bias": params[6]["bias"] - 100}
    spiking = normalization.convert(LAYERS, tuple(silent), images)
    assert spiking.scales[3] == 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(spiking.params))


@pytest.mark.slow
def test_a_learned_ceiling_is_the_scale(trained):
    unit = activation.qcfs(8, 3.0)
    params = network.init(jax.random.key(0), LAYERS, SHAPE, unit)
    spiking = normalization.convert(LAYERS, params, trained[1], scale="ceiling", activation=unit)
    np.testing.assert_allclose(spiking.scales, [1, 3, 3, 3, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"scale": "mean"}, "scale must be one of neuron, layer, max, ceiling, got 'mean'"),
        ({"readout": "votes"}, "readout must be one of membrane, count, first_spike"),
        ({"bias": "never"}, "bias must be one of spread, period"),
        ({"percentile": 0}, r"percentile must lie in \(0, 100\]"),
        ({"hidden_code": coding.poisson()}, "poisson"),
        ({"input_code": coding.multispike()}, "multispike"),
        ({"scale": "ceiling"}, "trained with activation.qcfs"),
    ],
)
def test_bad_choices_are_refused(trained, change, what):
    with pytest.raises(ValueError, match=what):
        normalization.convert(LAYERS, *trained, **change)


def test_parameters_of_another_activation_are_refused(trained):
    params = network.init(jax.random.key(0), LAYERS, SHAPE, activation.qcfs(8, 3.0))
    with pytest.raises(ValueError, match=r"layer 0 \(conv\) has learned 'log_ceiling', which relu does not learn"):
        normalization.convert(LAYERS, params, trained[1])


@pytest.mark.slow
def test_bad_networks_and_images_are_refused(trained):
    params, images = trained
    broken = [*params[:3], params[3] | {"kernel": params[3]["kernel"].at[0, 0, 0, 0].set(np.nan)}, *params[4:]]
    with pytest.raises(ValueError, match=r"layer 3 \(conv\): kernel holds NaN"):
        normalization.convert(LAYERS, tuple(broken), images)
    broken = [params[0], params[1] | {"var": params[1]["var"] * -1}, *params[2:]]
    with pytest.raises(ValueError, match=r"layer 1 \(norm\): var holds a number below 0"):
        normalization.convert(LAYERS, tuple(broken), images)
    with pytest.raises(ValueError, match="8 layers need as many parameters"):
        normalization.convert(LAYERS, params[:-1], images)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        normalization.convert(LAYERS, params, -images / images.max(), input_code=coding.phase())
    with pytest.raises(ValueError, match="no image"):
        normalization.convert(LAYERS, params, images[:0])
    layers = (layer.recurrent(4), layer.dense(2))
    with pytest.raises(ValueError, match=r"layer 0 \(recurrent\) has no conversion"):
        normalization.convert(layers, network.init(jax.random.key(0), layers, (3,)), images[:, 0, :3, 0])
