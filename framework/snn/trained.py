"""A network trained by surrogate gradient, with all that its use takes."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.core.types import Params
from framework.snn import layers as described
from framework.snn import network
from framework.snn.layers import Layer
from framework.snn.neurons import coding, encoding


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Trained:
    """A network that sees the same input in every step; its parameters are a pytree, the rest is static.

    Args:
      params: of the layers, with the running statistics of norms.
      layers: of `snn.layer`.
      shape: of one image.
      unit: a neuron or a code, the one of the training.
      steps: in which it was trained to answer.
    """

    params: Params
    layers: tuple[Layer, ...] = dataclasses.field(metadata={"static": True})
    shape: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    unit: network.Unit = dataclasses.field(metadata={"static": True})
    steps: int = dataclasses.field(metadata={"static": True})


def logits(of: Trained, images: Any, steps: int | None = None) -> jax.Array:
    """What the network answers, `[B, classes]`: those of `network.unroll` after the last step.

    Args:
      of: the network.
      images: `[B, ...]`, floats.
      steps: time steps, by default those of the training.

    Raises:
      ValueError: if the images have another shape than the network's, or are not finite floats, or steps is below 1.
    """
    if np.shape(images)[1:] != tuple(of.shape):
        raise ValueError(f"images must be a batch of {of.shape}, as in the training, got {np.shape(images)}")
    if not is_traced(images):
        encoding.check(coding.real(), images)
    return _logits(of, jnp.asarray(images), of.steps if steps is None else steps)


@partial(jax.jit, static_argnames="steps")
def _logits(of: Trained, images: jax.Array, steps: int) -> jax.Array:
    return network.unroll(of.layers, of.params, images, of.unit, steps)[0].logits[-1]


def check_params(layers: tuple[Layer, ...], params: Params, shape: tuple[int, ...]) -> None:
    """Refuses parameters that are not those of the layers. What a unit has learned is not looked at.

    Args:
      layers: of `snn.layer`.
      params: a dict a layer, as of `network.init`.
      shape: of one image.

    Raises:
      ValueError: if the layers do not fit each other, or a parameter is missing, unknown or of a wrong shape; names the
        layer.
    """
    wanted = jax.eval_shape(lambda: network.init(jax.random.key(0), layers, shape))
    if len(params) != len(layers):
        raise ValueError(f"{len(layers)} layers want as many parameters, a dict each, got {len(params)}")
    for i, (each, own, right) in enumerate(zip(layers, params, wanted, strict=True)):
        found = {name: np.shape(leaf) for name, leaf in own.items() if name != "unit"}
        right = {name: leaf.shape for name, leaf in right.items()}
        if found != right:
            raise ValueError(f"layer {i} ({described.name(each)}) takes {right}, got {found}")
