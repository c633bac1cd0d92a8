"""The loss around an image: its largest curvature, and its surface along two directions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from framework.core import curvature, keys
from framework.core.types import Key

ImageLoss = Callable[[jax.Array, jax.Array], jax.Array]  # (image, label) -> scalar


def top_eigenvalues(key: Key, loss: ImageLoss, images: jax.Array, labels: jax.Array, iterations: int = 20) -> jax.Array:
    """The eigenvalue of largest magnitude of each image's Hessian, signed, by power iteration.

    Args:
      key: draws the first vectors.
      loss: (image, label) -> scalar.
      images, labels: `[N, ...]`, `[N]`.
      iterations: products with the Hessian, at least 1.

    Returns:
      `[N]`.

    Raises:
      ValueError: if it is no key.
    """
    keys.check(key)
    one = lambda key, image, label: curvature.power_iteration(lambda x: loss(x, label), image, key, iterations).value
    return jax.vmap(one)(jax.random.split(key, len(images)), images, labels)


def surface(
    key: Key, loss: ImageLoss, image: jax.Array, label: jax.Array, radius: float = 0.1, steps: int = 21
) -> tuple[jax.Array, jax.Array]:
    """The loss at x + a sign(g) + b r, g the gradient at x and r random signs.

    Args:
      key: draws r.
      loss: (image, label) -> scalar.
      image, label: one of each.
      radius: the largest |a| and |b|, in units of a pixel.
      steps: places along each axis.

    Returns:
      a and b `[steps]`, and the loss `[steps, steps]`, a by row.
    """
    places = jnp.linspace(-radius, radius, steps)
    steepest = jnp.sign(jax.grad(loss)(image, label))
    other = jax.random.rademacher(keys.derive(key, "other"), image.shape, image.dtype)
    at = lambda a, b: loss(image + a * steepest + b * other, label)
    return places, jax.lax.map(lambda a: jax.vmap(lambda b: at(a, b))(places), places)
