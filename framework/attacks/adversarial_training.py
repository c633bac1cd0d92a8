"""Adversarial training: losses on attacked images for `framework.models.training.trainer`.

References: Madry et al., arXiv 1706.06083; Zhang et al., "Theoretically principled trade-off between robustness and
accuracy" (TRADES), ICML 2019, arXiv 1901.08573.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Float

from framework.attacks.attack import Attack, Scalar
from framework.attacks.projected_gradient import pgd
from framework.core import keys
from framework.core.types import Array, Key, Params
from framework.models.training import Loss, with_statistics

Forward = Callable[[Params, jax.Array, bool], tuple[jax.Array, Params]]  # (params, images, train) -> logits, new params


def pgd_7(epsilon: Scalar = 0.031, step_size: Scalar = 0.01) -> Attack:
    """The attack of adversarial training in AdvRush's program: 7 steps from noise of .001 around the image.

    Args:
      epsilon: radius of the L-inf ball, above 0; may be traced.
      step_size: above 0, in the units of the pixels; may be traced.

    Returns:
      The attack `pgd-7`.
    """
    return pgd(epsilon, steps=7, step_size=step_size, start="normal")


def standard_loss(forward: Forward) -> Loss:
    """Cross entropy on the clean images, without an attack.

    Args:
      forward: (params, images, train) -> (logits, params with updated running statistics).

    Returns:
      A loss for `trainer`.
    """

    def loss(params: Params, images: Array, labels: Array, key: Key):
        logits, new_params = forward(params, images, True)
        return _cross_entropy(logits, labels), (new_params, {"accuracy": _accuracy(logits, labels)})

    return loss


def adversarial_loss(forward: Forward, attack: Attack | None = None) -> Loss:
    """Cross entropy on attacked images.

    The attack uses the running statistics of norms; the training step uses those of the batch.

    Args:
      forward: as for `standard_loss`.
      attack: on each batch; `pgd_7()` by default.

    Returns:
      A loss for `trainer`.
    """
    attack = attack or pgd_7()

    def loss(params: Params, images: Array, labels: Array, key: Key):
        constant = lax.stop_gradient(params)
        adversarial = attack(keys.derive(key, "attack"), lambda x: forward(constant, x, False)[0], images, labels)
        logits, new_params = forward(params, lax.stop_gradient(adversarial), True)
        return _cross_entropy(logits, labels), (new_params, {"accuracy": _accuracy(logits, labels)})

    return loss


def trades_loss(
    forward: Forward,
    beta: Scalar = 6.0,
    epsilon: Scalar = 0.031,
    step_size: Scalar = 0.007,
) -> Loss:
    """TRADES, CE(f(x), y) + beta KL(f(x) || f(x')), where x' maximises the divergence near x.

    Args:
      forward: as for `standard_loss`.
      beta: weight of the divergence; may be traced.
      epsilon: radius of the L-inf ball, above 0; may be traced.
      step_size: of the ten steps that search x' from noise of .001; may be traced.

    Returns:
      A loss for `trainer`.

    Reference: arXiv 1901.08573, equation 5.
    """
    attack = pgd(epsilon, steps=10, step_size=step_size, start="normal", loss=kl_divergence)

    def loss(params: Params, images: Array, labels: Array, key: Key):
        constant = lax.stop_gradient(params)
        apply = lambda x: forward(constant, x, False)[0]
        adversarial = lax.stop_gradient(attack(keys.derive(key, "attack"), apply, images, apply(images)))
        clean_logits, new_params = forward(params, images, True)
        params = with_statistics(params, lax.stop_gradient(new_params))
        adversarial_logits, new_params = forward(params, adversarial, True)
        value = _cross_entropy(clean_logits, labels) + beta * kl_divergence(adversarial_logits, clean_logits).mean()
        return value, (new_params, {"accuracy": _accuracy(clean_logits, labels)})

    return loss


def kl_divergence(logits: Float[Array, "n classes"], clean_logits: Float[Array, "n classes"]) -> Float[Array, " n"]:
    """KL(softmax(clean_logits) || softmax(logits)) of each image.

    Args:
      logits: `[N, classes]`.
      clean_logits: `[N, classes]`.

    Returns:
      `[N]`, in nats.
    """
    log = jax.nn.log_softmax(clean_logits, -1)
    return (jnp.exp(log) * (log - jax.nn.log_softmax(logits, -1))).sum(-1)


def _cross_entropy(logits: Array, labels: Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def _accuracy(logits: Array, labels: Array) -> jax.Array:
    return (logits.argmax(-1) == labels).mean()
