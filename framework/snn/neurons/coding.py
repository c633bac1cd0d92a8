"""Neural codes: encodings of values in spikes, selected separately for the input and for hidden layers.

All hidden codes share one neuron. It integrates its current, fires at a threshold that the code sets in each step,
sends a payload (spike times threshold), and is reset by subtraction of the payload. Per step

    u <- leak u + I,   s = H(u - theta),   p = s theta,   u <- u - p,

so that sum p = sum I + u_0 - u_T without a leak. It fires at equality. The threshold theta of each code:

    code        theta
    rate        threshold
    phase       threshold 2^-(1 + t mod period)
    burst       threshold g,   g <- min(beta g, cap) after a spike, 1 after a silent step
    multispike  threshold, and up to `levels` spikes in one step
    ttfs        threshold exp(-(t - delay) / tau)

The steps themselves stand in `adaptive_threshold` and `ttfs`. The layers of a network are evaluated in order
within a step, without delay between them, as a phase code requires.

Three codes are called burst coding: `burst` (Park et al.: consecutive spikes grow), `multispike` (Li and Zeng: several
spikes in one step) and `burst_isi` (Guo et al.: number and interval of equal spikes, at the input only).

Reference: Park et al., "Fast and efficient information transmission with burst spikes in deep spiking neural
networks", DAC 2019, arXiv 1809.03142.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from framework.core import checks
from framework.snn.neurons import adaptive_threshold, encoding
from framework.snn.neurons import ttfs as first_spike
from framework.snn.neurons.factories import record_options
from framework.snn.neurons.neuron import Neuron
from framework.snn.neurons.surrogate import (
    Number,
    Surrogate,
    arctan,
)

ARCTAN = arctan(2.0)
LEARNABLE = ("threshold", "beta")
LONGEST_PERIOD = 126  # steps of a phase: 2^-126 is the least normal float32


@record_options
def real() -> Neuron:
    """Real coding: the value itself as an analog current in every step. Input only; it also carries negative values."""
    return Neuron("real", None, None, {}, count=_count_spikes, encoder=encoding.constant())


@record_options
def poisson() -> Neuron:
    """Poisson coding: a spike of amplitude 1 with probability x in every step. Input only; it needs a key."""
    return Neuron("poisson", None, None, {}, count=_count_spikes, encoder=encoding.bernoulli())


@record_options
def burst_isi(spikes: int = 5, shortest: int = 1, longest: int = 4, window: int | None = None) -> Neuron:
    """Burst coding by number and interval: ceil(spikes x) equal spikes, closer for larger x. Input only.

    Args:
      spikes, shortest, longest, window: as in `encoding.intervals`.

    Returns:
      A `Neuron` without a hidden role, whose encoder sends x once a window.

    Raises:
      ValueError: if a number is out of its range, or a burst does not fit into the window.

    Reference: Guo et al., Frontiers in Neuroscience 15, 2021.
    """
    encoder = encoding.intervals(spikes, shortest, longest, window)
    return Neuron("burst_isi", None, None, {}, 1 / spikes, _count_spikes, encoder.period, encoder)


@record_options
def rate(threshold: Number = 1.0, surrogate: Surrogate = ARCTAN, start: Number = 0.0, leak: Number = 1.0) -> Neuron:
    """Rate coding: integrate and fire with a fixed threshold, theta = threshold.

    After T steps of a constant drive z in [0, threshold], 0 <= z - sum p / T < threshold / T; with start=.5 the error
    is at most threshold / (2 T) in both directions. Larger drives saturate. At the input, the image is the drive.

    Args:
      threshold: amplitude of a spike, positive.
      surrogate: the spike and its pseudo-derivative, as a function of (u - theta) / theta.
      start: initial membrane potential as a share of the threshold, finite.
      leak: the share of the membrane that is left after a step, in (0, 1]; 1 for conversion.

    Returns:
      A `Neuron` with a `adaptive_threshold.MembraneState`.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Rueckauer et al., Frontiers in Neuroscience 11, 2017; start: Bu et al., arXiv 2303.04347.
    """
    _check("rate", threshold, start, leak)
    dynamics = adaptive_threshold.rate(threshold, surrogate, start, leak)
    return Neuron("rate", *dynamics, {}, threshold, _count_spikes, 1, encoding.from_current(*dynamics))


@record_options
def phase(
    period: int = 8, threshold: Number = 1.0, surrogate: Surrogate = ARCTAN, start: Number = 0.0, leak: Number = 1.0
) -> Neuron:
    """Phase coding (weighted spikes): a common clock halves the threshold in each step of a period.

        theta(t) = threshold 2^-(1 + t mod period)

    A period encodes `period` binary digits of a value in [0, threshold]; the value `threshold` becomes threshold
    (1 - 2^-period). A hidden unit thus sends a value once a period, and its input must come as slowly: see
    `encoding.input_scaling`. At the input, x is loaded into the membrane at the start of each period.

    Args:
      period: steps, the digits of a value; 1 to 126, the range of float32.
      threshold: twice the amplitude of a period's first spike, positive.
      surrogate, start, leak: as in `rate`.

    Returns:
      A `Neuron` with a `adaptive_threshold.PhaseState`.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Kim et al., "Deep neural networks with weighted spikes", Neurocomputing 311, 2018.
    """
    _check("phase", threshold, start, leak)
    if not 1 <= period <= LONGEST_PERIOD or period % 1:
        raise ValueError(f"period of phase must be at least 1 step, got {period}, and at most {LONGEST_PERIOD}")
    dynamics = adaptive_threshold.phase(period, threshold, surrogate, start, leak)
    encoder = encoding.from_membrane(*dynamics, period)
    return Neuron("phase", *dynamics, {}, threshold, _count_spikes, period, encoder)


@record_options
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
) -> Neuron:
    """Burst coding: a spike directly after another is beta times as large, because the threshold grows.

        theta = threshold g,   g <- min(beta g, cap) after a spike, 1 after a silent step

    A stored value of m thresholds drains in O(log^2 m) steps at beta = 2, down to less than one threshold. A constant
    drive up to threshold / 2 never causes a burst: the code then equals `rate`, as it does with beta = 1 or cap = 1.

    At the input, x is loaded into the membrane, which then drains. It is loaded again `reload` steps later or, by
    default, after a silent step in which all units of its sample have drained. It sends floor(x / threshold) thresholds
    each time.

    Args:
      beta: growth factor of the spikes in a burst, positive; 2 in the paper, 1.5, .9 and .5 in its authors' program. g
        stays above 2^-24.
      threshold: amplitude of a burst's first spike, positive; 1/8 to 1/16 suit normalised networks.
      cap: largest g, at least 1; None: no bound.
      surrogate, start, leak: as in `rate`.
      gain_gradient: "full", or "stop": g is a constant for the gradient, like a refractory state, except for the step
        in which a learned beta multiplies it. Along a burst of n spikes the full gradient grows as beta^n.
      learn: which of "threshold" and "beta" `params` holds, as log threshold and the inverse of softplus(.) = beta - 1;
        a learned beta is above 1. `start` stays a share of the initial threshold.
      reload: at the input, steps from one loading to the next.

    Returns:
      A `Neuron` with a `adaptive_threshold.BurstState`.

    Raises:
      ValueError: if a number is out of its range, or `gain_gradient` or `learn` is unknown.

    Reference: arXiv 1809.03142. There an input is loaded again when the whole batch is silent, drained or not. The
    training by surrogate gradient is an addition of this project.
    """
    _check("burst", threshold, start, leak)
    checks.positive("beta of burst", beta, finite=False)
    if cap is not None:
        checks.at_least("cap of burst", cap, 1)  # the gain of the first spike of a burst
    checks.one_of("gain_gradient of burst", gain_gradient, ("stop", "full"))
    if not set(learn) <= set(LEARNABLE):
        raise ValueError(f"learn of burst must be a tuple out of {', '.join(LEARNABLE)}, got {learn!r}")
    if "beta" in learn:
        checks.in_interval("learned beta of burst", beta, "(1, inf)")
    raw = {"threshold": lambda: math.log(threshold), "beta": lambda: math.log(math.expm1(beta - 1))}
    initial = {name: raw[name]() for name in LEARNABLE if name in learn}
    dynamics = adaptive_threshold.burst(beta, threshold, cap, surrogate, start, leak, gain_gradient == "stop", initial)
    encoder = encoding.from_membrane(*dynamics, reload, threshold)
    return Neuron("burst", *dynamics, initial, threshold, _count_spikes, 1, encoder)


@record_options
def multispike(
    levels: int | None = 5,
    threshold: Number = 1.0,
    surrogate: Surrogate = ARCTAN,
    start: Number = 0.0,
    leak: Number = 1.0,
) -> Neuron:
    """Multi-spike coding: several equal spikes in one step. Hidden layers only.

        n = clip(floor(u / threshold), 0, levels),   p = n threshold

    The surrogate gradient is taken at the level nearest to u, as a function of u / threshold - level.

    Args:
      levels: largest number of spikes in a step, Gamma, at least 1; None: no bound. 1 is `rate`.
      threshold: amplitude of a spike, positive.
      surrogate, start, leak: as in `rate`.

    Returns:
      A `Neuron` with a `adaptive_threshold.MembraneState`.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Li and Zeng, "Efficient and accurate conversion of spiking neural network with burst spikes", IJCAI 2022,
    arXiv 2204.13271.
    """
    _check("multispike", threshold, start, leak)
    if levels is not None and (levels < 1 or levels % 1):
        raise ValueError(f"levels of multispike must be at least 1 spike a step, got {levels}")
    dynamics = adaptive_threshold.multispike(levels, threshold, surrogate, start, leak)
    return Neuron("multispike", *dynamics, {}, threshold, lambda payload: jnp.round(payload / threshold))


@record_options
def ttfs(
    window: int = 80,
    tau: Number = 20.0,
    threshold: Number = 1.0,
    delay: Number = 0.0,
    early: bool = False,
    surrogate: Surrogate = ARCTAN,
) -> Neuron:
    """Time to first spike: each neuron fires once in its layer's window, with the falling threshold as payload.

        theta(t) = threshold exp(-(t - delay) / tau),   t = 0 .. window - 1 from the window's start

    A value between theta(window - 1) and theta(0) is sent with a relative error of at most 1 - exp(-1 / tau), from
    below. Smaller values are silent, larger ones saturate. `ttfs.latency` counts a network's steps.

    Args:
      window: steps in which a layer fires; at least 1, with `early` at least 2.
      tau: time constant in steps, positive.
      threshold: value of a spike at `delay`, positive.
      delay: steps by which the kernel is shifted.
      early: whether a layer begins to fire in the middle of the window of the layer before it, instead of at its end.
      surrogate: the spike and its pseudo-derivative, as a function of (u - theta) / theta.

    Returns:
      A `Neuron` with a `ttfs.TtfsState`; its `init` needs the number of the layer.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Park et al., "T2FSNN", DAC 2020, arXiv 2003.11741. There spikes are of 1 and the next layer's kernel
    weights them; here the spike carries the weight.
    """
    checks.positive("threshold of ttfs", threshold, finite=False)
    checks.positive("tau of ttfs", tau, finite=False)
    checks.finite("delay of ttfs", delay)
    if window < 1 + early or window % 1:
        raise ValueError(f"window of ttfs must be at least {1 + early} steps, got {window}")
    dynamics = first_spike.dynamics(window, tau, threshold, delay, early, surrogate)
    encoder = encoding.from_membrane(*dynamics, window, once=True)
    return Neuron("ttfs", *dynamics, {}, threshold, _count_spikes, window, encoder)


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
# a burst input that is loaded when it has drained has no clock, which a phase code needs
PAIRS = (
    *(f"{at_input}-{hidden}" for at_input in INPUTS for hidden in HIDDEN if (at_input, hidden) != ("burst", "phase")),
    "real-ttfs",
    "ttfs-ttfs",
)


def make(name: str, **options: Any) -> Neuron:
    """Makes a code by its name.

    Args:
      name: one of `CODES`.
      **options: of its factory.

    Returns:
      The code.

    Raises:
      ValueError: for an unknown name.
    """
    checks.one_of("code", name, CODES)
    return CODES[name](**options)


def pair(name: str, input_options: dict[str, Any] | None = None, hidden_options: dict[str, Any] | None = None):
    """Pair of codes by the name of the hybrid, such as `phase-burst`: phase at the input, burst in hidden layers.

    As in the papers, `rate` at the input is Poisson. `encoding.input_scaling` fits the two codes to each other.

    Args:
      name: `input-hidden`, one of `PAIRS`.
      input_options, hidden_options: of the two codes' factories.

    Returns:
      The code of the input and the code of hidden layers.

    Raises:
      ValueError: for an unknown name.

    Reference: arXiv 1809.03142, there with real, rate and phase before rate, phase and burst.
    """
    checks.one_of("pair of codes", name, PAIRS)
    at_input, hidden = name.split("-")
    at_input = "poisson" if at_input == "rate" else at_input
    return make(at_input, **input_options or {}), make(hidden, **hidden_options or {})


def _count_spikes(payload: jax.Array) -> jax.Array:
    return (payload > 0).astype(payload.dtype)


def _check(name: str, threshold: Number, start: Number, leak: Number) -> None:
    checks.positive(f"threshold of {name}", threshold, finite=False)
    checks.finite(f"start of {name}", start)
    checks.in_interval(f"leak of {name}", leak, "(0, 1]")
