"""From a trained DNN to a spiking network: norms folded, activations scaled to at most about 1, codes put in.

Reference: Diehl et al., IJCNN 2015; Rueckauer et al., Frontiers in Neuroscience 11, 2017; arXiv 1809.03142.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.types import Params
from framework.snn import layers as described
from framework.snn import network
from framework.snn.conversion.activation import Activation, relu
from framework.snn.layers import Layer, stages
from framework.snn.neurons import coding, encoding
from framework.snn.neurons.coding import Code
from framework.snn.trained import check_params

SCALES = ("neuron", "layer", "max", "ceiling")
READOUTS = ("membrane", "count", "first_spike")
BIASES = ("spread", "period")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Spiking:
    """A converted network, of `convert`; its parameters are a pytree, the rest is static.

    Args:
      params: of the layers, in units of the scales.
      scales: `[stages + 1]`, the activation that a decoded value of 1 stands for; the input's first.
      layers: without norms.
      shape: of one image.
      input_code, hidden_code, readout, bias: as of `convert`.
    """

    params: Params
    scales: jax.Array
    layers: tuple[Layer, ...] = dataclasses.field(metadata={"static": True})
    shape: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    input_code: Code = dataclasses.field(metadata={"static": True})
    hidden_code: Code = dataclasses.field(metadata={"static": True})
    readout: str = dataclasses.field(metadata={"static": True})
    bias: str = dataclasses.field(metadata={"static": True})


def convert(
    layers: tuple[Layer, ...],
    params: Params,
    calibration_images: Any,
    *,
    input_code: Code = coding.real(),
    hidden_code: Code = coding.burst(),
    scale: str = "neuron",
    percentile: float = 99.9,
    readout: str = "membrane",
    bias: str = "spread",
    activation: Activation = relu(),
) -> Spiking:
    """A trained DNN as a spiking network.

    Each layer's weights become W lambda_{l-1} / lambda_l and its bias b / lambda_l, so that activations are at most
    about 1; the logits stay in the DNN's own units.

    Args:
      layers: of `snn.layer`, as they were trained; without recurrent ones.
      params: the DNN's, with the running statistics of its norms.
      calibration_images: `[N, ...]`, from the training set; in [0, 1] unless the input code is real.
      input_code, hidden_code: of `snn.coding`; `coding.pair` has the hybrids by name.
      scale: lambda_l: `neuron`, the largest of all neurons' percentiles over the images; `layer`, the percentile over
        neurons and images; `max`, the largest activation; `ceiling`, what a QCFS activation has learned.
      percentile: of `neuron` and `layer`, in (0, 100].
      readout: `membrane`, the last layer's potential, which does not fire; `count`, the payload it has sent;
        `first_spike`, how early it fired first.
      bias: in a phase code, `spread` over the steps of a period, or whole in each `period`'s first step, as the program
        of Park et al. has it; see `encoding.delivery`.
      activation: the one that the DNN was trained with.

    Returns:
      A `Spiking`, for `run`, `observe`, `predict` and `save`.

    Raises:
      ValueError: for an unknown name, a layer without a spiking form, weights or images that are not finite, images
        that the input code cannot carry, or parameters of another activation; names the layer.

    Example:
      >>> from framework import data, snn
      >>> images = data.digits("train").images[:50] / 16.0
      >>> layers = (snn.layer.flatten(), snn.layer.dense(16), snn.layer.dense(10))
      >>> params = snn.init(jax.random.key(0), layers, images.shape[1:])
      >>> bursts = snn.convert(layers, params, images, hidden_code=snn.coding.burst(threshold=0.125))
      >>> outputs = snn.run(bursts, images, steps=32)
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
    network.check_learned(layers, params, activation)
    encoding.delivery(input_code, hidden_code)
    images = np.asarray(calibration_images)
    if not len(images):
        raise ValueError("calibration_images holds no image: some hundred of the training set are wanted")
    encoding.check(input_code, images)
    network.input_shapes(layers, images.shape[1:])
    seen = _scales(layers, params, jnp.asarray(images), activation, scale, percentile, readout)
    kept, folded = fold_norms(layers, params)
    scaled = list(folded)
    for place, stage in enumerate(stages(kept)):
        own = folded[stage.weighted]
        scaled[stage.weighted] = {"kernel": own["kernel"] * seen[place] / seen[place + 1]}
        scaled[stage.weighted] |= {"bias": own["bias"] / seen[place + 1]} if "bias" in own else {}
    return Spiking(tuple(scaled), jnp.stack(seen), kept, images.shape[1:], input_code, hidden_code, readout, bias)


