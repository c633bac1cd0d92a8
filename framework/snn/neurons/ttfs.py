"""Time to first spike: each neuron fires once, and the time of its spike encodes the value (T2FSNN).

Layer l fires in its window, which begins at step l * lag. There the threshold falls exponentially; a neuron fires once,
when its membrane first reaches the threshold, and the spike carries the threshold of that step:

    theta(t) = threshold exp(-(t - l lag - delay) / tau),   t = l lag .. l lag + window - 1.

The layer integrates while the layer before it fires. With lag = window the two windows follow each other. With early
firing, lag = window / 2, a layer begins to fire halfway through the window before it, after the larger spikes.

Reference: Park et al., "T2FSNN", DAC 2020, arXiv 2003.11741.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from framework.core.types import Array
from framework.snn.neurons.surrogate import Number, Surrogate


class TtfsState(NamedTuple):
    """A layer whose neurons fire once."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit
    has_fired: Bool[Array, "..."]  # [batch, ...] bool: refractory until the end
    clock: Int[Array, ""]  # [] int32, steps since the layer's window opened; negative before


def kernel(time: jax.Array, tau: Number, threshold: Number = 1.0, delay: Number = 0.0) -> jax.Array:
    """Value of a spike, threshold exp(-(time - delay) / tau).

    Args:
      time: steps since the window opened, a float array.
      tau: time constant in steps, positive.
      threshold: value of a spike at `delay`, positive.
      delay: shift of the kernel, in steps.

    Returns:
      As `time`.
    """
    return threshold * jnp.exp((delay - time) / tau)


def latency(layers: int, window: int, early: bool = False) -> int:
    """Steps until the output layer has received all its input: layers * lag + window.

    Args:
      layers: hidden layers; the input is not one.
      window: steps in which a layer fires.
      early: whether a layer fires while it still integrates.

    Returns:
      Time steps.
    """
    return layers * lag(window, early) + window


def lag(window: int, early: bool) -> int:
    """Steps from the start of a layer's window to the start of the next layer's.

    Args:
      window: steps in which a layer fires.
      early: whether a layer fires while it still integrates.

    Returns:
      Time steps.
    """
    return window // 2 if early else window


def dynamics(window: int, tau: Number, threshold: Number, delay: Number, early: bool, surrogate: Surrogate):
    """Dynamics of the hidden code.

    Args:
      window, tau, threshold, delay, early, surrogate: as in `coding.ttfs`.

    Returns:
      `init` and `step`.
    """

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = None) -> TtfsState:
        start = jnp.full((), -layer * lag(window, early), jnp.int32)
        return TtfsState(jnp.zeros(shape, dtype), jnp.zeros(shape, bool), start)

    def step(state: TtfsState, current: jax.Array, params: Any = None) -> tuple[TtfsState, jax.Array]:
        membrane = state.membrane + current
        open_window = (state.clock >= 0) & (state.clock < window)
        # clipped, so that the threshold stays finite outside the window, where nothing fires
        theta = kernel(jnp.clip(state.clock, 0, window).astype(membrane.dtype), tau, threshold, delay)
        spikes = jnp.where(open_window & ~state.has_fired, surrogate((membrane - theta) / theta), 0)
        payload = spikes * theta
        return TtfsState(membrane - payload, state.has_fired | (spikes > 0), state.clock + 1), payload

    return init, step
