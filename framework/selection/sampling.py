"""Drawing without replacement, with the law of one draw after another.

A clock rings at each point after a time of its own, Exponential of rate p. The points whose clocks ring first are those
that successive draws in proportion to p would take, in the same order; minus the logarithm of a clock is log p plus a
Gumbel variable, whence the name Gumbel top-k.

Reference: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006); Kool, van Hoof and Welling,
"Stochastic beams and where to find them", arXiv 1903.06059.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core import keys as random_keys
from framework.core.precision import x64
from framework.core.tracing import is_traced
from framework.core.types import Key
from framework.selection.inputs import check_size, check_vector

_ALMOST_ONE = 1 - 2.0**-24
_LOWEST, _HIGHEST = 2.0**-120, 2.0**90  # rates whose clocks are normal float32
_WORD = 32  # bits
_BITS = 31  # of a float32 that is not negative; in the order of its values


def select(
    key: Key, size: int, probabilities: jax.Array | None = None, count: int | None = None, shuffle: bool = True
) -> jax.Array:
    """Distinct points, drawn one after another in proportion to their probabilities among those that are left.

    Args:
      key: of the draw; `vmap` over keys draws many selections, `proxies` does so in blocks.
      size: k, how many; static.
      probabilities: `[N]`, not negative, of any sum; None draws all alike.
      count: N, where there are no probabilities.
      shuffle: in random order, so that any part is a selection of its own; else by index, a quarter faster.

    Returns:
      `[k]` int32, each in `[0, N)`, no two the same.

    Raises:
      ValueError: if there are fewer points than asked for, or fewer that have a probability above 0; if one is
        negative, infinite or NaN; unless just one of `probabilities` and `count` is given.

    Example:
      >>> from framework import selection
      >>> chosen = selection.select(jax.random.key(0), 2, jnp.array([0.0, 0.5, 0.0, 0.1]))
      >>> sorted(chosen.tolist())
      [1, 3]
    """
    random_keys.check(key)
    if (probabilities is None) == (count is None):
        raise ValueError("select takes the probabilities of the points, or their count where all are alike; just one")
    if probabilities is not None:
        probabilities = _checked(probabilities, size)
        count = len(probabilities)
    check_size(size, count)
    return _select(key, probabilities, size, count, shuffle)


def proxies(
    keys: Key, size: int, probabilities: jax.Array | None = None, count: int | None = None, block: int = 8
) -> jax.Array:
    """Many selections in one call, `block` of them at a time in memory.

    Args:
      keys: `[S]`, one a selection.
      size, probabilities, count: as in `select`.
      block: selections at a time, at least 1.

    Returns:
      `[S, k]` int32; row i equals `select(keys[i], ...)`.

    Raises:
      ValueError: as `select` does, if keys are not `[S]`, or `block` is no whole number of at least 1.
    """
    random_keys.check(keys, block=block)
    if jax.random.key_data(keys).ndim != 2:
        raise ValueError(f"proxies takes keys [S], one a selection, got the shape {keys.shape}")
    if probabilities is not None:
        probabilities = _checked(probabilities, size)
    if not size:
        return jnp.zeros((len(keys), 0), jnp.int32)
    return lax.map(lambda key: select(key, size, probabilities, count), keys, batch_size=min(block, len(keys)))


@partial(jax.jit, static_argnames=("size", "count", "shuffle"))
def _select(key: Key, probabilities: jax.Array | None, size: int, count: int, shuffle: bool) -> jax.Array:
    if not size:
        return jnp.zeros(0, jnp.int32)
    bits = jax.random.bits(key, (count + size * shuffle,))
    chosen = _earliest(_clocks(bits[:count], probabilities), size)
    return _shuffled(bits[count:], chosen) if shuffle else chosen


def _clocks(bits: jax.Array, rates: jax.Array | None) -> jax.Array:
    """Exponential times from 32 random bits each, `[N]` float32, inf where the rate is 0.

    Early times, which alone decide, are resolved to 2^-33.
    """
    uniform = (bits.astype(jnp.float32) + 0.5) * 2.0**-32
    times = -jnp.log1p(-jnp.minimum(uniform, _ALMOST_ONE))
    return times if rates is None else times / rates


def _earliest(clocks: jax.Array, size: int) -> jax.Array:
    """The indices of the `size` least clocks, in ascending order; of equal ones the first.

    The bound is found bit by bit: floats that are not negative are in the order of their bits.
    """
    bits = lax.bitcast_convert_type(clocks, jnp.int32)
    rows = jnp.pad(bits, (0, -len(bits) % _WORD), constant_values=2**_BITS - 1).reshape(_WORD, -1)

    def lower(place: jax.Array, bound: jax.Array) -> jax.Array:
        """`bound` stays the greatest number of the bits so far that fewer than `size` clocks lie below.

        Compilers add up rows of bytes as vectors, in a third of the time of one long sum.
        """
        tried = bound | (1 << (_BITS - 1 - place))
        below = (rows < tried).sum(0, dtype=jnp.int8).sum(dtype=jnp.int32)
        return jnp.where(below < size, tried, bound)

    bound = lax.fori_loop(0, _BITS, lower, jnp.zeros((), jnp.int32))
    below, tied = bits < bound, bits == bound
    room = size - below.sum(dtype=jnp.int32)
    within = lax.cond(tied.sum(dtype=jnp.int32) == room, lambda: tied, lambda: tied & (jnp.cumsum(tied) <= room))
    return _places(below | within, size)


def _places(taken: jax.Array, size: int) -> jax.Array:
    """The indices of the `size` true ones, ascending: first the word that each is a bit of, then its place in it."""
    bits = jnp.pad(taken, (0, -len(taken) % _WORD)).reshape(-1, _WORD).astype(jnp.uint32)
    words = (bits << jnp.arange(_WORD, dtype=jnp.uint32)).sum(1, dtype=jnp.uint32)
    ends = jnp.cumsum(_ones(words))
    wanted = jnp.arange(size, dtype=jnp.int32)
    row = jnp.searchsorted(ends, wanted, side="right").astype(jnp.int32)
    word, place = words[row], jnp.zeros(size, jnp.int32)
    left = wanted - (ends[row] - _ones(word))  # true ones of the word that come before the wanted one
    for half in (16, 8, 4, 2, 1):
        lower = _ones((word >> place.astype(jnp.uint32)) & jnp.uint32((1 << half) - 1))
        beyond = left >= lower
        left, place = left - beyond * lower, place + half * beyond
    return _WORD * row + place


def _ones(words: jax.Array) -> jax.Array:
    return lax.population_count(words).astype(jnp.int32)


def _shuffled(bits: jax.Array, chosen: jax.Array) -> jax.Array:
    """The chosen in the order of their random bits; packed together, as pairs would take five times as long."""
    with x64():
        packed = (bits.astype(jnp.uint64) << 32) | chosen.astype(jnp.uint64)
        return lax.sort(packed).astype(jnp.uint32).astype(jnp.int32)


def _checked(probabilities: jax.Array, size: int) -> jax.Array | np.ndarray:
    """The probabilities in float32; what is known stays with NumPy, which spares a program of its own."""
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
    return _single(values)


def _single(values: np.ndarray) -> np.ndarray:
    """The same in float32, up to a power of two that changes no draw; what is above 0 stays so."""
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if found.max(initial=0) <= _HIGHEST and (found[values > 0] >= _LOWEST).all():
        return found
    scaled = np.ldexp(values.astype(np.float64), 60 - np.frexp(values.max())[1])  # the greatest becomes about 2^60
    return np.where(values > 0, np.maximum(scaled, _LOWEST), 0).astype(np.float32)
