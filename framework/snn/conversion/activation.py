"""Activations of a DNN that will be converted to a spiking network: ReLU and QCFS."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.snn.neurons.factories import Record, record_options


class Activation(NamedTuple):
    """Activation function of a DNN, with its learnable values."""

    apply: Callable[[jax.Array, dict], jax.Array]  # (currents, learned values of the layer) -> activations
    params: dict[str, float]  # learnable values at the start
    record: Record | None = None  # its factory and options, for files; None where they are not plain


@record_options
def relu() -> Activation:
    """Rectified linear unit, max(x, 0)."""
    return Activation(lambda current, learned: jax.nn.relu(current), {})


@record_options
def qcfs(levels: int = 8, ceiling: float = 4.0) -> Activation:
    """QCFS: a clipped staircase, the output of a rate code with start=.5 after `levels` steps.

        y = c floor(clip(x / c, 0, 1) levels + 1/2) / levels

    The ceiling c is learned, as `log_ceiling`; it becomes the layer's scale in a conversion. The gradient treats
    the floor as the identity: 1 between 0 and c.

    Args:
      levels: stairs, at least 1.
      ceiling: initial value of c, positive.

    Returns:
      An `Activation`.

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
