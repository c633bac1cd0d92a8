"""What an attack is: a search, as one value, for images near the given ones that a network gets wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.attacks import doubt, network
from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Key

Apply = Callable[[jax.Array], jax.Array]  # images [N, ...] -> logits [N, classes]
_static = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Attack:
    """A search for adversarial images, `attack(key, apply, images, labels) -> images`.

    A pure function that can be traced: inside of a training step under `jit`, or under `vmap`. Its numbers are the
    leaves of a pytree, so that one compiled program serves every epsilon.
    """

    name: str = field(metadata=_static)
    run: Callable[..., jax.Array] = field(metadata=_static)  # (keys, apply, images, labels, **numbers, **structure)
    structure: tuple[tuple[str, Any], ...] = field(metadata=_static)
    numbers: dict[str, Any]

    def __call__(self, key: Key, apply: Apply, images: jax.Array, labels: Any) -> jax.Array:
        """Looks for adversarial images.

        Args:
          key: one typed key; or one an image, `[N]`, so that an image's draws do not depend on its neighbours.
          apply: images `[N, ...]` -> logits `[N, classes]`, traceable, each image on its own.
          images: `[N, ...]`, in [0, 1].
          labels: `[N]`; what else the attack's loss takes, if it takes something else.

        Returns:
          Images `[N, ...]` within the ball and within [0, 1]; the attack's best, whether adversarial or not.

        Raises:
          ValueError: for a key that is not typed, images known by now that are no floats in [0, 1], or a network that
            cannot be traced, changes its own state or gives something else than one array.

        Warns:
          Doubt: if the ball covers all images. `evaluate` also doubts the network.
        """
        keys.check(key)
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            raise ValueError(f"the key must be typed, jax.random.key(seed), got an array of {key.dtype}")
        if not is_traced(images):
            check_images(images)
        doubt.check_scale(self.name, dict(self.structure).get("norm"), self.numbers.get("epsilon"), images)
        images = jnp.asarray(images)
        each = key if key.ndim else jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(images)))
        return self.run(each, network.in_words(apply), images, labels, **self.numbers, **dict(self.structure))


def make(run: Callable[..., jax.Array], name: str, numbers: dict[str, Any], **structure: Any) -> Attack:
    """An attack of its search, its numbers and its structure.

    Raises:
      ValueError: if a number that is known by now is not above 0.
    """
    for label, value in numbers.items():
        if not is_traced(value) and not np.all(np.asarray(value) > 0):
            raise ValueError(f"{name}: {label} must be above 0, got {value}")
    return Attack(name, run, tuple(structure.items()), numbers)


def check_images(images: Any) -> None:
    """Raises ValueError for images that are no floats in [0, 1]."""
    images = np.asarray(images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be floats in [0, 1], got {images.dtype}: divide by their maximum")
    outside = ~((images >= 0) & (images <= 1)).all(tuple(range(1, images.ndim)))
    if outside.any():
        row = int(outside.argmax())
        span = f"{images[row].min():g} to {images[row].max():g}"
        raise ValueError(f"images must lie in [0, 1] before any normalisation, image {row} spans {span}")


def draw(each: Key, sampler: Callable[..., jax.Array], like: jax.Array) -> jax.Array:
    """Draws of `sampler(key, shape, dtype)` for each image, by its own key of `each`, `[N, ...]`."""
    return jax.vmap(lambda key: sampler(key, like.shape[1:], like.dtype))(each)


def per_image(values: jax.Array, like: jax.Array) -> jax.Array:
    """Numbers `[N]` as `[N, 1, ...]`, to meet images."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
