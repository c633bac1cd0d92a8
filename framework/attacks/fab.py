"""FAB, targeted: steps towards the nearest point of the decision boundary to another class.

Reference: Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
arXiv 1907.02044, algorithm 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from framework.attacks import attack, losses, norms
from framework.attacks.attack import Apply, Attack, Scalar, expand
from framework.attacks.auto_pgd import class_of_rank, target_ranks
from framework.attacks.hyperplane import step_onto
from framework.core import checks, convolutions
from framework.core.types import Array, Key

MAX_BIAS = 0.1  # alpha_max, the largest weight of the clean image
OVERSHOOT = 1.05  # eta
BACKWARD_STEP = 0.9  # beta, the share of the distance from the clean image at which the search goes on
_LEAST = 1e-8


class State(NamedTuple):
    """State of a search."""

    step: Int[Array, ""]
    x: Float[Array, "n ..."]
    nearest: Float[Array, "n ..."]  # the nearest misclassified image so far, or the clean one
    distance: Float[Array, " n"]  # its distance, infinite while there is none


def fab_targeted(
    epsilon: Scalar,
    norm: str = "linf",
    *,
    targets: int = 9,
    steps: int = 100,
    nearest: bool = False,
) -> tuple[Attack, ...]:
    """FAB on the difference of two logits, one attack per target: the classes ranked second, third, ... on the image.

    The boundary is replaced by its tangent plane. From x and from the clean image x_0 the search takes the nearest
    points of that plane in the box, and moves to their average, weighted by their distances:

               target class
        ------ a ----- b ------ tangent plane        next x = (1 - bias) a + bias b, both with an overshoot
               |       |
               x       |        label's class
                      x_0

    There is no random start, so that the attack is deterministic.

    Args:
      epsilon: an image counts only within this distance, above 0; may be traced, may be infinite.
      norm: `linf` or `l2`, in small or capital letters.
      targets: number of targets, at most the number of classes less one.
      steps: gradient steps, at least 1.
      nearest: True continues the search for a nearer image when every image of the batch has one within `epsilon`.

    Returns:
      Attacks `fab-t` for `evaluate`, which passes the images that are still robust from one to the next. They share
      one compiled program.

    Raises:
      ValueError: for a number out of range or an unknown norm.

    Reference: arXiv 1907.02044, algorithm 1.
    """
    norm = norms.canonical_name(norm)
    checks.counts("fab-t: ", steps=steps)
    structure = {"norm": norm, "steps": steps, "nearest": nearest}
    return tuple(
        attack.make(_run, "fab-t", {"epsilon": epsilon, "rank": rank}, **structure)
        for rank in target_ranks("fab-t", targets)
    )


def _run(
    keys: Key,
    apply: Apply,
    images: Array,
    labels: Array,
    epsilon: Scalar,
    rank: int | Array,
    norm: str,
    steps: int,
    nearest: bool,
) -> jax.Array:
    targets, ball = class_of_rank(apply(images), rank), norms.get(norm)
    evaluate = losses.value_and_gradient(apply, lambda logits: losses.logit_difference(logits, targets, labels))
    classify = convolutions.canonicalize_convolutions(apply)

    def step(s: State) -> State:
        _, difference, gradient = evaluate(s.x)
        x = _step_to_boundary(s.x, images, difference, norms.replace_non_finite(gradient), norm)
        wrong, distance = ~losses.is_correct(classify(x), labels), ball.magnitude(x - images)
        nearer = wrong & (distance < s.distance)
        return State(
            step=s.step + 1,
            x=jnp.where(expand(wrong, x), images + BACKWARD_STEP * (x - images), x),
            nearest=jnp.where(expand(nearer, x), x, s.nearest),
            distance=jnp.where(nearer, distance, s.distance),
        )

    start = State(jnp.zeros((), jnp.int32), images, images, jnp.full(len(images), jnp.inf, images.dtype))
    unfinished = lambda s: (s.step < steps) & (nearest | (s.distance > epsilon).any())
    end = lax.while_loop(unfinished, step, start)
    return jnp.where(expand(end.distance <= epsilon, images), end.nearest, images)


def _step_to_boundary(x: Array, images: Array, difference: Array, gradient: Array, norm: str) -> jax.Array:
    flatten = lambda array: array.reshape(len(array), -1)
    level = jnp.sum(flatten(gradient * x), -1) - difference  # where the logits are equal to first order
    double = lambda array: jnp.concatenate([array, array])
    points = jnp.concatenate([flatten(x), flatten(images)])
    steps = step_onto(points, double(flatten(gradient)), double(level), norm).reshape(2, *x.shape)
    from_x, from_image = (jnp.maximum(norms.get(norm).magnitude(step), _LEAST) for step in steps)
    bias = expand(jnp.minimum(from_x / (from_x + from_image), MAX_BIAS), x)
    return jnp.clip((1 - bias) * (x + OVERSHOOT * steps[0]) + bias * (images + OVERSHOOT * steps[1]), 0, 1)
