"""How the Square attack changes an image: stripes and squares of one sign (L-inf), bumps of moved mass (L2).

Reference: Andriushchenko et al., arXiv 1912.00049, algorithms 2 and 3.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.attacks import norms
from framework.attacks.attack import per_image
from framework.core.types import Key

TILES = 5  # of an L2 start, along each axis
_TINY = 1e-12


def stripes(keys: Key, images: jax.Array, epsilon: jax.Array) -> jax.Array:
    """Vertical stripes of +-epsilon, a sign for each column and channel."""
    sign = jax.vmap(lambda key: jax.random.rademacher(key, images.shape[2:], images.dtype))(keys)
    return jnp.clip(images + epsilon * sign[:, None], 0, 1)


def signed_square(keys: Key, x: jax.Array, images: jax.Array, epsilon: jax.Array, side: jax.Array) -> jax.Array:
    """A square, with one sign a channel, moved by 2 epsilon and kept in the ball: to its edge."""
    channels = x.shape[-1]
    numbers = jax.vmap(lambda key: jax.random.uniform(key, (2 + channels,), x.dtype))(keys)
    inside = window(x.shape[1:3], corner(numbers[:, :2], x.shape[1:3], side), side)
    sign = jnp.where(numbers[:, 2:] < 0.5, -1, 1)[:, None, None]
    delta = jnp.where(inside[..., None], 2 * epsilon * sign, 0)
    return norms.named("linf").project(x + delta, images, epsilon)


def corner(numbers: jax.Array, shape: tuple[int, int], side: jax.Array) -> jax.Array:
    """Upper left corners `[N, 2]` of squares, floor(u (size - side)) for u `[N, 2]` in [0, 1)."""
    return jnp.floor(numbers * (jnp.array(shape) - side)).astype(jnp.int32)


def window(shape: tuple[int, int], corners: jax.Array, side: jax.Array) -> jax.Array:
    """`[N, H, W]` bool: the squares of those corners."""
    rows, columns = (
        (jnp.arange(size) >= at[:, None]) & (jnp.arange(size) < at[:, None] + side)
        for size, at in zip(shape, corners.T, strict=True)
    )
    return rows[:, :, None] & columns[:, None, :]


def bump(side: int) -> np.ndarray:
    """`[side, side]`, of length 1: two pyramids side by side, of opposite signs."""
    upper = side // 2
    both = np.concatenate([_pyramid(upper, side), -_pyramid(side - upper, side)])
    return both / np.sqrt((both**2).sum())


def _pyramid(height: int, width: int) -> np.ndarray:
    """Nested rectangles around a centre, the k-th adding 1 / k^2; of length 1."""
    pile = np.zeros((height, width))
    row, column = height // 2, width // 2
    for k in range(max(height, width) // 2 + 1):
        pile[max(row - k, 0) : row + k + 1, max(column - k, 0) : column + k + 1] += 1 / (k + 1) ** 2
    return pile / np.sqrt((pile**2).sum())


def tiles(keys: Key, images: jax.Array, epsilon: jax.Array) -> jax.Array:
    """Bumps all over the image, each with an orientation, and a sign for each channel; scaled to the sphere."""
    height, width, channels = images.shape[1:]
    side = max(height // TILES, 1)
    rows, columns, start = height // side, width // side, (height - side * TILES) // 2 if height > TILES else 0
    base = jnp.asarray(bump(side) if side > 1 else np.ones((1, 1)), images.dtype)
    turned = jnp.stack([base, base.T])

    def one(key: Key) -> jax.Array:
        ways, signs = jax.random.split(key)
        way = jax.random.randint(ways, (rows, columns), 0, 2)
        sign = jax.random.rademacher(signs, (rows, columns, channels), images.dtype)
        each = turned[way][..., None] * sign[:, :, None, None]  # [rows, columns, side, side, channels]
        whole = each.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, channels)
        padded = jnp.zeros((height + start, width + start, channels), images.dtype)
        return lax.dynamic_update_slice(padded, whole, (start, start, 0))[:height, :width]

    return _onto_sphere(jax.vmap(one)(keys), images, epsilon)


def bumps(shape: tuple[int, int], side_of: np.ndarray) -> np.ndarray:
    """`[sides + 1, 2 M, 2 M]`, M the larger of H and W: each side's bump, its corner in the middle of a canvas of 0."""
    middle = max(shape)
    canvas = np.zeros((max(side_of) + 1, 2 * middle, 2 * middle))
    for side in set(side_of.tolist()):
        canvas[side, middle : middle + side, middle : middle + side] = bump(side)
    return canvas


def moved_mass(
    keys: Key, x: jax.Array, images: jax.Array, epsilon: jax.Array, side: jax.Array, bumps: np.ndarray
) -> jax.Array:
    """A bump is added in one square; it gets the mass of a second one, which is emptied, and what the sphere leaves."""
    channels, shape, delta = x.shape[-1], x.shape[1:3], x - images
    numbers = jax.vmap(lambda key: jax.random.uniform(key, (5 + channels,), x.dtype))(keys)
    at, other = (corner(numbers[:, i : i + 2], shape, side) for i in (0, 2))
    here, there = (window(shape, each, side)[..., None] for each in (at, other))
    fresh = _placed(bumps, at, side, numbers[:, 4] < 0.5, shape).astype(x.dtype)[..., None]
    fresh = fresh * jnp.where(numbers[:, 5:] < 0.5, -1, 1)[:, None, None]
    length = lambda each: jnp.sqrt(jnp.sum(each * each, (1, 2), keepdims=True))  # of each channel
    old = jnp.where(here, delta, 0)
    mixed = fresh + old / (_TINY + length(old))
    left = jnp.maximum(epsilon**2 - jnp.sum(delta * delta, (1, 2, 3), keepdims=True), 0)
    mass = jnp.sqrt(left / channels + length(jnp.where(here | there, delta, 0)) ** 2)
    new = jnp.where(here, mixed / (_TINY + length(mixed)) * mass, jnp.where(there, 0, delta))
    return _onto_sphere(new, images, epsilon)


def _placed(bumps: np.ndarray, at: jax.Array, side: jax.Array, turned: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """`[N, H, W]`: the bump of that side with its corner at `at`, transposed where `turned`."""
    canvas = jnp.asarray(bumps)[side]
    both = jnp.stack([canvas, canvas.T])[turned.astype(int)]
    return jax.vmap(lambda own, start: lax.dynamic_slice(own, start, shape))(both, max(shape) - at)


def _onto_sphere(delta: jax.Array, images: jax.Array, epsilon: jax.Array) -> jax.Array:
    size = norms.named("l2").size(delta)
    return jnp.clip(images + delta * per_image(epsilon / (size + _TINY), delta), 0, 1)
