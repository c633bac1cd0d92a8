"""Conversion of a trained DNN to a spiking network: folding of norms, weight normalisation, and assignment of codes.

Reference: Diehl et al., IJCNN 2015; Rueckauer et al., Frontiers in Neuroscience 11, 2017; arXiv 1809.03142.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core import checks
from framework.core.types import Params
from framework.snn import network
from framework.snn.conversion.activation import Activation, relu
from framework.snn.layers import Layer, Norm, Recurrent, layer_name, network_stages
from framework.snn.neurons import coding, encoding
from framework.snn.neurons.neuron import Neuron
from framework.snn.trained import check_params

SCALES = ("neuron", "layer", "max", "ceiling")
READOUTS = ("membrane", "count", "first_spike")
BIASES = ("spread", "period")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SpikingNetwork:
    """A converted network, of `convert`; its parameters are a pytree, the rest is static.

    Args:
      params: of the layers, in units of the scales.
      scales: `[stages + 1]`, the activation for a decoded value of 1; the first is that of the input.
      layers: without norms.
      shape: of one image.
      input_code, hidden_code, readout, bias: as in `convert`.
    """

    params: Params
    scales: jax.Array
    layers: tuple[Layer, ...] = dataclasses.field(metadata={"static": True})
    shape: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    input_code: Neuron = dataclasses.field(metadata={"static": True})
    hidden_code: Neuron = dataclasses.field(metadata={"static": True})
    readout: str = dataclasses.field(metadata={"static": True})
    bias: str = dataclasses.field(metadata={"static": True})


def convert(
    layers: tuple[Layer, ...],
    params: Params,
    calibration_images: Any,
    *,
    input_code: Neuron = coding.real(),
    hidden_code: Neuron = coding.burst(),
    scale: str = "neuron",
    percentile: float = 99.9,
    readout: str = "membrane",
    bias: str = "spread",
    activation: Activation = relu(),
) -> SpikingNetwork:
    """Converts a trained DNN to a spiking network.

    Each layer's weights become W lambda_{l-1} / lambda_l and its bias b / lambda_l, so that activations are at most
    about 1; the logits stay in the units of the DNN.

    Args:
      layers: of `snn.layers`, as in the training; without recurrent ones.
      params: the DNN's, with the running statistics of its norms.
      calibration_images: `[N, ...]`, from the training set; in [0, 1] unless the input code is real.
      input_code, hidden_code: of `neurons.coding`; `coding.pair` makes the hybrids by name.
      scale: lambda_l: `neuron`, the largest of all neurons' percentiles over the images; `layer`, the percentile over
        neurons and images; `max`, the largest activation; `ceiling`, the learned ceiling of a QCFS activation.
      percentile: of `neuron` and `layer`, in (0, 100].
      readout: `membrane`, the potential of the last layer, which does not fire; `count`, its summed payload;
        `first_spike`, minus the step of its first spike.
      bias: in a phase code, `spread` over the steps of a period, or whole in each `period`'s first step, as in the
        program of Park et al.; see `encoding.input_scaling`.
      activation: of the trained DNN.

    Returns:
      A `SpikingNetwork`, for `simulate`, `predict` and `save`.

    Raises:
      ValueError: for an unknown name, a layer without a spiking form, weights or images that are not finite, images
        that the input code cannot encode, or parameters of another activation; names the layer.

    Example:
      >>> from framework import data, snn
      >>> from framework.snn import layers as layer
      >>> from framework.snn.neurons import coding
      >>> images = data.digits("train").images[:50] / 16.0
      >>> layers = (layer.flatten(), layer.dense(16), layer.dense(10))
      >>> params = snn.init(jax.random.key(0), layers, images.shape[1:])
      >>> bursts = snn.convert(layers, params, images, hidden_code=coding.burst(threshold=0.125))
      >>> outputs = snn.simulate(bursts, images, steps=32)
      >>> outputs.logits.shape, outputs.spikes.shape
      ((32, 50, 10), (32, 50, 1))
      >>> same = outputs.logits[-1].argmax(-1) == snn.forward(layers, params, images)[0].argmax(-1)
      >>> bool(same.mean() > 0.9)
      True

    Reference: `neuron`: the program of Park et al.; `layer`: Rueckauer et al. 2017; `ceiling`: Bu et al., arXiv
    2303.04347.
    """
    _check(layers, params, scale, percentile, readout, bias)
    check_params(layers, params, np.shape(calibration_images)[1:])
    network.check_unit_params(layers, params, activation)
    encoding.input_scaling(input_code, hidden_code)
    images = np.asarray(calibration_images)
    if not len(images):
        raise ValueError("calibration_images holds no image: take some hundred of the training set")
    encoding.check(input_code, images)
    network.input_shapes(layers, images.shape[1:])
    scales = _scales(layers, params, jnp.asarray(images), activation, scale, percentile, readout)
    normless, folded = fold_norms(layers, params)
    scaled = list(folded)
    for i, stage in enumerate(network_stages(normless)):
        layer_params = folded[stage.weighted]
        scaled[stage.weighted] = {"kernel": layer_params["kernel"] * scales[i] / scales[i + 1]}
        scaled[stage.weighted] |= {"bias": layer_params["bias"] / scales[i + 1]} if "bias" in layer_params else {}
    return SpikingNetwork(
        tuple(scaled), jnp.stack(scales), normless, images.shape[1:], input_code, hidden_code, readout, bias
    )


def fold_norms(layers: tuple[Layer, ...], params: Params) -> tuple[tuple[Layer, ...], Params]:
    """Folds the norms of a DNN into the layers before them.

        W <- W scale / sqrt(var + epsilon),   b <- (b - mean) scale / sqrt(var + epsilon) + shift

    Args:
      layers: of `snn.layers`.
      params: of the layers, with the running statistics of the norms.

    Returns:
      The layers without norms, and their parameters.
    """
    normless, folded = [], []
    for i, (layer, layer_params) in enumerate(zip(layers, params, strict=True)):
        if isinstance(layer, Norm):
            continue
        following = layers[i + 1] if i + 1 < len(layers) else None
        if isinstance(following, Norm):
            norm = params[i + 1]
            factor = norm["scale"] / jnp.sqrt(norm["var"] + following.epsilon)
            bias = (layer_params.get("bias", 0.0) - norm["mean"]) * factor + norm["shift"]
            layer = dataclasses.replace(layer, bias=True)
            layer_params = layer_params | {"kernel": layer_params["kernel"] * factor, "bias": bias}
        normless.append(layer)
        folded.append(layer_params)
    return tuple(normless), tuple(folded)


def activations(layers: tuple[Layer, ...], params: Params, images: jax.Array, activation: Activation = relu()):
    """Activations of each stage of a DNN, the logits last.

    Args:
      layers, params, activation: of the DNN.
      images: `[B, ...]`.

    Returns:
      A list of `[B, ...]`, one a stage.
    """
    outputs, x = [], images
    for stage in network_stages(layers):
        x, _ = network.current(layers, list(params), stage, x)
        if stage.unit:
            x = activation.apply(x, params[stage.weighted].get("unit", {}))
        outputs.append(x)
    return outputs


def _scales(layers, params, images, activation, scale, percentile, readout) -> list[jax.Array]:
    """Scale lambda of the input and of each stage."""
    measure = {
        "neuron": lambda a: jnp.percentile(a, percentile, axis=0).max(),
        "layer": lambda a: jnp.percentile(a, percentile),
        "max": jnp.max,
    }
    scales = [jnp.ones((), images.dtype)]
    for stage, a in zip(network_stages(layers), activations(layers, params, images, activation), strict=True):
        if stage.unit and scale == "ceiling":
            largest = jnp.exp(params[stage.weighted]["unit"]["log_ceiling"])
        elif stage.unit or readout != "membrane":
            largest = measure["max" if scale == "ceiling" else scale](jax.nn.relu(a))
        else:
            largest = jnp.ones((), a.dtype)
        scales.append(jnp.where(largest > 0, largest, 1.0))  # a layer that never fires needs none
    return scales


def _check(layers, params, scale, percentile, readout, bias) -> None:
    for name, value, choices in (("scale", scale, SCALES), ("readout", readout, READOUTS), ("bias", bias, BIASES)):
        checks.one_of(name, value, choices)
    checks.in_interval("percentile", percentile, "(0, 100]")
    if len(layers) != len(params):
        raise ValueError(f"{len(layers)} layers need as many parameters, a dict each, got {len(params)}")
    for i, (layer, layer_params) in enumerate(zip(layers, params, strict=True)):
        label = f"layer {i} ({layer_name(layer)})"
        if isinstance(layer, Recurrent):
            raise ValueError(f"{label} has no conversion: a DNN has no time to feed back through")
        for name, leaf in layer_params.items():
            if not all(np.isfinite(values).all() for values in jax.tree.leaves(leaf)):
                raise ValueError(f"{label}: {name} holds NaN or infinity")
        if isinstance(layer, Norm) and not (np.asarray(layer_params["var"]) + layer.epsilon > 0).all():
            raise ValueError(f"{label}: var holds a number below 0")
    if scale == "ceiling" and not all("unit" in params[s.weighted] for s in network_stages(layers) if s.unit):
        raise ValueError("scale='ceiling' needs a network that was trained with activation.qcfs")
