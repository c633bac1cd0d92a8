"""The DARTS search space: eight operations on the fourteen edges of a cell.

A cell has two inputs (states 0 and 1) and four nodes (states 2 to 5); an edge runs from every state to every later
node; the cell's output is its nodes, concatenated.

Reference: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055.
"""

from typing import NamedTuple

import jax

from framework.core import keys
from framework.core.types import Key

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
INPUTS, NODES = 2, 4
STATES = INPUTS + NODES
EDGES = tuple((source, node) for node in range(INPUTS, STATES) for source in range(node))  # as rows of alpha
BY_SOURCE = tuple(sorted(range(len(EDGES)), key=lambda edge: EDGES[edge]))  # rows of alpha, source after source
START = 1e-3  # standard deviation of the first alphas


class Alphas(NamedTuple):
    """The architecture: a softmax of each row weighs the operations of an edge, in the order of `EDGES`."""

    normal: jax.Array  # [14, 8]
    reduce: jax.Array  # [14, 8]


def init_alphas(key: Key) -> Alphas:
    """Alphas of N(0, 1e-6), `[14, 8]` each, as the reference draws them.

    Raises:
      ValueError: if it is no key.
    """
    keys.check(key)
    shape = (2, len(EDGES), len(OPERATIONS))
    return Alphas(*(START * jax.random.normal(key, shape)))


def edges_of(sources: range) -> slice:
    """Where the edges that leave some neighbouring states lie in `BY_SOURCE`."""
    rows = [index for index, row in enumerate(BY_SOURCE) if EDGES[row][0] in sources]
    return slice(rows[0], rows[-1] + 1)
