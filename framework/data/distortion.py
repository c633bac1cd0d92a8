"""Elastic distortion of images: every pixel is fetched from a smooth random displacement away.

Reference: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
analysis", ICDAR 2003.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from framework.core import checks, keys
from framework.core.types import Key

BLOCK = 1000  # images distorted at once


@jax.jit
def distort(
    key: Key, images: Any, strength: float | jax.Array = 34.0, smoothness: float | jax.Array = 4.0
) -> jax.Array:
    """Images whose pixel (r, c) is the bilinear value at (r, c) + strength * G * u(r, c).

    u is uniform in [-1, 1] for each pixel and axis, G a Gaussian of deviation `smoothness`; beyond its border an image
    is 0.

    Args:
      key: draws u; image i of a batch has the key `fold_in(key, i)`.
      images: `[N, H, W]` or `[N, H, W, C]`, of any number type.
      strength: alpha, in pixels; 34 for 28 x 28 images. 0 changes nothing.
      smoothness: sigma, in pixels, above 0; 4 for 28 x 28 images. May be traced, like the strength.

    Returns:
      Float32, shaped as the images.

    Raises:
      ValueError: for no key, or images of another shape.
    """
    keys.check(key)
    images = jnp.asarray(images, jnp.float32)
    if images.ndim not in (3, 4):
        raise ValueError(f"distort: images must be [N, H, W] or [N, H, W, C], got {images.shape}")
    height, width = images.shape[1:3]
    smooth = _gaussian(height, smoothness), _gaussian(width, smoothness)
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)

    def one(index: jax.Array, image: jax.Array) -> jax.Array:
        field = jax.random.uniform(jax.random.fold_in(key, index), (2, height, width), minval=-1, maxval=1)
        coordinates = grid + strength * (smooth[0] @ field @ smooth[1])
        fetch = lambda plane: map_coordinates(plane, list(coordinates), order=1, mode="constant")
        return fetch(image) if image.ndim == 2 else jax.vmap(fetch, in_axes=-1, out_axes=-1)(image)

    return jax.vmap(one)(jnp.arange(len(images)), images)


def amplify(key: Key, images: Any, times: int, strength: float = 34.0, smoothness: float = 4.0) -> np.ndarray:
    """The images, and `times` - 1 distorted copies of all of them, as bytes.

    Args:
      key: draws the distortions; copy k has the key `fold_in(key, k)`.
      images: bytes, `[N, H, W]` or `[N, H, W, C]`.
      times: how many times as many images to return, at least 1.
      strength, smoothness: as for `distort`.

    Returns:
      Bytes, `[times * N, ...]`: the originals first, then copy after copy, each in the order of the originals.

    Raises:
      ValueError: for no key, fewer than 1 times, a strength or smoothness out of its range, images that are no bytes,
        or no image.
    """
    keys.check(key)
    checks.counts("amplify: ", times=times)
    images = np.asarray(images)
    if not (math.isfinite(strength) and 0 < smoothness < math.inf):
        raise ValueError(
            f"amplify: strength must be finite, and smoothness above 0 and finite, got {strength} and {smoothness}"
        )
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images):
        raise ValueError(
            f"amplify: images must be bytes [N, H, W] or [N, H, W, C], at least 1, got {images.dtype} {images.shape}"
        )
    copies = [images]
    for copy in range(1, times):
        copy_key = jax.random.fold_in(key, copy)
        blocks = range(0, len(images), BLOCK)
        parts = [
            _bytes(jax.random.fold_in(copy_key, at), images[at : at + BLOCK], strength, smoothness) for at in blocks
        ]
        copies += [np.asarray(part) for part in parts]
    return np.concatenate(copies)


@jax.jit
def _bytes(key: Key, images: jax.Array, strength: float, smoothness: float) -> jax.Array:
    return jnp.clip(jnp.round(distort(key, images, strength, smoothness)), 0, 255).astype(jnp.uint8)


def _gaussian(size: int, deviation: float | jax.Array) -> jax.Array:
    """A Gaussian of integral 1 as a symmetric matrix, `[size, size]`; beyond the border the field is 0."""
    distance = np.subtract.outer(np.arange(size), np.arange(size)).astype(np.float32)
    reach = np.arange(-4 * size, 4 * size + 1, dtype=np.float32)
    weight = lambda x: jnp.exp(-(x**2) / (2 * deviation**2))
    return weight(distance) / weight(reach).sum()
