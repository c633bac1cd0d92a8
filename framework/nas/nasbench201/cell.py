"""The cell of NAS-Bench-201: five operations on six edges, 15,625 architectures; its networks, and its table.

A cell has an input (node 0) and three nodes; an edge runs from each node to each later one; node 3 is the output. An
architecture is six operations, an array that can be traced: one compiled program trains all of them.

Reference: Dong and Yang, "NAS-Bench-201: extending the scope of reproducible neural architecture search", ICLR 2020,
arXiv 2001.00326.
"""

import csv
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.core import keys
from framework.core.convolutions import convolve
from framework.core.tracing import is_traced
from framework.core.types import Key, Params
from framework.models import batch_norm, initializers
from framework.nas.darts.supernet import require_images

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NODES = 4
EDGES = tuple((source, node) for node in range(1, NODES) for source in range(node))
COUNT = len(OPERATIONS) ** len(EDGES)
STAGES = 3
Architecture = tuple[int, ...]  # an index into OPERATIONS for each of EDGES


@jax.tree_util.register_static
@dataclass(frozen=True)
class Config:
    """A network of cells; hashable, and static under `jit`. The table's have 16 channels, 5 cells a stage."""

    channels: int = 16  # of the first stage; each next one doubles them
    cells: int = 5  # a stage
    classes: int = 10
    inputs: int = 3  # channels of the images

    def __post_init__(self):
        if min(self.channels, self.cells, self.classes, self.inputs) < 1:
            raise ValueError(f"channels, cells, classes and inputs must be at least 1, got {self}")


def architectures() -> list[Architecture]:
    """All 15,625, the last edge's operation changing fastest."""
    return list(itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)))


def check(architecture: Sequence[int]) -> None:
    """Refuses what is no architecture.

    Raises:
      ValueError: if it is not of six operations, each a whole number from 0 to 4.
    """
    chosen = np.asarray(architecture)
    if chosen.shape != (len(EDGES),) or not np.isin(chosen, range(len(OPERATIONS))).all():
        raise ValueError(f"an architecture is {len(EDGES)} numbers from 0 to {len(OPERATIONS) - 1}, got {architecture}")


def to_text(architecture: Sequence[int]) -> str:
    """The table's name: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|`, node after node.

    Raises:
      ValueError: if it is not of six operations, each a whole number from 0 to 4.
    """
    check(architecture)
    words = [f"{OPERATIONS[int(op)]}~{source}" for op, (source, _) in zip(architecture, EDGES, strict=True)]
    return "+".join(f"|{'|'.join(words[node * (node - 1) // 2 : node * (node + 1) // 2])}|" for node in range(1, NODES))


def from_text(text: str) -> Architecture:
    """The architecture of a name.

    Raises:
      ValueError: if the name is no name of an architecture.
    """
    words = [edge.partition("~")[0] for edge in re.split(r"[|+]+", text.strip("|"))]
    if len(words) != len(EDGES) or not set(words) <= set(OPERATIONS):
        raise ValueError(f"{text[:200]!r} names no architecture of six operations out of {', '.join(OPERATIONS)}")
    architecture = tuple(OPERATIONS.index(word) for word in words)
    if to_text(architecture) != text:
        raise ValueError(f"{text[:200]!r} names no architecture: its edges are those of {to_text(architecture)}")
    return architecture


def read_table(path: str | os.PathLike, column: str = "cifar10-test") -> dict[Architecture, float]:
    """Accuracies of a CSV table with the columns `cellstr` and `column`, in per cent.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no such table or has no row, a column is missing or stands twice, or a row holds no
        architecture and accuracy, or an architecture that stood there before; with the line.
    """
    table: dict[Architecture, float] = {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, restval="", strict=True)
        try:
            for name in ("cellstr", column):
                if (count := list(rows.fieldnames or ()).count(name)) != 1:
                    many = f"{count} columns" if count else "no column"
                    raise ValueError(f"the header has {many} {name!r}, not one: {rows.fieldnames}"[:400])
            for row in rows:
                architecture, accuracy = _row(row, column)
                if architecture in table:
                    raise ValueError(f"{to_text(architecture)} stands twice")
                table[architecture] = accuracy
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}, line {rows.line_num}: {error}") from None
    if not table:
        raise ValueError(f"{path}: no row; rows of an architecture and its accuracy are wanted")
    return table


def _row(row: Mapping[str, str], column: str) -> tuple[Architecture, float]:
    if None in row:
        raise ValueError("more cells than the header has")
    accuracy = float(row[column])
    if not 0 <= accuracy <= 100 or "_" in row[column]:
        raise ValueError(f"an accuracy lies in 0 to 100 per cent, got {row[column][:80]!r}")
    return from_text(row["cellstr"]), accuracy


