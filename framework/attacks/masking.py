"""Signs that a verdict on a network is not worth what it seems, such as masked gradients, as warnings.

References: Athalye, Carlini and Wagner, "Obfuscated gradients give a false sense of security", arXiv 1802.00420; the
flags of AutoAttack, arXiv 2003.01690.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.attacks import doubt, losses
from framework.attacks.attack import Apply, Attack
from framework.attacks.doubt import Doubt
from framework.core import programs
from framework.core.devices import Options

DIFFERENCE = 1e-4  # of two outputs of one image, as a share of their length
SUPERIOR = 0.002  # by which Square may lower the accuracy
__all__ = ["Doubt", "check_gradients", "check_logits", "check_scale", "compare"]
_SPAN = 0.5  # of outputs in [0, 1] from which on they look like a sigmoid's, not like small logits
_NEAR_ONE = 1e-5  # how far sums of probabilities may lie from 1; more in half precision


def check_logits(logits: np.ndarray, again: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> None:
    """Warns of what logits of clean images show.

    Args:
      logits: `[N, classes]`, of all images.
      again: images -> logits, by the network read once more.
      images: the first of the images, one batch `[n, ...]`.

    Warns:
      Doubt: if an image's logits change from call to call or with its neighbours, or if they are probabilities, of a
        softmax or of sigmoids.
    """
    if _spread(again, images, logits[: len(images)]) > DIFFERENCE:
        doubt.warn(
            "an image's logits change from call to call or with its neighbours: is the network random or training? "
            "Call it in evaluation mode (the method eval of flax nnx, training=False, train=False)"
        )
    near, wide = max(_NEAR_ONE, float(jnp.finfo(logits.dtype).eps)), np.asarray(logits, np.float64)
    if wide.min() >= -near and np.allclose(wide.sum(-1), 1, atol=near * max(1, wide.shape[-1] / 10), rtol=0):
        doubt.warn("the network gives probabilities: attacks need the logits before the softmax")
    elif wide.min() >= 0 and wide.max() <= 1 and len(wide) > 1 and np.ptp(wide) > _SPAN:
        doubt.warn("all outputs lie in [0, 1], as behind a sigmoid: attacks need the logits before it")


def check_gradients(apply: Apply, images: np.ndarray, labels: np.ndarray, options: Options = ()) -> None:
    """Warns if gradients of some images are exactly 0, so that attacks by gradients see nothing there.

    Args:
      apply: images -> logits.
      images: one batch, `[n, ...]`.
      labels: `[n]`.
      options: of the compiler; see `core.advance`.

    Warns:
      Doubt: how many images have none, by loss.
    """
    count = programs.spread(lambda *data: _without_gradient(apply, *data), (0, 0), options)
    blind = {name: int(np.sum(each)) for name, each in count(images, labels).items()}
    if any(blind.values()):
        counts = ", ".join(f"{count} of {name}" for name, count in blind.items())
        doubt.warn(f"of {len(images)} images gradients are exactly 0 for {counts}: gradient attacks see nothing there")


def check_scale(attacks: Sequence[Attack], images: Any) -> None:
    """Warns once of a ball that covers every image; see `doubt.check_scale`."""
    radii = {(dict(each.structure).get("norm"), each.numbers.get("epsilon")): each.name for each in reversed(attacks)}
    for (norm, epsilon), name in radii.items():
        doubt.check_scale(name, norm, epsilon, images)


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
        doubt.warn(f"Square broke {100 * gain:.1f}% of images after all gradient attacks: gradients may be masked")


def _spread(again: Callable[[np.ndarray], np.ndarray], images: np.ndarray, logits: np.ndarray) -> float:
    """The greatest difference of an image's logits if the network is read again and the image has other neighbours.

    As a share of the logits' length. `logits` are those of the images in their order. Every second image is replaced by
    its negative, as another order alone would leave the statistics of a batch as they are.
    """
    places = np.arange(len(images))
    kept = places[places % 2 == 0]
    others = np.where((places % 2 == 0).reshape(-1, *[1] * (images.ndim - 1)), images, 1 - images)
    turned = np.roll(np.asarray(again(np.roll(others, 1, axis=0)), np.float64), -1, axis=0)
    unit = lambda x: x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)
    difference = unit(turned) - unit(np.asarray(logits, np.float64))
    return float(np.linalg.norm(difference[kept], axis=-1).max())


def _without_gradient(apply: Apply, images: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Which images have no gradient at all, `[n]` bool, of each loss; one pass back for all."""
    logits, pull = jax.vjp(apply, images)
    names = ("cross_entropy", "margin")
    slopes = [jax.grad(lambda logits, name=name: losses.LOSSES[name](logits, labels).sum())(logits) for name in names]
    gradients = jax.vmap(lambda slope: pull(slope)[0])(jnp.stack(slopes))
    return dict(zip(names, (gradients.reshape(*gradients.shape[:2], -1) == 0).all(-1), strict=True))
