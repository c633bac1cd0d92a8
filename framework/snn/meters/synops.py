"""Synaptic operations: each spike causes one addition a synapse, fewer at the borders of an image.

They are compared with the multiply-accumulates (MACs) of the same network as a DNN.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from framework.snn import network, operations
from framework.snn.layers import Conv, Dense, Flatten, Layer, Pool, Recurrent, explicit_pads, layer_name, network_stages


def fan_out(layer: Layer, input_shape: tuple[int, ...]) -> np.ndarray:
    """Number of synapses of each input of a layer.

    Dense and recurrent: `features`. Convolution: `features` times the number of windows that contain the input, fewer
    at borders and between strides; padding has none. Pooling: 1 for an input in a window (an addition, or a comparison
    with the largest), 0 for a row or column that fills no window. Norm and flatten have no synapses.

    Args:
      layer: one of `snn.layers`.
      input_shape: of one image, (height, width, channels) or (features,).

    Returns:
      `input_shape` integers.

    Raises:
      ValueError: if the input of a convolution or pool is no image, or no window fits into it.
    """
    if isinstance(layer, Dense | Recurrent):
        return np.full(input_shape, layer.features)
    if not isinstance(layer, Conv | Pool):
        return np.zeros(input_shape, int)
    name = layer_name(layer)
    if len(input_shape) != 3:
        raise ValueError(f"{name} takes images (height, width, channels), got shape {tuple(input_shape)}")
    output = operations.output_shape(layer, tuple(input_shape))
    if min(output) < 1:
        raise ValueError(f"{name}: no window fits into an image of shape {tuple(input_shape)}")
    rows, columns = (_count_windows(layer, axis, input_shape, output) for axis in (0, 1))
    synapses = layer.features if isinstance(layer, Conv) else 1
    return np.broadcast_to(np.outer(rows, columns)[..., None] * synapses, input_shape)


def fan_outs(layers: tuple[Layer, ...], input_shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Fan-out of each source of spikes: the input first, then each layer with a unit.

    A pool between a unit and the next weighted layer counts as part of that layer: an average is part of its weights,
    so that a spike reaches the synapses of its window. A max pool passes at most one spike of a window: the number is
    then an upper bound, or count the spikes after the pool by `fan_out` of the next layer. A spike of a recurrent unit
    also reaches the `features` units of its layer.

    Args:
      layers: of a network.
      input_shape: of one image.

    Returns:
      One array of integers a weighted layer, with the shape of the source that drives it.

    Raises:
      ValueError: if the layers do not fit each other or the shape.
    """
    shapes = network.input_shapes(layers, input_shape)
    sources, recurrent = [], 0
    for stage in network_stages(layers):
        weighted = layers[stage.weighted]
        synapses = fan_out(weighted, shapes[stage.weighted])
        for i in reversed(stage.preceding):
            synapses = _fan_out_before(layers[i], synapses, shapes[i])
        sources.append(synapses + recurrent)
        recurrent = weighted.features if isinstance(weighted, Recurrent) else 0
    return tuple(sources)


def macs(layers: tuple[Layer, ...], input_shape: tuple[int, ...], padded: bool = False) -> np.ndarray:
    """Multiply-accumulates of the DNN for one image, or of a dense simulation of the spiking network for one step.

    Args:
      layers: of a network.
      input_shape: of one image.
      padded: whether to count multiplications by the zeros of padding, as most tables do. Without them, a network
        without pools in which the input and every unit spikes once has exactly as many synaptic operations.

    Returns:
      `[weighted layers]` integers. Bias, norm and pooling are not counted.

    Raises:
      ValueError: if the layers do not fit each other or the shape.
    """
    shapes = network.input_shapes(layers, input_shape)
    totals = []
    for stage in network_stages(layers):
        weighted, i = layers[stage.weighted], stage.weighted
        input_size, output_size = shapes[i], shapes[i + 1]
        if padded and isinstance(weighted, Conv):
            totals.append(math.prod(output_size) * math.prod(weighted.kernel) * input_size[-1])
        else:
            recurrent = weighted.features**2 if isinstance(weighted, Recurrent) else 0
            totals.append(int(fan_out(weighted, input_size).sum()) + recurrent)
    return np.asarray(totals)


