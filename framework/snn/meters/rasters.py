"""Statistics of spike trains: intervals, bursts, amplitudes, regularity, words.

Each is a `Meter`: pure functions of one time step after another, so that they run inside a simulation and no raster is
stored. `measure` applies the same functions to a stored raster. A spike is a payload above 0 of any size: two spikes of
a multispike code in one step are one event here. Histograms are pooled over all axes but time; use `vmap` over images
or neurons for separate ones. Counts are int32 (int64 with x64 on): below 2^31 a histogram.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.core import checks
from framework.snn.neurons.factories import cache_factory


class Meter(NamedTuple):
    """A statistic of payloads over time.

    Args:
      init: shape of one step's payloads -> state.
      step: (state, payloads of one step) -> state.
      finish: state -> the statistic.
    """

    init: Callable[[tuple[int, ...]], Any]
    step: Callable[[Any, jax.Array], Any]
    finish: Callable[[Any], Any]


def measure(meter: Meter, payloads: jax.Array) -> Any:
    """Applies a meter to a stored raster: `finish` after a scan of `step`.

    It compiles at each call that is not under `jit`.

    Args:
      meter: the statistic.
      payloads: `[T, ...]`, bool or amplitudes.

    Returns:
      The result of `meter.finish`.
    """
    step = lambda state, payload: (meter.step(state, payload), None)
    return meter.finish(jax.lax.scan(step, meter.init(payloads.shape[1:]), payloads)[0])


@cache_factory
def totals(value: Callable[[jax.Array], jax.Array] = lambda payload: payload) -> Meter:
    """Sum over time for each neuron: of its payloads by default, or of its spikes by `code.count`.

    Args:
      value: payloads of one step -> the summand.

    Returns:
      A `Meter` of arrays with the shape of the payloads of one step.
    """
    return Meter(jnp.zeros, lambda total, payload: total + value(payload), lambda total: total)


@cache_factory
def raster(steps: int) -> Meter:
    """Raster of all payloads, for a figure or a statistic that is no meter; it needs memory for every step.

    Args:
      steps: T, the number of simulated steps; later ones are dropped, missing ones are zero.

    Returns:
      A `Meter` of `[T, ...]`.

    Raises:
      ValueError: if `steps` is less than 1.
    """
    checks.at_least("raster: steps", steps, 1)

    def init(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros((), int), jnp.zeros((steps, *shape))

    def step(state: tuple[jax.Array, jax.Array], payload: jax.Array) -> tuple[jax.Array, jax.Array]:
        time, payloads = state
        return time + 1, payloads.at[time].set(payload, mode="drop")

    return Meter(init, step, lambda state: state[1])


def combine(meters: Mapping[str, Meter]) -> Meter:
    """Combines several meters of the same payloads into one, whose result is a dict by their names."""
    return Meter(
        lambda shape: {name: meter.init(shape) for name, meter in meters.items()},
        lambda state, payload: {name: meter.step(state[name], payload) for name, meter in meters.items()},
        lambda state: {name: meter.finish(state[name]) for name, meter in meters.items()},
    )


class IntervalState(NamedTuple):
    """Intervals so far, and the current one."""

    age: jax.Array  # [...] steps since the last spike, 0 where there was none
    histogram: jax.Array  # [longest + 1]


@cache_factory
def intervals(longest: int) -> Meter:
    """Histogram of inter-spike intervals.

    For every spike of a neuron after its first, the steps since its previous spike; a spike at t = 0 counts as well. A
    neuron with n spikes gives n - 1 intervals.

    Args:
      longest: intervals 1 .. longest have one bin each.

    Returns:
      A `Meter` of `[longest + 1]` counts: entry i is interval i + 1, the last entry all longer ones.

    Raises:
      ValueError: if `longest` is less than 1.
    """
    checks.at_least("intervals: longest", longest, 1)

    def init(shape: tuple[int, ...]) -> IntervalState:
        return IntervalState(jnp.zeros(shape, int), jnp.zeros(longest + 1, int))

    def step(state: IntervalState, payload: jax.Array) -> IntervalState:
        spike = payload > 0
        return IntervalState(_increase_age(state.age, spike), _add(state.histogram, jnp.where(spike, state.age, 0)))

    return Meter(init, step, lambda state: state.histogram)


class BurstState(NamedTuple):
    """Bursts so far, and the current one."""

    run: jax.Array  # [...] spikes of the current burst, 0 in silence
    histogram: jax.Array  # [longest + 1], of the bursts that ended


@cache_factory
def bursts(longest: int = 5) -> Meter:
    """Histogram of burst lengths.

    A burst is a run of spikes in successive steps (intervals of 1), and an isolated spike is one of length 1: each
    spike belongs to exactly one burst. A run that the last step cuts counts with the spikes that it has.

    Args:
      longest: lengths 1 .. longest have a bin each.

    Returns:
      A `Meter` of `[longest + 1]` counts: entry i is length i + 1, the last one all that are longer.

    Raises:
      ValueError: if `longest` is less than 1.
    """
    checks.at_least("bursts: longest", longest, 1)

    def init(shape: tuple[int, ...]) -> BurstState:
        return BurstState(jnp.zeros(shape, int), jnp.zeros(longest + 1, int))

    def step(state: BurstState, payload: jax.Array) -> BurstState:
        spike = payload > 0
        ended = jnp.where(spike, 0, state.run)
        return BurstState(jnp.where(spike, state.run + 1, 0), _add(state.histogram, ended))

    return Meter(init, step, lambda state: _add(state.histogram, state.run))


@cache_factory
def amplitudes(levels: Sequence[float], tolerance: float = 1e-5) -> Meter:
    """Histogram of the amplitudes of spikes.

    Args:
      levels: the amplitudes of the code, ascending, for example v_th beta^n.
      tolerance: largest distance of a spike from its nearest level, as a share of the level.

    Returns:
      A `Meter` of `[levels + 1]` counts; the last entry counts spikes of no level, so that the sum counts all spikes.

    Raises:
      ValueError: if the levels are not positive and ascending.
    """
    steps = np.asarray(levels, float)
    if steps.ndim != 1 or not len(steps) or not steps[0] > 0 or not np.all(np.diff(steps) > 0):
        raise ValueError(f"amplitudes: levels must be positive and ascending, got {levels}")
    middles = (steps[1:] + steps[:-1]) / 2

    def step(histogram: jax.Array, payload: jax.Array) -> jax.Array:
        amplitude = payload.astype(jnp.result_type(payload, 0.0))
        nearest = jnp.searchsorted(jnp.asarray(middles, amplitude.dtype), amplitude)
        level = jnp.asarray(steps, amplitude.dtype)[nearest]
        has_level = jnp.abs(amplitude - level) <= tolerance * level
        return _add(histogram, jnp.where(payload > 0, jnp.where(has_level, nearest + 1, len(steps) + 1), 0))

    return Meter(lambda shape: jnp.zeros(len(steps) + 1, int), step, lambda histogram: histogram)


class Regularity(NamedTuple):
    """Firing rate and regularity of each neuron; NaN below three spikes."""

    log_rate: jax.Array  # [...] natural logarithm of spikes per step
    cv: jax.Array  # [...] coefficient of variation: 0 of a clock, near 1 of a Poisson train, above 1 of bursts
    local_variation: jax.Array  # [...] 0 of a clock, near 1 of a Poisson train; insensitive to slow rate changes


class RegularityState(NamedTuple):
    """Moments of each neuron's intervals so far, every leaf [...]."""

    steps: jax.Array  # so far
    spikes: jax.Array
    age: jax.Array  # steps since the last spike, 0 where there was none
    previous: jax.Array  # the last interval, 0 where there was none
    mean: jax.Array
    squares: jax.Array  # sum of squared deviations from the mean
    contrast: jax.Array  # sum over neighbouring intervals


