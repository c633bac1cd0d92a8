"""FAB, targeted: towards the nearest point of the boundary to another class, not towards a greater loss.

Reference: Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
arXiv 1907.02044, algorithm 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from framework.attacks import attack, losses, norms
from framework.attacks.apgd import of_rank, target_ranks
from framework.attacks.attack import Apply, Attack, per_image
from framework.attacks.hyperplane import step_onto
from framework.core import checks, convolutions
from framework.core.types import Key

BIAS = 0.1  # alpha_max, the most that the clean image pulls
OVERSHOOT = 1.05  # eta
BACK = 0.9  # beta, how far from the clean image the search goes on behind the boundary
_LEAST = 1e-8


class State(NamedTuple):
    """Where a search stands; leaves `[N, ...]`."""

    step: jax.Array  # [] int32
    x: jax.Array
    nearest: jax.Array  # the nearest image so far that is wrong, or the clean one
    distance: jax.Array  # [N], its distance, infinite while there is none


def fab_targeted(
    epsilon: float | jax.Array,
    norm: str = "linf",
    *,
    targets: int = 9,
    steps: int = 100,
    nearest: bool = False,
) -> tuple[Attack, ...]:
    """FAB on the difference of two logits, one attack a target: the classes second, third, ... on the clean image.

    The boundary is taken for the plane that it is to first order; x moves to that plane's nearest points in the box, as
    seen from x and from the clean image, weighted by their distances. Without a random start it is deterministic.

    Args:
      epsilon: only an image at most so far away counts, above 0; may be traced, may be infinite.
      norm: `linf` or `l2`, in small or capital letters.
      targets: how many, at most the classes less one.
      steps: gradients, at least 1.
      nearest: whether to look on for a nearer image when every image of the batch has one within `epsilon`.

    Returns:
      Attacks for `evaluate`, which gives each the images that are left; they share one compiled program.

    Raises:
      ValueError: for a number out of its range or an unknown norm.
    """
    norm = norms.spelled(norm)
    checks.counts("fab-t: ", steps=steps)
    structure = {"norm": norm, "steps": steps, "nearest": nearest}
    return tuple(
        attack.make(_run, "fab-t", {"epsilon": epsilon, "rank": rank}, **structure)
        for rank in target_ranks("fab-t", targets)
    )


def _run(
    keys: Key,
    apply: Apply,
    images: jax.Array,
    labels: jax.Array,
    epsilon: jax.Array,
    rank: jax.Array,
    norm: str,
    steps: int,
    nearest: bool,
) -> jax.Array:
    targets, ball = of_rank(apply(images), rank), norms.named(norm)
    climb = losses.climb(apply, lambda logits: losses.lead(logits, targets, labels))
    judge = convolutions.ordered(apply)

    def step(s: State) -> State:
        _, lead, gradient = climb(s.x)
        x = _towards_boundary(s.x, images, lead, norms.finite(gradient), norm)
        wrong, distance = ~losses.correct(judge(x), labels), ball.size(x - images)
        nearer = wrong & (distance < s.distance)
        return State(
            step=s.step + 1,
            x=jnp.where(per_image(wrong, x), images + BACK * (x - images), x),
            nearest=jnp.where(per_image(nearer, x), x, s.nearest),
            distance=jnp.where(nearer, distance, s.distance),
        )

    start = State(jnp.zeros((), jnp.int32), images, images, jnp.full(len(images), jnp.inf, images.dtype))
    going = lambda s: (s.step < steps) & (nearest | (s.distance > epsilon).any())
    end = lax.while_loop(going, step, start)
    return jnp.where(per_image(end.distance <= epsilon, images), end.nearest, images)


def _towards_boundary(x: jax.Array, images: jax.Array, lead: jax.Array, gradient: jax.Array, norm: str) -> jax.Array:
    flat = lambda each: each.reshape(len(each), -1)
    level = jnp.sum(flat(gradient * x), -1) - lead  # where the target's lead, to first order, is 0
    double = lambda each: jnp.concatenate([each, each])
    points = jnp.concatenate([flat(x), flat(images)])
    steps = step_onto(points, double(flat(gradient)), double(level), norm).reshape(2, *x.shape)
    from_x, from_image = (jnp.maximum(norms.named(norm).size(each), _LEAST) for each in steps)
    bias = per_image(jnp.minimum(from_x / (from_x + from_image), BIAS), x)
    return jnp.clip((1 - bias) * (x + OVERSHOOT * steps[0]) + bias * (images + OVERSHOOT * steps[1]), 0, 1)
