"""Directed graphs as boolean matrices, `[d, d]` with entry (i, j) for i -> j."""

import math
from collections.abc import Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np

from framework.core import extremes, keys
from framework.core.types import Key


def require_square(**matrices: Any) -> None:
    """Raises ValueError unless all matrices are `[d, d]` of one d."""
    shapes = {name: np.shape(matrix) for name, matrix in matrices.items()}
    first = next(iter(shapes.values()))
    if len(first) != 2 or set(shapes.values()) != {(first[0], first[0])}:
        shapes_text = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"graphs and weights must be [d, d], all of one size; got {shapes_text}")


def reachability(graph: jax.Array) -> jax.Array:
    """Whether a directed path of at least one edge leads from i to j, `[d, d]` bool, by log2(d) squarings."""
    chex.assert_rank(graph, 2)
    size = graph.shape[-1]
    paths = graph.astype(jnp.float32)
    for _ in range(max(size - 1, 1).bit_length()):
        paths = jnp.minimum(paths + paths @ paths, 1.0)
    return paths > 0


def compose(first_graph: jax.Array, second_graph: jax.Array) -> jax.Array:
    """Whether some k has i -> k in the first graph and k -> j in the second, `[d, d]` bool: the boolean product."""
    return first_graph.astype(jnp.float32) @ second_graph.astype(jnp.float32) > 0


def is_dag(graph: jax.Array) -> jax.Array:
    """Whether the graph holds no directed cycle, `[]` bool."""
    return ~jnp.any(jnp.diagonal(reachability(graph)))


def break_cycles(weights: jax.Array, kept: jax.Array | None = None) -> jax.Array:
    """Cuts the weakest edge that lies on a cycle, again and again, until none does.

    Edges on no cycle are never cut, however weak they are; of equally weak ones the first in the matrix goes.

    Args:
      weights: `[d, d]`; entries of 0 are no edges, and NaN is weaker than any number.
      kept: edges that are never cut, `[d, d]` bool, a DAG; none by default.

    Returns:
      `weights` with some entries set to 0, always a DAG.
    """
    require_square(weights=weights)
    loose = True if kept is None else ~kept

    def on_cycle(w: jax.Array) -> jax.Array:
        return (w != 0) & reachability(w != 0).T & loose

    def remove_edge(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        w, cyclic = carry
        strength = jnp.nan_to_num(jnp.abs(w), nan=0.0)  # finite, or nothing would be cut for ever
        w = jnp.where(greatest(jnp.where(cyclic, -strength, -jnp.inf)), 0, w)
        return w, on_cycle(w)

    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), remove_edge, (weights, on_cycle(weights)))[0]


def greatest(values: jax.Array) -> jax.Array:
    """A mask of the shape of `values` with the first of the greatest entries True (`core.extremes.argmax`)."""
    return np.arange(values.size, dtype=np.int32).reshape(values.shape) == extremes.argmax(values)


def position(mask: jax.Array) -> jax.Array:
    """The position of the only True of a mask `[d]`, `[]` int32; 0 where there is none."""
    return jnp.sum(jnp.where(mask, np.arange(mask.size, dtype=np.int32), 0), dtype=jnp.int32)


def erdos_renyi(key: Key, nodes: int, degree: float) -> jax.Array:
    """A random DAG of round(degree * nodes) edges, or all that fit: ER2 is degree 2, two edges a node.

    Edges are drawn without replacement among the pairs, then oriented along a random order of the nodes.

    Args:
      key: a typed key.
      nodes: d, at least 1.
      degree: edges a node, at least 0.

    Returns:
      `[nodes, nodes]` bool.

    Raises:
      ValueError: if `nodes` is less than 1, or `degree` negative or not finite.
    """
    keys.check(key, nodes=nodes)
    if not 0 <= degree < math.inf:
        raise ValueError(f"degree must be a number of edges a node, at least 0, got {degree}")
    pair_key, order_key = jax.random.split(key)
    first, second = np.triu_indices(nodes, 1)
    edges = min(round(degree * nodes), len(first))
    chosen = jax.random.permutation(pair_key, len(first))[:edges]
    upper = jnp.zeros((nodes, nodes), bool).at[jnp.array(first)[chosen], jnp.array(second)[chosen]].set(True)
    order = jax.random.permutation(order_key, nodes)
    return upper[order][:, order]


def from_edges(edges: Sequence[tuple[str, str]], names: Sequence[str]) -> np.ndarray:
    """The matrix of a list of named edges.

    Raises:
      ValueError: if an edge names an unknown column, joins a column to itself or stands twice.
    """
    index = {name: i for i, name in enumerate(names)}
    graph = np.zeros((len(names), len(names)), bool)
    for source, target in edges:
        for name in (source, target):
            if name not in index:
                raise ValueError(f"edge {source} -> {target}: no column {name!r}; the columns are {', '.join(names)}")
        if source == target:
            raise ValueError(f"edge {source} -> {target}: a column cannot be its own cause")
        if graph[index[source], index[target]]:
            raise ValueError(f"edge {source} -> {target} is given twice")
        graph[index[source], index[target]] = True
    return graph


def find_cycle(graph: np.ndarray, names: Sequence[str]) -> str:
    """A cycle of the graph written out, `a -> b -> a`, or the empty string where there is none."""
    directed = nx.DiGraph()
    directed.add_nodes_from(range(len(graph)))
    directed.add_edges_from(np.argwhere(graph).tolist())
    try:
        edges = nx.find_cycle(directed)
    except nx.NetworkXNoCycle:
        return ""
    return " -> ".join(names[i] for i in [*(edge[0] for edge in edges), edges[0][0]])
