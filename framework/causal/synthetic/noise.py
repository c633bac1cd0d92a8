"""Noise of structural equations: independent numbers of one law, for any shape.

By default each law is the one that NOTEARS, GOLEM and DAGMA draw at scale 1, whose moments differ; `standardized` makes
the mean 0 and the standard deviation 1, exactly in law and not in the sample.

    law           mean      standard deviation
    gaussian      0         1
    exponential   1         1
    gumbel        0.5772    pi / sqrt(6) = 1.2825
    uniform       0         1 / sqrt(3) = 0.5774      on [-1, 1]
"""

from collections.abc import Callable

import jax
import numpy as np

from framework.core import keys
from framework.core.types import Key

Noise = Callable[[Key, tuple[int, ...]], jax.Array]  # (key, shape) -> array of that shape


def gaussian() -> Noise:
    """Standard normal."""
    return lambda key, shape: jax.random.normal(key, shape)


def exponential(standardized: bool = False) -> Noise:
    """Exponential of rate 1, on [0, inf); minus its mean of 1 if `standardized`."""
    return _law(jax.random.exponential, 1.0, 1.0, standardized)


def gumbel(standardized: bool = False) -> Noise:
    """Gumbel of location 0 and scale 1, skewed to the right; centred and divided by its deviation if `standardized`."""
    return _law(jax.random.gumbel, np.euler_gamma, np.pi / np.sqrt(6), standardized)


def uniform(standardized: bool = False) -> Noise:
    """Uniform on [-1, 1]; on [-sqrt(3), sqrt(3)] if `standardized`."""
    draw = lambda key, shape: jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
    return _law(draw, 0.0, 1 / np.sqrt(3), standardized)


def rescale(noise: Noise, scale: float | jax.Array) -> Noise:
    """Multiplies a noise by a scale.

    Args:
      noise: (key, shape) -> array of that shape.
      scale: `[]`, or one a column, `[d]`.

    Returns:
      The product, as a noise.
    """
    return lambda key, shape: scale * noise(key, shape)


def unequal_scales(key: Key, nodes: int, low: float = 1.0, high: float = 2.0) -> jax.Array:
    """A scale for each node, uniform on [low, high]: by default GOLEM's setting of non-equal variances.

    Args:
      key: a typed key.
      nodes: d.
      low, high: bounds of the scale, both above 0; may be traced.

    Returns:
      `[nodes]`.

    Reference: Ng, Ghassami and Zhang, arXiv 2006.10201, and its code.
    """
    keys.check(key, nodes=nodes)
    return jax.random.uniform(key, (nodes,), minval=low, maxval=high)


def _law(draw: Noise, mean: float, deviation: float, standardized: bool) -> Noise:
    if not standardized:
        return draw
    # Python floats, so that float32 stays float32
    return lambda key, shape: (draw(key, shape) - float(mean)) / float(deviation)
