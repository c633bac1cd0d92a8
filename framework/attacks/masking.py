"""Checks for gradient masking and for other signs that an evaluation overestimates robustness.

References: Athalye, Carlini and Wagner, "Obfuscated gradients give a false sense of security", arXiv 1802.00420; the
flags of AutoAttack, arXiv 2003.01690.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from framework.attacks import losses, masking_warning
from framework.attacks.attack import Apply, Attack
from framework.core import programs
from framework.core.devices import Options
from framework.core.types import Array

MAX_DIFFERENCE = 1e-4  # of two outputs for one image, as a share of their length
MAX_SQUARE_GAIN = 0.002  # by which Square may lower the accuracy
_MIN_RANGE = 0.5  # of outputs in [0, 1] above which they look like a sigmoid's, not like small logits
_SUM_TOLERANCE = 1e-5  # how far sums of probabilities may lie from 1; more in half precision


def check_logits(
    logits: Float[np.ndarray, "n classes"],
    predict: Callable[[np.ndarray], np.ndarray],
    images: Float[np.ndarray, "batch ..."],
) -> None:
    """Warns if logits of clean images show a network that is random, in training mode, or gives probabilities.

    Args:
      logits: `[N, classes]`, of all images.
      predict: images -> logits, by the network read once more.
      images: the first of the images, one batch `[n, ...]`.

    Warns:
      GradientMaskingWarning: if the logits of an image change from call to call or with its neighbours, or if they are
        probabilities, of a softmax or of sigmoids.
    """
    if _max_difference(predict, images, logits[: len(images)]) > MAX_DIFFERENCE:
        masking_warning.warn(
            "an image's logits change from call to call or with its neighbours: is the network random or training? "
            "Call it in evaluation mode (the method eval of flax nnx, training=False, train=False)"
        )
    tolerance, values = max(_SUM_TOLERANCE, float(jnp.finfo(logits.dtype).eps)), np.asarray(logits, np.float64)
    sum_tolerance = tolerance * max(1, values.shape[-1] / 10)
    if values.min() >= -tolerance and np.allclose(values.sum(-1), 1, atol=sum_tolerance, rtol=0):
        masking_warning.warn("the network gives probabilities: attacks need the logits before the softmax")
    elif values.min() >= 0 and values.max() <= 1 and len(values) > 1 and np.ptp(values) > _MIN_RANGE:
        masking_warning.warn("all outputs lie in [0, 1], as after a sigmoid: attacks need the logits before it")


def check_gradients(
    apply: Apply,
    images: Float[np.ndarray, "n ..."],
    labels: Int[np.ndarray, " n"],
    options: Options = (),
) -> None:
    """Warns if the gradients of some images are exactly 0, so that gradient attacks cannot succeed on them.

    Args:
      apply: images -> logits.
      images: one batch, `[N, ...]`.
      labels: `[N]`.
      options: of the compiler; see `core.advance`.

    Warns:
      GradientMaskingWarning: with the number of such images for each loss.
    """
    run = programs.vmap_over_devices(lambda *data: _has_no_gradient(apply, *data), (0, 0), options)
    counts = {name: int(np.sum(mask)) for name, mask in run(images, labels).items()}
    if any(counts.values()):
        text = ", ".join(f"{count} of {name}" for name, count in counts.items())
        masking_warning.warn(
            f"of {len(images)} images gradients are exactly 0 for {text}: gradient attacks see nothing there"
        )


def check_scale(attacks: Sequence[Attack], shape: tuple[int, ...]) -> None:
    """Warns of balls that cover every image, once per radius; see `masking_warning.check_scale`.

    Args:
      attacks: in their order.
      shape: of the images, `(N, ...)`.
    """
    names = {
        (dict(attack.structure).get("norm"), attack.numbers.get("epsilon")): attack.name for attack in reversed(attacks)
    }
    for (norm, epsilon), name in names.items():
        masking_warning.check_scale(name, norm, epsilon, shape)


def compare_with_square(accuracy: dict[str, float]) -> None:
    """Warns if random search succeeds on images where gradient attacks fail.

    Args:
      accuracy: of `Evaluation`.

    Warns:
      GradientMaskingWarning: if `square` lowers the accuracy by more than .2 points below every attack before it.
    """
    others = [value for name, value in accuracy.items() if name != "square"]
    gain = min(others) - accuracy.get("square", 1.0)
    if gain > MAX_SQUARE_GAIN:
        masking_warning.warn(
            f"Square broke {100 * gain:.1f}% of images after all gradient attacks: gradients may be masked"
        )


def _max_difference(predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray, logits: np.ndarray) -> float:
    """The greatest change of an image's logits when the network is read again and the image has other neighbours.

    It is a share of the length of the logits, which are those of the images in their order. Every second image is
    replaced by its negative, because another order alone would leave the statistics of a batch as they are.
    """
    rows = np.arange(len(images))
    even = rows[rows % 2 == 0]
    others = np.where((rows % 2 == 0).reshape(-1, *[1] * (images.ndim - 1)), images, 1 - images)
    new_logits = np.roll(np.asarray(predict(np.roll(others, 1, axis=0)), np.float64), -1, axis=0)
    normalize = lambda x: x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)
    difference = normalize(new_logits) - normalize(np.asarray(logits, np.float64))
    return float(np.linalg.norm(difference[even], axis=-1).max())


def _has_no_gradient(apply: Apply, images: Array, labels: Array) -> dict[str, jax.Array]:
    """True where an image's gradient is 0 at all pixels, `[n]` bool for each loss; one backward pass for all losses."""
    logits, vjp = jax.vjp(apply, images)
    names = ("cross_entropy", "margin")
    cotangents = [
        jax.grad(lambda logits, name=name: losses.LOSSES[name](logits, labels).sum())(logits) for name in names
    ]
    gradients = jax.vmap(lambda cotangent: vjp(cotangent)[0])(jnp.stack(cotangents))
    return dict(zip(names, (gradients.reshape(*gradients.shape[:2], -1) == 0).all(-1), strict=True))
