"""What each kind of layer does with numbers."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from framework.core import keys
from framework.core.convolutions import convolve
from framework.core.types import Key
from framework.snn import layers as described
from framework.snn.layers import Layer

PATCHED = 4  # input channels up to which a convolution is a product of patches: XLA's own is slow there on CPUs


def affine(of: Layer, own: dict[str, Any], x: jax.Array) -> jax.Array:
    """x W + b of a dense, conv or recurrent layer, over any leading axes."""
    product = _convolved(of, own["kernel"], x) if isinstance(of, described.Conv) else x @ own["kernel"]
    return product + own["bias"] if "bias" in own else product


def passed(of: Layer, x: jax.Array, lead: int) -> jax.Array:
    """Pooling or flattening of all but the `lead` leading axes."""
    if isinstance(of, described.Flatten):
        return x.reshape(*x.shape[:lead], -1)
    return windows(of, x).mean((-4, -2)) if of.kind == "average" else windows(of, x).max((-4, -2))


def windows(of: described.Pool, x: jax.Array) -> jax.Array:
    """`[..., h, w, c] -> [..., rows, window height, columns, window width, c]`, without what fills no window."""
    *lead, height, width, channels = x.shape
    rows, columns = height // of.window[0], width // of.window[1]
    whole = x[..., : rows * of.window[0], : columns * of.window[1], :]
    return whole.reshape(*lead, rows, of.window[0], columns, of.window[1], channels)


def _convolved(of: described.Conv, kernel: jax.Array, x: jax.Array) -> jax.Array:
    folded = x.reshape(-1, *x.shape[-3:])
    pads = tuple(described.pads(of, x.shape[-3:-1]))
    if x.shape[-1] <= PATCHED:
        y = jnp.einsum("knhw,ko->nhwo", _patches(of, folded, pads), kernel.reshape(-1, kernel.shape[-1]))
    else:
        y = convolve(folded, kernel, of.strides, pads)
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def _patches(of: described.Conv, x: jax.Array, pads: Any) -> jax.Array:
    """What each place of a kernel sees, `[N, h, w, c] -> [kh kw c, N, rows, columns]`."""
    x = jnp.pad(x.transpose(3, 0, 1, 2), ((0, 0), (0, 0), *pads))
    rows, columns = ((size - k) // s + 1 for size, k, s in zip(x.shape[2:], of.kernel, of.strides, strict=True))
    down, across = of.strides
    seen = [
        x[:, :, i : i + down * (rows - 1) + 1 : down, j : j + across * (columns - 1) + 1 : across]
        for i in range(of.kernel[0])
        for j in range(of.kernel[1])
    ]
    return jnp.concatenate(seen)


def normalised(of: described.Norm, own: dict[str, Any], x: jax.Array, train: bool, timed: bool, threshold):
    """Batch normalisation, and its parameters with the running statistics moved."""
    mean, var, moved = own["mean"], own["var"], own
    if train:
        apart = timed and of.over == "step"
        axes = tuple(range(1 if apart else 0, x.ndim - 1))
        mean, var = x.mean(axes, keepdims=apart), x.var(axes, keepdims=apart)
        seen = {name: lax.stop_gradient(each.reshape(-1, x.shape[-1])) for name, each in (("mean", mean), ("var", var))}
        moved = own | {name: _running(of.momentum, own[name], each) for name, each in seen.items()}
    scale = own["scale"] * (threshold if of.over == "threshold" else 1.0)
    return (x - mean) * lax.rsqrt(var + of.epsilon) * scale + own["shift"], moved


def _running(momentum: float, before: jax.Array, seen: jax.Array) -> jax.Array:
    """A running statistic after those of several steps, `[steps, channels]`, one after the other."""
    left = momentum ** jnp.arange(len(seen) + 1, dtype=seen.dtype)[::-1]  # of what stood there before each step
    return left[0] * before + (1 - momentum) * (left[1:] @ seen)


def output_shape(of: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a layer makes of one input's, both without a batch."""
    if isinstance(of, described.Dense | described.Recurrent):
        return (of.features,)
    if isinstance(of, described.Flatten):
        return (math.prod(shape),)
    if isinstance(of, described.Norm):
        return shape
    if isinstance(of, described.Pool):
        return (shape[0] // of.window[0], shape[1] // of.window[1], shape[2])
    pads = described.pads(of, shape[:2])
    sides = zip(shape[:2], of.kernel, of.strides, pads, strict=True)
    return (*((size + sum(pad) - k) // stride + 1 for size, k, stride, pad in sides), of.features)


def initial(key: Key, of: Layer, shape: tuple[int, ...]) -> dict[str, jax.Array]:
    """A layer's parameters to begin with, for inputs of this shape."""
    if isinstance(of, described.Norm):
        ones, zeros = jnp.ones(shape[-1]), jnp.zeros(shape[-1])
        return {"scale": ones, "shift": zeros, "mean": zeros, "var": ones}
    if not isinstance(of, described.WEIGHTED):
        return {}
    size = (*getattr(of, "kernel", ()), shape[-1], of.features)
    own = {"kernel": jax.nn.initializers.he_normal()(key, size)}
    if of.bias:
        own["bias"] = jnp.zeros(of.features)
    if isinstance(of, described.Recurrent):
        recurrent = jax.nn.initializers.orthogonal()(keys.named(key, "recurrent"), (of.features, of.features))
        own["recurrent"] = 0.5 * recurrent
    return own
