"""Conversion error of each layer: activations of the DNN against values decoded from spikes."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from framework.core.types import Key, Params
from framework.snn.conversion import normalization, simulation
from framework.snn.conversion.activation import Activation, relu
from framework.snn.conversion.normalization import SpikingNetwork
from framework.snn.layers import Layer, layer_name, network_stages
from framework.snn.meters import rasters


class LayerError(NamedTuple):
    """Error of the values decoded from the spikes of one layer, over all images and neurons.

    Args:
      layer: number among the layers that fire, from 1, and kind.
      error: mean |decoded - activation| / mean |activation|.
      correlation: of decoded values and activations; NaN where either does not vary.
      saturated: share of activations above the layer's scale, which a rate code cannot encode.
      silent: share of active neurons of the DNN that never fired.
    """

    layer: str
    error: float
    correlation: float
    saturated: float
    silent: float


def layer_errors(
    spiking: SpikingNetwork,
    layers: tuple[Layer, ...],
    params: Params,
    images: Any,
    steps: int,
    key: Key | None = None,
    activation: Activation = relu(),
) -> list[LayerError]:
    """Conversion errors of the layers that fire, in their order.

    Args:
      spiking: the conversion of `layers` and `params`.
      layers, params, activation: of the DNN, as in `snn.convert`.
      images: `[B, ...]`.
      steps: time steps of the simulation.
      key: for the Poisson code.

    Returns:
      A `fidelity.LayerError` a layer: `layer`, `error`, `correlation`, `saturated` and `silent`.

    Raises:
      ValueError: as in `snn.simulate`.
    """
    outputs, payloads = simulation.simulate_with_meter(spiking, images, steps, key, rasters.totals())
    expected = normalization.activations(layers, params, jnp.asarray(images), activation)
    kinds = [layer_name(spiking.layers[stage.weighted]) for stage in network_stages(spiking.layers)]
    input_count = np.asarray(outputs.input_count[-1])
    rows = []
    for i, (total, active, scale) in enumerate(zip(payloads, expected, spiking.scales[1:], strict=False)):
        decoded = np.asarray(total) / input_count.reshape(-1, *[1] * (total.ndim - 1)) * float(scale)
        name = f"{i + 1} {kinds[i]}"
        rows.append(_layer_error(name, decoded.ravel(), np.maximum(np.asarray(active), 0).ravel(), float(scale)))
    return rows


def _layer_error(name: str, decoded: np.ndarray, expected: np.ndarray, scale: float) -> LayerError:
    varies = decoded.std() > 0 and expected.std() > 0
    active = expected > 0
    return LayerError(
        name,
        float(np.abs(decoded - expected).mean() / max(expected.mean(), 1e-12)),
        float(np.corrcoef(decoded, expected)[0, 1]) if varies else float("nan"),
        float((expected > scale * (1 + 1e-6)).mean()),
        float((decoded[active] <= 0).mean()) if active.any() else 0.0,
    )
