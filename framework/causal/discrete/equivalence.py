"""Graphs up to Markov equivalence, the most that conditional independences in the data can tell."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.causal.metrics import graph_distance


@jax.jit
def cpdag(graph: jax.Array) -> jax.Array:
    """The completed partially directed graph that stands for a DAG's Markov equivalence class.

    Args:
      graph: `[d, d]` bool, a DAG.

    Returns:
      `[d, d]` bool, with (i, j) and (j, i) both set for an undirected edge.

    Reference: Meek, "Causal inference and causal explanation with background knowledge", UAI 1995, arXiv 1302.4972.
    """
    graph = jnp.asarray(graph, bool)
    return graph | (graph & ~compelled_edges(graph)).T


@jax.jit
def compelled_edges(graph: jax.Array) -> jax.Array:
    """The edges on whose direction every DAG of the Markov equivalence class agrees: those that data can tell.

    Args:
      graph: `[d, d]` bool, a DAG.

    Returns:
      `[d, d]` bool, a subset of the graph: the v-structures and what follows from them by `closure`.

    Reference: arXiv 1302.4972.
    """
    graphs.require_square(graph=graph)
    return closure(v_structures(graph), graph)


def v_structures(graph: jax.Array) -> jax.Array:
    """The edges i -> k of a graph that have a k <- j next to them with i and j not adjacent: `[d, d]` bool."""
    graph = jnp.asarray(graph, bool)
    return graph & graphs.compose(not_adjacent(graph), graph)


def not_adjacent(graph: jax.Array) -> jax.Array:
    """Which pairs of different nodes are not adjacent, `[d, d]` bool."""
    return ~(graph | graph.T | np.eye(graph.shape[-1], dtype=bool))


def closure(directed: jax.Array, graph: jax.Array) -> jax.Array:
    """The edges whose direction follows from some that are known, by Meek's rules:

        R1   i -> j - k, i and k not adjacent                                      j -> k
        R2   i - k with i -> j -> k                                                i -> k
        R3   i - k with i - j -> k and i - l -> k, j and l not adjacent            i -> k, if not j -> i <- l
        R4   i - k with i - j -> l -> k, j and k not adjacent, i and l adjacent    i -> k

    They are complete: an edge that is not in the result stands the other way round in some DAG of the equivalence class
    that has all the known ones. Every newly directed edge is looked at once, at a cost of O(d^2). Where v-structures of
    the graph are not among the known edges, R3 does not take them for open.

    Args:
      directed: the edges known, `[d, d]` bool, a subset of the graph; complete with all its v-structures.
      graph: `[d, d]` bool, a DAG.

    Returns:
      `[d, d]` bool, a subset of the graph.

    Reference: Meek, arXiv 1302.4972, theorem 4.
    """
    graph = jnp.asarray(graph, bool)
    adjacent, apart = graph | graph.T, not_adjacent(graph)

    def follow(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        directed, waiting = carry
        edge = graphs.position(graphs.greatest(waiting.astype(jnp.float32)).ravel())
        a, b = edge // len(graph), edge % len(graph)
        open_edges = adjacent & ~directed & ~directed.T
        into, out, open_a, open_b = directed[:, b], directed[b], open_edges[a], open_edges[b]
        new = _edges(b, open_b & apart[a])  # R1 with a -> b for i -> j
        new |= _edges(a, open_a & out) | _edges(b, open_b & directed[:, a], into=True)  # R2 with a -> b first, second
        # R3 with a -> b for j -> k, R4 with a -> b for l -> k, and R4 with a -> b for j -> l
        others = (into & apart[a])[:, None]
        pair = graphs.compose(open_edges & graph, others) | (graph[:, a, None] & graphs.compose(open_edges, others))
        new |= _edges(b, open_a & open_b & pair[:, 0], into=True)
        chain = graphs.compose(open_edges, (directed[:, a] & apart[b])[:, None])[:, 0]
        new |= _edges(b, open_b & adjacent[a] & chain, into=True)
        new |= (open_a & adjacent[b])[:, None] & (out & apart[a])[None, :] & open_edges
        new &= graph & ~directed  # all of the class agree with `graph`, so no rule can direct an edge against it
        waiting &= ~_edges(a, np.arange(len(graph)) == b)
        return directed | new, waiting | new

    def _edges(node: jax.Array, others: jax.Array, into: bool = False) -> jax.Array:
        """The edges from one node to others, or into it from them, `[d, d]` bool."""
        here = np.arange(len(graph)) == node
        return others[:, None] & here if into else here[:, None] & others

    directed = jnp.asarray(directed, bool)
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), follow, (directed, directed))[0]


def cpdag_shd(true_graph: jax.Array, estimated_graph: jax.Array) -> jax.Array:
    """In how many pairs of columns the classes of two DAGs differ, `[]` int32.

    A pair is joined one way, the other way, without a direction or not at all; any difference counts 1.

    Args:
      true_graph: `[d, d]` bool, a DAG.
      estimated_graph: `[d, d]` bool, a DAG.
    """
    graphs.require_square(true_graph=true_graph, estimated_graph=estimated_graph)
    differs = cpdag(true_graph) != cpdag(estimated_graph)
    return jnp.sum(jnp.triu(differs | differs.T), dtype=jnp.int32)


def skeleton_scores(true_graph: jax.Array, estimated_graph: jax.Array) -> graph_distance.Scores:
    """How well the pairs of joined columns are found, whatever the edges' direction.

    Args:
      true_graph: `[d, d]` bool; directed or, as a CPDAG, with both entries set.
      estimated_graph: `[d, d]` bool, likewise.

    Returns:
      `precision, recall, f1`, each `[]`; 0 where the denominator is 0.
    """
    graphs.require_square(true_graph=true_graph, estimated_graph=estimated_graph)
    true, estimated = (jnp.asarray(graph, bool) for graph in (true_graph, estimated_graph))
    scores = graph_distance.compare(jnp.triu(true | true.T, 1), jnp.triu(estimated | estimated.T, 1))
    return {name: scores[name] for name in ("precision", "recall", "f1")}
