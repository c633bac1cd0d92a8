"""Spiking neurons as pure step functions.

In every time step a neuron charges, fires and resets:

    h = charge(u, x),   s = H(h - threshold),   u <- reset(h, s).

It fires at equality, h >= threshold; the surrogate's argument is h - threshold, not divided by the threshold. The state
holds the membrane after the reset. Resets:

    "soft"   u <- h - s threshold
    "hard"   u <- (1 - s) h + s reset_to; the membrane also starts at `reset_to` and leaks towards it
    "none"   u <- h

With `detach_reset` no gradient flows through s in the reset, so that du/dh = 1 - s (hard) or 1 (soft).
Thresholds and decays may be traced numbers, or arrays that broadcast against the membrane.

Reference: Neftci, Mostafa and Zenke, arXiv 1901.09948; Fang et al., arXiv 2007.05785.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from framework.core import checks
from framework.core.types import Array
from framework.snn.neurons.factories import record_options
from framework.snn.neurons.membrane import (
    Fire,
    at_rest,
    check_shape,
    fire_and_reset,
    leak,
)
from framework.snn.neurons.neuron import Neuron
from framework.snn.neurons.surrogate import (
    Number,
    Surrogate,
    arctan,
)

State = Any  # a NamedTuple of arrays
Params = dict[str, Number]
Charge = Callable[[jax.Array, jax.Array, Params], jax.Array]  # (u, x, params) -> h, all [batch, ...]

ARCTAN = arctan(2.0)


class MembraneState(NamedTuple):
    """A neuron whose only memory is its membrane."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit


