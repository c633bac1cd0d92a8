"""FGSM and PGD: steps along the steepest direction of a loss, projected onto a ball.

References: Goodfellow, Shlens and Szegedy, arXiv 1412.6572; Madry et al., arXiv 1706.06083.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from framework.attacks import attack, losses, norms
from framework.attacks.attack import Apply, Attack
from framework.core import checks
from framework.core.types import Key

STARTS = ("image", "uniform", "normal")
NOISE = 1e-3  # standard deviation of the start `normal`


def fgsm(epsilon: float | jax.Array, norm: str = "linf", loss: str | losses.Loss = "cross_entropy") -> Attack:
    """One step to the boundary of the ball, x + epsilon s(grad loss), s the sign (L-inf) or the unit vector (L2).

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      loss: as for `pgd`.

    Returns:
      The attack `fgsm`.

    Raises:
      ValueError: for an epsilon not above 0, an unknown norm or loss.

    Reference: arXiv 1412.6572, section 4.
    """
    return pgd(epsilon, norm, steps=1, step_size=epsilon, start="image", loss=loss)


def pgd(
    epsilon: float | jax.Array,
    norm: str = "linf",
    *,
    steps: int = 20,
    step_size: float | jax.Array | None = None,
    restarts: int = 1,
    start: str = "uniform",
    loss: str | losses.Loss = "cross_entropy",
) -> Attack:
    """Projected gradient ascent, x <- P(x + step_size s(grad loss(x))).

    With one restart the last point is returned. With several, each image gets the first point that is adversarial, or
    the one of greatest loss. Restart i draws the same numbers whatever the number of restarts, so that more restarts
    never find fewer adversarial images.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      steps: gradient steps, at least 1.
      step_size: above 0, in the units of the pixels; 2.5 epsilon / steps if None.
      restarts: number of starts, at least 1.
      start: the `image` itself, `uniform` in the ball, or `normal` noise of 0.001 a pixel around the image.
      loss: `cross_entropy`, `dlr`, `margin`, or any function (logits `[N, classes]`, labels) -> `[N]`. With one restart
        the labels may be anything that this function takes, such as the logits of the clean images.

    Returns:
      The attack `pgd-STEPS`.

    Raises:
      ValueError: for a number out of range, or an unknown norm, start or loss.

    Reference: arXiv 1706.06083, equation 1 of section 2.1.
    """
    norm = norms.canonical_name(norm)
    losses.get(loss)
    checks.counts("pgd: ", steps=steps, restarts=restarts)
    checks.one_of("pgd: start", start, STARTS)
    numbers = {"epsilon": epsilon, "step_size": 2.5 * epsilon / steps if step_size is None else step_size}
    structure = {"norm": norm, "steps": steps, "restarts": restarts, "start": start, "loss": loss}
    return attack.make(_run, "fgsm" if steps == 1 and start == "image" else f"pgd-{steps}", numbers, **structure)


def _run(
    keys: Key,
    apply: Apply,
    images: jax.Array,
    labels: Any,
    epsilon: jax.Array,
    step_size: jax.Array,
    norm: str,
    steps: int,
    restarts: int,
    start: str,
    loss: str | losses.Loss,
) -> jax.Array:
    ball, loss_function = norms.get(norm), losses.get(loss)
    evaluate = losses.value_and_gradient(apply, lambda logits: loss_function(logits, labels))

    def step(_, x: jax.Array) -> jax.Array:
        return ball.project(x + step_size * ball.steepest(evaluate(x)[2]), images, epsilon)

    def ascend(i: int | jax.Array) -> jax.Array:
        restart_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
        first = ball.project(images + _offset(restart_keys, images, start, ball, epsilon), images, epsilon)
        return lax.fori_loop(0, steps, step, first)

    def rate(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = apply(x)
        return x, jnp.where(losses.is_correct(logits, labels), loss_function(logits, labels), jnp.inf)

    def improve(i: jax.Array, best: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        new = rate(ascend(i))
        better = new[1] > best[1]
        return jax.tree.map(lambda a, b: jnp.where(attack.expand(better, a), a, b), new, best)

    if restarts == 1:
        return ascend(0)
    return lax.fori_loop(1, restarts, improve, rate(ascend(0)))[0]


def _offset(keys: Key, images: jax.Array, start: str, ball: norms.Norm, epsilon: jax.Array) -> jax.Array:
    if start == "image":
        return jnp.zeros_like(images)
    if start == "normal":
        return NOISE * attack.draw(keys, jax.random.normal, images)
    return epsilon * ball.sample_ball(keys, images)