def count(spikes: Sequence[jax.Array | None], fan_outs: Sequence[np.ndarray]) -> jax.Array:
    """Synaptic operations of recorded spikes: spikes times fan-out.

        SynOps_l = sum_i spikes_{l, i} fan_out_{l, i}

    Args:
      spikes: one a source, `[..., *shape]`: bool or counts, for example `[T, B, 28, 28, 1]`, or `[B, 28, 28, 1]` summed
        over time; None for a source without spikes (real input), which gives 0.
      fan_outs: of the sources, as of `fan_outs`.

    Returns:
      `[..., sources]`; integers for bool and integers (below 2^31 an entry), else the spikes' own float type.

    Raises:
      ValueError: if the sources are not as many, one has another shape, or all are None.
    """
    if len(spikes) != len(fan_outs) or all(source is None for source in spikes):
        raise ValueError(
            f"count takes the spikes of {len(fan_outs)} sources, not all of them None: got {len(spikes)}, "
            f"of which {sum(source is None for source in spikes)} are None"
        )
    pairs = enumerate(zip(spikes, fan_outs, strict=True))
    totals = [None if source is None else _count_source(i, source, synapses) for i, (source, synapses) in pairs]
    nothing = jnp.zeros_like(next(total for total in totals if total is not None))
    return jnp.stack([nothing if total is None else total for total in totals], axis=-1)


def per_mac(operations: jax.Array, dense: np.ndarray) -> jax.Array:
    """Synaptic operations of a spiking network per MAC of the same DNN.

    Below 1 the spiking network has fewer operations; below 4.6 / 0.9 = 5.1 its arithmetic needs less energy.

    Args:
      operations: `[..., layers]`, of an image over all steps.
      dense: `[layers]` MACs. With real input compare the layers from the second on, or add the first one's MACs.

    Returns:
      `[...]`.
    """
    return jnp.sum(operations, axis=-1) / float(np.sum(dense))


def _count_source(source: int, spikes: jax.Array, synapses: np.ndarray) -> jax.Array:
    axes = synapses.ndim
    if spikes.shape[max(spikes.ndim - axes, 0) :] != synapses.shape:
        raise ValueError(f"count: spikes of source {source} must end in {synapses.shape}, got shape {spikes.shape}")
    kind = spikes.dtype if jnp.issubdtype(spikes.dtype, jnp.floating) else int
    return jnp.sum(spikes * jnp.asarray(synapses, kind), axis=tuple(range(-axes, 0)), dtype=kind)


def _count_windows(layer: Conv | Pool, axis: int, input_size: tuple, output_size: tuple) -> np.ndarray:
    """Number of windows that contain each index of an axis."""
    is_conv = isinstance(layer, Conv)
    width, stride = (layer.kernel[axis], layer.strides[axis]) if is_conv else (layer.window[axis],) * 2
    pad = explicit_pads(layer, input_size[:2])[axis][0] if is_conv else 0
    starts = np.arange(output_size[axis]) * stride - pad
    offset = np.arange(input_size[axis])[:, None] - starts
    return np.sum((offset >= 0) & (offset < width), axis=1)


def _fan_out_before(layer: Layer, synapses: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Fan-out of the inputs of a pool or a flatten, from the fan-out of its outputs."""
    if isinstance(layer, Flatten):
        return synapses.reshape(shape)
    repeated = np.repeat(np.repeat(synapses, layer.window[0], axis=0), layer.window[1], axis=1)
    return np.pad(repeated, [(0, full - part) for full, part in zip(shape, repeated.shape, strict=True)])
