"""Scores of difficulty: norms of errors (EL2N) and of gradients (GraNd), early in training.

Reference: Paul, Ganguli and Dziugaite, "Deep learning on a data diet", arXiv 2107.07075. GraNd at initialisation could
not be reproduced as better than chance (Kirsch, arXiv 2303.14753); use networks that were trained for some epochs.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from framework.core import checks
from framework.core.types import Array, Params
from framework.selection.inputs import check_labels


def el2n(logits: Float[Array, "*networks n classes"], labels: Int[Array, " n"]) -> Float[Array, " n"]:
    """The norm of the error, || softmax(logits) - onehot(y) ||_2, mean over networks.

    Args:
      logits: `[..., N, classes]`; leading axes are networks of several seeds.
      labels: y, `[N]`.

    Returns:
      `[N]` in `[0, sqrt 2]`.

    Raises:
      ValueError: if the labels are not `[N]` whole numbers below the number of classes.
    """
    if np.ndim(logits) < 2:
        raise ValueError(f"logits must be [..., N, classes], got shape {np.shape(logits)}")
    check_labels(labels, *np.shape(logits)[-2:])
    logits = jnp.asarray(logits)
    error = jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[-1])
    norms = jnp.sqrt((error**2).sum(-1))
    return norms.mean(tuple(range(norms.ndim - 1)))


def grand(
    loss: Callable[[Params, jax.Array, jax.Array], jax.Array],
    params: Params,
    images: Array,
    labels: Int[Array, " n"],
    block: int = 32,
) -> Float[Array, " n"]:
    """The norm of the gradient of each point alone, || d loss(params, x_i, y_i) / d params ||_2.

    `vmap` over params and a mean over that axis give the average over networks.

    Args:
      loss: (params, image, label) -> scalar, of one point.
      params: a pytree of arrays.
      images: x, `[N, ...]`.
      labels: y, `[N]`.
      block: points per step, at least 1; so many gradients are in memory at once.

    Returns:
      `[N]`, non-negative.

    Raises:
      ValueError: if `block` is not a whole number of at least 1, or images and labels differ in number.
    """
    checks.counts(block=block)
    if len(images) != len(labels):
        raise ValueError(f"{len(images):,} images need as many labels, got {len(labels):,}")

    def norm(point: tuple[jax.Array, jax.Array]) -> jax.Array:
        gradient = jax.grad(loss)(params, *point)
        return jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))

    return lax.map(norm, (images, labels), batch_size=min(block, len(images)))