def fold_norms(layers: tuple[Layer, ...], params: Params) -> tuple[tuple[Layer, ...], Params]:
    """The same DNN without its norms, which become part of the layers before them.

        W <- W scale / sqrt(var + epsilon),   b <- (b - mean) scale / sqrt(var + epsilon) + shift

    Args:
      layers: of `snn.layer`.
      params: theirs, with the running statistics of the norms.

    Returns:
      The layers without norms, and their parameters.
    """
    kept, folded = [], []
    for i, (each, own) in enumerate(zip(layers, params, strict=True)):
        if isinstance(each, described.Norm):
            continue
        following = layers[i + 1] if i + 1 < len(layers) else None
        if isinstance(following, described.Norm):
            norm = params[i + 1]
            factor = norm["scale"] / jnp.sqrt(norm["var"] + following.epsilon)
            bias = (own.get("bias", 0.0) - norm["mean"]) * factor + norm["shift"]
            each, own = dataclasses.replace(each, bias=True), own | {"kernel": own["kernel"] * factor, "bias": bias}
        kept.append(each)
        folded.append(own)
    return tuple(kept), tuple(folded)


def activations(layers: tuple[Layer, ...], params: Params, images: jax.Array, activation: Activation = relu()):
    """What each stage of a DNN gives, the logits last: a list of `[B, ...]`."""
    found, x = [], images
    for stage in stages(layers):
        x, _ = network.current(layers, list(params), stage, x)
        if stage.unit:
            x = activation.apply(x, params[stage.weighted].get("unit", {}))
        found.append(x)
    return found


def _scales(layers, params, images, activation, scale, percentile, readout) -> list[jax.Array]:
    """lambda of the input and of each stage."""
    measure = {
        "neuron": lambda a: jnp.percentile(a, percentile, axis=0).max(),
        "layer": lambda a: jnp.percentile(a, percentile),
        "max": jnp.max,
    }
    found = [jnp.ones((), images.dtype)]
    for stage, a in zip(stages(layers), activations(layers, params, images, activation), strict=True):
        if stage.unit and scale == "ceiling":
            largest = jnp.exp(params[stage.weighted]["unit"]["log_ceiling"])
        elif stage.unit or readout != "membrane":
            largest = measure["max" if scale == "ceiling" else scale](jax.nn.relu(a))
        else:
            largest = jnp.ones((), a.dtype)
        found.append(jnp.where(largest > 0, largest, 1.0))  # a layer that never fires needs none
    return found


def _check(layers, params, scale, percentile, readout, bias) -> None:
    for name, value, choices in (("scale", scale, SCALES), ("readout", readout, READOUTS), ("bias", bias, BIASES)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must lie in (0, 100], got {percentile}")
    if len(layers) != len(params):
        raise ValueError(f"{len(layers)} layers want as many parameters, a dict each, got {len(params)}")
    for i, (each, own) in enumerate(zip(layers, params, strict=True)):
        what = f"layer {i} ({described.name(each)})"
        if isinstance(each, described.Recurrent):
            raise ValueError(f"{what} has no conversion: a DNN has no time to feed back through")
        for name, leaf in own.items():
            if not all(np.isfinite(values).all() for values in jax.tree.leaves(leaf)):
                raise ValueError(f"{what}: {name} holds NaN or infinity")
        if isinstance(each, described.Norm) and not (np.asarray(own["var"]) + each.epsilon > 0).all():
            raise ValueError(f"{what}: var holds a number below 0")
    if scale == "ceiling" and not all("unit" in params[s.weighted] for s in stages(layers) if s.unit):
        raise ValueError("scale='ceiling' wants a network that was trained with activation.qcfs")
