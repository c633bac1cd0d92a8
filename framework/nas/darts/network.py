"""The network of a genotype: cells of eight edges, each with its one operation.

Networks of several genotypes can share one compiled program: their shape then holds every edge that some of them has,
and each network's parameters say by zeros and ones which are its own.

Reference: Liu, Simonyan and Yang, arXiv 1806.09055, and the authors' program: norms with scale and shift, pools
without, drop path by sample on all but identities, an auxiliary head at two thirds of the depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from framework.core.types import Key, Params
from framework.nas.darts import (
    cells,
    genotype,
    operations,
    supernet,
)
from framework.nas.darts.genotype import KEPT, Genotype
from framework.nas.darts.space import INPUTS, STATES

Edge = tuple[int, int, str]  # node, source, operation


@jax.tree_util.register_static
@dataclass(frozen=True)
class Network:
    """The shape of a network; hashable, and static under `jit`."""

    normal: tuple[Edge, ...]
    reduce: tuple[Edge, ...]
    normal_concat: tuple[int, ...]
    reduce_concat: tuple[int, ...]
    channels: int = 36
    cells: int = 20
    classes: int = 10
    auxiliary: bool = False  # a second classifier for training, on images of 8x8 places at two thirds of the depth
    reductions: tuple[int, ...] | None = None  # cells that halve the resolution; at a third and two thirds by default
    form: operations.Form = "matrices"

    def __post_init__(self):
        supernet.require_reductions(self.reductions, self.cells)
        sizes = self.channels, self.cells, self.classes
        if self.channels < 2 or self.channels % 2 or self.cells < 1 or self.classes < 2:
            raise ValueError(f"a network needs an even number of channels, a cell and 2 classes, got {sizes}")
        if self.form not in operations.FORMS:
            raise ValueError(f"form must be one of {', '.join(operations.FORMS)}, got {self.form!r}")

    def reduces(self, cell: int) -> bool:
        """Whether a cell halves the resolution."""
        return cell in (supernet.default_reductions(self.cells) if self.reductions is None else self.reductions)


def build_network(
    genotypes: Genotype | Sequence[Genotype], channels: int = 36, cells: int = 20, classes: int = 10, **options
) -> Network:
    """The shape of the network of a genotype, or of those of several.

    Args:
      found: one genotype, or several that concatenate the same nodes.
      channels, cells, classes: of the network.
      **options: `auxiliary`, `reductions`, `form`, see `Network`.

    Raises:
      ValueError: for what is no genotype, genotypes that concatenate different nodes, or sizes that make no network.
    """
    all_of = [genotype.check(item) for item in ([genotypes] if isinstance(genotypes, Genotype) else genotypes)]
    concats = {(item.normal_concat, item.reduce_concat) for item in all_of}
    if len(concats) != 1:
        raise ValueError(f"genotypes of one program must concatenate the same nodes, got {sorted(concats)}")
    edges = [
        tuple(sorted({edge for item in all_of for edge in _edges(getattr(item, cell))}))
        for cell in ("normal", "reduce")
    ]
    return Network(*edges, *concats.pop(), channels, cells, classes, **options)


def edge_indices(net: Network, cells_of: Genotype) -> list[Params]:
    """Which edges of a shape a genotype has, of the normal and the reduction cell: `mask`, 1 or 0 each.

    Raises:
      ValueError: if it has one that the shape lacks.
    """
    own_edges = [set(_edges(cell)) for cell in (cells_of.normal, cells_of.reduce)]
    for edges, there in zip(own_edges, (net.normal, net.reduce), strict=True):
        if not edges <= set(there):
            raise ValueError(f"the network has no edge {sorted(edges - set(there))[0]}")
    pairs = zip(own_edges, (net.normal, net.reduce), strict=True)
    return [{"mask": jnp.array([edge in edges for edge in there], jnp.float32)} for edges, there in pairs]


def _edges(cell: genotype.Cell) -> list[Edge]:
    return [(INPUTS + index // KEPT, source, operation) for index, (operation, source) in enumerate(cell)]


def init(key: Key, net: Network, in_channels: int = 3, cells_of: Genotype | None = None) -> Params:
    """Weights and running statistics, as torch's defaults draw them.

    Args:
      key: draws them.
      net: the shape.
      colours: channels of an image.
      found: the network's own genotype, where the shape is that of several.
    """
    wide = supernet.STEM * net.channels
    params: Params = {"stem": supernet.init_stem(in_channels, wide), "cells": []}
    incoming, channels, shrinks = (wide, wide), net.channels, False
    for i in range(net.cells):
        reduction = net.reduces(i)
        channels *= 1 + reduction
        before = [layer | affine(channels) for layer in cells.init_preprocess(incoming, channels, shrinks)]
        edges = [
            init_edge(operation, channels, reduction and source < INPUTS)
            for _, source, operation in (net.reduce if reduction else net.normal)
        ]
        params["cells"].append({"before": before, "edges": edges})
        concat = net.reduce_concat if reduction else net.normal_concat
        incoming, shrinks = (incoming[1], len(concat) * channels), reduction
        if net.auxiliary and i == 2 * net.cells // 3:
            params["auxiliary"] = init_auxiliary(incoming[1], net.classes)
    params["classifier"] = supernet.init_dense(incoming[1], net.classes)
    params = cells.sample_params(key, params)
    return params if cells_of is None else params | {"chosen": edge_indices(net, cells_of)}


def affine(channels: int) -> Params:
    """Scale and shift of a batch norm, and its statistics."""
    return {"scale": jnp.ones(channels), "shift": jnp.zeros(channels)} | cells.init_running_stats(channels)


def init_edge(operation: str, channels: int, shrinks: bool) -> Params:
    """Parameters of an operation; of pools and identities there are none."""
    if operation == "skip_connect" and shrinks:
        return {"kernel": cells.Uniform((2, channels, channels // 2), channels)} | affine(channels)
    if "conv" not in operation:
        return {}
    size = int(operation[-1])
    halves = [
        {
            "depthwise": cells.Uniform((channels, size, size), size * size),
            "pointwise": cells.Uniform((channels, channels), channels),
        }
        | affine(channels)
        for _ in range(2 if operation.startswith("sep") else 1)
    ]
    return {"halves": halves}


def apply(
    net: Network,
    params: Params,
    images: jax.Array,
    train: bool = False,
    key: Key | None = None,
    drop: float | jax.Array = 0.0,
) -> tuple[tuple[jax.Array, jax.Array | None], Params]:
    """Logits, those of the auxiliary head while training, and the parameters with their statistics moved.

    Args:
      net: the shape.
      params: of `init`.
      images: `[N, H, W, channels]`, H and W multiples of 4.
      train: whether batch norms take the batch's statistics, and move the running ones.
      key, drop: with a key, each sample loses each operation but identities with probability `drop`, in [0, 1).

    Returns:
      ((logits `[N, classes]`, auxiliary logits or None), parameters).

    Raises:
      ValueError: if the images are no floats, or their sides no multiples of 4.
    """
    supernet.require_images(images)
    x, stem = supernet.stem(params["stem"], images.transpose(3, 0, 1, 2), train)
    inputs, after, auxiliary, new_stats = (x, x), [], None, {}
    for i, cell_params in enumerate(params["cells"]):
        reduction = net.reduces(i)
        edges, concat = (net.reduce, net.reduce_concat) if reduction else (net.normal, net.normal_concat)
        mask = params["chosen"][reduction]["mask"] if "chosen" in params else None
        own_key = None if key is None else jax.random.fold_in(key, i)
        states, before = cells.preprocess(cell_params["before"], inputs, train)
        states += [None] * (STATES - INPUTS)
        edge_stats = []
        for index, (node, source, operation) in enumerate(edges):
            stride = 2 if reduction and source < INPUTS else 1
            y, statistics = apply_operation(
                cell_params["edges"][index], operation, states[source], stride, train, net.form
            )
            edge_stats.append(statistics)
            if own_key is not None and not (operation == "skip_connect" and stride == 1):
                y = drop_path(jax.random.fold_in(own_key, index), y, drop)
            y = y if mask is None else mask[index] * y
            states[node] = y if states[node] is None else states[node] + y
        inputs = (inputs[1], jnp.concatenate([states[node] for node in concat]))
        after.append({"before": before, "edges": edge_stats})
        if train and net.auxiliary and i == 2 * net.cells // 3:
            auxiliary, new_stats["auxiliary"] = auxiliary_head(params["auxiliary"], inputs[1], train)
    logits = supernet.classifier(params["classifier"], inputs[1])
    return (logits, auxiliary), params | {"stem": stem, "cells": after} | new_stats


def apply_operation(edge_params: Params, operation: str, x: jax.Array, stride: int, train: bool, form: operations.Form):
    """One operation on a state, `[C, B, H, W]`, and its parameters with statistics moved."""
    if operation == "skip_connect" and stride == 1:
        return x, edge_params
    if operation == "skip_connect":
        y, stats = operations.batch_norm(
            operations.factorized_reduce(operations.relu(x), edge_params["kernel"]), edge_params, train
        )
        return y, edge_params | stats
    if "pool" in operation:
        return (operations.max_pool if operation.startswith("max") else operations.average_pool)(x, stride), edge_params
    dilation, after = 2 if operation.startswith("dil") else 1, []
    for half in edge_params["halves"]:
        x = operations.depthwise(operations.relu(x), half["depthwise"], dilation, stride, form)
        x, stats = operations.batch_norm(operations.pointwise(x, half["pointwise"]), half, train)
        after.append(half | stats)
        stride = 1
    return x, {"halves": after}


def drop_path(key: Key, x: jax.Array, drop: float | jax.Array) -> jax.Array:
    """Samples of `[C, B, H, W]` set to 0 with probability `drop`, the others made larger by as much."""
    kept = jax.random.bernoulli(key, 1 - drop, (x.shape[1], 1, 1))
    return jnp.where(kept, x / (1 - drop), 0)


def init_auxiliary(channels: int, classes: int) -> Params:
    """The auxiliary head: a mean over 5x5 places, 1x1 and 2x2 convolutions, a dense layer."""
    one = {"kernel": cells.Uniform((channels, 128), channels)} | affine(128)
    two = {"kernel": cells.Uniform((128, 2, 2, 768), 4 * 128)} | affine(768)
    return {"one": one, "two": two, "classifier": supernet.init_dense(768, classes)}


def auxiliary_head(head_params: Params, x: jax.Array, train: bool) -> tuple[jax.Array, Params]:
    """Logits of the auxiliary head on `[C, B, 8, 8]`.

    Raises:
      ValueError: for another size.
    """
    if x.shape[2:] != (8, 8):
        raise ValueError(
            f"the auxiliary head needs 8x8 places at two thirds of the depth (32x32 images), got {x.shape[2:]}"
        )
    x = operations.relu(x)
    x = jnp.stack([jnp.stack([x[..., i : i + 5, j : j + 5].mean((2, 3)) for j in (0, 3)], -1) for i in (0, 3)], -2)
    x, one = operations.batch_norm(operations.pointwise(x, head_params["one"]["kernel"]), head_params["one"], train)
    x = jnp.einsum("cbij,cijd->db", operations.relu(x), head_params["two"]["kernel"])[..., None, None]
    x, two = operations.batch_norm(x, head_params["two"], train)
    new_stats = head_params | {"one": head_params["one"] | one, "two": head_params["two"] | two}
    return supernet.classifier(head_params["classifier"], operations.relu(x)), new_stats
