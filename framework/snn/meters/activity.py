"""Spikes, density, accuracy over time and latency of a simulated network.

Recordings are time-major, `[T, B, ...]`. A spike count is what a code's `count` says a payload holds; where each
payload is one spike it is `payload > 0`. Say with every figure whether the spikes of the input are in it.

Reference: Park, Kim, Choe and Yoon, "Fast and efficient information transmission with burst spikes in deep spiking
neural networks", DAC 2019, arXiv 1809.03142, whose figures leave the input out.
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
      ValueError: if there is no raster, or one has no time and batch axis, or other ones than the first.
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
    taken = jnp.arange(len(counts)) < latency
    return jnp.sum(jnp.where(taken.reshape(-1, *[1] * (counts.ndim - 1)), counts, 0), axis=0, dtype=counts.dtype)


def density(spikes: jax.Array, neurons: int | jax.Array, steps: int | jax.Array) -> jax.Array:
    """Spikes per neuron and step.

        density = spikes / (neurons steps)

    Args:
      spikes: `[...]`, summed over `steps` steps and over the neurons, for example `[B, layers]`.
      neurons: how many there are, a number or one a layer, `[layers]`.
      steps: over which the spikes were counted: T, or the latency.

    Returns:
      `[...]`.
    """
    return spikes / (jnp.asarray(neurons, float) * steps)


def accuracy_over_time(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of images read rightly after each step.

    The answer is the class with the greatest logit, the first of equals: a network that has not answered yet says 0.

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

    The first crossing, min {t : a_t >= target}, is what papers report, and is optimistic: a curve that touches the
    target once and falls again has reached it. From then on, min {t : a_s >= target for all s >= t}, is the strict
    form. Steps count from 1. A value within four units in the last place of the target has reached it, because a mean
    over images is rounded (292 of 500 images need not be >= .584).

    Args:
      accuracy: `[T, ...]`, after each step; a NaN reaches nothing.
      target: `[]` or `[...]`, on the same scale. Choose the target on other images than those of the curve.
      lasting: take the strict form.

    Returns:
      `[...]` integers in 1 .. T + 1, and T + 1 means: not within these T steps.

    Raises:
      ValueError: if there is no step.
    """
    if not accuracy.ndim or not len(accuracy):
        raise ValueError(f"latency needs the accuracy after at least one step, got shape {accuracy.shape}")
    rounding = 4 * jnp.finfo(accuracy.dtype).eps * jnp.abs(target)
    reached = accuracy >= target - rounding
    if lasting:
        reached = jax.lax.cummin(reached.astype(int), axis=0, reverse=True) > 0
    return jnp.where(jnp.any(reached, axis=0), jnp.argmax(reached, axis=0) + 1, len(accuracy) + 1)


def _total(raster: jax.Array) -> jax.Array:
    kind = raster.dtype if jnp.issubdtype(raster.dtype, jnp.floating) else int
    return jnp.sum(raster, axis=tuple(range(2, raster.ndim)), dtype=kind)
