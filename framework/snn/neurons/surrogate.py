"""Surrogate gradients: a spike is a step in the forward pass and a smooth function's slope in the backward pass.

A surrogate maps x, the membrane potential minus the threshold, to 1 where x >= 0 and to 0 elsewhere: a neuron fires
at equality. Its derivative is replaced by a pseudo-derivative, in forward mode and in reverse mode. Slopes and widths
are numbers and may be traced; no gradient flows into them.

Reference: Neftci, Mostafa and Zenke, "Surrogate gradient learning in spiking neural networks", arXiv 1901.09948.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from framework.core import checks
from framework.snn.neurons.factories import cache_factory

Number = float | jax.Array
Surrogate = Callable[[jax.Array], jax.Array]  # x [...] -> spikes [...], 0 or 1 in the dtype of x


def arctan(alpha: Number = 2.0) -> Surrogate:
    """Slope of an arctangent that rises from 0 to 1.

        ds/dx = (alpha / 2) / (1 + (pi alpha x / 2)^2),   primitive: arctan(pi alpha x / 2) / pi + 1/2

    Args:
      alpha: twice the slope at threshold, positive; may be traced.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `alpha` is not positive.

    Example:
      >>> from framework.snn.neurons import surrogate
      >>> spike = surrogate.arctan(alpha=2.0)
      >>> spike(jnp.array([-0.5, 0.0, 0.5])).tolist(), float(jax.grad(spike)(0.0))
      ([0.0, 1.0, 1.0], 1.0)

    Reference: Fang et al., arXiv 2007.05785.
    """
    return _surrogate(_arctan, "alpha of arctan", alpha)


def fast_sigmoid(slope: Number = 25.0) -> Surrogate:
    """Slope of a fast sigmoid, 1 at threshold.

        ds/dx = 1 / (1 + slope |x|)^2,   primitive: x / (1 + slope |x|)

    Args:
      slope: how fast the pseudo-derivative falls off, positive; may be traced.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `slope` is not positive.

    Reference: Zenke and Vogels, "The remarkable robustness of surrogate gradient learning", Neural Computation, 2021.
    """
    return _surrogate(_fast_sigmoid, "slope of fast_sigmoid", slope)


def superspike(slope: Number = 100.0) -> Surrogate:
    """SuperSpike: the slope of a fast sigmoid, with the steepness of its authors' tutorial code.

        ds/dx = 1 / (1 + slope |x|)^2,   primitive: x / (1 + slope |x|)

    Args:
      slope: how fast the pseudo-derivative falls off, positive; may be traced.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `slope` is not positive.

    Reference: Zenke and Ganguli, "SuperSpike", arXiv 1705.11146.
    """
    return _surrogate(_fast_sigmoid, "slope of superspike", slope)


def triangular(width: Number = 1.0) -> Surrogate:
    """A triangle of area 1 around the threshold.

        ds/dx = max(0, 1 - |x| / width) / width,   primitive: 1/2 + z - z |z| / 2 with z = clip(x / width, -1, 1)

    Args:
      width: half the triangle's base, positive; may be traced. Beyond it no gradient flows.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `width` is not positive.

    Reference: Esser et al., arXiv 1603.08270; Bellec et al., arXiv 1803.09574 (there times .3).
    """
    return _surrogate(_triangular, "width of triangular", width)


def boxcar(width: Number = 1.0) -> Surrogate:
    """A rectangle of area 1 around the threshold.

        ds/dx = 1 / width where |x| < width / 2, else 0,   primitive: clip(x / width + 1/2, 0, 1)

    Args:
      width: the rectangle's base, positive; may be traced.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `width` is not positive.

    Reference: Wu et al., arXiv 1706.02609, the curve h_1.
    """
    return _surrogate(_boxcar, "width of boxcar", width)


def sigmoid(slope: Number = 4.0) -> Surrogate:
    """Slope of a logistic function.

        ds/dx = slope p (1 - p) with p = 1 / (1 + exp(-slope x)),   primitive: p

    Args:
      slope: four times the pseudo-derivative at threshold, positive; may be traced.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `slope` is not positive.

    Reference: Zenke and Vogels, Neural Computation 33, 2021; Wu et al., arXiv 1706.02609, the curve h_3.
    """
    return _surrogate(_sigmoid, "slope of sigmoid", slope)


def erf(alpha: Number = 2.0) -> Surrogate:
    """A Gaussian bell of area 1 around the threshold.

        ds/dx = alpha exp(-(alpha x)^2) / sqrt(pi),   primitive: (1 + erf(alpha x)) / 2

    Args:
      alpha: the inverse of sqrt(2) standard deviations, positive; may be traced.

    Returns:
      A `Surrogate`.

    Raises:
      ValueError: if `alpha` is not positive.

    Reference: Wu et al., arXiv 1706.02609, the curve h_4; Yin, Corradi and Bohte, arXiv 2103.12593.
    """
    return _surrogate(_erf, "alpha of erf", alpha)


def straight_through() -> Surrogate:
    """Straight-through estimator: the gradient passes the step unchanged.

        ds/dx = 1,   primitive: x

    Returns:
      A `Surrogate`.

    Reference: Bengio, Leonard and Courville, arXiv 1308.3432.
    """
    return _surrogate(_straight_through, "slope of straight_through", 1.0)


def _step(derivative: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[[jax.Array, Number], jax.Array]:
    """The step with the pseudo-derivative `derivative(x, steepness)`; an explicit steepness may be traced."""

    @jax.custom_jvp
    def spike(x, steepness):
        return (x >= 0).astype(x.dtype)

    @spike.defjvp
    def _(primals, tangents):
        x, steepness = primals
        return spike(x, steepness), derivative(x, jnp.asarray(steepness, x.dtype)) * tangents[0]

    return spike


_arctan = _step(lambda x, alpha: alpha / 2 / (1 + jnp.square(math.pi / 2 * alpha * x)))
_fast_sigmoid = _step(lambda x, slope: 1 / jnp.square(1 + slope * jnp.abs(x)))
_triangular = _step(lambda x, width: jnp.maximum(0, 1 - jnp.abs(x) / width) / width)
_boxcar = _step(lambda x, width: (jnp.abs(x) < width / 2) / width)
_sigmoid = _step(lambda x, slope: slope * jax.nn.sigmoid(slope * x) * jax.nn.sigmoid(-slope * x))
_erf = _step(lambda x, alpha: alpha / math.sqrt(math.pi) * jnp.exp(-jnp.square(alpha * x)))
_straight_through = _step(lambda x, _: jnp.ones_like(x))


@cache_factory
def _surrogate(spike: Callable[[jax.Array, Number], jax.Array], label: str, steepness: Number) -> Surrogate:
    checks.positive(label, steepness, finite=False)
    return lambda x: spike(jnp.asarray(x), steepness)
