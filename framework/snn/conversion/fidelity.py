"""Where a conversion loses: each layer's activations in the DNN against what its spikes tell."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from framework.core.types import Key, Params
from framework.snn import layers as described
from framework.snn.conversion import normalization, simulation
from framework.snn.conversion.activation import Activation, relu
from framework.snn.conversion.normalization import Spiking
from framework.snn.layers import Layer, stages
from framework.snn.meters import rasters


class LayerError(NamedTuple):
    """How well one layer's spikes tell its activations; numbers over all images and neurons.

    Args:
      layer: place among the layers that fire, from 1, and kind.
      error: mean |told - activation| / mean |activation|.
      correlation: of told values and activations; NaN where either does not vary.
      saturated: share of activations above the layer's scale, which a rate code cannot tell.
      silent: share of active neurons of the DNN that never fired.
    """

    layer: str
    error: float
    correlation: float
    saturated: float
    silent: float


def layer_errors(
    spiking: Spiking,
    layers: tuple[Layer, ...],
    params: Params,
    images: Any,
    steps: int,
    key: Key | None = None,
    activation: Activation = relu(),
) -> list[LayerError]:
    """How well each layer that fires tells its activations, in their order.

    Args:
      spiking: the conversion of `layers` and `params`.
      layers, params, activation: of the DNN, as given to `snn.convert`.
      images: `[B, ...]`.
      steps: of the simulation.
      key: for the Poisson code.

    Returns:
      A `fidelity.LayerError` a layer: `layer`, `error`, `correlation`, `saturated` and `silent`.

    Raises:
      ValueError: as `snn.run`.
    """
    outputs, sent = simulation.observe(spiking, images, steps, key, rasters.totals())
    wanted = normalization.activations(layers, params, jnp.asarray(images), activation)
    kinds = [described.name(spiking.layers[stage.weighted]) for stage in stages(spiking.layers)]
    told = np.asarray(outputs.told[-1])
    rows = []
    for place, (total, active, scale) in enumerate(zip(sent, wanted, spiking.scales[1:], strict=False)):
        found = np.asarray(total) / told.reshape(-1, *[1] * (total.ndim - 1)) * float(scale)
        name = f"{place + 1} {kinds[place]}"
        rows.append(_compared(name, found.ravel(), np.maximum(np.asarray(active), 0).ravel(), float(scale)))
    return rows


def _compared(name: str, found: np.ndarray, wanted: np.ndarray, scale: float) -> LayerError:
    varies = found.std() > 0 and wanted.std() > 0
    active = wanted > 0
    return LayerError(
        name,
        float(np.abs(found - wanted).mean() / max(wanted.mean(), 1e-12)),
        float(np.corrcoef(found, wanted)[0, 1]) if varies else float("nan"),
        float((wanted > scale * (1 + 1e-6)).mean()),
        float((found[active] <= 0).mean()) if active.any() else 0.0,
    )
