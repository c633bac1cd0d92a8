import jax
import numpy as np
import pytest

from framework.snn import layers, network
from framework.snn.conversion import fidelity, normalization, simulation
from framework.snn.meters import rasters
from framework.snn.neurons import coding

LAYERS = (layers.conv(3), layers.pool(), layers.flatten(), layers.dense(5), layers.dense(3))


@pytest.fixture(scope="module")
def trained():
    params = network.init(jax.random.key(0), LAYERS, (6, 6, 1))
    return params, np.random.default_rng(0).random((4, 6, 6, 1)).astype(np.float32)


@pytest.mark.slow
def test_layer_errors_fall_with_more_steps(trained):
    params, images = trained
    spiking = normalization.convert(LAYERS, params, images, hidden_code=coding.rate(start=0.5), scale="max")
    errors = {t: fidelity.layer_errors(spiking, LAYERS, params, images, t) for t in (32, 512)}
    assert [row.layer for row in errors[512]] == ["1 conv", "2 dense"]
    for few, many in zip(errors[32], errors[512], strict=True):
        assert many.error < 0.25 * few.error < 0.25
        assert many.correlation > 0.999
        assert many.saturated == 0
        assert many.silent <= few.silent


@pytest.mark.slow
def test_an_error_is_that_of_what_each_neuron_has_sent(trained):
    """The oracle: neuron by neuron, from payloads, steps and scales; few steps, so that weak neurons stay silent."""
    params, images = trained
    spiking = normalization.convert(LAYERS, params, images, hidden_code=coding.rate(), scale="max")
    errors = fidelity.layer_errors(spiking, LAYERS, params, images, 6)
    sent = simulation.simulate_with_meter(spiking, images, 6, meter=rasters.totals())[1]
    expected = [np.maximum(activation, 0) for activation in normalization.activations(LAYERS, params, images)]
    for row, total, right, scale in zip(errors, sent, expected, spiking.scales[1:], strict=False):
        pairs = [(float(s) / 6 * float(scale), float(a)) for s, a in zip(np.ravel(total), np.ravel(right), strict=True)]
        active = [decoded for decoded, a in pairs if a > 0]
        assert row.silent == pytest.approx(sum(decoded == 0 for decoded in active) / len(active))
        assert row.error == pytest.approx(
            sum(abs(value - a) for value, a in pairs) / sum(a for _, a in pairs), rel=1e-4
        )
        assert row.correlation == pytest.approx(np.corrcoef(np.transpose(pairs))[0, 1], rel=1e-4)
    assert 0.05 < errors[0].silent < 0.95


@pytest.mark.slow
def test_saturation_shows_a_layer_with_too_low_a_scale(trained):
    params, images = trained
    spiking = normalization.convert(LAYERS, params, images, hidden_code=coding.rate(), scale="layer", percentile=50.0)
    first = fidelity.layer_errors(spiking, LAYERS, params, images, 64)[0]
    activations = np.maximum(normalization.activations(LAYERS, params, images)[0], 0)
    assert first.saturated == pytest.approx(float((activations > spiking.scales[1]).mean()), abs=0.01)
    assert first.saturated > 0.2
    assert first.error > 0.2
