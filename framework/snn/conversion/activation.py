"""Activations of a DNN that is to become a spiking network."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.snn.neurons.factories import Record, recorded


class Activation(NamedTuple):
    """What a unit of a DNN makes of its current, and what it learns."""

    apply: Callable[[jax.Array, dict], jax.Array]  # (currents, what the layer learns) -> activations
    params: dict[str, float]  # learnable values at the start
    made: Record | None = None  # its factory and options, for files; None where they are not plain


@recorded
def relu() -> Activation:
    """max(x, 0), the activation of most networks."""
    return Activation(lambda current, learned: jax.nn.relu(current), {})


@recorded
def qcfs(levels: int = 8, ceiling: float = 4.0) -> Activation:
    """A clipped staircase: what a rate code that starts at half its threshold tells of x in `levels` steps.

        y = c floor(clip(x / c, 0, 1) levels + 1/2) / levels

    The ceiling c is learned, as `log_ceiling`; it becomes the layer's scale in a conversion. The gradient takes the
    floor as the identity: 1 between 0 and c.

    Args:
      levels: stairs, at least 1.
      ceiling: c at the start, positive.

    Raises:
      ValueError: if a number is out of its range.

    Reference: Bu et al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks",
    ICLR 2022, arXiv 2303.04347.
    """
    if levels < 1 or levels % 1 or not ceiling > 0:
        raise ValueError(f"qcfs: levels must be at least 1 and ceiling above 0, got {levels} and {ceiling}")

    def apply(current: jax.Array, learned: dict) -> jax.Array:
        top = jnp.exp(learned["log_ceiling"]) if "log_ceiling" in learned else ceiling
        steps = jnp.clip(current / top, 0, 1) * levels
        floored = steps + jax.lax.stop_gradient(jnp.floor(steps + 0.5) - steps)
        return top * floored / levels

    return Activation(apply, {"log_ceiling": float(jnp.log(ceiling))})
