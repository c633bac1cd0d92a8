"""Graphs up to Markov equivalence, the most that conditional independences in the data can tell."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs, metrics


@jax.jit
def cpdag(graph: jax.Array) -> jax.Array:
    """The completed partially directed graph that stands for a DAG's Markov equivalence class.

    An edge stays directed where every DAG of the class agrees on it: first those of v-structures i -> k <- j with i and
    j not joined, then, until nothing changes, whatever Meek's rules direct:

        R1   i -> j - k, i and k not joined                              j -> k
        R2   i - k with i -> j -> k                                      i -> k
        R3   i - k with i - j -> k and i - l -> k, j and l not joined    i -> k

    His rule R4 needs an arrow that comes from background knowledge; from v-structures alone R1 to R3 are complete.
    R3 takes d^3 numbers of memory.

    Args:
      graph: `[d, d]` bool, a DAG.

    Returns:
      `[d, d]` bool, with (i, j) and (j, i) both set for an undirected edge.

    Reference: Meek, "Causal inference and causal explanation with background knowledge", UAI 1995, arXiv 1302.4972.
    """
    graphs.require_square(graph=graph)
    graph = jnp.asarray(graph, bool)
    apart = ~(graph | graph.T | np.eye(graph.shape[-1], dtype=bool))

    def direct(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        directed, _ = carry
        open_edges = graph & ~directed
        undirected = open_edges | open_edges.T
        first = graphs.compose(directed.T, apart)
        second = graphs.compose(directed, directed)
        between = undirected[:, None, :] & directed.T[None, :, :]  # [i, k, j]: i - j -> k
        third = jnp.any(graphs.compose(between, apart) & between, axis=-1)
        # all of the class agree with `graph`, so no rule can direct an edge against it
        found = directed | (open_edges & (first | second | third))
        return found, jnp.any(found != directed)

    structures = graph & graphs.compose(apart, graph)
    directed, _ = jax.lax.while_loop(lambda carry: carry[1], direct, (structures, jnp.array(True)))
    return graph | (graph & ~directed).T


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


def skeleton_scores(true_graph: jax.Array, estimated_graph: jax.Array) -> metrics.Scores:
    """How well the pairs of joined columns are found, whatever the edges' direction.

    Args:
      true_graph: `[d, d]` bool; directed or, as a CPDAG, with both entries set.
      estimated_graph: `[d, d]` bool, likewise.

    Returns:
      `precision, recall, f1`, each `[]`; 0 where the denominator is 0.
    """
    graphs.require_square(true_graph=true_graph, estimated_graph=estimated_graph)
    true, estimated = (jnp.asarray(graph, bool) for graph in (true_graph, estimated_graph))
    scores = metrics.compare(jnp.triu(true | true.T, 1), jnp.triu(estimated | estimated.T, 1))
    return {name: scores[name] for name in ("precision", "recall", "f1")}
