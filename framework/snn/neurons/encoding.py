"""Input codes: images become payloads, one array a time step.

A payload is a spike times its amplitude, so that payloads add up to the value they carry. An encoder brings x once in
every `period` steps; what it brings too little in one period (resolution, saturation) is the code's own error.

Reference: Park et al., arXiv 1809.03142; burst_isi: Guo et al., "Neural coding in spiking neural networks: a
comparative study for robust neuromorphic systems", Frontiers in Neuroscience 15, 2021.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.tracing import is_traced

State = Any  # a NamedTuple of arrays

SATURATING = ("rate", "phase", "ttfs")  # codes that bring no value above their threshold


class Encoder(NamedTuple):
    """An input code as a pair of pure functions."""

    init: Callable[[jax.Array], State]  # images [batch, ...], float, in [0, 1] unless the code is real
    step: Callable[..., tuple[State, jax.Array]]  # (state, key=None) -> (state, payload), shaped as the images
    spikes: bool  # False where the payload is analog and holds no spikes
    period: int | None  # steps in which x is brought once; None where each sample has its own, see `fresh`
    repeats: bool  # whether the payloads of one period return exactly in the next
    fresh: Callable[[State], jax.Array] | None = None  # [batch], 1 where the next step begins to bring x anew, else 0


class DrivenState(NamedTuple):
    """A unit that integrates the image."""

    image: jax.Array  # [batch, ...] the value to bring
    unit: State  # the unit's own state


class StoredState(NamedTuple):
    """A unit whose membrane is filled with the image from time to time, and drains."""

    image: jax.Array  # [batch, ...] the value to bring
    unit: State  # the unit's own state; arrays [batch, ...], and scalars where all samples are filled together
    fresh: jax.Array  # [] or [batch] bool: fill before the next step
    clock: jax.Array  # [] int32, steps taken


class IntervalState(NamedTuple):
    """Spike counts and intervals, fixed by the image."""

    count: jax.Array  # [batch, ...] spikes of a burst
    interval: jax.Array  # [batch, ...] steps from one spike to the next
    clock: jax.Array  # [] int32, steps taken


def constant() -> Encoder:
    """The value itself as an analog current, p_t = x."""
    return Encoder(lambda images: images, lambda image, key=None: (image, image), False, 1, True)


def bernoulli() -> Encoder:
    """A spike of amplitude 1 with probability x in every step: Poisson in discrete time.

    Its step takes a typed key, a new one for every step: `jax.random.fold_in(key, t)`.
    """

    def step(image: jax.Array, key: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        if key is None:
            raise ValueError("the poisson code draws spikes at random: give it a key, jax.random.key(seed)")
        return image, (jax.random.uniform(key, image.shape, image.dtype) < image).astype(image.dtype)

    return Encoder(lambda images: images, step, True, 1, False)


def driven(init: Callable[..., State], step: Callable[..., tuple[State, jax.Array]]) -> Encoder:
    """A hidden code's unit that integrates x in every step.

    Args:
      init, step: those of the hidden code.
    """

    def begin(images: jax.Array) -> DrivenState:
        return DrivenState(images, init(images.shape, dtype=images.dtype))

    def advance(state: DrivenState, key: jax.Array | None = None) -> tuple[DrivenState, jax.Array]:
        unit, payload = step(state.unit, state.image)
        return DrivenState(state.image, unit), payload

    return Encoder(begin, advance, True, 1, False)


def stored(
    init: Callable[..., State],
    step: Callable[..., tuple[State, jax.Array]],
    period: int | None,
    threshold: Any = None,
    once: bool = False,
) -> Encoder:
    """A hidden code's unit that is filled, u <- x, and drains without further input.

    Args:
      init, step: those of the hidden code; its state has a `membrane`.
      period: steps from one filling to the next. None: each sample is filled anew after its own first silent step that
        finds all its units drained, whatever the other samples of the batch do.
      threshold: without a period, what a drained unit's membrane stays below.
      once: whether the first filling is the only one.

    Raises:
      ValueError: if `period` is less than 1.
    """
    if period is not None and (period < 1 or period % 1):
        raise ValueError(f"an input must be filled anew after at least 1 step, got {period}")

    def fill(images: jax.Array) -> State:
        return init(images.shape, dtype=images.dtype)._replace(membrane=images)

    def begin(images: jax.Array) -> StoredState:
        fresh = jnp.ones(images.shape[:1] if period is None else (), bool)
        return StoredState(images, fill(images), fresh, jnp.zeros((), jnp.int32))

    def advance(state: StoredState, key: jax.Array | None = None) -> tuple[StoredState, jax.Array]:
        image = state.image
        where = _over(state.fresh, image) if period is None else state.fresh
        unit = jax.tree.map(lambda new, old: jnp.where(where, new, old), fill(image), state.unit)
        unit, payload = step(unit, jnp.zeros_like(image))
        clock = state.clock + 1
        if period is None:
            # a silent step alone may only end a burst: its unit has something left, but less than the grown threshold
            busy = (payload > 0) | (unit.membrane >= threshold)
            fresh = ~jnp.any(busy, axis=tuple(range(1, busy.ndim)))
        else:
            fresh = jnp.zeros((), bool) if once else clock % period == 0
        return StoredState(image, unit, fresh, clock), payload

    fresh = (lambda state: state.fresh.astype(state.image.dtype)) if period is None else None
    return Encoder(begin, advance, True, period, not once and period is not None, fresh)


def intervals(spikes: int, shortest: int, longest: int, window: int | None = None) -> Encoder:
    """Equal spikes, whose number and interval both tell the value.

        n = ceil(spikes x),   interval = ceil((longest - shortest)(1 - x) + shortest),   amplitude 1 / spikes

    The first spike comes in the window's first step; the window then repeats. It brings ceil(spikes x) / spikes.

    Args:
      spikes: of x = 1, at least 1.
      shortest: interval of x = 1, from spike to spike, at least 1 step.
      longest: interval that x -> 0 tends to, at least `shortest`.
      window: steps of one burst and the silence after it; None: the fewest that hold every burst.

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


