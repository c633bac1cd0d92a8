"""Mixed cells of the supernet: every edge is the weighted sum of all operations.

    inputs 0, 1 -> nodes 2, 3, 4, 5      one edge from every earlier state: 2 + 3 + 4 + 5 = 14 edges
                                         weights of a cell: [14 edges, 8 operations]

    state 0 --+-- edges (0,2) (0,3) (0,4) (0,5) --> each a sum over the 8 operations, added to its node
    state 1 --+-- edges (1,2) (1,3) (1,4) (1,5) -->

All edges that leave one state are computed together: one ReLU, one product for the first halves of their separable
convolutions, one for the second halves, one for the dilated convolutions. Pools and the identity have no parameters and
are computed once for each state. The weighted sums are the same as edge by edge.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from framework.core import keys
from framework.core.types import Key, Params
from framework.nas.darts import operations
from framework.nas.darts.operations import WIDTH, Form
from framework.nas.darts.space import (
    BY_SOURCE,
    EDGES,
    INPUTS,
    NODES,
    OPERATIONS,
    STATES,
    edges_of,
)

SHRINKING = 8  # edges that leave the inputs; in a reduction cell they halve the image
STAGES = (range(2), range(2, 3), range(3, 4), range(4, 5))  # states whose edges are computed together
MAX, AVERAGE, SKIP, SEP_3, SEP_5, DIL_3, DIL_5 = range(1, len(OPERATIONS))


@dataclass(frozen=True)
class Uniform:
    """Parameters yet to be drawn, U(-1, 1) / sqrt(fan_in): torch's default of convolutions and dense layers."""

    shape: tuple[int, ...]
    fan_in: int


def sample_params(key: Key, params: Params) -> Params:
    """A tree whose leaves `Uniform` have become arrays; all of them from one draw, which compiles fast."""
    keys.check(key)
    leaves, structure = jax.tree.flatten(params)
    sizes = [math.prod(leaf.shape) if isinstance(leaf, Uniform) else 0 for leaf in leaves]
    parts = jnp.split(jax.random.uniform(key, (sum(sizes),), minval=-1, maxval=1), np.cumsum(sizes)[:-1])
    fill = lambda leaf, part: part.reshape(leaf.shape) / math.sqrt(leaf.fan_in) if isinstance(leaf, Uniform) else leaf
    return jax.tree.unflatten(structure, map(fill, leaves, parts))


def init_running_stats(*shape: int) -> Params:
    """Statistics of a batch norm that has seen nothing."""
    return {"mean": jnp.zeros(shape), "var": jnp.ones(shape)}


