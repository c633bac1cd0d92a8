"""What the neurons share: a membrane's start, its leak, its firing and its reset, and the checks of their numbers.

Reference: Neftci, Mostafa and Zenke, arXiv 1901.09948; Fang et al., arXiv 2007.05785.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced
from framework.snn.neurons.surrogate import Number, Surrogate, require

State = Any  # a NamedTuple of arrays, `membrane` among them
Fire = Callable[[jax.Array, Number], tuple[jax.Array, jax.Array]]  # (h, threshold) -> (u, spikes), all [batch, ...]

RESETS = ("soft", "hard", "none")


def at_rest(kind: type, rest: Number) -> Callable[..., State]:
    """The `init` of a neuron: the membrane at `rest`, every other leaf 0.

    Args:
      kind: the state's NamedTuple, its membrane first.
      rest: potential at which the membrane starts.
    """

    def init(shape: tuple[int, ...], dtype: Any = float) -> State:
        membrane = jnp.full(shape, rest, dtype)
        return kind(membrane, *[jnp.zeros_like(membrane)] * (len(kind._fields) - 1))

    return init


def leak(u: jax.Array, x: jax.Array, decay: Number, rate: Number, rest: Number, scaled_input: bool) -> jax.Array:
    """The membrane after a step's input.

        h = rest + decay (u - rest) + x        unscaled input
        h = u + rate (x - (u - rest))          scaled input

    Args:
      u, x: membrane and current, `[batch, ...]`.
      decay, rate: what is left of the membrane after a step, and 1 - decay.
      rest: where the membrane leaks to.
      scaled_input: whether the input is multiplied by `rate`.
    """
    return u + rate * (x - (u - rest)) if scaled_input else rest + decay * (u - rest) + x


def firing(
    where: str, threshold: Number, surrogate: Surrogate, reset: str, reset_to: Number, detach_reset: bool
) -> Fire:
    """Spikes and reset of a charged membrane, as `neuron` states them, after a check of what they are made of.

    Args:
      where: the neuron's name, for messages.
      threshold: of the silent neuron; the function returned takes the one of the step.
      surrogate, reset, reset_to, detach_reset: as in `neuron.integrate_and_fire`.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.
    """
    require(lambda value: (value > 0) & np.isfinite(value), f"threshold of {where}", threshold, "positive and finite")
    if reset not in RESETS:
        raise ValueError(f"reset of {where} must be one of {', '.join(RESETS)}, got {reset!r}")
    if reset != "hard":
        require(lambda value: value == 0, f"reset_to of {where}", reset_to, f"0 with reset={reset!r}")
    elif not is_traced(threshold):
        require(lambda value: value < threshold, f"reset_to of {where}", reset_to, f"below the threshold {threshold}")

    def fire(charged: jax.Array, theta: Number) -> tuple[jax.Array, jax.Array]:
        spikes = surrogate(charged - theta)
        resetting = jax.lax.stop_gradient(spikes) if detach_reset else spikes
        if reset == "soft":
            return charged - resetting * theta, spikes
        if reset == "hard" and detach_reset:  # the backward pass keeps a mask only
            return jnp.where(resetting > 0, reset_to, charged), spikes
        if reset == "hard":
            return (1 - resetting) * charged + resetting * reset_to, spikes
        return charged, spikes

    return fire


def check_decay(what: str, decay: Number) -> None:
    """Refuses a decay out of [0, 1]; a traced one passes.

    Raises:
      ValueError: naming `what`.
    """
    require(lambda value: (value >= 0) & (value <= 1), what, decay, "in [0, 1]")


def check_shape(state: State, current: jax.Array) -> None:
    """Refuses a current of another shape than the membrane, which would be broadcast in silence.

    Raises:
      ValueError: with both shapes.
    """
    if jnp.shape(current) != state.membrane.shape:
        raise ValueError(
            f"the current has shape {jnp.shape(current)} but the state was initialised for {state.membrane.shape}: "
            "call init with the shape of the current"
        )
