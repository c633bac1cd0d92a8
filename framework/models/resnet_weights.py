"""Weights of torch's CIFAR ResNet as parameters of `resnet`."""

import os
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from framework.core.files import read_arrays
from framework.core.types import Params
from framework.models import resnet

LEAVES = {"kernel": "weight", "scale": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
_COUNTER = "num_batches_tracked"  # torch counts batches; nothing depends on it


def from_torch(arrays: Mapping[str, np.ndarray], config: resnet.Config = resnet.Config()) -> Params:
    """Converts arrays under torch's names, kernels `[features, channels, rows, columns]`, to parameters.

    Args:
      arrays: `conv1.weight`, `bn1.*`, `layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2}.*`, `linear.{weight,bias}`; as an open
        `.npz` has them.
      config: of the network.

    Returns:
      The parameters, float32.

    Raises:
      ValueError: if an array is missing, has another shape, has numbers that are not finite, or belongs to no part of
        the network.
    """
    expected = torch_names(config)
    if missing := [name for name in expected if name not in arrays]:
        raise ValueError(f"weights of a ResNet-{config.depth} lack {len(missing)} arrays, the first {missing[0]}")
    if unknown := [name for name in arrays if name not in expected and not name.endswith(_COUNTER)]:
        raise ValueError(f"a ResNet-{config.depth} has no array {unknown[0]}; its depth may be another one")
    shapes = jax.eval_shape(lambda: resnet.init(jax.random.key(0), config))

    def leaf(path: tuple, like: jax.ShapeDtypeStruct) -> jax.Array:
        source = np.asarray(arrays[name := _torch_name(path)])
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            array = _transpose(source.astype(np.float32)) if source.dtype.kind in "fiu" else np.array(np.nan)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite numbers")
        if array.shape != like.shape:
            raise ValueError(f"{name} must become an array of {like.shape}, got {array.shape}")
        return jnp.asarray(array)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


def read_torch(path: str | os.PathLike, config: resnet.Config = resnet.Config()) -> Params:
    """Reads parameters from an `.npz` of torch's arrays.

    Args:
      path: the file.
      config: of the network.

    Returns:
      The parameters, float32.

    Raises:
      ValueError: as `from_torch`, with the file's name.
    """
    try:
        return from_torch(read_arrays(path), config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def torch_names(config: resnet.Config) -> list[str]:
    """Torch's names of all arrays of a network."""
    shapes = jax.eval_shape(lambda: resnet.init(jax.random.key(0), config))
    return [_torch_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(shapes)]


def _torch_name(path: tuple) -> str:
    """Torch's name of a leaf: (stages, 0, 2, norm1, mean) -> layer1.2.bn1.running_mean."""
    parts = [getattr(part, "key", getattr(part, "idx", None)) for part in path]
    if parts[0] == "stages":
        _, stage, block, part, *leaf = parts
        layer = f"layer{stage + 1}.{block}.{part.replace('norm', 'bn')}"
    else:
        layer, leaf = {"stem": "conv1", "norm": "bn1", "head": "linear"}[parts[0]], parts[1:]
    return f"{layer}.{LEAVES.get(leaf[0], leaf[0]) if leaf else 'weight'}"


def _transpose(array: np.ndarray) -> np.ndarray:
    """Kernels from torch's order of axes: OIHW to HWIO, out-in to in-out."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