def init_preprocess(incoming: tuple[int, int], channels: int, shrinks: bool) -> list[Params]:
    """Parameters of what brings the two inputs of a cell to its resolution and channels."""
    made = []
    for index, wide in enumerate(incoming):
        shape = (2, wide, channels // 2) if shrinks and index == 0 else (wide, channels)
        made.append({"kernel": Uniform(shape, wide)} | init_running_stats(channels))
    return made


def init_cell(incoming: tuple[int, int], channels: int, reduction: bool, shrinks: bool) -> Params:
    """Parameters of a mixed cell; leaves begin with its edges, source after source, or with its states.

    Args:
      incoming: channels of the two inputs.
      channels: of a node.
      reduction: whether the cell halves the resolution.
      shrinks: whether the cell before did, so that the first input is twice as large.
    """
    edges = len(EDGES)
    convolutions = lambda dilations: {
        "depthwise_3": Uniform((edges, dilations, channels, 3, 3), 9),
        "depthwise_5": Uniform((edges, dilations, channels, 5, 5), 25),
        "pointwise": Uniform((edges, 2 * dilations, channels, channels), channels),
        **init_running_stats(edges, 2 * dilations, channels),
    }
    params = {
        "before": init_preprocess(incoming, channels, shrinks),
        "first": convolutions(2),  # separable ones of both sizes, then dilated ones
        "second": convolutions(1),  # the second halves of separable ones
        "pools": init_running_stats(STATES - 1, 2, channels),
    }
    if reduction:
        kernel = Uniform((SHRINKING, 2, channels, channels // 2), channels)
        params["skip"] = {"kernel": kernel} | init_running_stats(SHRINKING, channels)
    return params


def preprocess(
    input_params: list[Params], inputs: tuple[jax.Array, jax.Array], train: bool
) -> tuple[list[jax.Array], list[Params]]:
    """The two inputs of a cell at its resolution and with its channels, and the parameters with statistics moved."""
    states, after = [], []
    for layer, x in zip(input_params, inputs, strict=True):
        fit = operations.factorized_reduce if layer["kernel"].ndim == 3 else operations.pointwise
        state, stats = operations.batch_norm(fit(operations.relu(x), layer["kernel"].astype(x.dtype)), layer, train)
        states.append(state)
        after.append(layer | stats)
    return states, after


def mixed_cell(
    params: Params, inputs: tuple[jax.Array, jax.Array], weights: jax.Array, train: bool, form: Form
) -> tuple[jax.Array, Params]:
    """The cell's output, and its parameters with their running statistics moved.

    Args:
      params: of `init_cell`.
      inputs: `[channels, B, H, W]`, the outputs of the two cells before.
      weights: `[14, 8]`, the softmax of alpha.
      train: whether batch norms take the batch's statistics.
      form: of the depthwise convolutions.

    Returns:
      `[4 channels, B, H', W']`, and parameters.
    """
    states, after = preprocess(params["before"], inputs, train)
    weights = weights[jnp.array(BY_SOURCE)].astype(inputs[0].dtype)
    nodes: list[jax.Array] = []
    stats = []
    for sources in STAGES:
        x = jnp.stack(states) if sources.start == 0 else nodes[sources.start - INPUTS][None]
        source_params = _params_of_sources(params, sources)
        outputs, new_stats = edge_outputs(
            source_params, x, weights[edges_of(sources)].reshape(len(x), -1, len(OPERATIONS)), train, form
        )
        stats.append(new_stats)
        late = NODES - outputs.shape[1]
        sums = outputs.sum(0) if len(x) > 1 else outputs[0]
        nodes = (
            nodes[:late] + [node + source_params for node, source_params in zip(nodes[late:], sums, strict=True)]
            if nodes
            else [*sums]
        )
    return jnp.concatenate(nodes), _gather_stats(params, stats) | {"before": after}


def edge_outputs(
    layer_params: Params, x: jax.Array, weights: jax.Array, train: bool, form: Form
) -> tuple[jax.Array, Params]:
    """What some states send along each edge that leaves them, and the statistics moved.

    Args:
      own: the parameters of these states and edges; with `skip` where they halve the image.
      x: `[states, C, B, H, W]`.
      weights: `[states, edges, 8]`.

    Returns:
      `[states, edges, C, B, H', W']`, and statistics.
    """
    stride = 2 if "skip" in layer_params else 1
    new_stats = {}

    def norm(name: str, y: jax.Array) -> jax.Array:
        y, new_stats[name] = operations.batch_norm(y, layer_params[name], train)
        return y

    active = operations.relu(x)
    first, second = layer_params["first"], layer_params["second"]
    y = [
        operations.shared_depthwise(active, _kernels(first, dilation - 1, x.dtype), dilation, stride, form)
        for dilation in (1, 2)
    ]
    y = jnp.concatenate([array.reshape(*array.shape[:1], -1, 2, *array.shape[2:]) for array in y], 2)
    y = norm("first", operations.pointwise(y, first["pointwise"].astype(x.dtype)))
    kernels = _kernels(second, 0, x.dtype).reshape(*second["mean"].shape, WIDTH, WIDTH)
    sep = operations.depthwise(operations.relu(y[:, :, :2]), kernels, form=form)
    sep = norm("second", operations.pointwise(sep, second["pointwise"].astype(x.dtype)))
    pools = norm("pools", jnp.stack([operations.max_pool(x, stride), operations.average_pool(x, stride)], 1))
    skip = (
        x[:, None]
        if stride == 1
        else norm("skip", operations.factorized_reduce(active, layer_params["skip"]["kernel"].astype(x.dtype)))
    )
    weigh = lambda operation: weights[..., operation, None, None, None, None]
    total = weigh(MAX) * pools[:, None, 0] + weigh(AVERAGE) * pools[:, None, 1] + weigh(SKIP) * skip
    total += weigh(SEP_3) * sep[:, :, 0] + weigh(SEP_5) * sep[:, :, 1]
    return total + weigh(DIL_3) * y[:, :, 2] + weigh(DIL_5) * y[:, :, 3], new_stats


def _kernels(layer_params: Params, which: int, dtype) -> jax.Array:
    """Depthwise kernels of both sizes, the smaller with zeros around, `[states, 2 edges, C, 5, 5]`."""
    small, large = layer_params["depthwise_3"][:, :, which], layer_params["depthwise_5"][:, :, which]
    small = jnp.pad(small, [(0, 0)] * 3 + [((WIDTH - 3) // 2,) * 2] * 2)
    both = jnp.stack([small, large], 2)
    return both.reshape(len(both), -1, *both.shape[3:]).astype(dtype)


def _params_of_sources(params: Params, sources: range) -> Params:
    """What belongs to some states and the edges that leave them, `[states, edges, ...]` and `[states, ...]`."""
    count, edges = len(sources), edges_of(sources)
    of_edges = lambda leaf: leaf[edges].reshape(count, -1, *leaf.shape[1:])
    source_params = {name: jax.tree.map(of_edges, params[name]) for name in ("first", "second")}
    source_params["pools"] = jax.tree.map(lambda leaf: leaf[sources.start : sources.stop], params["pools"])
    if "skip" in params and sources.start == 0:
        source_params["skip"] = jax.tree.map(of_edges, params["skip"])
    return source_params


def _gather_stats(params: Params, stats: list[Params]) -> Params:
    """Parameters with the statistics that all states have moved."""
    after = dict(params)
    for name in stats[0]:
        parts = [item[name] for item in stats if name in item]
        join = lambda *leaves, like: jnp.concatenate([leaf.reshape(-1, *like.shape[1:]) for leaf in leaves])
        after[name] = params[name] | {
            stat: join(*(part[stat] for part in parts), like=params[name][stat]) for stat in parts[0]
        }
    return after
