"""Genotypes: the cells that a search ends with, how they are read off the alphas, and their JSON.

Reference: Liu, Simonyan and Yang, arXiv 1806.09055, section 2.4, with the tie rules of the authors' program.
"""

import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from framework.core.files import parse_json
from framework.nas.darts.space import (
    EDGES,
    INPUTS,
    NODES,
    OPERATIONS,
    STATES,
    Alphas,
)

Cell = tuple[tuple[str, int], ...]  # (operation, source state), two a node, in the order of the nodes
KEPT = 2  # edges into a node
_KEYS = ("normal", "normal_concat", "reduce", "reduce_concat")


class Genotype(NamedTuple):
    """Two cells in the notation of the DARTS programs."""

    normal: Cell
    normal_concat: tuple[int, ...]  # the states whose channels are the cell's output
    reduce: Cell
    reduce_concat: tuple[int, ...]


def derive_genotype(alphas: Alphas) -> Genotype:
    """The cells that alphas stand for.

    Of the edges into a node the two stay whose largest weight, `none` aside, is greatest; of an edge its operation of
    largest weight, `none` aside. Ties go to the lower index.

    Args:
      alphas: concrete, `[14, 8]` each.

    Raises:
      ValueError: if alphas have another shape or are not finite.

    Example:
      >>> from framework.nas import darts
      >>> alphas = darts.init_alphas(jax.random.key(0))._replace(reduce=np.zeros((14, 8)))
      >>> found = darts.derive_genotype(alphas)
      >>> found.reduce[:2]
      (('max_pool_3x3', 0), ('max_pool_3x3', 1))
      >>> darts.from_json(darts.to_json(found)) == found
      True
    """
    cells = [_parse_cell(np.asarray(matrix, float), name) for name, matrix in zip(Alphas._fields, alphas, strict=True)]
    concat = tuple(range(INPUTS, STATES))
    return Genotype(cells[0], concat, cells[1], concat)


def _parse_cell(alphas: np.ndarray, name: str) -> Cell:
    if alphas.shape != (len(EDGES), len(OPERATIONS)):
        raise ValueError(f"alphas.{name} must be {len(EDGES)} x {len(OPERATIONS)}, got {alphas.shape}")
    if not np.isfinite(alphas).all():
        raise ValueError(f"alphas.{name} must be finite, got {alphas[~np.isfinite(alphas)][0]}")
    weights = np.exp(alphas - alphas.max(1, keepdims=True))
    weights = (weights / weights.sum(1, keepdims=True))[:, 1:]  # `none` takes its share, and is no candidate
    cell = []
    for node in range(INPUTS, STATES):
        rows = [row for row, (_, end) in enumerate(EDGES) if end == node]
        kept = sorted(rows, key=lambda row: -weights[row].max())[:KEPT]
        cell += [(OPERATIONS[1 + int(weights[row].argmax())], EDGES[row][0]) for row in kept]
    return tuple(cell)


def check(genotype: Genotype) -> Genotype:
    """The genotype itself, if it describes cells of this space.

    Raises:
      ValueError: if it names an operation or a state that there is not, or has another number of edges.
    """
    for name in ("normal", "reduce"):
        cell, concat = getattr(genotype, name), getattr(genotype, f"{name}_concat")
        if len(cell) != KEPT * NODES:
            raise ValueError(f"genotype.{name} must have {KEPT * NODES} edges, two a node, got {len(cell)}")
        for index, (operation, source) in enumerate(cell):
            node = INPUTS + index // KEPT
            if operation not in OPERATIONS[1:]:
                raise ValueError(
                    f"genotype.{name}, node {node}: no operation {operation!r}: take one of {', '.join(OPERATIONS[1:])}"
                )
            if not 0 <= source < node:
                raise ValueError(f"genotype.{name}, node {node}: its sources are states 0 to {node - 1}, got {source}")
        if not concat or not set(concat) <= set(range(INPUTS, STATES)) or len(set(concat)) < len(concat):
            raise ValueError(f"genotype.{name}_concat must name nodes of {INPUTS} to {STATES - 1}, got {list(concat)}")
    return genotype


def to_json(genotype: Genotype) -> str:
    """A genotype as JSON: `{"normal": [["sep_conv_3x3", 0], ...], "normal_concat": [2, 3, 4, 5], ...}`."""
    return json.dumps(genotype._asdict())


def from_json(text: str | Mapping[str, Any]) -> Genotype:
    """A genotype from JSON, or from a mapping of the same form: the fields of other DARTS programs' named tuples.

    Raises:
      ValueError: if it is not JSON, a field is missing, or `check` finds fault.
    """
    try:
        fields = parse_json(text) if isinstance(text, str) else dict(text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"a genotype must be JSON: {error}") from None
    missing = [key for key in _KEYS if key not in fields] if isinstance(fields, dict) else _KEYS
    if missing:
        raise ValueError(f"a genotype must have the fields {', '.join(_KEYS)}; {missing[0]!r} is missing")
    try:
        parts = [_states(fields[key]) if "concat" in key else _edges(fields[key]) for key in _KEYS]
    except (TypeError, ValueError) as error:
        raise ValueError(f"a genotype's cells must be lists of [operation, source]: {error}") from None
    return check(Genotype(*parts))


def _states(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(operator.index(number)) for number in numbers)


def _edges(pairs: Sequence[Sequence]) -> Cell:
    return tuple((operation, *_states([source])) for operation, source in pairs)


def to_networkx(cell: Cell, concat: Sequence[int] = tuple(range(INPUTS, STATES))) -> nx.MultiDiGraph:
    """A cell as a graph: `c_{k-2}`, `c_{k-1}`, the nodes 0 to 3 and `c_{k}`; edges carry their `operation`."""
    names = ["c_{k-2}", "c_{k-1}", *map(str, range(NODES))]
    graph = nx.MultiDiGraph()
    graph.add_nodes_from([*names, "c_{k}"])
    for index, (operation, source) in enumerate(cell):
        graph.add_edge(names[source], names[INPUTS + index // KEPT], operation=operation)
    for state in concat:
        graph.add_edge(names[state], "c_{k}", operation="")
    return graph


class Health(NamedTuple):
    """What tells a collapsing search: cells of skips, and weights that have decided on nothing."""

    skips: int  # skip connections among the normal cell's eight edges
    entropy: float  # mean entropy of an edge's weights, in shares of the uniform one


def health(alphas: Alphas) -> Health:
    """Skips of the normal cell, and the mean entropy of both cells' edges, in shares of the uniform one.

    Args:
      alphas: concrete, `[14, 8]` each.

    Raises:
      ValueError: if alphas have another shape or are not finite.
    """
    logits = np.concatenate([np.asarray(matrix, float) for matrix in alphas])
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(1).mean() / math.log(len(OPERATIONS))
    return Health(sum(operation == "skip_connect" for operation, _ in derive_genotype(alphas).normal), float(entropy))
