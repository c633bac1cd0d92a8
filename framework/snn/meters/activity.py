"""Spikes, density, accuracy over time and latency of a simulated network.

Recordings are time-major, `[T, B, ...]`. Spikes are counted by the `count` of a code; where each payload is one spike,
the count is `payload > 0`. State with every number whether it includes the spikes of the input.

Reference: Park, Kim, Choe and Yoon, "Fast and efficient information transmission with burst spikes in deep spiking
neural networks", DAC 2019, arXiv 1809.03142, whose numbers exclude the input.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def spikes_per_layer(rasters: Sequence[jax.Array]) -> jax.Array:
    """Spikes of each layer, at each step, in each image.

    Args:
      rasters: one a layer, each `[T, B, ...]`: spikes as bool, or counts as whole numbers.

    Returns:
      `[T, B, layers]`; integers for bool and integers, else the rasters' own type, so that a penalty on spikes has a
      gradient (exact up to 2^24 in float32).

    Raises:
      ValueError: if there is no raster, or the time and batch axes of one differ from those of the first.
    """
    if not rasters:
        raise ValueError("spikes_per_layer needs the raster of at least one layer")
    for layer, raster in enumerate(rasters):
        if raster.ndim < 2 or raster.shape[:2] != rasters[0].shape[:2]:
            shapes = f"{raster.shape}, and raster 0 {rasters[0].shape}"
            raise ValueError(f"rasters must share their first axes, time and batch: raster {layer} has shape {shapes}")
    return jnp.stack([_total(raster) for raster in rasters], axis=-1)


def spikes_until(counts: jax.Array, latency: int | jax.Array) -> jax.Array:
    """Spikes of the steps 1 to `latency`.

    Args:
      counts: `[T, ...]`, spikes at each step.
      latency: `[]`, a number of steps as `latency` returns it; beyond T (never reached) all T steps are summed, which
        is then only a lower bound.

    Returns:
      `[...]`.
    """
    within = jnp.arange(len(counts)) < latency
    return jnp.sum(jnp.where(within.reshape(-1, *[1] * (counts.ndim - 1)), counts, 0), axis=0, dtype=counts.dtype)


def density(spikes: jax.Array, neurons: int | jax.Array, steps: int | jax.Array) -> jax.Array:
    """Spikes per neuron and step.

        density = spikes / (neurons steps)

    Args:
      spikes: `[...]`, summed over `steps` steps and over the neurons, for example `[B, layers]`.
      neurons: number of neurons, `[]`, or of each layer, `[layers]`.
      steps: number of steps of the count: T, or the latency.

    Returns:
      `[...]`.
    """
    return spikes / (jnp.asarray(neurons, float) * steps)


def accuracy_over_time(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Accuracy after each step.

    The prediction is the class with the greatest logit, the first of equals: 0 while all logits are equal.

    Args:
      logits: `[T, B, classes]`, the running readout.
      labels: `[B]` integers.

    Returns:
      `[T]`, in [0, 1].

    Raises:
      ValueError: if the shapes do not fit.
    """
    if logits.ndim != 3 or labels.shape != logits.shape[1:2]:
        shapes = f"{logits.shape} and {labels.shape}"
        raise ValueError(f"accuracy_over_time needs logits [T, B, classes] and labels [B], got {shapes}")
    return jnp.mean(jnp.argmax(logits, axis=-1) == labels, axis=1)


def latency(accuracy: jax.Array, target: float | jax.Array, lasting: bool = False) -> jax.Array:
    """Steps to a target accuracy.

    Papers report the first crossing, min {t : a_t >= target}. It is optimistic: a curve that touches the target once
    and falls again counts as well. The strict form is min {t : a_s >= target for all s >= t}. Steps count from 1. A
    value within four units in the last place of the target counts as equal, because a mean over images is rounded (292
    of 500 images need not be >= .584).

    Args:
      accuracy: `[T, ...]`, after each step; a NaN reaches nothing.
      target: `[]` or `[...]`, on the same scale. Choose the target on other images than those of the curve.
      lasting: whether to use the strict form.

    Returns:
      `[...]` integers in 1 .. T + 1, where T + 1 means: not within these T steps.

    Raises:
      ValueError: if there is no step.
    """
    if not accuracy.ndim or not len(accuracy):
        raise ValueError(f"latency needs the accuracy after at least one step, got shape {accuracy.shape}")
    rounding = 4 * jnp.finfo(accuracy.dtype).eps * jnp.abs(target)
    on_target = accuracy >= target - rounding
    if lasting:
        on_target = jax.lax.cummin(on_target.astype(int), axis=0, reverse=True) > 0
    return jnp.where(jnp.any(on_target, axis=0), jnp.argmax(on_target, axis=0) + 1, len(accuracy) + 1)


def _total(raster: jax.Array) -> jax.Array:
    kind = raster.dtype if jnp.issubdtype(raster.dtype, jnp.floating) else int
    return jnp.sum(raster, axis=tuple(range(2, raster.ndim)), dtype=kind)
