"""The DARTS supernet: a stem, mixed cells, a classifier.

Reference: Liu, Simonyan and Yang, arXiv 1806.09055; all batch norms but the stem's are without parameters, as there.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from framework.core.types import Key, Params
from framework.models import training
from framework.nas.darts import cells, operations
from framework.nas.darts.operations import FORMS
from framework.nas.darts.space import NODES, Alphas

STEM = 3  # channels of the stem, in those of the first cell


@jax.tree_util.register_static
@dataclass(frozen=True)
class Supernet:
    """The shape of a supernet; hashable, and static under `jit`.

    Args:
      channels: of a node of the first cell, an even number; doubled by each reduction.
      cells: how many.
      classes: of the classifier.
      form: of depthwise convolutions, `matrices`, or `grouped` for accelerators.
      remat: forget what lies inside cells, and compute it again on the way back.
      dtype: of activations, `float32`, `float64`, or `bfloat16` for accelerators.
      reductions: cells that halve the resolution; at a third and two thirds by default.

    Raises:
      ValueError: for sizes that make no network, or an unknown name.
    """

    channels: int = 16
    cells: int = 8
    classes: int = 10
    form: operations.Form = "matrices"
    remat: bool = False
    dtype: str = "float32"
    reductions: tuple[int, ...] | None = None

    def __post_init__(self):
        require_reductions(self.reductions, self.cells)
        if self.channels < 2 or self.channels % 2:
            raise ValueError(f"channels must be an even number of at least 2, got {self.channels}")
        if self.cells < 1 or self.classes < 2:
            raise ValueError(f"a supernet needs a cell and 2 classes at least, got {self.cells} and {self.classes}")
        if self.form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, got {self.form!r}")
        if self.dtype not in ("float32", "bfloat16", "float64"):
            raise ValueError(f"dtype must be float32, bfloat16 or float64, got {self.dtype!r}")

    def reduces(self, cell: int) -> bool:
        """Whether a cell halves the resolution."""
        return cell in (default_reductions(self.cells) if self.reductions is None else self.reductions)


def require_reductions(reductions: tuple[int, ...] | None, cells: int) -> None:
    """Refuses reductions that are none of a network's cells."""
    if reductions is not None and not (isinstance(reductions, tuple) and set(reductions) <= set(range(cells))):
        raise ValueError(
            f"reductions must be a tuple of cells, numbered from 0 to {cells - 1}, or None, got {reductions}"
        )


def default_reductions(count: int) -> tuple[int, ...]:
    """The cells at a third and at two thirds of a network."""
    return count // 3, 2 * count // 3


def init(key: Key, net: Supernet, in_channels: int = 3) -> Params:
    """The weights of a supernet and its running statistics (leaves `mean` and `var`); alphas are apart.

    Args:
      key: draws them, as torch's defaults do.
      net: its shape.
      colours: channels of an image.
    """
    wide = STEM * net.channels
    params: Params = {"stem": init_stem(in_channels, wide), "cells": []}
    incoming, channels, shrinks = (wide, wide), net.channels, False
    for i in range(net.cells):
        reduction = net.reduces(i)
        channels *= 1 + reduction
        params["cells"].append(cells.init_cell(incoming, channels, reduction, shrinks))
        incoming, shrinks = (incoming[1], NODES * channels), reduction
    return cells.sample_params(key, params | {"classifier": init_dense(incoming[1], net.classes)})


def init_stem(in_channels: int, channels: int) -> Params:
    """A 3x3 convolution and a batch norm with scale and shift."""
    kernel = cells.Uniform((in_channels, 3, 3, channels), 9 * in_channels)
    return {"kernel": kernel, "scale": jnp.ones(channels), "shift": jnp.zeros(channels)} | cells.init_running_stats(
        channels
    )


def init_dense(inputs: int, outputs: int) -> Params:
    """Parameters of a dense layer, yet to be drawn."""
    return {"kernel": cells.Uniform((inputs, outputs), inputs), "bias": cells.Uniform((outputs,), inputs)}


def apply(
    net: Supernet, params: Params, alphas: Alphas, images: jax.Array, train: bool = False
) -> tuple[jax.Array, Params]:
    """Logits, and the parameters with their running statistics moved.

    Args:
      net: the shape.
      params: of `init`.
      alphas: the architecture.
      images: `[N, H, W, channels]`, H and W multiples of 4.
      train: whether batch norms take the batch's statistics, and move the running ones.

    Returns:
      `[N, classes]` float32, and parameters.

    Raises:
      ValueError: if the images are no floats, or their sides no multiples of 4.
    """
    require_images(images)
    x = images.transpose(3, 0, 1, 2).astype(net.dtype)
    x, stem_stats = stem(params["stem"], x, train)
    weights = Alphas(*(jax.nn.softmax(matrix, -1) for matrix in alphas))
    mixed = cells.mixed_cell
    if net.remat:
        mixed = jax.checkpoint(mixed, static_argnums=(3, 4))
    inputs, after = (x, x), []
    for i, cell_params in enumerate(params["cells"]):
        chosen = weights.reduce if net.reduces(i) else weights.normal
        x, new_stats = mixed(cell_params, inputs, chosen, train, net.form)
        inputs = (inputs[1], x)
        after.append(new_stats)
    return classifier(params["classifier"], x), params | {"stem": stem_stats, "cells": after}


def require_images(images: jax.Array) -> None:
    """Refuses images that are no floats, or that two reductions do not divide."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be floats, as the network is to see them, got {images.dtype}")
    if images.ndim != 4 or images.shape[1] % 4 or images.shape[2] % 4:
        raise ValueError(
            f"images must be [N, H, W, channels] with H and W multiples of 4, got {images.shape}: crop them, or pad "
            "them with zeros by jax.numpy.pad"
        )


def stem(stem_params: Params, x: jax.Array, train: bool) -> tuple[jax.Array, Params]:
    """The stem's convolution and norm."""
    y, stats = operations.batch_norm(
        operations.convolution(x, stem_params["kernel"].astype(x.dtype)), stem_params, train
    )
    return y, stem_params | stats


def classifier(classifier_params: Params, x: jax.Array) -> jax.Array:
    """Logits of the mean over all places, `[C, B, H, W]` to `[B, classes]`."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return x.astype(wide).mean((-2, -1)).T @ classifier_params["kernel"] + classifier_params["bias"]


def parameter_count(params: Params) -> int:
    """How many numbers training moves."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return sum(leaf.size for path, leaf in leaves if path[-1].key not in training.RUNNING)
