"""Random key streams: one key for each purpose, derived by name or number, never by the order of calls."""

import operator
import zlib

import jax

from framework.core import checks
from framework.core.types import Key


def check(key: Key, **drawn: int) -> None:
    """Raises ValueError unless it is a key of JAX, no seed, and there is at least 1 of everything that is drawn."""
    checks.counts(**drawn)
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) or dtype == "uint32"):
        what = f"{dtype} numbers" if dtype is not None else repr(key)[:80]
        raise ValueError(f"a random key is wanted, as jax.random.key(0) makes it, got {what}")


def derive(key: Key, name: str) -> Key:
    """The key of one purpose, `fold_in(key, crc32(name))`.

    Adding a purpose leaves the draws of all others as they were, which `split` does not.

    Raises:
      ValueError: if it is no key.

    Example:
      >>> from framework.core import keys
      >>> key = jax.random.key(0)
      >>> noise, weights = keys.derive(key, "noise"), keys.derive(key, "weights")
      >>> bool(noise == weights), bool(noise == keys.derive(key, "noise"))
      (False, True)
    """
    check(key)
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def for_seeds(seed: int, count: int = 1) -> Key:
    """Keys of the seeds `seed .. seed + count - 1`.

    Row i equals `jax.random.key(seed + i)`, so that a batch over seeds draws what each seed draws alone.

    Args:
      seed: the first seed, at least 0.
      count: how many, at least 1.

    Returns:
      Typed keys, `[count]`.

    Raises:
      ValueError: if `seed` is negative or `count` is less than 1.

    Example:
      >>> from framework.core import keys
      >>> seeds = keys.for_seeds(3, count=2)
      >>> seeds.shape, bool(seeds[1] == jax.random.key(4))
      ((2,), True)
    """
    return jax.numpy.stack([jax.random.key(s) for s in seeds(seed, count)])


def seeds(first: int, count: int = 1) -> range:
    """The seeds `first .. first + count - 1`.

    Raises:
      ValueError: if `first` is negative, `count` less than 1, or the last one past 2^32 - 1.
    """
    first, count = operator.index(first), operator.index(count)
    if first < 0 or count < 1 or first + count > 2**32:
        raise ValueError(f"seeds must be at least 1 number between 0 and 2^32 - 1, got {count} from {first} on")
    return range(first, first + count)