@cache_factory
def regularity() -> Meter:
    """Firing rate and regularity of each neuron.

    With the intervals I_1 .. I_n of a neuron that spiked n + 1 times in T steps

        log rate = log((n + 1) / T)
        cv       = sqrt(sum_i (I_i - mean I)^2 / (n - 1)) / mean I
        lv       = 3 / (n - 1) sum_i ((I_i - I_{i+1}) / (I_i + I_{i+1}))^2

    A gamma process of shape kappa has cv = 1 / sqrt(kappa) and lv = 3 / (2 kappa + 1). The published plane is the mean
    log rate against a mean regularity kappa, over the neurons of a layer; here the regularity is read from cv or lv,
    which stay finite for a train as regular as that of an integrate-and-fire neuron. Neurons with less than two
    intervals are NaN: use `nanmean`, and report how many are excluded.

    Returns:
      A `Meter` of a `Regularity`.

    Reference: Shinomoto, Shima and Tanji, "Differences in spiking patterns among cortical neurons", Neural Computation
      15 (2003).
    """

    def init(shape: tuple[int, ...]) -> RegularityState:
        whole, real = jnp.zeros(shape, int), jnp.zeros(shape)
        return RegularityState(whole, whole, whole, whole, real, real, real)

    def step(state: RegularityState, payload: jax.Array) -> RegularityState:
        spike = payload > 0
        ends = spike & (state.age > 0)
        interval, previous = state.age.astype(state.mean.dtype), state.previous.astype(state.mean.dtype)
        deviation = interval - state.mean
        mean = state.mean + deviation / jnp.maximum(state.spikes, 1)
        contrast = 3 * ((interval - previous) / jnp.maximum(interval + previous, 1)) ** 2
        return RegularityState(
            steps=state.steps + 1,
            spikes=state.spikes + spike,
            age=_increase_age(state.age, spike),
            previous=jnp.where(ends, state.age, state.previous),
            mean=jnp.where(ends, mean, state.mean),
            squares=state.squares + jnp.where(ends, deviation * (interval - mean), 0),
            contrast=state.contrast + jnp.where(ends & (state.previous > 0), contrast, 0),
        )

    def finish(state: RegularityState) -> Regularity:
        pairs = jnp.maximum(state.spikes - 2, 1)
        cv = jnp.sqrt(state.squares / pairs) / jnp.maximum(state.mean, 1)
        log_rate = jnp.log(jnp.maximum(state.spikes, 1) / jnp.maximum(state.steps, 1))
        mask = lambda value: jnp.where(state.spikes > 2, value, jnp.nan)
        return Regularity(mask(log_rate), mask(cv), mask(state.contrast / pairs))

    return Meter(init, step, finish)


