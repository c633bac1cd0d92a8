"""The histogram of log10 entropy, and the rules P1, P2, P3 that turn it into selection probabilities.

Reference: Na, Mok, Choe and Yoon, "Accelerating neural architecture search via proxy data", IJCAI 2021, arXiv
2106.04784; the bins are those of its released sampler.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from framework.core import checks
from framework.core.precision import x64
from framework.core.tracing import is_traced
from framework.core.types import Array
from framework.selection.inputs import check_entropy

RULES = ("P1", "P2", "P3")
LEAST_WIDTH = 1e-2  # of a bin
_DECADES = 340  # that the entropies of float64 can span
_EDGE_TOLERANCE = 1e-9  # of a bin's width: an entropy as near to an edge lies on it


class Histogram(NamedTuple):
    """The number of points with an entropy in each bin of log10 nats."""

    edges: Float[Array, " bins_and_one"]  # float64; a bin contains its lower edge, the last one its upper edge too
    heights: Int[Array, " bins"]  # points
    bins: Int[Array, " n"]  # the bin of each point


def histogram(entropy: Float[Array, " n"], bin_width: float = 0.5) -> Histogram:
    """Bins of one width over log10 f, from a whole number to the first edge at or above the maximum.

        |h|          _
         |     _    | |
         |    | |_  | |
         |   _| | |_| |_
         +--|_|_|_|_|_|_|--- log10 f
           low         high

    The lowest edge is round(min log10 f), lowered by whole widths to the minimum or below; the highest edge is
    round(max log10 f), raised likewise. The released sampler leaves a point on an edge without a bin, and stops; here
    it belongs to the bin above.

    Args:
      entropy: f, `[N]`, positive, in nats; float64 where NumPy holds it so.
      bin_width: in decades, at least .01; the released lists have .5 (CIFAR-10), .25 (CIFAR-100, ImageNet), .2 (SVHN).

    Returns:
      The histogram, computed in float64. Under a transformation empty bins follow, up to the largest number that the
      width allows.

    Raises:
      ValueError: if an entropy is zero, negative, infinite or NaN, there is none, or the bins are too narrow.
    """
    _check(entropy, bin_width)
    with x64():
        result, count = _histogram(_logarithms(entropy), float(bin_width))
    if is_traced(count):
        return result
    count = int(count)
    return Histogram(result.edges[: count + 1], result.heights[:count], result.bins)


def histogram_probabilities(entropy: Float[Array, " n"], rule: str = "P1", bin_width: float = 0.5) -> jax.Array:
    """The probability of each point from the height |h| of its bin:

        P1:  p(x) ~ (max |h| - |h_x| + 1) / |h_x|      P2:  p(x) ~ 1 / |h_x|      P3:  p(x) ~ 1 / |h_x|^2

    All points of a bin have the same probability. P2 gives every bin that is not empty the same share; P1 and P3 give
    low bins, rare entropies, more.

    Args:
      entropy: `[N]`, positive, in nats.
      rule: P1, P2 or P3.
      bin_width: in decades, at least .01.

    Returns:
      `[N]` float64 that sum to 1; all NaN if a traced entropy is not positive and finite.

    Raises:
      ValueError: as `histogram`, and for another rule.

    Reference: arXiv 2106.04784, section 4.
    """
    checks.one_of("the histogram's rule", rule, RULES)
    _check(entropy, bin_width)
    with x64():
        return _probabilities(_logarithms(entropy), rule, float(bin_width))


def _check(entropy: jax.Array, width: float) -> None:
    check_entropy(entropy)
    if not (math.isfinite(width) and width >= LEAST_WIDTH):
        raise ValueError(f"bins must be at least {LEAST_WIDTH} decades wide, got {width}")


def _logarithms(entropy: jax.Array) -> jax.Array:
    """log10 in float64; concrete values by NumPy, which has powers of ten exactly, in a quarter of the time."""
    if not is_traced(entropy):
        return jnp.asarray(np.log10(np.asarray(entropy, np.float64)))
    return jnp.log10(entropy.astype(jnp.float64))


@partial(jax.jit, static_argnames="width")
def _histogram(logarithms: jax.Array, width: float) -> tuple[Histogram, jax.Array]:
    least, greatest = logarithms.min(), logarithms.max()
    low, high = jnp.rint(least), jnp.rint(greatest)
    low -= width * jnp.ceil(jnp.maximum(low - least, 0) / width)
    high += width * jnp.ceil(jnp.maximum(greatest - high, 0) / width)
    count = jnp.maximum(jnp.ceil((high - low) / width - _EDGE_TOLERANCE), 1).astype(jnp.int32)
    capacity = math.ceil(_DECADES / width) + 1
    bins = jnp.clip(jnp.floor((logarithms - low) / width + _EDGE_TOLERANCE), 0, count - 1).astype(jnp.int32)
    heights = jnp.zeros(capacity, jnp.int32).at[bins].add(1)
    return Histogram(low + width * jnp.arange(capacity + 1), heights, bins), count


@partial(jax.jit, static_argnames=("rule", "width"))
def _probabilities(logarithms: jax.Array, rule: str, width: float) -> jax.Array:
    _, heights, bins = _histogram(logarithms, width)[0]
    height = jnp.maximum(heights, 1).astype(jnp.float64)
    weight = {"P1": height.max() - height + 1, "P2": jnp.ones_like(height), "P3": 1 / height}[rule]
    mass = jnp.where(heights > 0, weight, 0.0)
    valid = jnp.isfinite(logarithms.min()) & jnp.isfinite(logarithms.max())
    return jnp.where(valid, mass / mass.sum() / height, jnp.nan)[bins]
