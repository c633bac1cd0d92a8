"""Argmax and Pareto fronts that are exact in any compiled loop and precision."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def argmax(values: jax.Array, order: jax.Array | None = None) -> jax.Array:
    """The position of the first of the greatest entries, counted along the flattened array or in another order.

    One reduction over values with their places: a comparison with the maximum may find none equal, where the compiler
    computes the values twice with other roundings (jax 0.12); and jnp.argmax itself cannot be lowered for float64 under
    the jit of a 32-bit caller (jax 0.10 and 0.12).

    Args:
      values: floats of any shape, without NaN.
      order: `[N]` int32, the positions in the order in which equal entries come; as they stand without one.

    Returns:
      `[]` int32.
    """
    if order is not None:
        return order[argmax(values.ravel()[order])]
    places = np.arange(math.prod(values.shape), dtype=np.int32).reshape(values.shape)

    def larger(one: tuple[jax.Array, jax.Array], other: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        wins = (one[0] > other[0]) | ((one[0] == other[0]) & (one[1] < other[1]))
        return jnp.where(wins, one[0], other[0]), jnp.where(wins, one[1], other[1])

    least = (jnp.array(-jnp.inf, values.dtype), jnp.array(places.size, jnp.int32))
    return jax.lax.reduce((values, jnp.asarray(places)), least, larger, tuple(range(values.ndim)))[1]


def front(costs: np.ndarray) -> np.ndarray:
    """The Pareto front: indices of those that no other matches or beats in every cost, by rising first cost.

    Args:
      costs: `[n, costs]` floats without NaN, the smaller the better; of equal rows the first one stays.

    Returns:
      `[front]` int.
    """
    kept: list[int] = []
    for i in np.lexsort(costs.T[::-1]):
        if not (costs[kept] <= costs[i]).all(1).any():
            kept.append(i)
    return np.array(kept, int)
