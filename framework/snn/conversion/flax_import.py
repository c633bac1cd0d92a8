"""Import of the parameters of a `flax.linen` network into the layers of `snn.layers`."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from framework.core.types import Params
from framework.snn import network
from framework.snn.conversion.activation import Activation, relu
from framework.snn.layers import Conv, Dense, Flatten, Layer, Norm, Pool, layer_name
from framework.snn.trained import check_params

FLAX = {Conv: "Conv", Dense: "Dense", Norm: "BatchNorm"}
_UNWEIGHTED = (Pool, Flatten)
_OUTPUTS = ("intermediates",)  # collections that are outputs, not variables
_LEAVES = {"Conv": {"kernel", "bias"}, "Dense": {"kernel", "bias"}, "BatchNorm": {"scale", "bias"}}


def from_flax(
    layers: tuple[Layer, ...],
    variables: Mapping[str, Any],
    *,
    apply: Callable[[Any, Any], Any] | None = None,
    images: Any = None,
    activation: Activation = relu(),
    tolerance: float = 1e-3,
) -> Params:
    """Imports the parameters of a `flax.linen` network that is a chain of the same layers.

    The n-th convolution is `Conv_n`, the n-th dense layer `Dense_n`, the n-th norm `BatchNorm_n`, as flax names them;
    a norm without `scale` or `bias` has 1 and 0. All variables must belong to a layer.

    Variables do not show what has no shape: strides, padding, dilation, pools, the norms' epsilon, the
    activation, the groups of a first convolution and the order in which layers are called. Give `apply` and some images
    to compare the logits with those of the network.

    Args:
      layers: of `snn.layers`.
      variables: `params` and, with norms, `batch_stats`.
      apply: the network, (variables, images) -> logits, as `model.apply` in evaluation.
      images: `[B, ...]`, for `apply`.
      activation: of the network, for `apply`.
      tolerance: largest difference of logits, as a share of their largest size.

    Returns:
      Parameters of the layers, as of `snn.init`.

    Raises:
      ValueError: if the variables are not those of a linen module; if a layer has no counterpart, or one of another
        shape (both are named); if variables are left over (named); or if the logits differ.

    Example:
      >>> from flax import linen as nn
      >>> from framework import snn
      >>> from framework.snn import layers as layer
      >>> model, images = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)]), jnp.ones((3, 5))
      >>> variables = model.init(jax.random.key(0), images)
      >>> named = {"params": {f"Dense_{n}": variables["params"][f"layers_{2 * n}"] for n in range(2)}}
      >>> params = snn.from_flax((layer.dense(4), layer.dense(2)), named)
      >>> [own["kernel"].shape for own in params]
      [(5, 4), (4, 2)]
    """
    if (apply is None) != (images is None):
        raise ValueError("a check against the network takes both: apply=model.apply and images")
    collections = _collections(variables)
    rest = {kind: {name: dict(leaves) for name, leaves in modules.items()} for kind, modules in collections.items()}
    numbers: dict[str, int] = {}
    params, channels = [], None
    for i, layer in enumerate(layers):
        label, kind = f"layer {i} ({layer_name(layer)})", FLAX.get(type(layer))
        if kind is None:
            if not isinstance(layer, _UNWEIGHTED):
                raise ValueError(f"{label} has no counterpart in flax: take one of {', '.join(FLAX.values())}")
            channels = None if isinstance(layer, Flatten) else channels
            params.append({})
            continue
        name = f"{kind}_{numbers.setdefault(kind, 0)}"
        numbers[kind] += 1
        where = "batch_stats" if kind == "BatchNorm" else "params"
        if name not in collections[where]:
            has = ", ".join(map(str, collections[where])) or "nothing"
            raise ValueError(f"{label} would be {name}, but flax has only {has} in {where}")
        if kind == "BatchNorm":
            params.append(_norm(label, name, rest, channels))
        else:
            params.append(_take_weights(label, name, layer, rest))
            _check_channels(label, name, params[-1]["kernel"].shape, channels)
            channels = layer.features
    if unused := [f"{kind}/{name}" for kind, modules in rest.items() for name in modules]:
        raise ValueError(f"the variables hold more than the layers: {', '.join(unused)} belong to none of them")
    if apply is not None:
        _compare(layers, tuple(params), variables, apply, images, activation, tolerance)
    return tuple(params)


def _collections(variables: Any) -> dict[str, Mapping[str, Any]]:
    """`params` and `batch_stats`, each by module."""
    if not isinstance(variables, Mapping) or not isinstance(variables.get("params"), Mapping):
        has = f"only {', '.join(map(str, variables))}" if isinstance(variables, Mapping) else type(variables).__name__
        raise ValueError(f"variables must be those of a flax.linen module, a dict with 'params'; got {has}")
    if unknown := [kind for kind in variables if kind not in ("params", "batch_stats", *_OUTPUTS) and variables[kind]]:
        raise ValueError(f"the variables hold a collection {unknown[0]!r}, which has no counterpart")
    collections = {kind: variables.get(kind, {}) for kind in ("params", "batch_stats")}
    for kind, modules in collections.items():
        for name, leaves in modules.items():
            if not isinstance(leaves, Mapping):
                raise ValueError(f"{kind}/{name} is no module with parameters but a {type(leaves).__name__}")
            for leaf, value in leaves.items():
                if not hasattr(value, "shape") and not isinstance(value, Mapping):
                    raise ValueError(f"{kind}/{name}/{leaf} is no array but a {type(value).__name__}")
    return collections


def _take(label: str, name: str, kind: str, rest: dict[str, dict], leaves: set[str]) -> dict[str, Any]:
    """Removes the leaves of a module from the rest and returns them."""
    module = rest[kind].pop(name)
    if unknown := sorted(module.keys() - leaves):
        raise ValueError(f"{label}: {kind}/{name} holds {unknown[0]!r}, which has no counterpart")
    return module


def _take_weights(label: str, name: str, layer: Conv | Dense, rest: dict[str, dict]) -> dict[str, Any]:
    leaves = _take(label, name, "params", rest, _LEAVES["Conv"])
    if "kernel" not in leaves:
        raise ValueError(f"{label}: {name} holds no kernel, only {_shapes(leaves) or 'nothing'}")
    shape, axes = leaves["kernel"].shape, 4 if isinstance(layer, Conv) else 2
    if len(shape) != axes or shape[-1] != layer.features or ("bias" in leaves) != layer.bias:
        raise ValueError(f"{label} has {layer.features} features, bias {layer.bias}; {name} holds {_shapes(leaves)}")
    if axes == 4 and shape[:2] != layer.kernel:
        raise ValueError(f"{label} has a kernel of {layer.kernel[0]}x{layer.kernel[1]}; {name} holds {_shapes(leaves)}")
    return leaves


def _check_channels(label: str, name: str, shape: tuple[int, ...], channels: int | None) -> None:
    """Refuses a kernel that does not fit the output of the layer before it."""
    if channels is not None and shape[-2] != channels:
        groups = " (of groups, which layers do not have)" if len(shape) == 4 and channels % shape[-2] == 0 else ""
        raise ValueError(f"{label} is given {channels} channels; {name} has a kernel {shape} for {shape[-2]}{groups}")


def _norm(label: str, name: str, rest: dict[str, dict], channels: int | None) -> dict[str, Any]:
    stats = _take(label, name, "batch_stats", rest, {"mean", "var"})
    affine = _take(label, name, "params", rest, _LEAVES["BatchNorm"]) if name in rest["params"] else {}
    if stats.keys() != {"mean", "var"}:
        raise ValueError(f"{label}: batch_stats/{name} must hold mean and var, got {_shapes(stats) or 'nothing'}")
    scale, shift = affine.get("scale", jnp.ones_like(stats["mean"])), affine.get("bias", jnp.zeros_like(stats["mean"]))
    params = {"scale": scale, "shift": shift} | stats
    size = jnp.shape(stats["mean"]) if channels is None else (channels,)
    if any(jnp.shape(leaf) != size for leaf in params.values()):
        raise ValueError(f"{label} takes numbers of shape {size}; {name} holds {_shapes(params)}")
    return params


def _compare(layers, params, variables, apply, images, activation, tolerance) -> None:
    """Refuses parameters whose logits differ from those of the network."""
    check_params(layers, params, np.shape(images)[1:])
    expected = apply(variables, images)
    logits = network.forward(layers, params, jnp.asarray(images), activation)[0]
    if jnp.shape(expected) != logits.shape:
        raise ValueError(f"apply must give logits of shape {logits.shape}, as the layers do, got {jnp.shape(expected)}")
    error, largest = float(jnp.abs(logits - expected).max()), float(jnp.abs(jnp.asarray(expected)).max())
    if not error <= tolerance * largest:
        raise ValueError(
            f"the layers' logits are off by {error:.3g} (of {largest:.3g}): compare strides, padding, pools, the "
            "norms' epsilon, the activation and the order with the network's, and see whether it has dilation or groups"
        )


def _shapes(leaves: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {jnp.shape(leaf)}" for name, leaf in leaves.items())
