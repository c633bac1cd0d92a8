"""Greedy coverage of a feature space, one point at a time, in O(N d) memory and O(k N d) time."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from framework.core import extremes
from framework.core.precision import x64
from framework.core.tracing import is_traced
from framework.core.types import Array, Key
from framework.selection import ranking
from framework.selection.inputs import check_features, check_size


def k_center_greedy(
    features: Float[Array, "n d"], size: int, start: int | jax.Array = 0, key: Key | None = None
) -> Int[Array, " k"]:
    """Greedy k-center: each next point is the one farthest from all selected ones.

        s_1 = start,   s_t = argmax_i min_{j < t} || z_i - z_{s_j} ||

    The largest distance that remains is at most twice the least possible one.

    Args:
      features: z, `[N, d]`; distances are computed in float64.
      size: k, static.
      start: index of the first selected point; may be traced.
      key: breaks ties between equally far points; without one the first is taken.

    Returns:
      `[k]` int32 in the order of selection, distinct.

    Raises:
      ValueError: if there are fewer points than requested, the start is not an index, or features are not finite.

    Reference: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985); Sener and Savarese,
    "Active learning for convolutional neural networks: a core-set approach", arXiv 1708.00489.
    """
    check_features(features)
    check_size(size, len(features))
    if not is_traced(start) and size and not (start == int(start) and 0 <= start < len(features)):
        raise ValueError(f"the first centre must be one of the points 0 to {len(features) - 1}, got {start}")
    with x64():
        points = jnp.asarray(features, jnp.float64)
        return _k_center(points, size, jnp.asarray(start, jnp.int32), ranking.tie_order(key, len(points)))


@partial(jax.jit, static_argnames="size")
def _k_center(features: jax.Array, size: int, start: jax.Array, order: jax.Array) -> jax.Array:
    features = features - features.mean(0)
    squares = (features**2).sum(1)

    def step(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        point, nearest = carry  # squared distances; -1 once selected
        distances = jnp.maximum(squares + squares[point] - features @ (2 * features[point]), 0)
        nearest = jnp.minimum(nearest, distances).at[point].set(-1.0)
        return (extremes.argmax(nearest, order), nearest), point

    initial = start, jnp.full(len(features), jnp.inf, features.dtype)
    return lax.scan(step, initial, length=size)[1]


def herding(features: Float[Array, "n d"], size: int, key: Key | None = None) -> Int[Array, " k"]:
    """Herding: each next point brings the mean of the selected ones as near to the mean of all as one point can.

        s_t = argmin_i || mean z - (z_{s_1} + ... + z_{s_{t-1}} + z_i) / t ||

    Args:
      features: z, `[N, d]`; computed in float64.
      size: k, static.
      key: breaks ties between equally good points; without one the first is taken.

    Returns:
      `[k]` int32 in the order of selection, distinct.

    Raises:
      ValueError: if there are fewer points than requested, or features are not finite.

    Reference: Welling, "Herding dynamical weights to learn" (ICML 2009); Rebuffi et al., "iCaRL", arXiv 1611.07725,
    algorithm 4.
    """
    check_features(features)
    check_size(size, len(features))
    with x64():
        return _herding(jnp.asarray(features, jnp.float64), size, ranking.tie_order(key, len(features)))


@partial(jax.jit, static_argnames="size")
def _herding(features: jax.Array, size: int, order: jax.Array) -> jax.Array:
    features = features - features.mean(0)
    squares = (features**2).sum(1)

    def step(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        total, cost = carry  # cost: |z_i|^2, inf once selected; |total|^2 is the same for all
        point = extremes.argmax(-cost - features @ (2 * total), order)
        return (total + features[point], cost.at[point].set(jnp.inf)), point

    return lax.scan(step, (jnp.zeros(features.shape[1], features.dtype), squares), length=size)[1]
