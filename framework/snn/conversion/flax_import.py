"""A network of `flax.linen` as parameters of this project's layers."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from framework.core.types import Params
from framework.snn import layers as described
from framework.snn import network
from framework.snn.conversion.activation import Activation, relu
from framework.snn.layers import Layer
from framework.snn.trained import check_params

FLAX = {described.Conv: "Conv", described.Dense: "Dense", described.Norm: "BatchNorm"}
_PASSING = (described.Pool, described.Flatten)
_SOWN = ("intermediates",)  # collections that are outputs, not variables
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
    """The parameters of a network of `flax.linen`, whose layers stand in one chain as these do.

    The n-th convolution is `Conv_n`, the n-th dense layer `Dense_n`, the n-th norm `BatchNorm_n`, as flax calls them;
    a norm without `scale` or `bias` has 1 and 0. All variables must belong to a layer.

    What variables cannot show is what has no shape: strides, padding, dilation, pools, the norms' epsilon, the
    activation, the groups of a first convolution and the order in which layers are called. Give `apply` and some images
    to have the logits compared with the network's own.

    Args:
      layers: of `snn.layer`.
      variables: `params` and, with norms, `batch_stats`.
      apply: the network, (variables, images) -> logits, as `model.apply` in evaluation.
      images: `[B, ...]`, for `apply`.
      activation: of the network, for `apply`.
      tolerance: largest difference of logits, as a share of their largest size.

    Returns:
      A dict a layer, as of `init`.

    Raises:
      ValueError: if the variables are not those of a linen module; if a layer has no counterpart, or one of another
        shape (both are named); if variables are left over (named); or if the logits differ.

    Example:
      >>> from flax import linen as nn
      >>> from framework import snn
      >>> model, images = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)]), jnp.ones((3, 5))
      >>> variables = model.init(jax.random.key(0), images)
      >>> named = {"params": {f"Dense_{n}": variables["params"][f"layers_{2 * n}"] for n in range(2)}}
      >>> params = snn.from_flax((snn.layer.dense(4), snn.layer.dense(2)), named)
      >>> [own["kernel"].shape for own in params]
      [(5, 4), (4, 2)]
    """
    if (apply is None) != (images is None):
        raise ValueError("a check against the network takes both: apply=model.apply and images")
    collections = _collections(variables)
    rest = {kind: {name: dict(own) for name, own in of.items()} for kind, of in collections.items()}
    numbers: dict[str, int] = {}
    found, channels = [], None
    for i, each in enumerate(layers):
        what, kind = f"layer {i} ({described.name(each)})", FLAX.get(type(each))
        if kind is None:
            if not isinstance(each, _PASSING):
                raise ValueError(f"{what} has no counterpart in flax: take one of {', '.join(FLAX.values())}")
            channels = None if isinstance(each, described.Flatten) else channels
            found.append({})
            continue
        name = f"{kind}_{numbers.setdefault(kind, 0)}"
        numbers[kind] += 1
        where = "batch_stats" if kind == "BatchNorm" else "params"
        if name not in collections[where]:
            has = ", ".join(map(str, collections[where])) or "nothing"
            raise ValueError(f"{what} would be {name}, but flax has only {has} in {where}")
        found.append(_norm(what, name, rest, channels) if kind == "BatchNorm" else _weighted(what, name, each, rest))
        if kind != "BatchNorm":
            _check_channels(what, name, found[-1]["kernel"].shape, channels)
            channels = each.features
    if left := [f"{kind}/{name}" for kind, of in rest.items() for name in of]:
        raise ValueError(f"the variables hold more than the layers: {', '.join(left)} belong to none of them")
    if apply is not None:
        _compare(layers, tuple(found), variables, apply, images, activation, tolerance)
    return tuple(found)


def _collections(variables: Any) -> dict[str, Mapping[str, Any]]:
    """`params` and `batch_stats`, each by module."""
    if not isinstance(variables, Mapping) or not isinstance(variables.get("params"), Mapping):
        has = f"only {', '.join(map(str, variables))}" if isinstance(variables, Mapping) else type(variables).__name__
        raise ValueError(f"variables must be those of a flax.linen module, a dict with 'params'; got {has}")
    if unknown := [kind for kind in variables if kind not in ("params", "batch_stats", *_SOWN) and variables[kind]]:
        raise ValueError(f"the variables hold a collection {unknown[0]!r}, which has no counterpart")
    collections = {kind: variables.get(kind, {}) for kind in ("params", "batch_stats")}
    for kind, of in collections.items():
        for name, own in of.items():
            if not isinstance(own, Mapping):
                raise ValueError(f"{kind}/{name} is no module with parameters but a {type(own).__name__}")
            for leaf, value in own.items():
                if not hasattr(value, "shape") and not isinstance(value, Mapping):
                    raise ValueError(f"{kind}/{name}/{leaf} is no array but a {type(value).__name__}")
    return collections


def _take(what: str, name: str, kind: str, rest: dict[str, dict], leaves: set[str]) -> dict[str, Any]:
    """What a module holds in a collection, taken out of the rest."""
    own = rest[kind].pop(name)
    if unknown := sorted(own.keys() - leaves):
        raise ValueError(f"{what}: {kind}/{name} holds {unknown[0]!r}, which has no counterpart")
    return own


def _weighted(what: str, name: str, of: described.Conv | described.Dense, rest: dict[str, dict]) -> dict[str, Any]:
    own = _take(what, name, "params", rest, _LEAVES["Conv"])
    if "kernel" not in own:
        raise ValueError(f"{what}: {name} holds no kernel, only {_shapes(own) or 'nothing'}")
    shape, axes = own["kernel"].shape, 4 if isinstance(of, described.Conv) else 2
    if len(shape) != axes or shape[-1] != of.features or ("bias" in own) != of.bias:
        raise ValueError(f"{what} has {of.features} features, bias {of.bias}; {name} holds {_shapes(own)}")
    if axes == 4 and shape[:2] != of.kernel:
        raise ValueError(f"{what} has a kernel of {of.kernel[0]}x{of.kernel[1]}; {name} holds {_shapes(own)}")
    return own


def _check_channels(what: str, name: str, shape: tuple[int, ...], channels: int | None) -> None:
    """Whether a kernel takes what the layer before gives."""
    if channels is not None and shape[-2] != channels:
        groups = " (of groups, which layers do not have)" if len(shape) == 4 and channels % shape[-2] == 0 else ""
        raise ValueError(f"{what} is given {channels} channels; {name} has a kernel {shape} for {shape[-2]}{groups}")


def _norm(what: str, name: str, rest: dict[str, dict], channels: int | None) -> dict[str, Any]:
    stats = _take(what, name, "batch_stats", rest, {"mean", "var"})
    own = _take(what, name, "params", rest, _LEAVES["BatchNorm"]) if name in rest["params"] else {}
    if stats.keys() != {"mean", "var"}:
        raise ValueError(f"{what}: batch_stats/{name} must hold mean and var, got {_shapes(stats) or 'nothing'}")
    scale, shift = own.get("scale", jnp.ones_like(stats["mean"])), own.get("bias", jnp.zeros_like(stats["mean"]))
    found = {"scale": scale, "shift": shift} | stats
    size = jnp.shape(stats["mean"]) if channels is None else (channels,)
    if any(jnp.shape(leaf) != size for leaf in found.values()):
        raise ValueError(f"{what} takes numbers of shape {size}; {name} holds {_shapes(found)}")
    return found


def _compare(layers, params, variables, apply, images, activation, tolerance) -> None:
    """Whether the layers have the network's logits."""
    check_params(layers, params, np.shape(images)[1:])
    wanted = apply(variables, images)
    found = network.forward(layers, params, jnp.asarray(images), activation)[0]
    if jnp.shape(wanted) != found.shape:
        raise ValueError(f"apply must give logits of shape {found.shape}, as the layers do, got {jnp.shape(wanted)}")
    off, largest = float(jnp.abs(found - wanted).max()), float(jnp.abs(jnp.asarray(wanted)).max())
    if not off <= tolerance * largest:
        raise ValueError(
            f"the layers' logits are off by {off:.3g} (of {largest:.3g}): compare strides, padding, pools, the norms' "
            "epsilon, the activation and the order with the network's, and see whether it has dilation or groups"
        )


def _shapes(own: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {jnp.shape(leaf)}" for name, leaf in own.items())
