"""The edges of a fitted result and the origin of their directions, as a list, as text or as a networkx graph."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from framework.causal.discrete.orientation import DIRECTIONS

_LINES = 40  # of a printed result


class Edge(NamedTuple):
    """An edge between named columns."""

    source: Any
    target: Any
    direction: str  # one of DIRECTIONS; where it is "open", source and target may as well be exchanged
    weight: float  # of the transformed columns


def edges(result: Any, names: Sequence | None = None) -> list[Edge]:
    """Lists the edges of a result, largest absolute weight first.

    Args:
      result: what `fit` returned.
      names: one a column; by default the names of the result, or 0 .. d - 1 if it has none.

    Returns:
      The edges as `Edge` tuples.

    Raises:
      ValueError: if the names are not one a column, each once, or the result is a batch.

    Example:
      >>> from framework import causal
      >>> x, e = np.random.default_rng(0).normal(size=(2, 500))
      >>> [edge[:3] for edge in causal.edges(causal.fit(np.stack([x, 2 * x + e], axis=1)), ["rain", "wet"])]
      [('rain', 'wet', 'open')]
    """
    weights, graph = np.asarray(result.weights), np.asarray(result.graph)
    if graph.ndim != 2:
        raise ValueError(f"the edges of one result are listed at a time, got a batch of shape {graph.shape}")
    labels = columns(result, names)
    entries = [
        Edge(labels[i], labels[j], DIRECTIONS[result.direction[i, j]], float(weights[i, j]))
        for i, j in np.argwhere(graph)
    ]
    return sorted(entries, key=lambda edge: -abs(edge.weight))


def columns(result: Any, names: Sequence | None = None) -> list:
    """Returns labels for the columns of a result.

    Args:
      result: what `fit` returned.
      names: one a column; by default the names of the result, or 0 .. d - 1 if it has none.

    Returns:
      The labels, one a column.

    Raises:
      ValueError: if they are not one a column, each once.
    """
    size = len(result.weights)
    names = result.names if names is None else names
    labels = list(range(size) if names is None else names)
    if len(set(labels)) != size or len(labels) != size:
        raise ValueError(f"{size} columns need as many names, each once, got {len(labels)}: {labels}")
    return labels


def to_networkx(result, names: Sequence[str] | None = None, truth: Any = None) -> nx.DiGraph:
    """Converts a fitted result to a `networkx.DiGraph` with the attributes `weight` and `direction` on each edge.

    `direction` is one of `DIRECTIONS`; an edge whose direction is `open` stands there one way, and might as well stand
    the other way. Compared with a true graph each edge also has its `kind`: `correct`, `reversed`, `extra`, or `open`
    where the columns are adjacent in truth; true edges that the result has in neither direction stand there as
    `missing`, without a weight.

    Args:
      result: what `fit` returned.
      names: one a column; by default the names of the result, or 0 .. d - 1 if it has none.
      truth: `[d, d]` bool, in the order of the columns.

    Returns:
      The graph, whose nodes are the labels of the columns.

    Raises:
      ValueError: if the number of names, or the size of the truth, is not the number of columns.
    """
    labels, present = columns(result, names), np.asarray(result.graph)
    graph = nx.DiGraph()
    graph.add_nodes_from(labels)
    for edge in edges(result, labels):
        graph.add_edge(edge.source, edge.target, weight=edge.weight, direction=edge.direction)
    if truth is not None:
        if np.shape(truth) != present.shape:
            raise ValueError(f"the truth must be {present.shape}, a row and a column a name, got {np.shape(truth)}")
        truth = np.asarray(truth, bool)
        for i, j in np.argwhere(present):
            edge = graph.edges[labels[i], labels[j]]
            kind = "correct" if truth[i, j] else "reversed" if truth[j, i] else "extra"
            edge["kind"] = "open" if edge["direction"] == "open" and kind != "extra" else kind
        missing = np.argwhere(truth & ~present & ~present.T)
        graph.add_edges_from((labels[i], labels[j], {"kind": "missing"}) for i, j in missing)
    return graph


def text(result: Any) -> str:
    """A result as lines for a reader, the first 40 edges: `rain - wet` has an open direction, `rain -> wet` has not."""
    entries = edges(result)
    lines = [
        f"{edge.source} {'-' if edge.direction == 'open' else '->'} {edge.target}  {edge.weight:.3g}  {edge.direction}"
        for edge in entries[:_LINES]
    ]
    more = [f"and {len(entries) - _LINES} more"] if len(entries) > _LINES else []
    return "\n".join(
        [f"{len(entries)} edge{'s' * (len(entries) != 1)} between {len(result.graph)} columns", *lines, *more]
    )
