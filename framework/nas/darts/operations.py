"""The operations of the DARTS space on channel-major arrays, `[channels, batch, height, width]`.

A depthwise convolution is a product with banded matrices: each channel's rows, shifted and side by side, times a matrix
that holds the kernel along its diagonals. A product it is on any machine, batched over channels, edges and seeds, where
XLA's grouped convolution is slow on CPUs; the form `grouped` is that convolution, for accelerators.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core.types import Params

Form = Literal["matrices", "grouped"]
FORMS = ("matrices", "grouped")
EPSILON, MOMENTUM = 1e-5, 0.9  # of running statistics; torch's 0.1
WIDTH = 5  # of the largest kernel


def relu(x: jax.Array) -> jax.Array:
    """max(x, 0), whose derivative at 0 is 0."""
    return jnp.where(x > 0, x, 0)


def output_size(size: int, stride: int) -> int:
    """Places that a window centred on every `stride`-th place takes."""
    return -(-size // stride)


def depthwise(x: jax.Array, kernels: jax.Array, dilation: int = 1, stride: int = 1, form: Form = "matrices"):
    """Each channel convolved with its own kernel, with zeros around the image as torch's padding puts them.

    Args:
      x: `[*groups, C, B, H, W]`.
      kernels: `[*groups, C, k, k]`, k odd.
      dilation, stride: of the window.
      form: how it is computed.

    Returns:
      `[*groups, C, B, H', W']`.
    """
    if form == "grouped":
        y = _grouped_convolution(
            x.reshape(-1, *x.shape[-3:]), kernels.reshape(-1, *kernels.shape[-2:]), dilation, stride
        )
        return y.reshape(*kernels.shape[:-2], *y.shape[1:])
    bands = _bands(x.shape[-1], kernels.shape[-1], dilation, stride).astype(x.dtype)
    matrices = jnp.einsum("...t,tviw->...iwv", kernels.reshape(*kernels.shape[:-2], -1), bands)
    return jnp.einsum("...bhiw,...iwv->...bhv", _rows(x, kernels.shape[-1], dilation, stride), matrices)


def shared_depthwise(x: jax.Array, kernels: jax.Array, dilation: int = 1, stride: int = 1, form: Form = "matrices"):
    """The same images convolved with many kernels.

    Args:
      x: `[S, C, B, H, W]`.
      kernels: `[S, K, C, k, k]`.

    Returns:
      `[S, K, C, B, H', W']`.
    """
    if form == "grouped":
        repeated = jnp.broadcast_to(x[:, None], (*kernels.shape[:3], *x.shape[2:]))
        return depthwise(repeated, kernels, dilation, stride, form)
    bands = _bands(x.shape[-1], kernels.shape[-1], dilation, stride).astype(x.dtype)
    taps = kernels.reshape(*kernels.shape[:-2], -1).swapaxes(1, 2)
    matrices = jnp.einsum("sckt,tviw->sckviw", taps, bands)
    return jnp.einsum("scbhiw,sckviw->skcbhv", _rows(x, kernels.shape[-1], dilation, stride), matrices)


def _rows(x: jax.Array, size: int, dilation: int, stride: int) -> jax.Array:
    """The rows that each output row sees, `[..., H', k, W]`."""
    reach = dilation * (size // 2)
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(reach, reach), (0, 0)])
    last = stride * (output_size(x.shape[-2], stride) - 1) + 1
    shifted = [padded[..., dilation * i : dilation * i + last : stride, :] for i in range(size)]
    return jnp.stack(shifted, -2)


def _meets(width: int, size: int, dilation: int, stride: int) -> np.ndarray:
    """[k, W', W]: whether column j of a kernel meets column w for output v."""
    j, v, w = np.ogrid[:size, : output_size(width, stride), :width]
    return w == stride * v + dilation * (j - size // 2)


def _bands(width: int, size: int, dilation: int, stride: int) -> np.ndarray:
    """[k k, W', k, W]: where the numbers of a kernel stand in the matrix from its rows to output columns."""
    rows = np.eye(size, dtype=np.float32)
    bands = np.einsum("ai,jvw->ajviw", rows, _meets(width, size, dilation, stride).astype(np.float32))
    return bands.reshape(size * size, *bands.shape[2:])


def _grouped_convolution(x: jax.Array, kernels: jax.Array, dilation: int, stride: int) -> jax.Array:
    reach = dilation * (kernels.shape[-1] // 2)
    return lax.conv_general_dilated(
        x,
        kernels[:, None],
        (stride, stride),
        [(reach, reach)] * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("CNHW", "OIHW", "CNHW"),
        feature_group_count=len(x),
    )


def pointwise(x: jax.Array, kernels: jax.Array) -> jax.Array:
    """1x1 convolutions, `[..., C, B, H, W]` by `[..., C, D]` to `[..., D, B, H, W]`."""
    return jnp.einsum("...cbhw,...cd->...dbhw", x, kernels)


def factorized_reduce(x: jax.Array, kernels: jax.Array) -> jax.Array:
    """Half the resolution by two 1x1 convolutions, the second on the image shifted by one place.

    Args:
      x: `[*groups, C, B, H, W]`, H and W even.
      kernels: `[*groups, K, 2, C, D / 2]`, K for the same images; or without K.

    Returns:
      `[*groups, K, D, B, H / 2, W / 2]`, or without K.
    """
    parts = jnp.stack([x[..., ::2, ::2], x[..., 1::2, 1::2]], -5)
    shared = "k" * (kernels.ndim == x.ndim)
    y = jnp.einsum(f"...pcbhw,...{shared}pcd->...{shared}pdbhw", parts, kernels)
    return y.reshape(*y.shape[:-5], -1, *y.shape[-3:])


def convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 3x3 convolution, `[C, B, H, W]` by `[C, 3, 3, D]` to `[D, B, H, W]`: one product of all shifts."""
    height, width = x.shape[-2:]
    padded = jnp.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    patches = jnp.stack([padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)], 1)
    return jnp.einsum("ckbhw,ckd->dbhw", patches, kernel.reshape(len(x), 9, -1))


def max_pool(x: jax.Array, stride: int = 1) -> jax.Array:
    """The largest of 3x3 places; of equal ones the first, row by row, has the gradient, as in torch."""
    return _pool(x, stride, lambda a, b: jnp.where(a >= b, a, b), -jnp.inf)


def average_pool(x: jax.Array, stride: int = 1) -> jax.Array:
    """The mean of those of 3x3 places that lie inside the image."""
    near = [_meets(size, 3, 1, stride).any(0) for size in x.shape[-2:]]
    down, across = (jnp.asarray(band / band.sum(1, keepdims=True), x.dtype) for band in near)
    return jnp.einsum("...hw,gh,vw->...gv", x, down, across)


def _pool(x: jax.Array, stride: int, join: Callable, outside: float) -> jax.Array:
    """3x3 windows joined across, then down."""
    for axis in (x.ndim - 1, x.ndim - 2):
        pads = [(1, 1) if dimension == axis else (0, 0) for dimension in range(x.ndim)]
        padded = jnp.pad(x, pads, constant_values=outside)
        last = stride * (output_size(x.shape[axis], stride) - 1) + 1
        parts = [lax.slice_in_dim(padded, i, i + last, stride, axis) for i in range(3)]
        x = join(join(parts[0], parts[1]), parts[2])
    return x


@jax.custom_vjp
def standardize(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(x - mean) / sqrt(var + epsilon) over batch and places, and both moments, which have no derivative here.

    Args:
      x: `[..., C, B, H, W]`.

    Returns:
      The same shape, and mean and biased variance `[..., C]` in float32 or wider.
    """
    return _standardise(x)[0]


def _standardise(x: jax.Array):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean((-3, -2, -1), keepdims=True)
    var = jnp.square(wide - mean).mean((-3, -2, -1), keepdims=True)
    inverse = lax.rsqrt(var + EPSILON)
    y = ((wide - mean) * inverse).astype(x.dtype)
    return (y, mean[..., 0, 0, 0], var[..., 0, 0, 0]), (y, inverse.astype(x.dtype))


def _standardise_back(kept, slopes):
    (y, inverse), g = kept, slopes[0]
    means = [array.mean((-3, -2, -1), keepdims=True) for array in (g, g * y)]
    return (inverse * (g - means[0] - y * means[1]),)


standardize.defvjp(_standardise, _standardise_back)


def update_running_stats(layer_params: Params, mean: jax.Array, var: jax.Array, count: int) -> Params:
    """Running statistics after one more batch of `count` values a channel; the variance is the unbiased one."""
    batch_stats = {"mean": mean, "var": var * (count / max(count - 1, 1))}
    return {
        name: MOMENTUM * layer_params[name] + (1 - MOMENTUM) * lax.stop_gradient(batch_stats[name])
        for name in batch_stats
    }


def batch_norm(x: jax.Array, layer_params: Params, train: bool) -> tuple[jax.Array, Params]:
    """Batch normalisation over batch and places, and the running statistics; scaled and shifted where `own` says so.

    Args:
      x: `[..., C, B, H, W]`.
      own: `mean` and `var`, `[..., C]`; perhaps `scale` and `shift`.
      train: by the batch's statistics, which also move the running ones; or by the running ones.
    """
    wide = lambda array: array.astype(x.dtype)[..., None, None, None]
    if train:
        y, mean, var = standardize(x)
        after = update_running_stats(layer_params, mean, var, math.prod(x.shape[-3:]))
        return (y * wide(layer_params["scale"]) + wide(layer_params["shift"]) if "scale" in layer_params else y), after
    mean, var = lax.stop_gradient(layer_params["mean"]), lax.stop_gradient(layer_params["var"])
    factor = lax.rsqrt(var + EPSILON) * layer_params.get("scale", 1.0)
    return x * wide(factor) + wide(layer_params.get("shift", 0.0) - mean * factor), {
        "mean": layer_params["mean"],
        "var": layer_params["var"],
    }