def word_entropy(payloads: jax.Array, length: int) -> jax.Array:
    """Entropy of the words of spike trains.

        H = - sum_w p(w) log2 p(w)

    over the words w of `length` successive steps of one neuron, spike or none; the words do not overlap, and a rest
    shorter than a word is dropped. The plug-in estimate is too low where there are few words for 2^length.

    Args:
      payloads: `[T, ...]`; all neurons and images are pooled.
      length: steps a word, 1 .. 20.

    Returns:
      `[]`, bits a word, in [0, length].

    Raises:
      ValueError: if `length` is out of range, or the raster shorter than a word.

    Reference: Strong, Koberle, de Ruyter van Steveninck and Bialek, Physical Review Letters 80 (1998).
    """
    if not 1 <= length <= min(20, len(payloads)):
        raise ValueError(f"word_entropy: length must be 1 .. 20 and at most T = {len(payloads)} steps, got {length}")
    words = len(payloads) // length
    letters = (payloads[: words * length] > 0).reshape(words, length, -1)
    codes = jnp.sum(letters * (2 ** jnp.arange(length))[:, None], axis=1)
    counts = jnp.bincount(codes.reshape(-1), length=2**length)
    share = counts / codes.size
    return -jnp.sum(share * jnp.log2(jnp.where(counts > 0, share, 1)))


def _increase_age(age: jax.Array, spike: jax.Array) -> jax.Array:
    return jnp.where(spike, 1, jnp.where(age > 0, age + 1, 0))


def _add(histogram: jax.Array, values: jax.Array) -> jax.Array:
    """Adds each value v > 0 to bin min(v, bins); 0 is no event."""
    bins = len(histogram)
    return histogram.at[jnp.where(values > 0, jnp.minimum(values, bins) - 1, bins)].add(1, mode="drop")
