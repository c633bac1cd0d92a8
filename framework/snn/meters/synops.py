"""Synaptic operations: each spike costs as many additions as it has synapses, fewer at the borders of an image.

Against them stand the multiply-accumulates (MACs) of the same network as a DNN.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from framework.snn import layers as described
from framework.snn import network, operations
from framework.snn.layers import Layer


def fan_out(of: Layer, input_shape: tuple[int, ...]) -> np.ndarray:
    """Synapses that each input of a layer feeds.

    Dense and recurrent: `features`. Convolution: `features` times the windows that hold the input's place, fewer at
    borders and between strides; padding feeds nothing. Pooling: 1 for a place inside a window (an addition, or a
    comparison with the gate's winner), 0 for a row or column that fills no window. Norm and flatten have no synapses.

    Args:
      of: one of `snn.layer`.
      input_shape: of one image, (height, width, channels) or (features,).

    Returns:
      `input_shape` integers.

    Raises:
      ValueError: if a convolution or pool gets another shape than that of an image, or no window fits into it.
    """
    if isinstance(of, described.Dense | described.Recurrent):
        return np.full(input_shape, of.features)
    if not isinstance(of, described.Conv | described.Pool):
        return np.zeros(input_shape, int)
    what = described.name(of)
    if len(input_shape) != 3:
        raise ValueError(f"{what} takes images (height, width, channels), got shape {tuple(input_shape)}")
    output = operations.output_shape(of, tuple(input_shape))
    if min(output) < 1:
        raise ValueError(f"{what}: no window fits into an image of shape {tuple(input_shape)}")
    rows, columns = (_windows_over(of, axis, input_shape, output) for axis in (0, 1))
    synapses = of.features if isinstance(of, described.Conv) else 1
    return np.broadcast_to(np.outer(rows, columns)[..., None] * synapses, input_shape)


def fan_outs(layers: tuple[Layer, ...], input_shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Synapses that a spike of each source reaches: of the input first, then of each layer with a unit.

    A pool between a unit and the next weighted layer is no stop of its own: an average is part of the next layer's
    weights, so that a spike reaches the synapses of its window's place. Max pooling lets at most one spike of a window
    through: take the figure as an upper bound, or count spikes behind the gate by `fan_out` of the next layer. A
    recurrent unit's spike reaches the `features` units of its own layer besides.

    Args:
      layers: of a network.
      input_shape: of one image.

    Returns:
      One array of integers a weighted layer, shaped as the source that drives it.

    Raises:
      ValueError: if the layers do not fit each other or the shape.
    """
    shapes = network.input_shapes(layers, input_shape)
    found, own = [], 0
    for stage in described.stages(layers):
        weighted = layers[stage.weighted]
        reached = fan_out(weighted, shapes[stage.weighted])
        for place in reversed(stage.before):
            reached = _seen_through(layers[place], reached, shapes[place])
        found.append(reached + own)
        own = weighted.features if isinstance(weighted, described.Recurrent) else 0
    return tuple(found)


def macs(layers: tuple[Layer, ...], input_shape: tuple[int, ...], padded: bool = False) -> np.ndarray:
    """Multiply-accumulates of the dense network for one image; those of a spiking one simulated densely, a time step.

    Args:
      layers: of a network.
      input_shape: of one image.
      padded: count the multiplications by the zeros of padding too, as most tables do. Without them a network in which
        the input and every unit spikes once has exactly as many synaptic operations, if nothing is pooled.

    Returns:
      `[weighted layers]` integers. Bias, norm and pooling are left out.

    Raises:
      ValueError: if the layers do not fit each other or the shape.
    """
    shapes = network.input_shapes(layers, input_shape)
    found = []
    for stage in described.stages(layers):
        weighted, before, after = layers[stage.weighted], shapes[stage.weighted], shapes[stage.weighted + 1]
        if padded and isinstance(weighted, described.Conv):
            found.append(math.prod(after) * math.prod(weighted.kernel) * before[-1])
        else:
            recurrent = weighted.features**2 if isinstance(weighted, described.Recurrent) else 0
            found.append(int(fan_out(weighted, before).sum()) + recurrent)
    return np.asarray(found)


def count(spikes: Sequence[jax.Array | None], reached: Sequence[np.ndarray]) -> jax.Array:
    """Synaptic operations of recorded spikes: each spike times the synapses that it reaches.

        SynOps_l = sum_i spikes_{l, i} fan_out_{l, i}

    Args:
      spikes: one a source, `[..., *shape]`: bool or counts, for example `[T, B, 28, 28, 1]`, or `[B, 28, 28, 1]` summed
        over time; None for a source without spikes (real input), which gives 0.
      reached: the sources' fan-outs, as `fan_outs` gives them.

    Returns:
      `[..., sources]`; integers for bool and integers (below 2^31 an entry), else the spikes' own float type.

    Raises:
      ValueError: if the sources are not as many, one has another shape, or all are None.
    """
    if len(spikes) != len(reached) or all(each is None for each in spikes):
        raise ValueError(
            f"count takes the spikes of {len(reached)} sources, not all of them None: got {len(spikes)}, "
            f"of which {sum(each is None for each in spikes)} are None"
        )
    pairs = enumerate(zip(spikes, reached, strict=True))
    totals = [None if each is None else _weighted(i, each, fan) for i, (each, fan) in pairs]
    nothing = jnp.zeros_like(next(total for total in totals if total is not None))
    return jnp.stack([nothing if total is None else total for total in totals], axis=-1)


def per_mac(operations: jax.Array, dense: np.ndarray) -> jax.Array:
    """Synaptic operations of a spiking network per MAC of the same network as a DNN.

    Below 1 the spiking network operates less often; below 4.6 / 0.9 = 5.1 its arithmetic needs less energy.

    Args:
      operations: `[..., layers]`, of an image over all steps.
      dense: `[layers]` MACs. With real input compare the layers from the second on, or add the first one's MACs.

    Returns:
      `[...]`.
    """
    return jnp.sum(operations, axis=-1) / float(np.sum(dense))


def _weighted(source: int, spikes: jax.Array, reached: np.ndarray) -> jax.Array:
    axes = reached.ndim
    if spikes.shape[max(spikes.ndim - axes, 0) :] != reached.shape:
        raise ValueError(f"count: spikes of source {source} must end in {reached.shape}, got shape {spikes.shape}")
    kind = spikes.dtype if jnp.issubdtype(spikes.dtype, jnp.floating) else int
    return jnp.sum(spikes * jnp.asarray(reached, kind), axis=tuple(range(-axes, 0)), dtype=kind)


def _windows_over(of: described.Conv | described.Pool, axis: int, before: tuple, after: tuple) -> np.ndarray:
    """How many windows hold each place of an axis."""
    convolves = isinstance(of, described.Conv)
    wide, stride = (of.kernel[axis], of.strides[axis]) if convolves else (of.window[axis], of.window[axis])
    pad = described.pads(of, before[:2])[axis][0] if convolves else 0
    starts = np.arange(after[axis]) * stride - pad
    offset = np.arange(before[axis])[:, None] - starts
    return np.sum((offset >= 0) & (offset < wide), axis=1)


def _seen_through(of: Layer, reached: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Fan-outs behind a pool or a flatten, as the places before it see them."""
    if isinstance(of, described.Flatten):
        return reached.reshape(shape)
    spread = np.repeat(np.repeat(reached, of.window[0], axis=0), of.window[1], axis=1)
    return np.pad(spread, [(0, whole - part) for whole, part in zip(shape, spread.shape, strict=True)])
