"""The losses that attacks maximise, one value per image: `(logits [N, classes], labels [N]) -> [N]`.

Reference: Croce and Hein, "Reliable evaluation of adversarial robustness", arXiv 2003.01690, equations 3 and 4.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Bool, Float, Int

from framework.attacks.attack import Apply
from framework.core import convolutions
from framework.core.types import Array

Loss = Callable[[jax.Array, Any], jax.Array]
_TINY = 1e-12


def cross_entropy(logits: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """Cross entropy, log sum_i exp(z_i) - z_y.

    Args:
      logits: z, `[N, classes]`.
      labels: y, `[N]`.

    Returns:
      `[N]`.
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def margin(logits: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """Margin, max_{i != y} z_i - z_y: above 0 where another class wins.

    Args:
      logits: z, `[N, classes]`.
      labels: y, `[N]`.

    Returns:
      `[N]`.
    """
    return _largest_other(logits, labels) - _logit_at(logits, labels)


def dlr(logits: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """Difference of logits ratio, -(z_y - max_{i != y} z_i) / (z_(1) - z_(3)), logits in decreasing order.

    It does not change when the logits are shifted or scaled.

    Args:
      logits: z, `[N, classes]`, 3 classes or more.
      labels: y, `[N]`.

    Returns:
      `[N]`.

    Raises:
      ValueError: for fewer than 3 logits.
    """
    top = _largest(logits, 3)
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + _TINY)


def targeted_dlr(
    logits: Float[Array, "n classes"], labels: Int[Array, " n"], targets: Int[Array, " n"]
) -> Float[Array, " n"]:
    """Targeted difference of logits ratio, -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2).

    Args:
      logits: z, `[N, classes]`, 4 classes or more.
      labels: y, `[N]`.
      targets: t, `[N]`.

    Returns:
      `[N]`.

    Raises:
      ValueError: for fewer than 4 logits.
    """
    top = _largest(logits, 4)
    scale = top[:, 0] - (top[:, 2] + top[:, 3]) / 2
    return logit_difference(logits, targets, labels) / (scale + _TINY)


def logit_difference(
    logits: Float[Array, "n classes"], targets: Int[Array, " n"], labels: Int[Array, " n"]
) -> Float[Array, " n"]:
    """Difference z_t - z_y: above 0 where the target's logit exceeds the label's.

    Args:
      logits: z, `[N, classes]`.
      targets: t, `[N]`.
      labels: y, `[N]`.

    Returns:
      `[N]`.
    """
    return _logit_at(logits, targets) - _logit_at(logits, labels)


def is_correct(logits: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Bool[Array, " n"]:
    """True where the largest logit is the label's and none is NaN.

    Args:
      logits: `[N, classes]`.
      labels: `[N]`.

    Returns:
      `[N]` bool.
    """
    return (logits.argmax(-1) == labels) & ~jnp.isnan(logits).any(-1)


def get(loss: str | Loss) -> Loss:
    """The loss of a name, or the function itself.

    Raises:
      ValueError: if it is none of `LOSSES`.
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)} or a function, got {loss!r}")
    return LOSSES[loss]


def value_and_gradient(
    apply: Apply, loss: Callable[[jax.Array], jax.Array]
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array, jax.Array]]:
    """Transforms a network and a loss into a function of images that is fast inside loops.

    Args:
      apply: images `[N, ...]` -> logits `[N, classes]`.
      loss: logits -> `[N]`.

    Returns:
      images -> (logits `[N, classes]`, loss `[N]`, gradient of the loss of each image `[N, ...]`).
    """

    def total(images: Array):
        logits = apply(images)
        values = loss(logits)
        return values.sum(), (logits, values)

    def evaluate(images: Array):
        (_, (logits, values)), gradient = jax.value_and_grad(total, has_aux=True)(images)
        return logits, values, gradient

    return convolutions.canonicalize_convolutions(evaluate)


def _largest(logits: Array, count: int) -> jax.Array:
    if logits.shape[-1] < count:
        raise ValueError(f"this ratio compares {count} logits, the network has {logits.shape[-1]}: take loss='margin'")
    return jax.lax.top_k(logits, count)[0]


def _logit_at(logits: Array, labels: Array) -> jax.Array:
    return jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]


def _largest_other(logits: Array, labels: Array) -> jax.Array:
    is_label = jnp.arange(logits.shape[-1]) == labels[:, None]
    return jnp.where(is_label, -jnp.inf, logits).max(-1)


LOSSES = {"cross_entropy": cross_entropy, "dlr": dlr, "margin": margin}
