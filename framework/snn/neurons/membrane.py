"""Membrane dynamics that the neuron models share: rest, leak, firing, reset, and the checks of their parameters.

Reference: Neftci, Mostafa and Zenke, arXiv 1901.09948; Fang et al., arXiv 2007.05785.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core import checks
from framework.core.tracing import is_traced
from framework.snn.neurons.surrogate import Number, Surrogate

State = Any  # a NamedTuple of arrays, `membrane` among them
Fire = Callable[[jax.Array, Number], tuple[jax.Array, jax.Array]]  # (h, threshold) -> (u, spikes), all [batch, ...]

RESETS = ("soft", "hard", "none")


def at_rest(kind: type, rest: Number) -> Callable[..., State]:
    """Makes the `init` of a neuron: the membrane at `rest`, every other leaf 0.

    Args:
      kind: the state's NamedTuple, its membrane first.
      rest: potential at which the membrane starts.

    Returns:
      `init(shape, layer=0, dtype=float) -> state`.
    """

    def init(shape: tuple[int, ...], layer: int = 0, dtype: Any = float) -> State:
        membrane = jnp.full(shape, rest, dtype)
        return kind(membrane, *[jnp.zeros_like(membrane)] * (len(kind._fields) - 1))

    return init


def leak(u: jax.Array, x: jax.Array, decay: Number, rate: Number, rest: Number, scaled_input: bool) -> jax.Array:
    """Membrane potential after the input of a step and before its spike.

        h = rest + decay (u - rest) + x        unscaled input
        h = u + rate (x - (u - rest))          scaled input

    Args:
      u, x: membrane and current, `[batch, ...]`.
      decay, rate: the share of the membrane that is left after a step, and 1 - decay.
      rest: the potential that the membrane leaks to.
      scaled_input: whether the input is multiplied by `rate`.

    Returns:
      h, `[batch, ...]`.
    """
    return u + rate * (x - (u - rest)) if scaled_input else rest + decay * (u - rest) + x


def fire_and_reset(
    name: str, threshold: Number, surrogate: Surrogate, reset: str, reset_to: Number, detach_reset: bool
) -> Fire:
    """Makes the function that fires and resets a charged membrane, after a check of its parameters.

    Args:
      name: the neuron's name, for messages.
      threshold: of the silent neuron; the function returned takes the one of the step.
      surrogate, reset, reset_to, detach_reset: as in `models.integrate_and_fire`.

    Returns:
      `fire(charged, theta) -> (membrane after the reset, spikes)`, both `[batch, ...]`.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.
    """
    checks.positive(f"threshold of {name}", threshold)
    checks.one_of(f"reset of {name}", reset, RESETS)
    _check_reset(name, reset, reset_to, threshold)

    def fire(charged: jax.Array, theta: Number) -> tuple[jax.Array, jax.Array]:
        spikes = surrogate(charged - theta)
        reset_spikes = jax.lax.stop_gradient(spikes) if detach_reset else spikes
        if reset == "soft":
            return charged - reset_spikes * theta, spikes
        if reset == "hard" and detach_reset:  # the backward pass keeps a mask only
            return jnp.where(reset_spikes > 0, reset_to, charged), spikes
        if reset == "hard":
            return (1 - reset_spikes) * charged + reset_spikes * reset_to, spikes
        return charged, spikes

    return fire


def _check_reset(name: str, reset: str, reset_to: Number, threshold: Number) -> None:
    if is_traced(reset_to):
        return
    if reset != "hard" and not np.all(np.asarray(reset_to) == 0):
        raise ValueError(f"reset_to of {name} must be 0 with reset={reset!r}, got {reset_to}")
    if reset == "hard" and not is_traced(threshold) and not np.all(np.asarray(reset_to) < threshold):
        raise ValueError(f"reset_to of {name} must be below the threshold {threshold}, got {reset_to}")


def check_shape(state: State, current: jax.Array) -> None:
    """Refuses a current of another shape than the membrane, which would be broadcast in silence.

    Args:
      state: of the neuron.
      current: `[batch, ...]`.

    Raises:
      ValueError: with both shapes.
    """
    if jnp.shape(current) != state.membrane.shape:
        raise ValueError(
            f"the current has shape {jnp.shape(current)} but the state was initialised for {state.membrane.shape}: "
            "call init with the shape of the current"
        )
