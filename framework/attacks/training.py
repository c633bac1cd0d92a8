"""Training against attacks: a forward pass becomes the loss of a `networks.training.trainer`.

References: Madry et al., arXiv 1706.06083; Zhang et al., "Theoretically principled trade-off between robustness and
accuracy" (TRADES), ICML 2019, arXiv 1901.08573.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax

from framework.attacks.attack import Attack
from framework.attacks.pgd import pgd
from framework.core import keys
from framework.core.types import Key, Params
from framework.models.training import Loss, with_statistics

Forward = Callable[[Params, jax.Array, bool], tuple[jax.Array, Params]]  # (params, images, train) -> logits, moved


def pgd_7(epsilon: float | jax.Array = 0.031, step_size: float | jax.Array = 0.01) -> Attack:
    """The attack of adversarial training in AdvRush's program: 7 steps from noise of .001 around the image."""
    return pgd(epsilon, steps=7, step_size=step_size, start="normal")


def standard(forward: Forward) -> Loss:
    """Cross entropy on the images as they are.

    Args:
      forward: (params, images, train) -> (logits, parameters with their running statistics moved).
    """

    def loss(params: Params, images: jax.Array, labels: jax.Array, key: Key):
        logits, moved = forward(params, images, True)
        return _cross_entropy(logits, labels), (moved, {"accuracy": _accuracy(logits, labels)})

    return loss


def adversarial(forward: Forward, attack: Attack | None = None) -> Loss:
    """Cross entropy on attacked images; the attack sees running statistics, training the batch's.

    Args:
      forward: see `standard`.
      attack: on each batch; `pgd_7()` by default.
    """
    attack = attack or pgd_7()

    def loss(params: Params, images: jax.Array, labels: jax.Array, key: Key):
        still = lax.stop_gradient(params)
        found = attack(keys.named(key, "attack"), lambda x: forward(still, x, False)[0], images, labels)
        logits, moved = forward(params, lax.stop_gradient(found), True)
        return _cross_entropy(logits, labels), (moved, {"accuracy": _accuracy(logits, labels)})

    return loss


def trades(
    forward: Forward,
    beta: float | jax.Array = 6.0,
    epsilon: float | jax.Array = 0.031,
    step_size: float | jax.Array = 0.007,
) -> Loss:
    """CE(f(x), y) + beta KL(f(x) || f(x')), where x' is the image near x of greatest divergence.

    Args:
      forward: see `standard`.
      beta: what agreement is worth; may be traced.
      epsilon, step_size: of the ten steps that look for x', from noise of .001.
    """
    attack = pgd(epsilon, steps=10, step_size=step_size, start="normal", loss=divergence)

    def loss(params: Params, images: jax.Array, labels: jax.Array, key: Key):
        still = lax.stop_gradient(params)
        apply = lambda x: forward(still, x, False)[0]
        found = lax.stop_gradient(attack(keys.named(key, "attack"), apply, images, apply(images)))
        logits, moved = forward(params, images, True)
        attacked, moved = forward(with_statistics(params, lax.stop_gradient(moved)), found, True)
        value = _cross_entropy(logits, labels) + beta * divergence(attacked, logits).mean()
        return value, (moved, {"accuracy": _accuracy(logits, labels)})

    return loss


def divergence(logits: jax.Array, clean: jax.Array) -> jax.Array:
    """KL(softmax(clean) || softmax(logits)) of each image, `[N]`."""
    log = jax.nn.log_softmax(clean, -1)
    return (jnp.exp(log) * (log - jax.nn.log_softmax(logits, -1))).sum(-1)


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def _accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return (logits.argmax(-1) == labels).mean()