def init(key: Key, config: Config) -> Params:
    """Parameters for every operation of every edge, so that any architecture can be put in."""
    widths = [config.channels * 2**stage for stage in range(STAGES)]
    conv = lambda size, channels, width: {"kernel": (size, size, channels, width), "norm": batch_norm.init(width)}

    def stage(index: int, width: int) -> dict:
        edge = {"1x1": conv(1, width, width), "3x3": conv(3, width, width)}
        cells = {"cells": [[edge] * len(EDGES)] * config.cells}
        first, second = conv(3, width // 2, width), conv(3, width, width)
        reduction = {"first": first, "second": second, "shortcut": (1, 1, width // 2, width)}
        return cells | ({"reduction": reduction} if index else {})

    bound, shape = widths[-1] ** -0.5, (widths[-1], config.classes)
    kernel = jax.random.uniform(keys.derive(key, "head"), shape, minval=-bound, maxval=bound)
    tree = {
        "stem": conv(3, config.inputs, widths[0]),
        "stages": [stage(index, width) for index, width in enumerate(widths)],
        "norm": batch_norm.init(widths[-1]),
        "head": {"kernel": kernel, "bias": jnp.zeros(config.classes)},
    }
    return initializers.he_normal(keys.derive(key, "kernels"), tree)


def forward(
    params: Params, architecture: jax.Array, images: jax.Array, train: bool = False
) -> tuple[jax.Array, Params]:
    """Logits of an architecture's network: a stem, three stages of cells with a reduction between them, a dense layer.

    Args:
      params: of `init`.
      architecture: `[6]` int, can be traced; only its operations are computed, but under `vmap` over architectures all.
      images: `[N, h, w, inputs]`, normalised, sides multiples of 4.
      train: norms by the batch.

    Returns:
      `[N, classes]`, and the parameters with the running statistics of its operations moved.

    Raises:
      ValueError: if it is no architecture, or the images are no floats or their sides no multiples of 4.
    """
    require_images(images)
    if not is_traced(architecture):
        check(architecture)
    x, stem = _convolve(params["stem"], images, train)
    stages = []
    for stage_params in params["stages"]:
        new_stats = {}
        if "reduction" in stage_params:
            x, new_stats["reduction"] = _reduce(stage_params["reduction"], x, train)
        new_stats["cells"] = []
        for cell in stage_params["cells"]:
            x, after = apply_cell(cell, jnp.asarray(architecture), x, train)
            new_stats["cells"].append(after)
        stages.append(new_stats)
    x, norm = batch_norm.apply(params["norm"], x, train)
    pooled = jax.nn.relu(x).mean((1, 2))
    logits = pooled @ params["head"]["kernel"] + params["head"]["bias"]
    return logits, params | {"stem": stem, "stages": stages, "norm": norm}


def apply_cell(
    params: list[Params], architecture: jax.Array, x: jax.Array, train: bool
) -> tuple[jax.Array, list[Params]]:
    """One cell: each node is the sum over its edges, `[N, h, w, C]` -> the same."""
    nodes, new_stats = [x], []
    for node in range(1, NODES):
        total = jnp.zeros_like(x)
        for edge in (edge for edge, (_, target) in enumerate(EDGES) if target == node):
            source = nodes[EDGES[edge][0]]
            y, after = lax.switch(architecture[edge], _BRANCHES[train], params[edge], source)
            total, new_stats = total + y, [*new_stats, after]
        nodes.append(total)
    return nodes[-1], new_stats


def average_pool(x: jax.Array) -> jax.Array:
    """The mean over 3 x 3 places, of those that lie inside the image."""
    sums = lambda values: lax.reduce_window(values, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    return sums(x) / sums(jnp.ones((1, *x.shape[1:3], 1)))


def _convolve(layer_params: Params, x: jax.Array, train: bool, stride: int = 1) -> tuple[jax.Array, Params]:
    y, norm = batch_norm.apply(layer_params["norm"], convolve(x, layer_params["kernel"], (stride, stride)), train)
    return y, layer_params | {"norm": norm}


def _branches(train: bool) -> tuple:
    """What `lax.switch` chooses from: (parameters of an edge, x) -> (y, the parameters moved)."""

    def conv(name: str):
        def branch(branch_params: Params, x: jax.Array) -> tuple[jax.Array, Params]:
            y, new_stats = _convolve(branch_params[name], jax.nn.relu(x), train)
            return y, branch_params | {name: new_stats}

        return branch

    return (
        lambda branch_params, x: (jnp.zeros_like(x), branch_params),
        lambda branch_params, x: (x, branch_params),
        conv("1x1"),
        conv("3x3"),
        lambda branch_params, x: (average_pool(x), branch_params),
    )


_BRANCHES = {train: _branches(train) for train in (False, True)}


def _reduce(layer_params: Params, x: jax.Array, train: bool) -> tuple[jax.Array, Params]:
    """A residual block that halves the sides and doubles the channels."""
    y, first = _convolve(layer_params["first"], jax.nn.relu(x), train, stride=2)
    y, second = _convolve(layer_params["second"], jax.nn.relu(y), train)
    count, height, width, channels = x.shape
    halved = x.reshape(count, height // 2, 2, width // 2, 2, channels).mean((2, 4))
    return y + convolve(halved, layer_params["shortcut"]), layer_params | {"first": first, "second": second}


def parameter_count(architecture: Sequence[int], config: Config) -> int:
    """Trained numbers of an architecture's network; those of operations that it has not are left out.

    Raises:
      ValueError: if it is no architecture.
    """
    check(architecture)
    per_edge = lambda op, width: {2: width**2 + 2 * width, 3: 9 * width**2 + 2 * width}.get(int(op), 0)
    widths = [config.channels * 2**stage for stage in range(STAGES)]
    cells = sum(config.cells * sum(per_edge(op, width) for op in architecture) for width in widths)
    reductions = sum(9 * w * w // 2 + 9 * w * w + w * w // 2 + 4 * w for w in widths[1:])
    stem = 9 * config.inputs * widths[0] + 2 * widths[0]
    return cells + reductions + stem + 2 * widths[-1] + (widths[-1] + 1) * config.classes
