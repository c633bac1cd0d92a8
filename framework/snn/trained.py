"""Networks trained by surrogate gradient, with everything that inference needs."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.core.types import Params
from framework.snn import network
from framework.snn.layers import Layer, layer_name
from framework.snn.neurons import coding, encoding
from framework.snn.neurons.neuron import Neuron


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A trained network with a constant input; its parameters are a pytree, the rest is static.

    Args:
      params: of the layers, with the running statistics of norms.
      layers: of `snn.layers`.
      shape: of one image.
      unit: the neuron or code of the training.
      steps: time steps of the training.
    """

    params: Params
    layers: tuple[Layer, ...] = dataclasses.field(metadata={"static": True})
    shape: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    unit: Neuron = dataclasses.field(metadata={"static": True})
    steps: int = dataclasses.field(metadata={"static": True})


def logits(trained: TrainedNetwork, images: Any, steps: int | None = None) -> jax.Array:
    """Logits after the last step.

    Args:
      trained: the network.
      images: `[B, ...]`, floats.
      steps: time steps, by default those of the training.

    Returns:
      `[B, classes]`, as of `network.unroll`.

    Raises:
      ValueError: if the images have another shape than the network's, or are not finite floats, or steps is below 1.
    """
    if np.shape(images)[1:] != tuple(trained.shape):
        raise ValueError(f"images must be a batch of {trained.shape}, as in the training, got {np.shape(images)}")
    if not is_traced(images):
        encoding.check(coding.real(), images)
    return _logits(trained, jnp.asarray(images), trained.steps if steps is None else steps)


@partial(jax.jit, static_argnames="steps")
def _logits(trained: TrainedNetwork, images: jax.Array, steps: int) -> jax.Array:
    return network.unroll(trained.layers, trained.params, images, trained.unit, steps)[0].logits[-1]


def check_params(layers: tuple[Layer, ...], params: Params, shape: tuple[int, ...]) -> None:
    """Refuses parameters that do not fit the layers; learned values of units are not checked.

    Args:
      layers: of `snn.layers`.
      params: a dict a layer, as of `network.init`.
      shape: of one image.

    Raises:
      ValueError: if the layers do not fit each other, or a parameter is missing, unknown or of a wrong shape; names the
        layer.
    """
    expected = jax.eval_shape(lambda: network.init(jax.random.key(0), layers, shape))
    if len(params) != len(layers):
        raise ValueError(f"{len(layers)} layers need as many parameters, a dict each, got {len(params)}")
    for i, (layer, layer_params, expected_params) in enumerate(zip(layers, params, expected, strict=True)):
        shapes = {name: np.shape(leaf) for name, leaf in layer_params.items() if name != "unit"}
        expected_shapes = {name: leaf.shape for name, leaf in expected_params.items()}
        if shapes != expected_shapes:
            raise ValueError(f"layer {i} ({layer_name(layer)}) takes {expected_shapes}, got {shapes}")
