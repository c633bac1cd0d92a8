"""Random patches of the Square attack: stripes and squares of one sign (L-inf), bumps of moved mass (L2).

Reference: Andriushchenko et al., arXiv 1912.00049, algorithms 2 and 3.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from framework.attacks import norms
from framework.attacks.attack import expand
from framework.core.types import Array, Key

TILES = 5  # of an L2 start, along each axis
_TINY = 1e-12


def add_stripes(keys: Key, images: Float[Array, "n h w c"], epsilon: float | jax.Array) -> Float[Array, "n h w c"]:
    """Adds vertical stripes of +-epsilon, with a random sign for each column and channel.

    Args:
      keys: `[N]`.
      images: `[N, H, W, C]`, in [0, 1].
      epsilon: radius of the L-inf ball.

    Returns:
      `[N, H, W, C]`, clipped to [0, 1].
    """
    sign = jax.vmap(lambda key: jax.random.rademacher(key, images.shape[2:], images.dtype))(keys)
    return jnp.clip(images + epsilon * sign[:, None], 0, 1)


def flip_square(
    keys: Key,
    x: Float[Array, "n h w c"],
    images: Float[Array, "n h w c"],
    epsilon: float | jax.Array,
    side: int | jax.Array,
) -> Float[Array, "n h w c"]:
    """Changes a random square by 2 epsilon, with one sign per channel, and projects it back to the edge of the ball.

    Args:
      keys: `[N]`.
      x: `[N, H, W, C]`, the images to change.
      images: `[N, H, W, C]`, the centres of the balls.
      epsilon: radius of the L-inf ball.
      side: of the square, in pixels.

    Returns:
      `[N, H, W, C]`.
    """
    channels = x.shape[-1]
    uniforms = jax.vmap(lambda key: jax.random.uniform(key, (2 + channels,), x.dtype))(keys)
    inside = square_mask(x.shape[1:3], random_corners(uniforms[:, :2], x.shape[1:3], side), side)
    sign = jnp.where(uniforms[:, 2:] < 0.5, -1, 1)[:, None, None]
    delta = jnp.where(inside[..., None], 2 * epsilon * sign, 0)
    return norms.get("linf").project(x + delta, images, epsilon)


def random_corners(uniforms: Float[Array, "n 2"], shape: tuple[int, int], side: int | jax.Array) -> Int[Array, "n 2"]:
    """Upper left corners of random squares, floor(u (size - side)).

    Args:
      uniforms: u, `[N, 2]`, in [0, 1).
      shape: (H, W), in pixels.
      side: of the squares, in pixels.

    Returns:
      Row and column, `[N, 2]`.
    """
    return jnp.floor(uniforms * (jnp.array(shape) - side)).astype(jnp.int32)


def square_mask(shape: tuple[int, int], corners: Int[Array, "n 2"], side: int | jax.Array) -> Bool[Array, "n h w"]:
    """True inside the square of each corner.

    Args:
      shape: (H, W), in pixels.
      corners: `[N, 2]`, upper left.
      side: of the squares, in pixels.

    Returns:
      `[N, H, W]` bool.
    """
    rows, columns = (
        (jnp.arange(size) >= start[:, None]) & (jnp.arange(size) < start[:, None] + side)
        for size, start in zip(shape, corners.T, strict=True)
    )
    return rows[:, :, None] & columns[:, None, :]


def bump(side: int) -> Float[np.ndarray, "side side"]:
    """Two pyramids side by side, of opposite signs; Euclidean norm 1."""
    upper = side // 2
    both = np.concatenate([_pyramid(upper, side), -_pyramid(side - upper, side)])
    return both / np.sqrt((both**2).sum())


def _pyramid(height: int, width: int) -> np.ndarray:
    """Nested rectangles around a centre, the k-th adding 1 / k^2; Euclidean norm 1."""
    heights = np.zeros((height, width))
    row, column = height // 2, width // 2
    for k in range(max(height, width) // 2 + 1):
        heights[max(row - k, 0) : row + k + 1, max(column - k, 0) : column + k + 1] += 1 / (k + 1) ** 2
    return heights / np.sqrt((heights**2).sum())


def add_bumps(keys: Key, images: Float[Array, "n h w c"], epsilon: float | jax.Array) -> Float[Array, "n h w c"]:
    """Covers images with bumps of random orientation, and random sign per channel, scaled to the L2 sphere.

    Args:
      keys: `[N]`.
      images: `[N, H, W, C]`, in [0, 1].
      epsilon: radius of the L2 ball.

    Returns:
      `[N, H, W, C]`, clipped to [0, 1].
    """
    height, width, channels = images.shape[1:]
    side = max(height // TILES, 1)
    rows, columns, start = height // side, width // side, (height - side * TILES) // 2 if height > TILES else 0
    base = jnp.asarray(bump(side) if side > 1 else np.ones((1, 1)), images.dtype)
    orientations = jnp.stack([base, base.T])

    def tile(key: Key) -> jax.Array:
        orientation_key, sign_key = jax.random.split(key)
        orientation = jax.random.randint(orientation_key, (rows, columns), 0, 2)
        sign = jax.random.rademacher(sign_key, (rows, columns, channels), images.dtype)
        bumps = orientations[orientation][..., None] * sign[:, :, None, None]  # [rows, columns, side, side, channels]
        canvas = bumps.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, channels)
        zeros = jnp.zeros((height + start, width + start, channels), images.dtype)
        return lax.dynamic_update_slice(zeros, canvas, (start, start, 0))[:height, :width]

    return _onto_sphere(jax.vmap(tile)(keys), images, epsilon)


def bumps(shape: tuple[int, int], sides: Int[np.ndarray, " queries"]) -> Float[np.ndarray, "sides canvas canvas"]:
    """The bump of each side on a canvas of zeros, with its upper left corner in the middle.

    Args:
      shape: (H, W), in pixels.
      sides: `[queries]`, those that are needed.

    Returns:
      `[largest side + 1, 2 M, 2 M]`, M the larger of H and W.
    """
    middle = max(shape)
    canvas = np.zeros((max(sides) + 1, 2 * middle, 2 * middle))
    for side in set(sides.tolist()):
        canvas[side, middle : middle + side, middle : middle + side] = bump(side)
    return canvas


def move_mass(
    keys: Key,
    x: Float[Array, "n h w c"],
    images: Float[Array, "n h w c"],
    epsilon: float | jax.Array,
    side: int | jax.Array,
    bumps: Float[Array, "sides canvas canvas"],
) -> Float[Array, "n h w c"]:
    """Adds a bump in one random square; it gets the mass of a second square, which is emptied, and the unused budget.

    Args:
      keys: `[N]`.
      x: `[N, H, W, C]`, the images to change.
      images: `[N, H, W, C]`, the centres of the balls.
      epsilon: radius of the L2 ball.
      side: of the squares, in pixels.
      bumps: as `bumps` returns them.

    Returns:
      `[N, H, W, C]`, on the L2 sphere, then clipped to [0, 1].
    """
    channels, shape, delta = x.shape[-1], x.shape[1:3], x - images
    uniforms = jax.vmap(lambda key: jax.random.uniform(key, (5 + channels,), x.dtype))(keys)
    target, source = (random_corners(uniforms[:, i : i + 2], shape, side) for i in (0, 2))
    in_target, in_source = (square_mask(shape, corners, side)[..., None] for corners in (target, source))
    new_bump = _bump_at(bumps, target, side, uniforms[:, 4] < 0.5, shape).astype(x.dtype)[..., None]
    new_bump = new_bump * jnp.where(uniforms[:, 5:] < 0.5, -1, 1)[:, None, None]
    length = lambda array: jnp.sqrt(jnp.sum(array * array, (1, 2), keepdims=True))  # of each channel
    old = jnp.where(in_target, delta, 0)
    mixture = new_bump + old / (_TINY + length(old))
    budget = jnp.maximum(epsilon**2 - jnp.sum(delta * delta, (1, 2, 3), keepdims=True), 0)
    mass = jnp.sqrt(budget / channels + length(jnp.where(in_target | in_source, delta, 0)) ** 2)
    new = jnp.where(in_target, mixture / (_TINY + length(mixture)) * mass, jnp.where(in_source, 0, delta))
    return _onto_sphere(new, images, epsilon)


def _bump_at(
    bumps: np.ndarray, corners: jax.Array, side: jax.Array, transpose: jax.Array, shape: tuple[int, int]
) -> jax.Array:
    """`[N, H, W]`: the bump of that side with its corner at `corners`, transposed where `transpose` is True."""
    canvas = jnp.asarray(bumps)[side]
    oriented = jnp.stack([canvas, canvas.T])[transpose.astype(int)]
    return jax.vmap(lambda bump, start: lax.dynamic_slice(bump, start, shape))(oriented, max(shape) - corners)


def _onto_sphere(delta: jax.Array, images: jax.Array, epsilon: jax.Array) -> jax.Array:
    length = norms.get("l2").magnitude(delta)
    return jnp.clip(images + delta * expand(epsilon / (length + _TINY), delta), 0, 1)
