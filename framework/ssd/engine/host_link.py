"""The host link: a FIFO each way, as prefix sums and running maxima."""

import jax
import jax.numpy as jnp


def fifo(arrival: jax.Array, service: jax.Array) -> jax.Array:
    """When each of a queue's customers leaves: `end_i = S_i + max_{j <= i} (arrival_j - S_{j-1})`, S the prefix sums.

    Args:
      arrival: `[..., customers]` int64, in the order of service.
      service: likewise.
    """
    done = jnp.cumsum(service, -1)
    return done + jax.lax.cummax(arrival - (done - service), axis=arrival.ndim - 1)


def outbound(done: jax.Array, service: jax.Array, late: bool = False) -> jax.Array:
    """When requests end: in the order in which the device is done with them, of two at one time the earlier request.

    Args:
      done: `[requests]` int64 ns.
      service: `[requests]` int64 ns on the link.
      late: whether times may exceed `latest(requests)`. If not, time and number are sorted as one integer, which is
        seven times as fast.
    """
    if late:
        order = jnp.argsort(done, stable=True)
        done = done[order]
    else:
        bits = _bits(done.shape[-1])
        both = jnp.sort((done << bits) | jnp.arange(done.shape[-1]))
        order, done = both & (2**bits - 1), both >> bits
    return jnp.zeros_like(done).at[order].max(fifo(done, service[order]))


def latest(requests: int) -> int:
    """Up to which time, in ns, time and number of so many requests fit one integer; 9 hours for 131,072."""
    return 2 ** (62 - _bits(requests))


def _bits(requests: int) -> int:
    return max(requests - 1, 1).bit_length()
