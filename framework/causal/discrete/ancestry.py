"""Knowledge of ancestral relations: i is an ancestor of j where a directed path of any length leads from i to j.

Every ordered pair that a path joins has a cost, below 0 where the path is believed in; what a graph pays for its paths
is their sum. What one edge changes in it is read off the path counts N = (I - G)^-1 = I + G + G^2 + ..: of a DAG's
paths from a to b exactly N_ai N_jb lead over the edge i -> j, so without it

    N' = N - N e_i e_j' N

and the pairs with N_ab = N_ai N_jb > 0 are the ones it alone joins.

Reference: the rank-one form is Demetrescu and Italiano, "Trade-offs for fully dynamic transitive closure on DAGs",
J. ACM 52 (2005); ancestral constraints in a search over graphs are those of Chen et al., "Learning Bayesian networks
with ancestral constraints", NeurIPS 2016.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

_CEILING = 1e100  # of a path count; the product of two is finite
_TOGETHER = 8  # edges that are looked at in one go
_HALFWAY = 0.01  # of a path's strength: from here on a favoured path's reward grows only like the logarithm


def path_counts(graph: jax.Array) -> jax.Array:
    """How many directed paths lead from i to j, and 1 from each node to itself: `[d, d]` float64.

    Made of sums and products of what is not negative: below 2^53 a count is exact, above it is rounded, and it stops at
    1e100; but it is 0 only where there is no path.

    Args:
      graph: `[d, d]` bool, a DAG.
    """
    power = graph.astype(jnp.float64)
    counts = jnp.eye(len(graph)) + power
    for _ in range(max(len(graph) - 1, 1).bit_length() - 1):
        power = jnp.minimum(power @ power, _CEILING)
        counts = jnp.minimum(counts + counts @ power, _CEILING)
    return counts


def total(counts: jax.Array, cost: jax.Array) -> jax.Array:
    """What a graph pays for its paths, the sum of cost_ij over the pairs with a path from i to j: `[]`.

    Args:
      counts: its `path_counts`, `[d, d]`.
      cost: `[d, d]`; its diagonal does not count.
    """
    return jnp.sum(jnp.where(counts > 0, _between(cost), 0))


def changes(graph: jax.Array, cost: jax.Array, counts: jax.Array | None = None) -> jax.Array:
    """What each move of a single edge i -> j adds to `total`: putting it in, taking it out, turning it round.

    Takes two d x d products, and O(d^2) for each edge of the graph.

    Args:
      graph: `[d, d]` bool, a DAG.
      cost: `[d, d]`; its diagonal does not count.
      counts: the graph's `path_counts`, `[d, d]`, where they are known already.

    Returns:
      `[3, d, d]`; right, up to rounding of the sums, for moves that are possible and lead to a DAG while no path count
      passes 2^53; finite for all others.
    """
    counts = path_counts(graph) if counts is None else counts
    cost, joined = _between(cost), counts > 0
    ends = joined.astype(cost.dtype).T
    add = ends @ jnp.where(joined, 0, cost) @ ends
    places = np.arange(graph.size, dtype=np.int32)
    edges = jnp.sort(jnp.where(graph.ravel(), places, graph.size))
    edges = jnp.pad(edges, (0, _TOGETHER), constant_values=graph.size)

    def body(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        done, delete, turn = carry
        some = jax.lax.dynamic_slice_in_dim(edges, done, _TOGETHER)
        less, more = jax.vmap(partial(_edge, counts, joined, cost))(some // len(graph), some % len(graph))
        put = lambda old, new: old.at[some].set(new, mode="drop")
        return done + _TOGETHER, put(delete, less), put(turn, more)

    nothing = jnp.zeros(graph.size, cost.dtype)
    start = (jnp.zeros((), jnp.int32), nothing, nothing)
    _, delete, turn = jax.lax.while_loop(lambda carry: edges[carry[0]] < graph.size, body, start)
    return jnp.stack([add, delete.reshape(add.shape), turn.reshape(add.shape)])


def along_shortest(graph: jax.Array, belief: jax.Array) -> jax.Array:
    """What beliefs in paths ask of the directions of edges: each pair's belief, for every shortest walk between the two
    that an edge lies on, whatever the edges' directions.

    Args:
      graph: `[d, d]` bool.
      belief: how much a path from i to j is wanted, `[d, d]`, at least 0.

    Returns:
      `[d, d]`, at (i, j) what asks for i -> j; 0 where i and j are not adjacent.
    """
    belief = jnp.asarray(belief)
    adjacent, nodes = graph | graph.T, np.arange(len(graph), dtype=np.int32)

    def from_source(asked: jax.Array, source: jax.Array) -> tuple[jax.Array, None]:
        def deeper(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
            level, frontier, depth = carry
            frontier = jnp.any(adjacent & frontier[:, None], axis=0) & (level < 0)
            return jnp.where(frontier, depth + 1, level), frontier, depth + 1

        start = jnp.where(nodes == source, 0, -1), nodes == source, jnp.zeros((), jnp.int32)
        level, _, depth = jax.lax.while_loop(lambda carry: jnp.any(carry[1]), deeper, start)
        onward = adjacent & (level[:, None] >= 0) & (level == level[:, None] + 1)
        step = onward.astype(belief.dtype)
        here = (nodes == source).astype(belief.dtype)
        repeat = lambda body, start: jax.lax.fori_loop(jnp.int32(0), depth, lambda _, value: body(value), start)
        walks = repeat(lambda walks: here + walks @ step, here)  # how many lead to each node
        beyond = repeat(lambda beyond: belief[source] + step @ beyond, belief[source])  # asked for there and further on
        return asked + walks[:, None] * step * beyond, None

    return jax.lax.scan(from_source, jnp.zeros_like(belief), nodes)[0]


def smooth(weights: jax.Array, cost: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A smooth stand-in for `total` of weights, and its gradient.

    With the strength of all paths from i to j, T = (I - W o W)^-1 off the diagonal and e = 0.01,

        sum over cost_ij > 0 of  cost_ij T_ij   +   sum over cost_ij < 0 of  cost_ij log(1 + T_ij / e) / log(1 + 1 / e)

    so that a path of strength 1 is worth its cost and none is worth 0. The logarithm gives a favoured path its pull
    where it is still weak and lets it go where it stands. The gradient is 2 W o (T' G T') with G the slope in T.

    Args:
      weights: W, `[d, d]`, with the spectral radius of W o W below 1; beyond, negative entries of T count as 0.
      cost: `[d, d]`; its diagonal does not count.

    Returns:
      The value `[]` and its gradient `[d, d]`; 0 at W = 0, as that of any function of W o W.

    Reference: the inverse for the strength of paths, as in the gradient of DAGMA's function, arXiv 2209.08037.
    """
    cost = _between(cost)
    inverse = jnp.linalg.inv(jnp.eye(len(weights), dtype=weights.dtype) - weights * weights)
    strength = jnp.maximum(inverse, 0)
    unit = jnp.log1p(1 / _HALFWAY)
    value = jnp.sum(jnp.where(cost > 0, strength, jnp.log1p(strength / _HALFWAY) / unit) * cost)
    slope = jnp.where(cost > 0, 1.0, 1 / (unit * (_HALFWAY + strength))) * cost * (inverse > 0)
    return value, 2 * weights * (inverse.T @ slope @ inverse.T)


def _between(cost: jax.Array) -> jax.Array:
    """The cost of pairs of different nodes, 0 for a node with itself."""
    return jnp.where(jnp.eye(len(cost), dtype=bool), 0, cost)


def _edge(
    counts: jax.Array, joined: jax.Array, cost: jax.Array, source: jax.Array, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """What taking an edge out, and turning it round, adds to the total: two `[]`."""
    into, out = counts[:, source], counts[target]
    apart = counts <= into[:, None] * out  # without the edge
    before, behind = counts[:, target] > into, counts[source] > out  # the target's ancestors, the source's descendants
    lost = jnp.sum(jnp.where(apart & joined, cost, 0))
    gained = jnp.sum(jnp.where(apart & before[:, None] & behind, cost, 0))
    return -lost, gained - lost
