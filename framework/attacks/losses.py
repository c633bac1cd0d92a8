"""What attacks climb: losses of each image on its own, `(logits [N, classes], labels [N]) -> [N]`.

Reference: Croce and Hein, "Reliable evaluation of adversarial robustness", arXiv 2003.01690, equations 3 and 4.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from framework.attacks.attack import Apply
from framework.core import convolutions

Loss = Callable[[jax.Array, Any], jax.Array]
_TINY = 1e-12


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """log sum_i exp(z_i) - z_y."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def margin(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """max_{i != y} z_i - z_y: above 0 where another class wins."""
    return _rival(logits, labels) - _of(logits, labels)


def dlr(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """-(z_y - max_{i != y} z_i) / (z_(1) - z_(3)), the logits in falling order; blind to shift and scale.

    Raises:
      ValueError: for fewer than 3 logits.
    """
    ordered = _largest(logits, 3)
    return margin(logits, labels) / (ordered[:, 0] - ordered[:, 2] + _TINY)


def targeted_dlr(logits: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    """-(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2).

    Raises:
      ValueError: for fewer than 4 logits.
    """
    ordered = _largest(logits, 4)
    scale = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
    return lead(logits, targets, labels) / (scale + _TINY)


def lead(logits: jax.Array, targets: jax.Array, labels: jax.Array) -> jax.Array:
    """z_t - z_y: above 0 where the target is before the label."""
    return _of(logits, targets) - _of(logits, labels)


def correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """`[N]` bool: the largest logit is the label's, and none is NaN."""
    return (logits.argmax(-1) == labels) & ~jnp.isnan(logits).any(-1)


def named(loss: str | Loss) -> Loss:
    """The loss of a name, or the function itself.

    Raises:
      ValueError: if it is none of `LOSSES`.
    """
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)} or a function, got {loss!r}")
    return LOSSES[loss]


def climb(
    apply: Apply, loss: Callable[[jax.Array], jax.Array]
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array, jax.Array]]:
    """Images -> (logits `[N, classes]`, loss `[N]`, gradient of each image's loss), fast inside loops.

    Args:
      apply: images -> logits.
      loss: logits -> `[N]`.
    """

    def total(images: jax.Array):
        logits = apply(images)
        each = loss(logits)
        return each.sum(), (logits, each)

    def all_three(images: jax.Array):
        (_, (logits, each)), gradient = jax.value_and_grad(total, has_aux=True)(images)
        return logits, each, gradient

    return convolutions.ordered(all_three)


def _largest(logits: jax.Array, count: int) -> jax.Array:
    if logits.shape[-1] < count:
        raise ValueError(f"this ratio compares {count} logits, the network has {logits.shape[-1]}: take loss='margin'")
    return jax.lax.top_k(logits, count)[0]


def _of(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.take_along_axis(logits, labels[:, None], -1)[:, 0]


def _rival(logits: jax.Array, labels: jax.Array) -> jax.Array:
    own = jnp.arange(logits.shape[-1]) == labels[:, None]
    return jnp.where(own, -jnp.inf, logits).max(-1)


LOSSES = {"cross_entropy": cross_entropy, "dlr": dlr, "margin": margin}
