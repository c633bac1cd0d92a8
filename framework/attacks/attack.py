"""The type of all attacks: a search for images near clean ones that a network classifies wrongly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from framework.attacks import masking_warning, network
from framework.core import checks, keys
from framework.core.tracing import is_traced
from framework.core.types import Array, Key

Apply = Callable[[jax.Array], jax.Array]  # images [N, ...] -> logits [N, classes]
_static = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Attack:
    """A search for adversarial images, `attack(key, apply, images, labels) -> images`.

    A pure function that can be traced, inside a training step under `jit` or under `vmap`. Its numbers are the leaves
    of a pytree, so that one compiled program serves every epsilon.
    """

    name: str = field(metadata=_static)
    run: Callable[..., jax.Array] = field(metadata=_static)  # (keys, apply, images, labels, **numbers, **structure)
    structure: tuple[tuple[str, Any], ...] = field(metadata=_static)
    numbers: dict[str, Any]

    def __call__(self, key: Key, apply: Apply, images: Float[Array, "n ..."], labels: Any) -> Float[Array, "n ..."]:
        """Searches for adversarial images.

        Args:
          key: one typed key, or one per image, `[N]`; then the draws of an image do not depend on its neighbours.
          apply: images `[N, ...]` -> logits `[N, classes]`, traceable; it must treat each image independently.
          images: `[N, ...]`, in [0, 1].
          labels: `[N]` integers, or whatever else the loss of the attack takes.

        Returns:
          Images `[N, ...]` within the ball and within [0, 1]: the best that the attack found, adversarial or not.

        Raises:
          ValueError: for a key that is not typed, concrete images that are not floats in [0, 1], or a network that
            cannot be traced, changes its own state or does not return one array.

        Warns:
          GradientMaskingWarning: if the ball covers all images. `evaluate` also checks the network.
        """
        keys.check(key)
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            raise ValueError(f"the key must be typed, jax.random.key(seed), got an array of {key.dtype}")
        if not is_traced(images):
            check_images(images)
        masking_warning.check_scale(
            self.name, dict(self.structure).get("norm"), self.numbers.get("epsilon"), np.shape(images)
        )
        images = jnp.asarray(images)
        image_keys = key if key.ndim else jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(images)))
        apply = network.explain_errors(apply)
        return self.run(image_keys, apply, images, labels, **self.numbers, **dict(self.structure))


def make(run: Callable[..., jax.Array], name: str, numbers: dict[str, Any], **structure: Any) -> Attack:
    """Makes an attack from its search, its numbers and its structure.

    Args:
      run: (keys `[N]`, apply, images, labels, **numbers, **structure) -> images.
      name: the name of the attack in tables and messages.
      numbers: values that may be traced, such as epsilon; each above 0.
      structure: hashable options that a compiled program depends on.

    Returns:
      The attack.

    Raises:
      ValueError: if a concrete number is not above 0.
    """
    for label, value in numbers.items():
        checks.positive(f"{name}: {label}", value, finite=False)
    return Attack(name, run, tuple(structure.items()), numbers)


def check_images(images: Any) -> None:
    """Refuses images that are not floats in [0, 1].

    Raises:
      ValueError: for another dtype, or for the first image with a pixel outside [0, 1] or NaN.
    """
    images = np.asarray(images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be floats in [0, 1], got {images.dtype}: divide by their maximum")
    outside = ~((images >= 0) & (images <= 1)).all(tuple(range(1, images.ndim)))
    if outside.any():
        row = int(outside.argmax())
        span = f"{images[row].min():g} to {images[row].max():g}"
        raise ValueError(f"images must lie in [0, 1] before any normalisation, image {row} spans {span}")


def draw(keys: Key, sampler: Callable[..., jax.Array], like: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Draws noise of the shape of images, each image by its own key.

    Args:
      keys: `[N]`, one per image.
      sampler: (key, shape, dtype) -> array, such as `jax.random.normal`.
      like: `[N, ...]`, for shape and dtype.

    Returns:
      `[N, ...]`.
    """
    return jax.vmap(lambda key: sampler(key, like.shape[1:], like.dtype))(keys)


def expand(values: Shaped[Array, " n"], like: Shaped[Array, "n ..."]) -> jax.Array:
    """Reshapes one number per image so that it broadcasts against images.

    Args:
      values: `[N]`.
      like: `[N, ...]`, for the number of axes.

    Returns:
      `[N, 1, ...]`.
    """
    return values.reshape(-1, *[1] * (like.ndim - 1))
