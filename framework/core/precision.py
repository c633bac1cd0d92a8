"""A local switch to 64 bits, which leaves the precision of the caller as it is."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def x64() -> Iterator[None]:
    """Computes in float64 and int64 within a `with` block, or within a function as the decorator `@x64()`.

    Arrays made inside stay 64-bit outside of it.

    Example:
      >>> from framework.core.precision import x64
      >>> with x64():
      ...     print(jnp.ones(2).dtype)
      float64
    """
    with jax.enable_x64(True):
        yield


def is_x64_enabled() -> bool:
    """True where new arrays are 64-bit, by `x64` or by the caller's own `jax_enable_x64`."""
    return bool(jax.config.jax_enable_x64)
