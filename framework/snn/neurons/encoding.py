"""Input encoders: they turn images into payloads, one array a time step.

A payload is a spike times its amplitude, so that payloads add up to the value they encode. An encoder sends x once in
every `period` steps; the part of x that one period misses (resolution, saturation) is the error of the code.

Reference: Park et al., arXiv 1809.03142; burst_isi: Guo et al., "Neural coding in spiking neural networks: a
comparative experiment for robust neuromorphic systems", Frontiers in Neuroscience 15, 2021.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from framework.core.tracing import is_traced
from framework.core.types import Array

State = Any  # a NamedTuple of arrays

SATURATING = ("rate", "phase", "ttfs")  # codes that encode no value above their threshold


class Encoder(NamedTuple):
    """The input role of a code, as pure functions."""

    init: Callable[[jax.Array], State]  # images [batch, ...], float, in [0, 1] unless the code is real
    step: Callable[..., tuple[State, jax.Array]]  # (state, key=None) -> (state, payload), shaped as the images
    spikes: bool  # False where the payload is analog and holds no spikes
    period: int | None  # steps in which x is sent once; None where it differs between samples, see `reloaded`
    repeats: bool  # whether all periods have the same payloads
    reloaded: Callable[[State], jax.Array] | None = None  # [batch], 1 where x is loaded before the next step, else 0


class DrivenState(NamedTuple):
    """A neuron that integrates the image."""

    image: Float[Array, "batch ..."]  # the value to send
    neuron: State


class StoredState(NamedTuple):
    """A neuron into whose membrane the image is loaded from time to time, and which drains."""

    image: Float[Array, "batch ..."]  # the value to send
    neuron: State  # arrays [batch, ...], and scalars where all samples are loaded together
    reloaded: Bool[Array, " *batch"]  # [] or [batch] bool: the image is loaded before the next step
    clock: Int[Array, ""]  # [] int32, steps taken


class IntervalState(NamedTuple):
    """Spike counts and intervals, fixed by the image."""

    count: Float[Array, "batch ..."]  # spikes of a burst
    interval: Float[Array, "batch ..."]  # steps from one spike to the next
    clock: Int[Array, ""]  # [] int32, steps taken


def constant() -> Encoder:
    """Encoder of the real code: the value itself as an analog current, p_t = x."""
    return Encoder(lambda images: images, lambda image, key=None: (image, image), False, 1, True)


def bernoulli() -> Encoder:
    """Encoder of the Poisson code: a spike of amplitude 1 with probability x in every step.

    Its step takes a typed key, a new one for every step: `jax.random.fold_in(key, t)`.
    """

    def step(image: jax.Array, key: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        if key is None:
            raise ValueError("the poisson code draws spikes at random: give it a key, jax.random.key(seed)")
        return image, (jax.random.uniform(key, image.shape, image.dtype) < image).astype(image.dtype)

    return Encoder(lambda images: images, step, True, 1, False)


def from_current(init: Callable[..., State], step: Callable[..., tuple[State, jax.Array]]) -> Encoder:
    """Encoder that drives a neuron with x as the current of every step.

    Args:
      init, step: of a hidden code.

    Returns:
      An `Encoder`.
    """

    def begin(images: jax.Array) -> DrivenState:
        return DrivenState(images, init(images.shape, dtype=images.dtype))

    def advance(state: DrivenState, key: jax.Array | None = None) -> tuple[DrivenState, jax.Array]:
        neuron, payload = step(state.neuron, state.image)
        return DrivenState(state.image, neuron), payload

    return Encoder(begin, advance, True, 1, False)


def from_membrane(
    init: Callable[..., State],
    step: Callable[..., tuple[State, jax.Array]],
    period: int | None,
    threshold: Any = None,
    once: bool = False,
) -> Encoder:
    """Encoder that loads x into the membrane of a neuron, u <- x, which drains without further input.

    Args:
      init, step: of a hidden code; its state has a `membrane`.
      period: steps from one loading to the next. None: each sample is loaded again after its first silent step in which
        all its neurons have drained, independent of the other samples of the batch.
      threshold: without a period, the bound below which a membrane is drained.
      once: whether x is loaded only once.

    Returns:
      An `Encoder`.

    Raises:
      ValueError: if `period` is less than 1.
    """
    if period is not None and (period < 1 or period % 1):
        raise ValueError(f"an input must be loaded again after at least 1 step, got {period}")

    def load(images: jax.Array) -> State:
        return init(images.shape, dtype=images.dtype)._replace(membrane=images)

    def begin(images: jax.Array) -> StoredState:
        reloaded = jnp.ones(images.shape[:1] if period is None else (), bool)
        return StoredState(images, load(images), reloaded, jnp.zeros((), jnp.int32))

    def advance(state: StoredState, key: jax.Array | None = None) -> tuple[StoredState, jax.Array]:
        image = state.image
        where = _broadcast_over(state.reloaded, image) if period is None else state.reloaded
        neuron = jax.tree.map(lambda new, old: jnp.where(where, new, old), load(image), state.neuron)
        neuron, payload = step(neuron, jnp.zeros_like(image))
        clock = state.clock + 1
        if period is None:
            # a silent step alone may only end a burst: the rest of the membrane is below the grown threshold
            busy = (payload > 0) | (neuron.membrane >= threshold)
            reloaded = ~jnp.any(busy, axis=tuple(range(1, busy.ndim)))
        else:
            reloaded = jnp.zeros((), bool) if once else clock % period == 0
        return StoredState(image, neuron, reloaded, clock), payload

    reloaded = (lambda state: state.reloaded.astype(state.image.dtype)) if period is None else None
    return Encoder(begin, advance, True, period, not once and period is not None, reloaded)


def intervals(spikes: int, shortest: int, longest: int, window: int | None = None) -> Encoder:
    """Encoder of equal spikes, whose number and interval both encode the value.

        n = ceil(spikes x),   interval = ceil((longest - shortest)(1 - x) + shortest),   amplitude 1 / spikes

    The first spike comes in the window's first step; the window then repeats. It sends ceil(spikes x) / spikes.

    Args:
      spikes: number for x = 1, at least 1.
      shortest: interval for x = 1, from spike to spike, at least 1 step.
      longest: limit of the interval for x -> 0, at least `shortest`.
      window: steps of one burst and the silence after it; None: the fewest that hold every burst.

    Returns:
      An `Encoder`.

    Raises:
      ValueError: if a number is out of its range, or a burst does not fit into the window.

    Reference: Guo et al., Frontiers in Neuroscience 15, 2021. Some programs leave `interval` silent steps between two
    spikes, one more.
    """
    if spikes < 1 or spikes % 1 or shortest < 1 or longest < shortest:
        raise ValueError(
            "burst_isi needs at least 1 spike and 1 <= shortest <= longest steps, "
            f"got spikes={spikes}, shortest={shortest}, longest={longest}"
        )
    # n spikes belong to x above (n - 1) / spikes
    slowest = [math.ceil((longest - shortest) * (spikes - n + 1) / spikes) + shortest for n in range(1, spikes + 1)]
    needed = 1 + max((n - 1) * interval for n, interval in enumerate(slowest, 1))
    window = needed if window is None else window
    if window < needed or window % 1:
        raise ValueError(f"window of burst_isi must hold the longest burst, {needed} steps, got {window}")

    def init(images: jax.Array) -> IntervalState:
        interval = jnp.ceil((longest - shortest) * (1 - images) + shortest)
        return IntervalState(jnp.ceil(spikes * images), interval, jnp.zeros((), jnp.int32))

    def step(state: IntervalState, key: jax.Array | None = None) -> tuple[IntervalState, jax.Array]:
        time = (state.clock % window).astype(state.count.dtype)
        fires = (time % state.interval == 0) & (time < state.count * state.interval)
        return state._replace(clock=state.clock + 1), fires.astype(state.count.dtype) / spikes

    return Encoder(init, step, True, window, True)


class InputScaling(NamedTuple):
    """Scales of the input and of the biases in each step. Both functions take the index t of the step, also traced."""

    period: int | None  # steps in which x and a bias are added once; None: once in all, or see `bias_scale`
    input_scale: Callable[[Any], Any]  # t -> factor of the payload of the encoder
    bias_scale: Callable[..., Any]  # (t, reloaded=None) -> factor of the bias that each layer adds


def input_scaling(input_code: Any, hidden_code: Any, spread: bool = False) -> InputScaling:
    """Fits an input code to a hidden code, with the bias in constant proportion to the input.

    The slower code determines the period: P = max(period of the input, period of the hidden code). Then x enters once
    in P steps: a faster input is multiplied by period / P. The bias also enters once in P steps, whole at t mod P = 0
    or, with `spread`, as b / P in each step. TTFS takes x and bias at t = 0 only. A burst input that is loaded when a
    sample has drained takes the bias of that sample when it is loaded: `bias_scale` then needs the encoder's
    `reloaded(state)`, [batch], before the step.

    The sum of `bias_scale` over the steps so far counts how often x was sent: the value of a layer is its summed
    payload divided by this sum.

    Args:
      input_code: the code at the input.
      hidden_code: the code of hidden layers.
      spread: whether a clocked bias is spread over the period. The paper's program adds it whole.

    Returns:
      An `InputScaling`.

    Raises:
      ValueError: if a code has no such role, or the two do not go together.

    Reference: arXiv 1809.03142 and its authors' program; there a Poisson input is not scaled for a phase code.
    """
    names = f"{input_code.name}-{hidden_code.name}"
    if input_code.encoder is None or hidden_code.step is None:
        wrong, role = (input_code, "at the input") if input_code.encoder is None else (hidden_code, "in hidden layers")
        raise ValueError(f"{names}: the {wrong.name} code has no role {role}")
    if "ttfs" in (input_code.name, hidden_code.name):
        if hidden_code.name != "ttfs" or input_code.name not in ("real", "ttfs"):
            raise ValueError(
                f"{names}: hidden layers with ttfs take real or ttfs input, and a ttfs input only feeds those"
            )
        input_scale = _scale_at_start if input_code.name == "real" else _scale_one
        return InputScaling(None, input_scale, lambda t, reloaded=None: _scale_at_start(t))
    input_period = input_code.encoder.period
    if input_period is None:
        if hidden_code.period > 1:
            raise ValueError(f"{names}: the input needs a clock, as in burst(reload={hidden_code.period})")
        return InputScaling(None, _scale_one, _scale_at_reload)
    period = max(input_period, hidden_code.period)
    scale = input_period / period

    def bias_scale(t: Any, reloaded: Any = None) -> Any:
        return 1 / period if spread or period == 1 else jnp.where(t % period == 0, 1.0, 0.0)

    return InputScaling(period, lambda t: scale, bias_scale)


def _scale_at_start(t: Any) -> Any:
    return jnp.where(t == 0, 1.0, 0.0)


def _scale_one(t: Any) -> float:
    return 1.0


def _scale_at_reload(t: Any, reloaded: Any = None) -> Any:
    if reloaded is None:
        raise ValueError(
            "a burst input without reload=... adds the bias sample by sample: give encoder.reloaded(state)"
        )
    return reloaded


def check(code: Any, images: Any) -> None:
    """Refuses images that an input code cannot encode.

    Args:
      code: the code at the input.
      images: `[batch, ...]`, concrete.

    Raises:
      ValueError: if the code has no role at the input, the images are not floats, hold NaN or infinity, or, for a code
        of spikes, lie outside of [0, 1] or above its threshold.
    """
    if code.encoder is None:
        raise ValueError(f"the {code.name} code has no role at the input: take real, or another of coding.INPUTS")
    images = np.asarray(images)
    if images.ndim < 1 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be a batch of floats, got {images.dtype} {images.shape}: divide bytes by 255")
    flat = images.reshape(len(images), -1)
    _refuse(~np.isfinite(flat), flat, "images must be finite")
    if code.encoder.spikes:
        largest = 1.0
        if code.name in SATURATING and not is_traced(code.threshold):
            largest = min(1.0, float(np.min(code.threshold)))
        right = f"images for the {code.name} code must lie in [0, {largest:g}]"
        standardised = "; for standardised images take coding.real()" if np.any(flat < 0) else ""
        _refuse((flat < 0) | (flat > largest), flat, right, standardised)


def _refuse(wrong: np.ndarray, values: np.ndarray, right: str, hint: str = "") -> None:
    if wrong.any():
        image, pixel = np.argwhere(wrong)[0]
        raise ValueError(f"{right}, found {values[image, pixel]:g} in image {image} and {wrong.sum() - 1} more{hint}")


def _broadcast_over(samples: jax.Array, images: jax.Array) -> jax.Array:
    """Reshapes [batch] to [batch, 1, ...], to broadcast against images."""
    return samples.reshape(samples.shape + (1,) * (images.ndim - 1))
