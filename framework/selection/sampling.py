"""Weighted sampling without replacement, with the distribution of successive draws, by the Gumbel top-k trick.

Each point gets an exponential waiting time of rate p. The points with the shortest times are those that successive
draws in proportion to p would take, in the same order. Minus the logarithm of such a time is log p plus a Gumbel
variable, hence the name.

Reference: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006); Kool, van Hoof and Welling,
"Stochastic beams and where to find them", arXiv 1903.06059.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from framework.core import keys as random_keys
from framework.core.precision import x64
from framework.core.tracing import is_traced
from framework.core.types import Array, Key
from framework.selection.inputs import check_size, check_vector

_ALMOST_ONE = 1 - 2.0**-24
_LOWEST, _HIGHEST = 2.0**-120, 2.0**90  # rates whose waiting times are normal float32
_WORD = 32  # bits
_BITS = 31  # of a float32 that is not negative; in the order of its values


def sample(
    key: Key,
    size: int,
    probabilities: Float[Array, " n"] | None = None,
    count: int | None = None,
    shuffle: bool = True,
) -> Int[Array, " k"]:
    """Samples distinct points, drawn successively in proportion to their probabilities among those that remain.

    Args:
      key: of the draw; `vmap` over keys draws many samples, `sample_many` does so in blocks.
      size: k, static.
      probabilities: `[N]`, non-negative, of any sum; None draws uniformly.
      count: N, in place of probabilities.
      shuffle: True returns a random order, so that any part is a sample too; False sorts by index, a quarter faster.

    Returns:
      `[k]` int32, each in `[0, N)`, distinct.

    Raises:
      ValueError: if there are fewer points than requested, or fewer with a probability above 0; if one is negative,
        infinite or NaN; unless exactly one of `probabilities` and `count` is given.

    Example:
      >>> from framework import selection
      >>> indices = selection.sample(jax.random.key(0), 2, jnp.array([0.0, 0.5, 0.0, 0.1]))
      >>> sorted(indices.tolist())
      [1, 3]
    """
    random_keys.check(key)
    if (probabilities is None) == (count is None):
        raise ValueError("sample takes the probabilities of the points, or their count where all are alike; just one")
    if probabilities is not None:
        probabilities = _as_float32(probabilities, size)
        count = len(probabilities)
    check_size(size, count)
    return _sample(key, probabilities, size, count, shuffle)


def sample_many(
    keys: Key,
    size: int,
    probabilities: Float[Array, " n"] | None = None,
    count: int | None = None,
    block: int = 8,
) -> Int[Array, "samples k"]:
    """Draws many samples in one call, `block` of them at a time in memory.

    Args:
      keys: `[S]`, one per sample.
      size: as for `sample`.
      probabilities: as for `sample`.
      count: as for `sample`.
      block: samples at a time, at least 1.

    Returns:
      `[S, k]` int32; row i equals `sample(keys[i], ...)`.

    Raises:
      ValueError: as `sample`, if keys are not `[S]`, or `block` is not a whole number of at least 1.
    """
    random_keys.check(keys, block=block)
    if jax.random.key_data(keys).ndim != 2:
        raise ValueError(f"sample_many takes keys [S], one a sample, got the shape {keys.shape}")
    if probabilities is not None:
        probabilities = _as_float32(probabilities, size)
    if not size:
        return jnp.zeros((len(keys), 0), jnp.int32)
    return lax.map(lambda key: sample(key, size, probabilities, count), keys, batch_size=min(block, len(keys)))


@partial(jax.jit, static_argnames=("size", "count", "shuffle"))
def _sample(key: Key, probabilities: jax.Array | None, size: int, count: int, shuffle: bool) -> jax.Array:
    if not size:
        return jnp.zeros(0, jnp.int32)
    bits = jax.random.bits(key, (count + size * shuffle,))
    indices = _shortest(_waiting_times(bits[:count], probabilities), size)
    return _shuffle(bits[count:], indices) if shuffle else indices


def _waiting_times(bits: jax.Array, rates: jax.Array | None) -> jax.Array:
    """Exponential times from 32 random bits each, `[N]` float32, infinite where the rate is 0.

    Short times, which alone decide, are resolved to 2^-33.
    """
    uniform = (bits.astype(jnp.float32) + 0.5) * 2.0**-32
    times = -jnp.log1p(-jnp.minimum(uniform, _ALMOST_ONE))
    return times if rates is None else times / rates


def _shortest(times: jax.Array, size: int) -> jax.Array:
    """The indices of the `size` shortest times, in ascending order; of equal ones the first.

    The bound is found bit by bit: floats that are not negative are in the order of their bits.
    """
    bits = lax.bitcast_convert_type(times, jnp.int32)
    rows = jnp.pad(bits, (0, -len(bits) % _WORD), constant_values=2**_BITS - 1).reshape(_WORD, -1)

    def set_bit(position: jax.Array, bound: jax.Array) -> jax.Array:
        """`bound` stays the greatest number of the bits so far that fewer than `size` times lie below.

        Compilers add up rows of bytes as vectors, in a third of the time of one long sum.
        """
        candidate = bound | (1 << (_BITS - 1 - position))
        below = (rows < candidate).sum(0, dtype=jnp.int8).sum(dtype=jnp.int32)
        return jnp.where(below < size, candidate, bound)

    bound = lax.fori_loop(0, _BITS, set_bit, jnp.zeros((), jnp.int32))
    below, ties = bits < bound, bits == bound
    remaining = size - below.sum(dtype=jnp.int32)
    all_ties_fit = ties.sum(dtype=jnp.int32) == remaining
    first_ties = lax.cond(all_ties_fit, lambda: ties, lambda: ties & (jnp.cumsum(ties) <= remaining))
    return _indices_of_true(below | first_ties, size)


def _indices_of_true(mask: jax.Array, size: int) -> jax.Array:
    """The indices of the `size` true entries, ascending: first the word that holds each as a bit, then its position."""
    bits = jnp.pad(mask, (0, -len(mask) % _WORD)).reshape(-1, _WORD).astype(jnp.uint32)
    words = (bits << jnp.arange(_WORD, dtype=jnp.uint32)).sum(1, dtype=jnp.uint32)
    ends = jnp.cumsum(_bit_count(words))
    ranks = jnp.arange(size, dtype=jnp.int32)
    row = jnp.searchsorted(ends, ranks, side="right").astype(jnp.int32)
    word, position = words[row], jnp.zeros(size, jnp.int32)
    remaining = ranks - (ends[row] - _bit_count(word))  # true bits of the word that come before this one
    for half in (16, 8, 4, 2, 1):
        lower = _bit_count((word >> position.astype(jnp.uint32)) & jnp.uint32((1 << half) - 1))
        beyond = remaining >= lower
        remaining, position = remaining - beyond * lower, position + half * beyond
    return _WORD * row + position


def _bit_count(words: jax.Array) -> jax.Array:
    return lax.population_count(words).astype(jnp.int32)


def _shuffle(bits: jax.Array, indices: jax.Array) -> jax.Array:
    """The indices in the order of their random bits; packed together, as pairs would take five times as long."""
    with x64():
        words = (bits.astype(jnp.uint64) << 32) | indices.astype(jnp.uint64)
        return lax.sort(words).astype(jnp.uint32).astype(jnp.int32)


def _as_float32(probabilities: jax.Array, size: int) -> jax.Array | np.ndarray:
    """The probabilities in float32, checked; concrete values stay with NumPy, which avoids a compiled program."""
    check_vector(probabilities, "the probability")
    if is_traced(probabilities):
        return jnp.asarray(probabilities, jnp.float32)
    values = np.asarray(probabilities)
    bad = ~((values >= 0) & np.isfinite(values))
    if bad.any():
        raise ValueError(
            f"the probability of point {bad.argmax():,} is {values[bad.argmax()]}; it must be 0 or more, and finite"
        )
    if size > (positive := np.count_nonzero(values)):
        raise ValueError(f"{size:,} points are asked for, but only {positive:,} have a probability above 0")
    return _rescale_to_float32(values)


def _rescale_to_float32(values: np.ndarray) -> np.ndarray:
    """The same in float32, up to a power of two that changes no draw; what is above 0 stays so."""
    with np.errstate(over="ignore"):
        rates = values.astype(np.float32)
    if rates.max(initial=0) <= _HIGHEST and (rates[values > 0] >= _LOWEST).all():
        return rates
    scaled = np.ldexp(values.astype(np.float64), 60 - np.frexp(values.max())[1])  # the greatest becomes about 2^60
    return np.where(values > 0, np.maximum(scaled, _LOWEST), 0).astype(np.float32)
