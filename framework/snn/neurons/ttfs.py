"""Time to first spike: one spike a neuron, whose time tells the value (T2FSNN).

Layer l fires in a window of its own, from step l * lag on. In it the threshold falls exponentially, a neuron fires
once, where its membrane first reaches it, and the spike carries the threshold of that moment:

    theta(t) = threshold exp(-(t - l lag - delay) / tau),   t = l lag .. l lag + window - 1.

The layer integrates while the layer below fires. With lag = window the two follow each other; with early firing, lag =
window / 2, a layer begins to fire when half of its input has come, the larger half.

Reference: Park et al., "T2FSNN", DAC 2020, arXiv 2003.11741.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from framework.snn.neurons.surrogate import Number, Surrogate


class State(NamedTuple):
    """A layer that fires once."""

    membrane: jax.Array  # [batch, ...] potential after the reset, in the threshold's unit
    fired: jax.Array  # [batch, ...] bool: refractory until the end
    clock: jax.Array  # [] int32, steps since the layer's window opened; negative before


def kernel(time: jax.Array, tau: Number, threshold: Number = 1.0, delay: Number = 0.0) -> jax.Array:
    """The value of a spike, threshold exp(-(time - delay) / tau).

    Args:
      time: steps since the window opened, a float array.
      tau: time constant in steps, positive.
      threshold: value of a spike at `delay`, positive.
      delay: steps.
    """
    return threshold * jnp.exp((delay - time) / tau)


def latency(layers: int, window: int, early: bool = False) -> int:
    """Steps until the output has all its input: layers * lag + window.

    Args:
      layers: hidden layers; the input is not one.
      window: steps in which a layer fires.
      early: whether a layer fires while it still integrates.
    """
    return layers * lag(window, early) + window


def lag(window: int, early: bool) -> int:
    """Steps from the start of one layer's window to the next layer's."""
    return window // 2 if early else window


def unit(window: int, tau: Number, threshold: Number, delay: Number, early: bool, surrogate: Surrogate):
    """`init` and `step` of the hidden code; see `coding.ttfs`."""

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = None) -> State:
        start = jnp.full((), -layer * lag(window, early), jnp.int32)
        return State(jnp.zeros(shape, dtype), jnp.zeros(shape, bool), start)

    def step(state: State, current: jax.Array, params: Any = None) -> tuple[State, jax.Array]:
        membrane = state.membrane + current
        open_window = (state.clock >= 0) & (state.clock < window)
        # clipped, so that the threshold stays finite outside the window, where nothing fires
        theta = kernel(jnp.clip(state.clock, 0, window).astype(membrane.dtype), tau, threshold, delay)
        spikes = jnp.where(open_window & ~state.fired, surrogate((membrane - theta) / theta), 0)
        payload = spikes * theta
        return State(membrane - payload, state.fired | (spikes > 0), state.clock + 1), payload

    return init, step
