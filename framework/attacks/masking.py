"""Signs that a network only hides its gradients, so that attacks flatter it.

References: Athalye, Carlini and Wagner, "Obfuscated gradients give a false sense of security", arXiv 1802.00420; the
flags of AutoAttack, arXiv 2003.01690.
"""

import warnings

import jax
import numpy as np

from framework.attacks import losses
from framework.attacks.attack import Apply

DIFFERENCE = 1e-4  # of two outputs of one image, as a share of their length
SUPERIOR = 0.002  # by which Square may lower the accuracy


class Doubt(UserWarning):
    """A verdict may be more favourable than the network deserves."""


def check(apply: Apply, images: np.ndarray, labels: np.ndarray) -> int:
    """Warns of what can be seen before any attack; returns the number of classes.

    Warns:
      Doubt: if an image's logits change from call to call or with its neighbours, if they are probabilities, or if
        gradients are exactly 0.
    """
    logits = np.asarray(jax.jit(apply)(images))
    if spread(apply, images, logits) > DIFFERENCE:
        _warn("an image's logits change from call to call or with its neighbours: is the network random or training?")
    if logits.min() >= -1e-5 and np.allclose(logits.sum(-1), 1, atol=1e-5):
        _warn("the network gives probabilities: attacks need the logits before the softmax")
    blind = {name: int(count) for name, count in _without_gradient(apply, images, labels).items()}
    if any(blind.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in blind.items())
        _warn(f"of {len(images)} images gradients are exactly 0 for {counts}: gradient attacks see nothing there")
    return logits.shape[-1]


def compare(accuracy: dict[str, float]) -> None:
    """Warns if random search breaks what gradients did not.

    Args:
      accuracy: of `Evaluation`.

    Warns:
      Doubt: if `square` lowers the accuracy by more than .2 points below every attack before it.
    """
    others = [value for name, value in accuracy.items() if name != "square"]
    gain = min(others) - accuracy.get("square", 1.0)
    if gain > SUPERIOR:
        _warn(f"Square broke {100 * gain:.1f}% of images after all gradient attacks: gradients may be masked")


def spread(apply: Apply, images: np.ndarray, logits: np.ndarray) -> float:
    """The greatest difference of an image's logits if the network is traced anew and the batch comes in another order.

    As a share of the logits' length. `logits` are those of the images in their order.
    """
    turned = jax.jit(lambda images: apply(images))(np.roll(images, 1, axis=0))
    unit = lambda x: x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)
    return float(np.linalg.norm(unit(np.roll(turned, -1, axis=0)) - unit(logits), axis=-1).max())


def _without_gradient(apply: Apply, images: np.ndarray, labels: np.ndarray) -> dict[str, jax.Array]:
    """How many images have no gradient at all, of each loss."""

    def count(images: jax.Array, labels: jax.Array, loss: losses.Loss) -> jax.Array:
        gradient = losses.climb(apply, lambda logits: loss(logits, labels))(images)[2]
        return (gradient.reshape(len(images), -1) == 0).all(-1).sum()

    counts = lambda *data: {name: count(*data, losses.LOSSES[name]) for name in ("cross_entropy", "margin")}
    return jax.jit(counts)(images, labels)


def _warn(message: str) -> None:
    warnings.warn(message, Doubt, stacklevel=4)
