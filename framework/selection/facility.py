"""Facility location: a greedy selection of points near to all others, without a matrix of all pairs."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from framework.core import checks, keys
from framework.core.types import Array, Key
from framework.selection import ranking
from framework.selection.inputs import check_features, check_size


def facility_location(
    features: Float[Array, "n d"], size: int, key: Key | None = None, candidates: int | None = None, block: int = 64
) -> Int[Array, " k"]:
    """Greedy facility location: each next point reduces the sum of squared distances to the selected points the most.

        F(S) = sum_i (D - min_{j in S} || z_i - z_j ||^2),   D = 4 max || z_i - mean z ||^2

    F is monotone and submodular, so that the greedy selection reaches 1 - 1/e of the greatest F. Distances are computed
    for `block` candidates at a time: O(N (d + block)) memory; time O(k c N d) for c candidates a step.

    Args:
      features: z, `[N, d]`; computed in float32.
      size: k, static.
      key: draws the candidates, if there are any, or breaks ties between equally good points.
      candidates: how many points a step evaluates, drawn with replacement; (N / k) log(1 / e) of them keep 1 - 1/e - e
        in expectation. None evaluates all.
      block: candidates per step of the computation, at least 1.

    Returns:
      `[k]` int32 in the order of selection, distinct.

    Raises:
      ValueError: if there are fewer points than requested, candidates come without a key, a number is less than 1, or
        features are not finite.

    Reference: Nemhauser, Wolsey and Fisher (1978); Mirzasoleiman et al., "Lazier than lazy greedy", arXiv 1409.7938.
    """
    check_features(features)
    check_size(size, len(features))
    checks.counts(block=block)
    if candidates is not None:
        keys.check(key, candidates=candidates)
    order = ranking.tie_order(None if candidates else key, len(features))
    return _facility(jnp.asarray(features, jnp.float32), size, key, order, candidates, block)


@partial(jax.jit, static_argnames=("size", "candidates", "block"))
def _facility(
    features: jax.Array, size: int, key: Key | None, order: jax.Array, candidates: int | None, block: int
) -> jax.Array:
    count = len(features)
    features = features - features.mean(0)
    squares = (features**2).sum(1)

    def distances(points: jax.Array) -> jax.Array:
        product = jnp.matmul(features[points], features.T, precision=lax.Precision.HIGHEST)
        return jnp.maximum(squares[points][:, None] + squares - 2 * product, 0.0)

    def gains(points: jax.Array, nearest: jax.Array) -> jax.Array:
        gain = lambda point: jnp.maximum(nearest - distances(point[None])[0], 0.0).sum()
        return lax.map(gain, points, batch_size=min(block, len(points)))

    def step(carry: tuple[jax.Array, jax.Array], index: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        nearest, free = carry
        points = order
        if candidates is not None:
            draws = jax.random.randint(jax.random.fold_in(key, index), (candidates,), 0, count)
            points = jnp.append(draws, free.argmax())  # so that one of them is free
        worth = jnp.where(free[points], gains(points, nearest), -1.0)
        point = points[worth.argmax()].astype(jnp.int32)
        return (jnp.minimum(nearest, distances(point[None])[0]), free.at[point].set(False)), point

    start = jnp.full(count, 4 * squares.max()), jnp.ones(count, bool)
    return lax.scan(step, start, jnp.arange(size))[1]
