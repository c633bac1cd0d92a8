"""Input curvature of a loss, as a regulariser of an architecture.

With g(x) the gradient of an image's loss in the image and z = h d along a direction d of length 1,

    difference:  R = mean_n ||g(x_n + z_n) - g(x_n)||^2        exact:  R = mean_n ||H(x_n) z_n||^2.

Both agree as h goes to 0 where the loss is smooth. At AdvRush's h = 1.5 they do not: a network of ReLUs and largest
values is flat between its kinks, which a step of that length crosses and a derivative does not see.

Reference: Mok et al., "AdvRush: Searching for Adversarially Robust Neural Architectures", ICCV 2021, arXiv 2108.01289;
Moosavi-Dezfooli et al., "Robustness via curvature regularization, and vice versa", CVPR 2019.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from framework.core.types import Params

PerExampleLoss = Callable[
    [Params, jax.Array], jax.Array
]  # (alphas, images [N, ...]) -> the sum of the images' own losses
Kind = Literal["difference", "exact"]
KINDS = ("difference", "exact")
OFFICIAL_EPS = 1e-7  # of the authors' program


def direction(gradient: jax.Array, eps: float = 0.0) -> jax.Array:
    """sign(g) / ||sign(g)|| of each image; 0 where g is 0, `(sign(g) + eps) / (||sign(g)|| + eps)` as a bug for bug.

    Args:
      gradient: `[N, ...]`.
      eps: what the authors' program adds; an image without gradient then goes along 1, which has not length 1.
    """
    sign = jnp.sign(gradient)
    norm = jnp.sqrt(_square(sign))
    if eps:
        return (sign + eps) / (norm + eps)
    return sign / jnp.where(norm > 0, norm, 1)


def penalty(
    per_example_loss: PerExampleLoss,
    alphas: Params,
    images: jax.Array,
    h: float | jax.Array,
    squared: bool = True,
    kind: Kind = "difference",
    eps: float = 0.0,
    differentiate_all: bool = False,
) -> jax.Array:
    """R, the mean over images; of the square or, unless `squared`, of the norm itself.

    Its derivative is with respect to `alphas` alone, at the cost of two forward and two backward passes, forward over
    reverse; z counts as a constant, as in the authors' program. `differentiate_all` gives up that form: whatever
    `per_example_loss` depends on then has its derivative, by reverse over reverse.

    Args:
      per_example_loss: (alphas, images) -> the sum of losses of which each depends on its own image only, so no batch
        norm may take the batch's statistics in it.
      alphas: a pytree.
      images: `[N, ...]`.
      h: the length of the step, in units of the images; may be traced. At 0 value and derivative are 0.
      squared, kind, eps, differentiate_all: see above, and `direction`.

    Raises:
      ValueError: for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"the kind of curvature must be one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "exact" or differentiate_all:
        return _mean(_changes(per_example_loss, alphas, images, h, kind, eps), squared)
    return _architectural(per_example_loss, squared, eps)(alphas, images, h)


def _changes(
    per_example_loss: PerExampleLoss, alphas: Params, images: jax.Array, h, kind: Kind, eps: float
) -> jax.Array:
    """g(x + z) - g(x), or H z, of each image."""
    gradient = jax.jit(jax.grad(lambda x: per_example_loss(alphas, x)))  # traced once for both places
    z = (h * jax.lax.stop_gradient(direction(gradient(images), eps))).astype(images.dtype)
    if kind == "exact":
        return jax.jvp(gradient, (images,), (z,))[1]
    return gradient(images + z) - gradient(images)


def _architectural(per_example_loss: PerExampleLoss, squared: bool, eps: float) -> Callable[..., jax.Array]:
    """R with its derivative in alpha: u . d(g(x + z) - g(x)) / d alpha, where u = dR / d(g(x + z) - g(x))."""

    @jax.custom_jvp
    def value(alphas, images, h):
        return forward(alphas, images, h)[0]

    def forward(alphas, images, h):
        slopes = jax.jit(jax.grad(per_example_loss, (0, 1)))  # traced once for both places
        both = lambda x: slopes(alphas, x)
        (_, before), move = jax.linearize(both, images)
        z = (h * direction(before, eps)).astype(images.dtype)  # where h alone is wider
        (_, behind), move_behind = jax.linearize(both, images + z)
        penalty_value, u = jax.value_and_grad(lambda change: _mean(change, squared))(behind - before)
        return penalty_value, jax.tree.map(jnp.subtract, move_behind(u)[0], move(u)[0])

    @value.defjvp
    def _(primals, tangents):
        penalty_value, slope = forward(*primals)
        along = jax.tree.map(lambda s, t: jnp.vdot(s, t), slope, tangents[0])
        return penalty_value, jax.tree.reduce(jnp.add, along).astype(penalty_value.dtype)

    return value


def _mean(change: jax.Array, squared: bool) -> jax.Array:
    square = _square(change)
    if squared:
        return square.mean()
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0).mean()  # slope 0 at 0


def _square(x: jax.Array) -> jax.Array:
    return jnp.square(x).sum(tuple(range(1, x.ndim)), keepdims=True)