class Delivery(NamedTuple):
    """How fast values come in. Both functions take the step's index t, concrete or traced."""

    period: int | None  # steps in which x and a bias are brought once; None: once in all, or see `bias`
    drive: Callable[[Any], Any]  # t -> share of the encoder's payload that enters the network
    bias: Callable[..., Any]  # (t, fresh=None) -> share of the bias that each layer adds


def delivery(input_code: Any, hidden_code: Any, spread: bool = False) -> Delivery:
    """Fits an input code to a hidden code, with the bias in constant proportion to the x brought in.

    The slower code sets the pace: P = max(period of the input, period of the hidden code). Then x comes once in P
    steps, so that a faster input is weakened to period / P, and so does the bias, whole at t mod P = 0 or, with
    `spread`, b / P in each step. TTFS takes x and bias at t = 0 only. A burst input that is filled when a sample has
    drained takes the bias of a sample as it is filled: `bias` then needs the encoder's `fresh(state)`, [batch], before
    the step.

    The sum of `bias` over the steps so far counts how often x was brought: a layer's value is its summed payload
    divided by it.

    Args:
      input_code: the input's `Code`.
      hidden_code: that of hidden layers.
      spread: whether a clocked bias is spread over the period. The paper's program adds it whole.

    Raises:
      ValueError: if a code has no such role, or the two do not go together.

    Reference: arXiv 1809.03142 and its authors' program; there a Poisson input is not weakened for a phase code.
    """
    names = f"{input_code.name}-{hidden_code.name}"
    if input_code.encode is None or hidden_code.step is None:
        which, role = (input_code, "at the input") if input_code.encode is None else (hidden_code, "in hidden layers")
        raise ValueError(f"{names}: the {which.name} code has no role {role}")
    if "ttfs" in (input_code.name, hidden_code.name):
        if hidden_code.name != "ttfs" or input_code.name not in ("real", "ttfs"):
            raise ValueError(
                f"{names}: hidden layers with ttfs take real or ttfs input, and a ttfs input only feeds those"
            )
        drive = _at_start if input_code.name == "real" else _always
        return Delivery(None, drive, lambda t, fresh=None: _at_start(t))
    own = input_code.encode.period
    if own is None:
        if hidden_code.period > 1:
            raise ValueError(f"{names}: the input needs a clock, as in burst(reload={hidden_code.period})")
        return Delivery(None, _always, _fresh_share)
    period = max(own, hidden_code.period)
    share = own / period

    def bias(t: Any, fresh: Any = None) -> Any:
        return 1 / period if spread or period == 1 else jnp.where(t % period == 0, 1.0, 0.0)

    return Delivery(period, lambda t: share, bias)


def _at_start(t: Any) -> Any:
    return jnp.where(t == 0, 1.0, 0.0)


def _always(t: Any) -> float:
    return 1.0


def _fresh_share(t: Any, fresh: Any = None) -> Any:
    if fresh is None:
        raise ValueError("a burst input without reload=... brings the bias sample by sample: give encode.fresh(state)")
    return fresh


def check(code: Any, images: Any) -> None:
    """Refuses images that an input code cannot carry.

    Args:
      code: the input's `Code`.
      images: `[batch, ...]`, concrete.

    Raises:
      ValueError: if the code has no role at the input, the images are not floats, hold NaN or infinity, or, for a code
        of spikes, leave [0, 1] or exceed what its threshold lets through.
    """
    if code.encode is None:
        raise ValueError(f"the {code.name} code has no role at the input: take real, or another of coding.INPUTS")
    images = np.asarray(images)
    if images.ndim < 1 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be a batch of floats, got {images.dtype} {images.shape}: divide bytes by 255")
    flat = images.reshape(len(images), -1)
    _refuse(~np.isfinite(flat), flat, "images must be finite")
    if code.encode.spikes:
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


def _over(samples: jax.Array, images: jax.Array) -> jax.Array:
    """[batch] as [batch, 1, ...], to stand against images."""
    return samples.reshape(samples.shape + (1,) * (images.ndim - 1))
