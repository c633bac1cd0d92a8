import jax
import numpy as np
import pytest

from framework.snn import coding, conversion, fidelity, layer, network

LAYERS = (layer.conv(3), layer.pool(), layer.flatten(), layer.dense(5), layer.dense(3))


@pytest.fixture(scope="module")
def trained():
    params = network.init(jax.random.key(0), LAYERS, (6, 6, 1))
    return params, np.random.default_rng(0).random((4, 6, 6, 1)).astype(np.float32)


@pytest.mark.slow
def test_every_layer_tells_its_activations_better_with_more_steps(trained):
    params, images = trained
    spiking = conversion.convert(LAYERS, params, images, hidden_code=coding.rate(start=0.5), scale="max")
    errors = {t: fidelity.layer_errors(spiking, LAYERS, params, images, t) for t in (32, 512)}
    assert [row.layer for row in errors[512]] == ["1 conv", "2 dense"]
    for few, many in zip(errors[32], errors[512], strict=True):
        assert many.error < 0.25 * few.error < 0.25
        assert many.correlation > 0.999
        assert many.saturated == 0
        assert many.silent <= few.silent


@pytest.mark.slow
def test_a_layer_that_is_scaled_too_low_is_seen_by_its_saturation(trained):
    params, images = trained
    spiking = conversion.convert(LAYERS, params, images, hidden_code=coding.rate(), scale="layer", percentile=50.0)
    first = fidelity.layer_errors(spiking, LAYERS, params, images, 64)[0]
    activations = np.maximum(conversion.activations(LAYERS, params, images)[0], 0)
    assert first.saturated == pytest.approx(float((activations > spiking.scales[1]).mean()), abs=0.01)
    assert first.saturated > 0.2
    assert first.error > 0.2
