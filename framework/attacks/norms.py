"""The balls in which an adversarial image may lie: what is near, what is steepest, where to start."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.attacks.attack import draw, per_image
from framework.core.types import Key

_TINY = 1e-12


class Norm(NamedTuple):
    """A norm on images `[N, ...]`, each image on its own."""

    size: Callable[[jax.Array], jax.Array]  # differences -> [N]
    shrink: Callable[[jax.Array, jax.Array], jax.Array]  # (differences, radius) -> the nearest in the ball
    steepest: Callable[[jax.Array], jax.Array]  # gradients -> directions of norm 1, 0 where there is no gradient
    edge: Callable[[Key, jax.Array], jax.Array]  # (keys [N], images) -> random differences of norm 1
    inside: Callable[[Key, jax.Array], jax.Array]  # the same, uniform in the ball of radius 1

    def project(self, images: jax.Array, centre: jax.Array, epsilon: float | jax.Array) -> jax.Array:
        """Images moved into the ball of radius `epsilon` around `centre`, then into [0, 1], in which `centre` lies."""
        return jnp.clip(centre + self.shrink(images - centre, epsilon), 0, 1)


def spelled(name: str) -> str:
    """The name of a norm as `NORMS` spells it: `Linf` and `L2`, as other programs write, are `linf` and `l2`.

    Raises:
      ValueError: if it is none of `NORMS`.
    """
    found = name.lower() if isinstance(name, str) else name
    if found not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {name!r}")
    return found


def named(name: str) -> Norm:
    """The norm of a name; see `spelled`.

    Raises:
      ValueError: if it is none of `NORMS`.
    """
    return NORMS[spelled(name)]


def finite(gradient: jax.Array) -> jax.Array:
    """0 in the place of what is NaN or infinite."""
    return jnp.where(jnp.isfinite(gradient), gradient, 0)


def _axes(x: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _greatest(x: jax.Array) -> jax.Array:
    return jnp.abs(x).max(_axes(x))


def _length(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(x * x, _axes(x)))


def _unit(x: jax.Array, size: Callable[[jax.Array], jax.Array]) -> jax.Array:
    return x / per_image(jnp.maximum(size(x), _TINY), x)


def _to_length(x: jax.Array, radius: jax.Array) -> jax.Array:
    return x * per_image(jnp.minimum(1, radius / jnp.maximum(_length(x), _TINY)), x)


def _signs(keys: Key, like: jax.Array) -> jax.Array:
    return 2 * draw(keys, jax.random.uniform, like) - 1


def _direction(keys: Key, like: jax.Array) -> jax.Array:
    return _unit(draw(keys, jax.random.normal, like), _length)


def _in_sphere(keys: Key, like: jax.Array) -> jax.Array:
    radius = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 0), (), like.dtype))(keys)
    return _direction(keys, like) * per_image(radius ** (_axes_size(like) ** -1.0), like)


def _axes_size(x: jax.Array) -> int:
    return x[0].size


NORMS = {
    "linf": Norm(
        size=_greatest,
        shrink=lambda x, radius: jnp.clip(x, -radius, radius),
        steepest=lambda gradient: jnp.sign(finite(gradient)),
        edge=lambda keys, like: _unit(_signs(keys, like), _greatest),
        inside=_signs,
    ),
    "l2": Norm(
        size=_length,
        shrink=_to_length,
        steepest=lambda gradient: _unit(finite(gradient), _length),
        edge=_direction,
        inside=_in_sphere,
    ),
}
