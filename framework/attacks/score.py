"""One number for accuracy and robustness together."""

import jax
import jax.numpy as jnp


def harmonic_robustness(clean: float | jax.Array, robust: float | jax.Array) -> jax.Array:
    """The harmonic robustness score, HRS = 2 C R / (C + R), 0 where both are 0.

    Args:
      clean: accuracy on clean images, C, at least 0; in any unit, which is that of the score.
      robust: accuracy under attack, R.

    Reference: AdvRush, arXiv 2108.01289.
    """
    total = jnp.asarray(clean + robust)
    return jnp.where(total > 0, 2 * clean * robust / jnp.where(total > 0, total, 1), 0)
