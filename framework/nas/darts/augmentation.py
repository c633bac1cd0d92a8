"""Random changes of training images, `[N, H, W, C]`."""

import jax
import jax.numpy as jnp
from jax import lax

from framework.core import keys
from framework.core.types import Key


def shift_and_flip(key: Key, images: jax.Array, reach: int = 4) -> jax.Array:
    """Each image moved by up to `reach` places each way, zeros coming in, and mirrored every second time.

    Raises:
      ValueError: if `reach` is negative.
    """
    if reach < 0:
        raise ValueError(f"images are moved by 0 places or more, got reach={reach}")
    count, height, width, _ = images.shape
    padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    corners = jax.random.randint(keys.derive(key, "shift"), (count, 2), 0, 2 * reach + 1)
    cut = lambda image, corner: lax.dynamic_slice(image, (*corner, 0), (height, width, image.shape[-1]))
    mirror = jax.random.bernoulli(keys.derive(key, "mirror"), 0.5, (count, 1, 1, 1))
    images = jax.vmap(cut)(padded, corners)
    return jnp.where(mirror, images[:, :, ::-1], images)


def cutout(key: Key, images: jax.Array, size: int) -> jax.Array:
    """A square of `size` places, anywhere and perhaps partly outside, set to 0 in each image.

    Raises:
      ValueError: if `size` is negative.

    Reference: DeVries and Taylor, arXiv 1708.04552.
    """
    if size < 0:
        raise ValueError(f"a square has a side of 0 places or more, got size={size}")
    count, height, width, _ = images.shape
    inside = []
    for name, side in (("row", height), ("column", width)):
        centre = jax.random.randint(keys.derive(key, name), (count, 1), 0, side)
        coordinate = jnp.arange(side)
        inside.append((coordinate >= centre - size // 2) & (coordinate < centre - size // 2 + size))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return jnp.where(hole[..., None], 0, images)
