"""The Square attack: random search over square patches, without gradients.

Reference: Andriushchenko et al., "Square attack: a query-efficient black-box adversarial attack via random search",
arXiv 1912.00049, algorithms 1 to 3.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from framework.attacks import attack, losses, norms, square_patches
from framework.attacks.attack import Apply, Attack, Scalar, expand
from framework.core import checks, convolutions
from framework.core.types import Array, Key

INITIAL_SHARE = 0.8  # p, the share of the image that a patch covers at first
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries after which that share is halved


class State(NamedTuple):
    """State of a search."""

    query: Int[Array, ""]
    x: Float[Array, "n h w c"]  # the best so far
    loss: Float[Array, " n"]  # its margin, above 0 where it is misclassified
    is_adversarial: Bool[Array, " n"]


class Proposals(NamedTuple):
    """The two kinds of random images of a search."""

    start: Callable[[Key], jax.Array]  # keys -> x
    change: Callable[[Key, jax.Array, jax.Array], jax.Array]  # (keys, x, side) -> x


def square(epsilon: Scalar, norm: str = "linf", *, queries: int = 5000, shared: bool = False) -> Attack:
    """Random search: changes a patch of the image as far as the ball allows, and keeps it if the margin improves.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      queries: after the first image of stripes or patches, at least 1. The search ends early when every image is
        adversarial.
      shared: True gives all images of a batch the same patches, as in the reference program; a result then depends on
        the batch. By default each image draws its own.

    Returns:
      The attack `square`; when called, it raises ValueError for images other than `[N, H, W, C]`.

    Raises:
      ValueError: for a number out of range or an unknown norm.

    Reference: arXiv 1912.00049, algorithm 1.
    """
    norm = norms.canonical_name(norm)
    checks.counts("square: ", queries=queries)
    return attack.make(_run, "square", {"epsilon": epsilon}, norm=norm, queries=queries, shared=shared)


def patch_sides(queries: int, height: int, width: int, norm: str) -> Int[np.ndarray, " queries"]:
    """The side of the patch of each query, max(round(sqrt(p H W)), 1), odd and at least 3 for L2.

    Args:
      queries: number of queries, at least 1.
      height: H, in pixels.
      width: W, in pixels.
      norm: `linf` or `l2`.

    Returns:
      `[queries]`, in pixels.
    """
    halvings = np.searchsorted(HALVINGS, np.arange(queries), side="left")
    side = np.maximum(np.round(np.sqrt(INITIAL_SHARE / 2.0**halvings * height * width)).astype(np.int32), 1)
    if norms.canonical_name(norm) == "l2":
        side = np.maximum(side, 3)
        side += side % 2 == 0
    return np.minimum(side, min(height, width))


def _run(
    keys: Key,
    apply: Apply,
    images: Array,
    labels: Array,
    epsilon: Scalar,
    norm: str,
    queries: int,
    shared: bool,
) -> jax.Array:
    if images.ndim != 4:
        raise ValueError(f"square: images must be [N, H, W, C], got the shape {images.shape}")
    sides = patch_sides(queries, *images.shape[1:3], norm)
    proposals = _proposals(norm, images, epsilon, sides)
    apply = convolutions.canonicalize_convolutions(apply)
    draws = jnp.broadcast_to(keys[:1], keys.shape) if shared else keys
    fold_in = lambda keys, i: jax.vmap(jax.random.fold_in, (0, None))(keys, i)

    def step(s: State) -> State:
        x = proposals.change(fold_in(draws, s.query + 1), s.x, jnp.asarray(sides)[s.query])
        loss, is_adversarial = classify(x)
        accept = ~s.is_adversarial & (is_adversarial | (loss > s.loss))
        return State(
            query=s.query + 1,
            x=jnp.where(expand(accept, x), x, s.x),
            loss=jnp.where(accept, loss, s.loss),
            is_adversarial=jnp.where(accept, is_adversarial, s.is_adversarial),
        )

    def classify(x: Array) -> tuple[jax.Array, jax.Array]:
        logits = apply(x)
        return losses.margin(logits, labels), ~losses.is_correct(logits, labels)

    start = proposals.start(fold_in(keys, 0))
    state = State(jnp.zeros((), jnp.int32), start, *classify(start))
    return lax.while_loop(lambda s: (s.query < queries) & ~s.is_adversarial.all(), step, state).x


def _proposals(norm: str, images: Array, epsilon: Scalar, sides: np.ndarray) -> Proposals:
    if norm == "linf":
        return Proposals(
            lambda keys: square_patches.add_stripes(keys, images, epsilon),
            lambda keys, x, side: square_patches.flip_square(keys, x, images, epsilon, side),
        )
    bumps = square_patches.bumps(images.shape[1:3], sides)
    return Proposals(
        lambda keys: square_patches.add_bumps(keys, images, epsilon),
        lambda keys, x, side: square_patches.move_mass(keys, x, images, epsilon, side, bumps),
    )