class AdaptiveState(NamedTuple):
    """A neuron whose threshold rises with each of its spikes."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit
    adaptation: Float[Array, "..."]  # [batch, ...] running mean of the neuron's spikes, in [0, 1]


class SynapticState(NamedTuple):
    """A neuron with a synapse that filters its input."""

    membrane: Float[Array, "..."]  # [batch, ...] potential after the reset, in the threshold's unit
    current: Float[Array, "..."]  # [batch, ...] synaptic current, in the threshold's unit per step


@record_options
def integrate_and_fire(
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    reset: str = "soft",
    reset_to: Number = 0.0,
    detach_reset: bool = True,
) -> Neuron:
    """A membrane without a leak.

        h = u + x

    Args:
      threshold: the potential at and above which the neuron fires, positive.
      surrogate: the spike and its pseudo-derivative.
      reset: "soft", "hard" or "none".
      reset_to: the potential after a hard reset, below `threshold`; 0 with the other resets.
      detach_reset: whether the gradient through the spike in the reset is stopped.

    Returns:
      A `Neuron` with a `MembraneState`.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.

    Reference: Rueckauer et al., "Conversion of continuous-valued deep networks", Frontiers in Neuroscience 11, 2017.
    """
    fire = fire_and_reset("integrate_and_fire", threshold, surrogate, reset, reset_to, detach_reset)
    return _membrane_neuron("integrate_and_fire", lambda u, x, _: u + x, fire, threshold, reset_to)


@record_options
def lif(
    decay: Number = 0.9,
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    reset: str = "soft",
    reset_to: Number = 0.0,
    detach_reset: bool = True,
    scaled_input: bool = False,
) -> Neuron:
    """A leaky membrane; its time constant is tau = 1 / (1 - decay) steps.

        h = decay u + x                    unscaled input
        h = u + k (x - u), k = 1 - decay   scaled input

    with u measured from `reset_to`.

    Args:
      decay: the share of the membrane that is left after a step, in [0, 1].
      threshold, surrogate, reset, reset_to, detach_reset: as in `integrate_and_fire`.
      scaled_input: whether the input is multiplied by k, as a forward Euler step of tau du/dt = x - u does.

    Returns:
      A `Neuron` with a `MembraneState`.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.

    Reference: Neftci, Mostafa and Zenke, arXiv 1901.09948, eq. 4; scaled: Fang et al., arXiv 2007.05785.
    """
    fire = fire_and_reset("lif", threshold, surrogate, reset, reset_to, detach_reset)
    checks.in_interval("decay of lif", decay, "[0, 1]")
    charge = lambda u, x, _: leak(u, x, decay, 1 - decay, reset_to, scaled_input)
    return _membrane_neuron("lif", charge, fire, threshold, reset_to)


@record_options
def plif(
    tau: float = 2.0,
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    reset: str = "hard",
    reset_to: Number = 0.0,
    detach_reset: bool = True,
    scaled_input: bool = True,
) -> Neuron:
    """A leaky membrane that learns its time constant tau = 1 / k, k = sigmoid(w) with w = params["decay"].

        h = u + k (x - u)     scaled input: AutoSNN
        h = (1 - k) u + x     unscaled input: Fang et al.

    with u measured from `reset_to`. With w fixed this is `lif` with decay 1 - k.

    Args:
      tau: the time constant at the start, in steps, above 1; w starts at -ln(tau - 1).
      threshold, surrogate, reset, reset_to, detach_reset: as in `integrate_and_fire`.
      scaled_input: whether the input is multiplied by k.

    Returns:
      A `Neuron` with a `MembraneState` and params {"decay": w}.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.

    Reference: Fang et al., arXiv 2007.05785; Na et al. (AutoSNN), arXiv 2201.12738.
    """
    fire = fire_and_reset("plif", threshold, surrogate, reset, reset_to, detach_reset)
    checks.in_interval("tau of plif", tau, "(1, inf)")  # in steps, so that k = 1 / tau is below 1

    def charge(u, x, params):
        rate = jax.nn.sigmoid(jnp.asarray(params["decay"], u.dtype))
        return leak(u, x, 1 - rate, rate, reset_to, scaled_input)

    return _membrane_neuron("plif", charge, fire, threshold, reset_to, {"decay": 0.0 - math.log(tau - 1)})


@record_options
def adaptive_lif(
    decay: Number = 0.9,
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    reset: str = "soft",
    reset_to: Number = 0.0,
    detach_reset: bool = True,
    adaptation: Number = 1.8,
    adaptation_decay: Number = 0.95,
) -> Neuron:
    """A leaky membrane whose threshold rises with each spike and decays.

        theta = threshold + adaptation a,   h = decay u + x,   s = H(h - theta),
        a <- adaptation_decay a + (1 - adaptation_decay) s

    A soft reset subtracts theta. The gradient through a stays whether or not the reset is detached.

    Args:
      decay: the share of the membrane that is left after a step, in [0, 1].
      threshold: the threshold of a neuron that has been silent, positive.
      surrogate, reset, reset_to, detach_reset: as in `integrate_and_fire`.
      adaptation: rise of the threshold in a neuron that fires in every step, at least 0; at 0 this is `lif`.
      adaptation_decay: the share of a that is left after a step, in [0, 1].

    Returns:
      A `Neuron` with an `AdaptiveState`.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.

    Reference: Bellec et al., arXiv 1803.09574, the adaptive neuron of LSNN.
    """
    fire = fire_and_reset("adaptive_lif", threshold, surrogate, reset, reset_to, detach_reset)
    checks.in_interval("decay of adaptive_lif", decay, "[0, 1]")
    checks.in_interval("adaptation_decay of adaptive_lif", adaptation_decay, "[0, 1]")
    checks.at_least("adaptation of adaptive_lif", adaptation, 0)  # the threshold only rises

    def step(state, current, params=None):
        check_shape(state, current)
        charged = leak(state.membrane, current, decay, 1 - decay, reset_to, scaled_input=False)
        membrane, spikes = fire(charged, threshold + adaptation * state.adaptation)
        mean = adaptation_decay * state.adaptation + (1 - adaptation_decay) * spikes
        return AdaptiveState(membrane, mean), spikes

    return Neuron("adaptive_lif", at_rest(AdaptiveState, reset_to), step, {}, threshold)


@record_options
def synaptic_lif(
    decay: Number = 0.9,
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    reset: str = "soft",
    reset_to: Number = 0.0,
    detach_reset: bool = True,
    synaptic_decay: Number = 0.8,
) -> Neuron:
    """A leaky membrane driven by a synaptic current that decays; the input of a step acts in that step.

        i <- synaptic_decay i + x,   h = decay u + i

    A reset does not change i.

    Args:
      decay: the share of the membrane that is left after a step, in [0, 1].
      threshold, surrogate, reset, reset_to, detach_reset: as in `integrate_and_fire`.
      synaptic_decay: the share of the synaptic current that is left after a step, in [0, 1]; at 0 this is `lif`.

    Returns:
      A `Neuron` with a `SynapticState`.

    Raises:
      ValueError: if a number is out of its range or the reset is unknown.

    Reference: Neftci, Mostafa and Zenke, arXiv 1901.09948, eq. 3 and 4, there with the current of the step before.
    """
    fire = fire_and_reset("synaptic_lif", threshold, surrogate, reset, reset_to, detach_reset)
    checks.in_interval("decay of synaptic_lif", decay, "[0, 1]")
    checks.in_interval("synaptic_decay of synaptic_lif", synaptic_decay, "[0, 1]")

    def step(state, current, params=None):
        check_shape(state, current)
        synaptic = synaptic_decay * state.current + current
        charged = leak(state.membrane, synaptic, decay, 1 - decay, reset_to, scaled_input=False)
        membrane, spikes = fire(charged, threshold)
        return SynapticState(membrane, synaptic), spikes

    return Neuron("synaptic_lif", at_rest(SynapticState, reset_to), step, {}, threshold)


@record_options
def leaky_integrator(decay: Number = 0.9) -> Neuron:
    """A leaky membrane that never fires: the readout. Its step returns the membrane in place of spikes.

        u <- decay u + x

    Args:
      decay: the share of the membrane that is left after a step, in [0, 1]; at 1 it sums its input.

    Returns:
      A `Neuron` with a `MembraneState`.

    Raises:
      ValueError: if `decay` is out of its range.

    Reference: Bellec et al., arXiv 1803.09574, the readout of LSNN.
    """
    checks.in_interval("decay of leaky_integrator", decay, "[0, 1]")

    def step(state, current, params=None):
        check_shape(state, current)
        membrane = decay * state.membrane + current
        return MembraneState(membrane), membrane

    return Neuron("leaky_integrator", at_rest(MembraneState, 0.0), step, {})


def _membrane_neuron(
    name: str, charge: Charge, fire: Fire, threshold: Number, rest: Number, initial: Params | None = None
) -> Neuron:
    """A neuron whose only memory is its membrane."""
    initial = initial or {}

    def step(state, current, params=None):
        check_shape(state, current)
        charged = charge(state.membrane, current, initial if params is None else params)
        membrane, spikes = fire(charged, threshold)
        return MembraneState(membrane), spikes

    return Neuron(name, at_rest(MembraneState, rest), step, initial, threshold)
