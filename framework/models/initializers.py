"""Initialisation of all kernels of a network from one draw, which compiles in a fraction of the time of many."""

import math
from typing import Any

import jax
import numpy as np

from framework.core.types import Key, Params


def he_normal(key: Key, tree: Any) -> Params:
    """Replaces the shapes in a tree by kernels of He's normal distribution, N(0, 2 / fan in).

    Args:
      key: of the draw.
      tree: its tuples are shapes `(..., inputs, outputs)`; all other leaves are kept.

    Returns:
      The tree with arrays in place of shapes.

    Reference: He et al., "Delving deep into rectifiers", arXiv 1502.01852.
    """
    is_shape = lambda leaf: isinstance(leaf, tuple)
    leaves, structure = jax.tree.flatten(tree, is_leaf=is_shape)
    sizes = [math.prod(leaf) if is_shape(leaf) else 0 for leaf in leaves]
    ends = np.cumsum(sizes)
    normals = jax.random.normal(key, (int(ends[-1]),))
    for index, (leaf, size, end) in enumerate(zip(leaves, sizes, ends, strict=True)):
        if is_shape(leaf):
            leaves[index] = normals[end - size : end].reshape(leaf) * math.sqrt(2 / math.prod(leaf[:-1]))
    return structure.unflatten(leaves)
