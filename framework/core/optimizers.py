"""Support for optax optimisers that need more than a gradient, such as the loss."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from framework.core.types import Params

_SAMPLE = {"kernel": jax.ShapeDtypeStruct((3, 2), jnp.float32), "bias": jax.ShapeDtypeStruct((2,), jnp.float32)}


def check(optimizer: Any, what: str) -> None:
    """Refuses what is no optimiser, or one that wants more than gradient, parameters and loss.

    Args:
      optimizer: of optax.
      what: takes the optimiser, such as "a rule", for the message.

    Raises:
      ValueError: for another thing, such as a learning rate, and for optimisers with functions of their own loss, such
        as `optax.lbfgs`.
    """
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ValueError(f"{what} wants optimisers of optax, such as optax.sgd(0.1), got {optimizer!r}")
    missing = _missing(optimizer, {"value": jnp.zeros(())}) if _missing(optimizer, {}) else ""
    if missing:
        raise ValueError(
            f"{what} hands gradient, parameters and loss to its optimiser, but this one also wants {missing}: take one "
            "without functions, such as optax.sgd, optax.adam or optax.polyak_sgd"
        )


def needs_value(optimizer: optax.GradientTransformation) -> bool:
    """True if the optimiser's `update` may want `value`, the loss, as `optax.polyak_sgd` and `reduce_on_plateau` do."""
    return _missing(optimizer, {}) != ""


def update(
    optimizer: optax.GradientTransformation, gradient: Params, state: optax.OptState, params: Params, value: jax.Array
) -> tuple[Params, optax.OptState]:
    """`optimizer.update`, with the loss for an optimiser that wants it."""
    try:
        return optimizer.update(gradient, state, params)
    except TypeError as error:
        if "required" not in str(error) or "'value'" not in str(error):
            raise
    return optimizer.update(gradient, state, params, value=value)


def _missing(optimizer: optax.GradientTransformation, extra: dict[str, Any]) -> str | None:
    """The arguments that an update on small parameters complains of; None where these do not tell."""

    def once(params: Params) -> Any:
        return optimizer.update(params, optimizer.init(params), params, **extra)

    if extra:
        optimizer = optax.with_extra_args_support(optimizer)
    try:
        jax.eval_shape(once, _SAMPLE)
    except Exception as error:  # noqa: BLE001  (masks and labels of certain parameters fail on these in many ways)
        words = str(error)
        if "required" in words and "argument" in words:
            return " and ".join(re.findall(r"'(\w+)'", words))
        if "batch dimension" in words:
            return "gradients of single examples"
        if "must be provided" in words or "unexpected keyword" in words:
            return " and ".join(re.findall(r"\b\w+_fn\b", words)) or "other functions"
        return None
    return ""
