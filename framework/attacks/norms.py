"""The L-inf and L2 balls of adversarial images: norm, projection, steepest direction, random points."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from framework.attacks.attack import draw, expand
from framework.core import checks
from framework.core.types import Array, Key

_TINY = 1e-12


class Norm(NamedTuple):
    """A norm on images `[N, ...]`, computed for each image independently."""

    magnitude: Callable[[jax.Array], jax.Array]  # perturbations -> their norms [N]
    clip: Callable[[jax.Array, jax.Array], jax.Array]  # (perturbations, radius) -> the nearest ones in the ball
    steepest: Callable[[jax.Array], jax.Array]  # gradients -> directions of norm 1, 0 where there is no gradient
    sample_sphere: Callable[[Key, jax.Array], jax.Array]  # (keys [N], images) -> random perturbations of norm 1
    sample_ball: Callable[[Key, jax.Array], jax.Array]  # the same, uniform in the ball of radius 1

    def project(self, images: jax.Array, centre: jax.Array, epsilon: float | jax.Array) -> jax.Array:
        """Moves images into the ball of radius `epsilon` around `centre`, then into [0, 1], in which `centre` lies."""
        return jnp.clip(centre + self.clip(images - centre, epsilon), 0, 1)


def canonical_name(name: str) -> str:
    """The name of a norm as a key of `NORMS`: `Linf` and `L2`, as other programs write, are `linf` and `l2`.

    Raises:
      ValueError: if it is none of `NORMS`.
    """
    key = name.lower() if isinstance(name, str) else name
    if not isinstance(key, str) or key not in NORMS:
        checks.one_of("norm", name, NORMS)
    return key


def get(name: str) -> Norm:
    """The norm of a name; see `canonical_name`.

    Raises:
      ValueError: if it is none of `NORMS`.
    """
    return NORMS[canonical_name(name)]


def replace_non_finite(gradient: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Replaces NaN and infinite entries by 0."""
    return jnp.where(jnp.isfinite(gradient), gradient, 0)


def _axes(x: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _max_norm(x: jax.Array) -> jax.Array:
    return jnp.abs(x).max(_axes(x))


def _euclidean_norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(x * x, _axes(x)))


def _normalize(x: jax.Array, norm: Callable[[jax.Array], jax.Array]) -> jax.Array:
    return x / expand(jnp.maximum(norm(x), _TINY), x)


def _clip_euclidean(x: jax.Array, radius: jax.Array) -> jax.Array:
    return x * expand(jnp.minimum(1, radius / jnp.maximum(_euclidean_norm(x), _TINY)), x)


def _uniform_box(keys: Key, like: jax.Array) -> jax.Array:
    return 2 * draw(keys, jax.random.uniform, like) - 1


def _uniform_direction(keys: Key, like: jax.Array) -> jax.Array:
    return _normalize(draw(keys, jax.random.normal, like), _euclidean_norm)


def _uniform_in_sphere(keys: Key, like: jax.Array) -> jax.Array:
    radius = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 0), (), like.dtype))(keys)
    return _uniform_direction(keys, like) * expand(radius ** (like[0].size ** -1.0), like)


NORMS = {
    "linf": Norm(
        magnitude=_max_norm,
        clip=lambda x, radius: jnp.clip(x, -radius, radius),
        steepest=lambda gradient: jnp.sign(replace_non_finite(gradient)),
        sample_sphere=lambda keys, like: _normalize(_uniform_box(keys, like), _max_norm),
        sample_ball=_uniform_box,
    ),
    "l2": Norm(
        magnitude=_euclidean_norm,
        clip=_clip_euclidean,
        steepest=lambda gradient: _normalize(replace_non_finite(gradient), _euclidean_norm),
        sample_sphere=_uniform_direction,
        sample_ball=_uniform_in_sphere,
    ),
}
