"""Dynamics of the hidden codes: a membrane, a threshold that changes over time, and a reset that subtracts the payload.

Each function returns `init(shape, layer=0, dtype=None) -> state` and `step(state, current, params=None) -> (state,
payload)` of the code of the same name in `coding`, which documents and checks the arguments.

    code        threshold theta
    rate        threshold
    phase       threshold 2^-(1 + t mod period)
    burst       threshold g,   g <- min(beta g, cap) after a spike, 1 after a silent step
    multispike  threshold, and up to `levels` spikes in one step
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from framework.core.types import Array
from framework.snn.neurons.surrogate import Number, Surrogate

State = Any  # a NamedTuple of arrays
Params = dict[str, Number]
Dynamics = tuple[Callable[..., State], Callable[..., tuple[State, jax.Array]]]  # init and step

FLOOR = 2.0**-24  # of a burst's gain where beta < 1, so that the threshold stays above 0


class MembraneState(NamedTuple):
    """A neuron whose only memory is its membrane."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit


class PhaseState(NamedTuple):
    """A neuron whose threshold follows a common clock."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit
    clock: Int[Array, ""]  # [] int32, steps taken


class BurstState(NamedTuple):
    """A neuron whose threshold grows along a burst."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit
    gain: Float[Array, "..."]  # [batch, ...] theta / threshold of the next step, 1 outside a burst


def rate(threshold: Number, surrogate: Surrogate, start: Number, leak: Number) -> Dynamics:
    """Fixed threshold, theta = threshold.

    Args:
      threshold, surrogate, start, leak: as in `coding.rate`.

    Returns:
      `init` and `step`.
    """

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = None) -> MembraneState:
        return MembraneState(jnp.full(shape, start * threshold, dtype))

    def step(state: MembraneState, current: jax.Array, params: Params | None = None):
        membrane, _, payload = fire(leak * state.membrane + current, threshold, surrogate)
        return MembraneState(membrane), payload

    return init, step


def phase(period: int, threshold: Number, surrogate: Surrogate, start: Number, leak: Number) -> Dynamics:
    """Threshold by the clock, theta(t) = threshold 2^-(1 + t mod period).

    Args:
      period, threshold, surrogate, start, leak: as in `coding.phase`.

    Returns:
      `init` and `step`.
    """
    weights = [2.0 ** -(1 + j) for j in range(period)]

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = None) -> PhaseState:
        return PhaseState(jnp.full(shape, start * threshold, dtype), jnp.zeros((), jnp.int32))

    def step(state: PhaseState, current: jax.Array, params: Params | None = None):
        theta = threshold * jnp.asarray(weights, state.membrane.dtype)[state.clock % period]
        membrane, _, payload = fire(leak * state.membrane + current, theta, surrogate)
        return PhaseState(membrane, state.clock + 1), payload

    return init, step


def burst(
    beta: Number,
    threshold: Number,
    cap: float | None,
    surrogate: Surrogate,
    start: Number,
    leak: Number,
    stop_gain_gradient: bool,
    initial: Params,
) -> Dynamics:
    """Threshold that grows along a burst, theta = threshold g with g <- s beta g + (1 - s), within [2^-24, cap].

    Args:
      beta, threshold, cap, surrogate, start, leak: as in `coding.burst`.
      stop_gain_gradient: whether g and s are constants for the gradient in the update of g; the derivative with respect
        to beta stays.
      initial: raw values of the learned parameters, by name.

    Returns:
      `init` and `step`.
    """

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = None) -> BurstState:
        return BurstState(jnp.full(shape, start * threshold, dtype), jnp.ones(shape, dtype))

    def step(state: BurstState, current: jax.Array, params: Params | None = None):
        values = initial if params is None else params
        base = jnp.exp(values["threshold"]) if "threshold" in initial else threshold
        growth = 1 + jax.nn.softplus(values["beta"]) if "beta" in initial else beta
        membrane, spikes, payload = fire(leak * state.membrane + current, base * state.gain, surrogate)
        gain = state.gain
        if stop_gain_gradient:
            gain, spikes = jax.lax.stop_gradient((gain, spikes))
        gain = spikes * growth * gain + (1 - spikes)
        gain = jnp.where(gain < FLOOR, FLOOR, gain)
        if cap is not None:
            gain = jnp.where(gain > cap, cap, gain)
        return BurstState(membrane, gain), payload

    return init, step


def multispike(levels: int | None, threshold: Number, surrogate: Surrogate, start: Number, leak: Number) -> Dynamics:
    """Several spikes in one step, n = clip(floor(u / threshold), 0, levels).

    The surrogate is applied at the level nearest to u.

    Args:
      levels, threshold, surrogate, start, leak: as in `coding.multispike`.

    Returns:
      `init` and `step`.
    """

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = None) -> MembraneState:
        return MembraneState(jnp.full(shape, start * threshold, dtype))

    def step(state: MembraneState, current: jax.Array, params: Params | None = None):
        membrane = leak * state.membrane + current
        level = jax.lax.stop_gradient(jnp.clip(jnp.round(membrane / threshold), 1, levels))
        payload = (level - 1 + surrogate((membrane - level * threshold) / threshold)) * threshold
        return MembraneState(membrane - payload), payload

    return init, step


def fire(membrane: jax.Array, theta: Number, surrogate: Surrogate) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Fires at theta and resets by subtraction of the payload.

    The surrogate's argument is in units of theta, so that the derivative of the payload by the membrane is the
    pseudo-derivative for every theta.

    Args:
      membrane: charged potential, `[batch, ...]`.
      theta: the threshold of this step.
      surrogate: the spike and its pseudo-derivative.

    Returns:
      Membrane after the reset, spikes and payload, `[batch, ...]`.
    """
    spikes = surrogate((membrane - theta) / theta)
    payload = spikes * theta
    return membrane - payload, spikes, payload
