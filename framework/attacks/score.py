"""The harmonic robustness score: one number for accuracy and robustness together."""

import jax
import jax.numpy as jnp


def harmonic_robustness(clean: float | jax.Array, robust: float | jax.Array) -> jax.Array:
    """The harmonic robustness score, HRS = 2 C R / (C + R), 0 where both are 0.

    Args:
      clean: C, accuracy on clean images, at least 0, as a share or in percent.
      robust: R, accuracy under attack, in the same unit.

    Returns:
      The score, in the same unit.

    Reference: AdvRush, arXiv 2108.01289.
    """
    total = jnp.asarray(clean + robust)
    return jnp.where(total > 0, 2 * clean * robust / jnp.where(total > 0, total, 1), 0)
