"""The arithmetic of each kind of layer: products, pooling, batch normalisation, output shapes, initial parameters."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from framework.core import keys
from framework.core.convolutions import convolve
from framework.core.types import Array, Key
from framework.snn.layers import WEIGHTED, Conv, Dense, Flatten, Layer, Norm, Pool, Recurrent, explicit_pads

PATCH_CHANNELS = 4  # up to this number of input channels a product of patches is faster than XLA's convolution on CPUs


def affine(layer: Layer, layer_params: dict[str, Any], x: Array) -> jax.Array:
    """Affine map x W + b of a dense, conv or recurrent layer, over any leading axes.

    Args:
      layer: a weighted layer.
      layer_params: its `kernel`, and its `bias` if it has one.
      x: `[..., in]`, or `[..., h, w, in]` for a convolution.

    Returns:
      `[..., out]`, or `[..., rows, columns, out]`.
    """
    kernel = layer_params["kernel"]
    product = _convolve(layer, kernel, x) if isinstance(layer, Conv) else x @ kernel
    return product + layer_params["bias"] if "bias" in layer_params else product


def pool_or_flatten(layer: Layer, x: Array, lead: int) -> Array:
    """Pools or flattens all but the leading axes.

    Args:
      layer: a pool or flatten.
      x: `[..., h, w, c]`.
      lead: number of leading axes.

    Returns:
      `[..., rows, columns, c]` or `[..., features]`.
    """
    if isinstance(layer, Flatten):
        return x.reshape(*x.shape[:lead], -1)
    return windows(layer, x).mean((-4, -2)) if layer.kind == "average" else windows(layer, x).max((-4, -2))


def windows(layer: Pool, x: Array) -> jax.Array:
    """Splits images into the windows of a pool; rows and columns that fill no window are dropped.

    Args:
      layer: the pool.
      x: `[..., h, w, c]`.

    Returns:
      `[..., rows, window height, columns, window width, c]`.
    """
    *lead, height, width, channels = x.shape
    rows, columns = height // layer.window[0], width // layer.window[1]
    whole = x[..., : rows * layer.window[0], : columns * layer.window[1], :]
    return whole.reshape(*lead, rows, layer.window[0], columns, layer.window[1], channels)


def _convolve(layer: Conv, kernel: jax.Array, x: Array) -> jax.Array:
    folded = x.reshape(-1, *x.shape[-3:])
    pads = tuple(explicit_pads(layer, x.shape[-3:-1]))
    if x.shape[-1] <= PATCH_CHANNELS:
        y = jnp.einsum("knhw,ko->nhwo", _patches(layer, folded, pads), kernel.reshape(-1, kernel.shape[-1]))
    else:
        y = convolve(folded, kernel, layer.strides, pads)
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def _patches(layer: Conv, x: Array, pads: Any) -> jax.Array:
    """Inputs of each kernel entry, `[N, h, w, c] -> [kh kw c, N, rows, columns]`."""
    x = jnp.pad(x.transpose(3, 0, 1, 2), ((0, 0), (0, 0), *pads))
    rows, columns = ((size - k) // s + 1 for size, k, s in zip(x.shape[2:], layer.kernel, layer.strides, strict=True))
    down, across = layer.strides
    patches = [
        x[:, :, i : i + down * (rows - 1) + 1 : down, j : j + across * (columns - 1) + 1 : across]
        for i in range(layer.kernel[0])
        for j in range(layer.kernel[1])
    ]
    return jnp.concatenate(patches)


def normalize(
    layer: Norm, layer_params: dict[str, Any], x: Array, train: bool, timed: bool, threshold: Any
) -> tuple[jax.Array, dict[str, Any]]:
    """Batch normalisation.

    Args:
      layer: the norm.
      layer_params: its `scale`, `shift`, and running `mean` and `var`.
      x: `[B, ..., c]`, or with `timed` `[T, B, ..., c]`.
      train: whether the statistics are those of the batch, and the running ones are updated.
      timed: whether x has an axis of time.
      threshold: of the unit, the factor of a norm over `threshold`.

    Returns:
      As x, and the parameters with the updated running statistics.
    """
    mean, var, updated = layer_params["mean"], layer_params["var"], layer_params
    if train:
        per_step = timed and layer.over == "step"
        axes = tuple(range(1 if per_step else 0, x.ndim - 1))
        mean, var = x.mean(axes, keepdims=per_step), x.var(axes, keepdims=per_step)
        statistics = {"mean": mean, "var": var}
        batch = {name: lax.stop_gradient(value.reshape(-1, x.shape[-1])) for name, value in statistics.items()}
        updated = layer_params | {
            name: _update_running(layer.momentum, layer_params[name], value) for name, value in batch.items()
        }
    scale = layer_params["scale"] * (threshold if layer.over == "threshold" else 1.0)
    return (x - mean) * lax.rsqrt(var + layer.epsilon) * scale + layer_params["shift"], updated


def _update_running(momentum: float, running: jax.Array, batch: jax.Array) -> jax.Array:
    """Running statistic `[channels]` after the statistics of several steps, `[steps, channels]`."""
    weights = momentum ** jnp.arange(len(batch) + 1, dtype=batch.dtype)[::-1]  # of the value before each step
    return weights[0] * running + (1 - momentum) * (weights[1:] @ batch)


def output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the output of a layer for one input.

    Args:
      layer: any layer.
      shape: of one input, without a batch.

    Returns:
      The shape, without a batch.
    """
    if isinstance(layer, Dense | Recurrent):
        return (layer.features,)
    if isinstance(layer, Flatten):
        return (math.prod(shape),)
    if isinstance(layer, Norm):
        return shape
    if isinstance(layer, Pool):
        return (shape[0] // layer.window[0], shape[1] // layer.window[1], shape[2])
    pads = explicit_pads(layer, shape[:2])
    sides = zip(shape[:2], layer.kernel, layer.strides, pads, strict=True)
    return (*((size + sum(pad) - k) // stride + 1 for size, k, stride, pad in sides), layer.features)


def init_params(key: Key, layer: Layer, shape: tuple[int, ...]) -> dict[str, jax.Array]:
    """Initial parameters of a layer.

    Args:
      key: a typed key.
      layer: any layer.
      shape: of one input, without a batch.

    Returns:
      `kernel` and `bias` of a weighted layer, also `recurrent`; `scale`, `shift`, `mean` and `var` of a norm.
    """
    if isinstance(layer, Norm):
        ones, zeros = jnp.ones(shape[-1]), jnp.zeros(shape[-1])
        return {"scale": ones, "shift": zeros, "mean": zeros, "var": ones}
    if not isinstance(layer, WEIGHTED):
        return {}
    size = (*getattr(layer, "kernel", ()), shape[-1], layer.features)
    layer_params = {"kernel": jax.nn.initializers.he_normal()(key, size)}
    if layer.bias:
        layer_params["bias"] = jnp.zeros(layer.features)
    if isinstance(layer, Recurrent):
        recurrent = jax.nn.initializers.orthogonal()(keys.derive(key, "recurrent"), (layer.features, layer.features))
        layer_params["recurrent"] = 0.5 * recurrent
    return layer_params
