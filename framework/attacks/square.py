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

from framework.attacks import attack, losses, norms, patches
from framework.attacks.attack import Apply, Attack, per_image
from framework.core import checks, convolutions
from framework.core.types import Key

FIRST = 0.8  # p, the share of the image that a patch covers at first
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries after which that share is halved


class State(NamedTuple):
    """Where a search stands; leaves `[N, ...]`."""

    query: jax.Array  # [] int32
    x: jax.Array  # the best so far
    loss: jax.Array  # [N], its margin, above 0 where it is wrong
    broken: jax.Array  # [N] bool


def square(epsilon: float | jax.Array, norm: str = "linf", *, queries: int = 5000, shared: bool = False) -> Attack:
    """Random search: a patch of the image is changed as far as the ball allows, and kept if the margin falls.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      queries: after the first image of stripes or patches, at least 1. It ends early when every image is broken.
      shared: whether all images of a batch get the same patches at the same time, as in the reference program; a
        verdict then depends on the batch. By default each image draws its own.

    Raises:
      ValueError: for a number out of its range or an unknown norm; when called, for images other than `[N, H, W, C]`.
    """
    norm = norms.spelled(norm)
    checks.counts("square: ", queries=queries)
    return attack.make(_run, "square", {"epsilon": epsilon}, norm=norm, queries=queries, shared=shared)


def sides(queries: int, height: int, width: int, norm: str) -> np.ndarray:
    """`[queries]`: the side of the patch of each query, max(round(sqrt(p H W)), 1), odd and at least 3 for L2."""
    halvings = np.searchsorted(HALVINGS, np.arange(queries), side="left")
    side = np.maximum(np.round(np.sqrt(FIRST / 2.0**halvings * height * width)).astype(np.int32), 1)
    if norms.spelled(norm) == "l2":
        side = np.maximum(side, 3)
        side += side % 2 == 0
    return np.minimum(side, min(height, width))


def _run(
    keys: Key,
    apply: Apply,
    images: jax.Array,
    labels: jax.Array,
    epsilon: jax.Array,
    norm: str,
    queries: int,
    shared: bool,
) -> jax.Array:
    if images.ndim != 4:
        raise ValueError(f"square: images must be [N, H, W, C], got the shape {images.shape}")
    side_of = sides(queries, *images.shape[1:3], norm)
    first, propose = _proposals(norm, images, epsilon, side_of)
    apply = convolutions.ordered(apply)
    draws = jnp.broadcast_to(keys[:1], keys.shape) if shared else keys
    own = lambda keys, i: jax.vmap(jax.random.fold_in, (0, None))(keys, i)

    def step(s: State) -> State:
        x = propose(own(draws, s.query + 1), s.x, jnp.asarray(side_of)[s.query])
        loss, broken = judged(x)
        take = ~s.broken & (broken | (loss > s.loss))
        new = State(s.query + 1, x, loss, broken)
        return new._replace(
            x=jnp.where(per_image(take, x), x, s.x),
            loss=jnp.where(take, loss, s.loss),
            broken=jnp.where(take, broken, s.broken),
        )

    def judged(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = apply(x)
        return losses.margin(logits, labels), ~losses.correct(logits, labels)

    start = first(own(keys, 0))
    state = State(jnp.zeros((), jnp.int32), start, *judged(start))
    return lax.while_loop(lambda s: (s.query < queries) & ~s.broken.all(), step, state).x


Propose = Callable[[Key, jax.Array, jax.Array], jax.Array]  # (keys, x, side) -> x


def _proposals(
    norm: str, images: jax.Array, epsilon: jax.Array, side_of: np.ndarray
) -> tuple[Callable[[Key], jax.Array], Propose]:
    """The first images and the later ones."""
    if norm == "linf":
        return (
            lambda keys: patches.stripes(keys, images, epsilon),
            lambda keys, x, side: patches.signed_square(keys, x, images, epsilon, side),
        )
    bumps = patches.bumps(images.shape[1:3], side_of)
    return (
        lambda keys: patches.tiles(keys, images, epsilon),
        lambda keys, x, side: patches.moved_mass(keys, x, images, epsilon, side, bumps),
    )
