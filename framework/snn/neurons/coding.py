"""Neural codes: how a layer's neurons tell their values in spikes, chosen for the input and for hidden layers apart.

All hidden codes share one neuron, which integrates its current, fires at a threshold that the code moves, sends a
payload, spike times threshold, and is reset by subtracting what it sent. Per step

    u <- leak u + I,   s = H(u - theta),   p = s theta,   u <- u - p,

so that sum p = sum I + u_0 - u_T without a leak. It fires at equality. The layers of a network are evaluated in order
within a step, without delay between them: a phase code needs that.

Three things are called burst coding: `burst` (Park et al.: consecutive spikes grow), `multispike` (Li and Zeng: several
spikes in one step) and `burst_isi` (Guo et al.: number and interval of equal spikes, at the input only).

Reference: Park et al., "Fast and efficient information transmission with burst spikes in deep spiking neural
networks", DAC 2019, arXiv 1809.03142.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from framework.snn.neurons import adaptive_threshold, encoding
from framework.snn.neurons import ttfs as first_spike
from framework.snn.neurons.encoding import Encoder
from framework.snn.neurons.factories import Record, recorded
from framework.snn.neurons.surrogate import (
    Number,
    Surrogate,
    arctan,
    require,
)

State = Any  # a NamedTuple of arrays

ARCTAN = arctan(2.0)
LEARNABLE = ("threshold", "beta")
LONGEST_PERIOD = 126  # steps of a phase: 2^-126 is the least normal float32


class Code(NamedTuple):
    """A neural code, with its role in hidden layers and its role at the input.

    Args:
      init: (shape with the batch axis, layer=0, dtype=None) -> state; layer 0 is the input. None: no hidden layers.
      step: (state, current, params=None) -> (state, payload), shaped as the current; None as `init`.
      params: learnable values at the start, as of a `neuron.Neuron`.
      period: steps in which a hidden unit tells a value once.
      threshold: the base threshold, at the start where it is learned.
      count: payload -> the spikes in it.
      encode: an `encoding.Encoder`, or None where the code has no role at the input.
      made: as of a `neuron.Neuron`.
    """

    name: str
    init: Callable[..., State] | None
    step: Callable[..., tuple[State, jax.Array]] | None
    params: dict[str, float]
    period: int
    threshold: Number
    count: Callable[[jax.Array], jax.Array]
    encode: Encoder | None
    made: Record | None = None


@recorded
def real() -> Code:
    """The value itself, as an analog current in every step. Input only; it also carries negative values."""
    return Code("real", None, None, {}, 1, 1.0, _signs, encoding.constant())


@recorded
def poisson() -> Code:
    """A spike of amplitude 1 with probability x in every step. Input only; it needs a key."""
    return Code("poisson", None, None, {}, 1, 1.0, _signs, encoding.bernoulli())


@recorded
def burst_isi(spikes: int = 5, shortest: int = 1, longest: int = 4, window: int | None = None) -> Code:
    """A burst of ceil(spikes x) equal spikes, the closer the larger x. Input only.

    Args:
      spikes, shortest, longest, window: as in `encoding.intervals`.

    Returns:
      A `Code` that brings x once a window.

    Raises:
      ValueError: if a number is out of its range, or a burst does not fit into the window.

    Reference: Guo et al., Frontiers in Neuroscience 15, 2021.
    """
    encoder = encoding.intervals(spikes, shortest, longest, window)
    return Code("burst_isi", None, None, {}, encoder.period, 1 / spikes, _signs, encoder)


@recorded
def rate(threshold: Number = 1.0, surrogate: Surrogate = ARCTAN, start: Number = 0.0, leak: Number = 1.0) -> Code:
    """Integrate and fire with a fixed threshold: theta = threshold.

    After T steps of a constant drive z in [0, threshold], 0 <= z - sum p / T < threshold / T; with start=.5 the error
    is at most threshold / (2 T) either way. Larger drives saturate. At the input, the image is the drive.

    Args:
      threshold: amplitude of a spike, positive.
      surrogate: the spike and its pseudo-derivative, as a function of (u - theta) / theta.
      start: membrane at the start as a share of the threshold.
      leak: what is left of the membrane after a step, in (0, 1]; 1 for conversion.

    Returns:
      A `Code` with a `units.MembraneState`.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Rueckauer et al., Frontiers in Neuroscience 11, 2017; start: Bu et al., arXiv 2303.04347.
    """
    _check("rate", threshold, start, leak)
    unit = adaptive_threshold.rate(threshold, surrogate, start, leak)
    return Code("rate", *unit, {}, 1, threshold, _signs, encoding.driven(*unit))


@recorded
def phase(
    period: int = 8, threshold: Number = 1.0, surrogate: Surrogate = ARCTAN, start: Number = 0.0, leak: Number = 1.0
) -> Code:
    """Weighted spikes: a common clock halves the threshold from step to step of a period.

        theta(t) = threshold 2^-(1 + t mod period)

    A period tells `period` binary digits of a value in [0, threshold]; threshold itself is told as threshold
    (1 - 2^-period). A hidden unit hence tells a value once a period, and must be driven that slowly: see `delivery`.
    At the input, the membrane is filled with x at the start of each period.

    Args:
      period: steps, the digits of a value; 1 to 126, what float32 can hold.
      threshold: twice the amplitude of a period's first spike, positive.
      surrogate, start, leak: as in `rate`.

    Returns:
      A `Code` with a `units.PhaseState`.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Kim et al., "Deep neural networks with weighted spikes", Neurocomputing 311, 2018.
    """
    _check("phase", threshold, start, leak)
    if not 1 <= period <= LONGEST_PERIOD or period % 1:
        raise ValueError(f"period of phase must be at least 1 step, got {period}, and at most {LONGEST_PERIOD}")
    unit = adaptive_threshold.phase(period, threshold, surrogate, start, leak)
    return Code("phase", *unit, {}, period, threshold, _signs, encoding.stored(*unit, period))


@recorded
def burst(
    beta: Number = 2.0,
    threshold: Number = 0.125,
    cap: float | None = None,
    surrogate: Surrogate = ARCTAN,
    start: Number = 0.0,
    leak: Number = 1.0,
    gain_gradient: str = "stop",
    learn: tuple[str, ...] = (),
    reload: int | None = None,
) -> Code:
    """Burst spikes: each spike that directly follows another is beta times as large.

        theta = threshold g,   g <- min(beta g, cap) after a spike, 1 after a silent step

    A stored value of m thresholds drains in O(log^2 m) steps at beta = 2, down to less than one threshold. A constant
    drive up to threshold / 2 never makes a burst: the code is then `rate`. With beta = 1 or cap = 1 it always is.

    At the input, the membrane is filled with x and drains; it is filled anew `reload` steps later or, by default, when
    all of its sample have drained and a step was silent. It then tells floor(x / threshold) thresholds each time.

    Args:
      beta: growth of a burst's spikes, positive; 2 in the paper, 1.5, .9 and .5 in its authors' program. g stays above
        2^-24.
      threshold: amplitude of a burst's first spike, positive; 1/8 to 1/16 serve normalised networks.
      cap: largest g, at least 1; None: no bound.
      surrogate, start, leak: as in `rate`.
      gain_gradient: "full", or "stop": g is a constant for the gradient, as a refractory state is, but for the step in
        which a learned beta multiplies it. Along a burst of n spikes the full gradient grows as beta^n.
      learn: which of "threshold" and "beta" `params` holds, as log threshold and the inverse of softplus(.) = beta - 1;
        a learned beta is above 1. `start` stays a share of the initial threshold.
      reload: at the input, steps from one filling to the next.

    Returns:
      A `Code` with a `units.BurstState`.

    Raises:
      ValueError: if a number is out of its range, or `gain_gradient` or `learn` is unknown.

    Reference: arXiv 1809.03142. There an input is filled anew when the whole batch is silent, drained or not. The
    training by surrogate gradient is this project's own.
    """
    _check("burst", threshold, start, leak)
    require(lambda value: value > 0, "beta of burst", beta, "positive")
    if cap is not None and not cap >= 1:
        raise ValueError(f"cap of burst must be at least 1, the gain of a burst's first spike, got {cap}")
    if gain_gradient not in ("stop", "full"):
        raise ValueError(f"gain_gradient of burst must be stop or full, got {gain_gradient!r}")
    if not set(learn) <= set(LEARNABLE):
        raise ValueError(f"learn of burst must be a tuple out of {', '.join(LEARNABLE)}, got {learn!r}")
    if "beta" in learn:
        require(lambda value: value > 1, "beta of burst", beta, "above 1 to be learned")
    raw = {"threshold": lambda: math.log(threshold), "beta": lambda: math.log(math.expm1(beta - 1))}
    initial = {name: raw[name]() for name in LEARNABLE if name in learn}
    unit = adaptive_threshold.burst(beta, threshold, cap, surrogate, start, leak, gain_gradient == "stop", initial)
    return Code("burst", *unit, initial, 1, threshold, _signs, encoding.stored(*unit, reload, threshold))


@recorded
def multispike(
    levels: int | None = 5,
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    start: Number = 0.0,
    leak: Number = 1.0,
) -> Code:
    """Several equal spikes in one step. Hidden layers only.

        n = clip(floor(u / threshold), 0, levels),   p = n threshold

    The gradient is the surrogate's at the level nearest to u, as a function of u / threshold - level.

    Args:
      levels: most spikes in a step, Gamma, at least 1; None: no bound. 1 is `rate`.
      threshold: amplitude of a spike, positive.
      surrogate, start, leak: as in `rate`.

    Returns:
      A `Code` with a `units.MembraneState`.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Li and Zeng, "Efficient and accurate conversion of spiking neural network with burst spikes", IJCAI 2022,
    arXiv 2204.13271.
    """
    _check("multispike", threshold, start, leak)
    if levels is not None and (levels < 1 or levels % 1):
        raise ValueError(f"levels of multispike must be at least 1 spike a step, got {levels}")
    unit = adaptive_threshold.multispike(levels, threshold, surrogate, start, leak)
    return Code("multispike", *unit, {}, 1, threshold, lambda payload: jnp.round(payload / threshold), None)


@recorded
def ttfs(
    window: int = 80,
    tau: Number = 20.0,
    threshold: Number = 1.0,
    delay: Number = 0.0,
    early: bool = False,
    surrogate: Surrogate = ARCTAN,
) -> Code:
    """Time to first spike: one spike a neuron, in its layer's window, worth what the falling threshold is worth then.

        theta(t) = threshold exp(-(t - delay) / tau),   t = 0 .. window - 1 from the window's start

    A value between theta(window - 1) and theta(0) is told to a relative 1 - exp(-1 / tau), from below; smaller ones are
    silent, larger ones saturate. `ttfs.latency` in `framework.snn` counts a network's steps.

    Args:
      window: steps in which a layer fires; at least 1, with `early` at least 2.
      tau: time constant in steps, positive.
      threshold: value of a spike at `delay`, positive.
      delay: steps by which the kernel is shifted.
      early: whether a layer fires from the middle of the window below on, instead of from its end.
      surrogate: the spike and its pseudo-derivative, as a function of (u - theta) / theta.

    Returns:
      A `Code` with a `ttfs.State`; its `init` needs the layer's place.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Park et al., "T2FSNN", DAC 2020, arXiv 2003.11741. There spikes are of 1 and the next layer's kernel
    weighs them; here the spike carries the weight.
    """
    require(lambda value: value > 0, "threshold of ttfs", threshold, "positive")
    require(lambda value: value > 0, "tau of ttfs", tau, "positive")
    require(lambda value: abs(value) < math.inf, "delay of ttfs", delay, "finite")
    if window < 1 + early or window % 1:
        raise ValueError(f"window of ttfs must be at least {1 + early} steps, got {window}")
    unit = first_spike.unit(window, tau, threshold, delay, early, surrogate)
    return Code("ttfs", *unit, {}, window, threshold, _signs, encoding.stored(*unit, window, once=True))


CODES = {
    "real": real,
    "rate": rate,
    "poisson": poisson,
    "phase": phase,
    "burst": burst,
    "multispike": multispike,
    "burst_isi": burst_isi,
    "ttfs": ttfs,
}
INPUTS = ("real", "rate", "poisson", "phase", "burst", "burst_isi")
HIDDEN = ("rate", "phase", "burst", "multispike")
# a burst input that is filled when it has drained keeps no clock, which a phase code needs
PAIRS = (
    *(f"{before}-{behind}" for before in INPUTS for behind in HIDDEN if (before, behind) != ("burst", "phase")),
    "real-ttfs",
    "ttfs-ttfs",
)


def named(name: str, **options: Any) -> Code:
    """The code of this name, with options of its factory.

    Raises:
      ValueError: for an unknown name.
    """
    if name not in CODES:
        raise ValueError(f"unknown code {name!r}: take one of {', '.join(CODES)}")
    return CODES[name](**options)


def pair(name: str, input_options: dict[str, Any] | None = None, hidden_options: dict[str, Any] | None = None):
    """The codes of a hybrid by its name, as in `phase-burst`: phase at the input, burst in hidden layers.

    As in the papers, `rate` at the input is Poisson. `encoding.delivery` fits the two codes to each other.

    Args:
      name: `input-hidden`, one of `PAIRS`.
      input_options, hidden_options: of the two codes' factories.

    Returns:
      The input's `Code` and that of hidden layers.

    Raises:
      ValueError: for an unknown name.

    Reference: arXiv 1809.03142, there with real, rate and phase before rate, phase and burst.
    """
    if name not in PAIRS:
        raise ValueError(f"unknown pair of codes {name!r}: take one of {', '.join(PAIRS)}")
    before, behind = name.split("-")
    before = "poisson" if before == "rate" else before
    return named(before, **input_options or {}), named(behind, **hidden_options or {})


def _signs(payload: jax.Array) -> jax.Array:
    return (payload > 0).astype(payload.dtype)


def _check(name: str, threshold: Number, start: Number, leak: Number) -> None:
    require(lambda value: value > 0, f"threshold of {name}", threshold, "positive")
    require(lambda value: abs(value) < math.inf, f"start of {name}", start, "a finite share of the threshold")
    require(lambda value: (value > 0) & (value <= 1), f"leak of {name}", leak, "in (0, 1]")
