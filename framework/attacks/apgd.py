"""APGD: projected ascent with momentum, whose step sizes follow from how the loss went.

Reference: Croce and Hein, "Reliable evaluation of adversarial robustness", arXiv 2003.01690, algorithm 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from framework.attacks import attack, losses, norms
from framework.attacks.attack import Apply, Attack, per_image
from framework.core import checks
from framework.core.types import Key

MOMENTUM = 0.75  # alpha, weight of the new step against the last one
RISES = 0.75  # rho, share of steps of a window that must raise the loss
FIRST, LEAST, SHORTER = 0.22, 0.06, 0.03  # windows as shares of all steps


class State(NamedTuple):
    """Where an ascent stands; leaves `[N, ...]`."""

    step: jax.Array  # [] int32
    x: jax.Array
    previous: jax.Array  # the point before x
    gradient: jax.Array  # at x
    best: jax.Array  # the point of the greatest loss
    best_gradient: jax.Array
    best_loss: jax.Array  # [N]
    adversarial: jax.Array  # the latest point that is wrong, or the start
    broken: jax.Array  # [N] bool
    size: jax.Array  # [N], of a step
    loss: jax.Array  # [N], at x
    rises: jax.Array  # [N] int32, in this window
    halved: jax.Array  # [N] bool, at the last checkpoint
    checked: jax.Array  # [N], best_loss at the last checkpoint


def apgd(
    epsilon: float | jax.Array, norm: str = "linf", *, loss: str | losses.Loss = "cross_entropy", steps: int = 100
) -> Attack:
    """APGD on a loss; `loss="dlr"` needs 3 classes or more.

    A point z = P(x + size s(gradient)) is met with momentum, x <- P(x + .75 (z - x) + .25 (x - previous)). Where too
    few steps raised the loss, or nothing improved, a checkpoint halves the size and takes up the best point so far.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      loss: `cross_entropy`, `dlr`, `margin` or a function (logits, labels) -> `[N]`.
      steps: gradients after that of the start, at least 1. It ends early when every image of the batch is broken.

    Raises:
      ValueError: for an epsilon not above 0, steps below 1, an unknown norm or loss.

    Reference: arXiv 2003.01690, algorithm 1.
    """
    losses.named(loss)
    name = "apgd-ce" if loss == "cross_entropy" else f"apgd-{loss}" if isinstance(loss, str) else "apgd"
    return _made(_run, name, {"epsilon": epsilon}, norm, steps, loss=loss)


def apgd_targeted(
    epsilon: float | jax.Array, norm: str = "linf", *, targets: int = 9, steps: int = 100
) -> tuple[Attack, ...]:
    """APGD on the targeted DLR loss, one attack a target: the classes second, third, ... on the clean image.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      targets: how many, at most the classes less one; there must be 4 classes or more.
      steps: as for `apgd`.

    Returns:
      Attacks for `evaluate`, which gives each the images that are left; they share one compiled program.

    Raises:
      ValueError: for a number out of its range or an unknown norm.
    """
    ranks = target_ranks("apgd-t", targets)
    return tuple(_made(_run_targeted, "apgd-t", {"epsilon": epsilon, "rank": rank}, norm, steps) for rank in ranks)


def target_ranks(name: str, targets: int) -> range:
    """Ranks 2, 3, ... of the target classes, 1 being the largest logit.

    Raises:
      ValueError: if there are no targets.
    """
    checks.counts(f"{name}: ", targets=targets)
    return range(2, targets + 2)


def of_rank(logits: jax.Array, rank: int | jax.Array) -> jax.Array:
    """The class whose logit is the `rank`-th largest, `[N]`; `evaluate` refuses ranks beyond the last class."""
    return jnp.argsort(logits, -1)[:, logits.shape[-1] - rank]


def windows(steps: int) -> np.ndarray:
    """`[steps]`: at a checkpoint the length of the window that it ends, elsewhere 0.

    For 100 steps checkpoints lie at 22, 41, 57, 70, 80, 87, 93 and 99 steps taken.
    """
    lengths = np.zeros(steps, np.int32)
    share = lambda part: max(int(part * steps), 1)
    window, at = share(FIRST), share(FIRST)
    while at <= steps:
        lengths[at - 1] = window
        window = max(window - share(SHORTER), share(LEAST))
        at += window
    return lengths


def _made(run, name: str, numbers: dict, norm: str, steps: int, **structure) -> Attack:
    norm = norms.spelled(norm)
    checks.counts(f"{name}: ", steps=steps)
    return attack.make(run, name, numbers, norm=norm, steps=steps, **structure)


def _run_targeted(keys: Key, apply: Apply, images: jax.Array, labels: jax.Array, rank: jax.Array, **rest) -> jax.Array:
    targets = of_rank(apply(images), rank)
    return _run(keys, apply, images, labels, loss=lambda z, y: losses.targeted_dlr(z, y, targets), **rest)


def _run(
    keys: Key,
    apply: Apply,
    images: jax.Array,
    labels: jax.Array,
    epsilon: jax.Array,
    norm: str,
    steps: int,
    loss: str | losses.Loss,
) -> jax.Array:
    start = images + epsilon * norms.named(norm).edge(keys, images)
    state = ascend(apply, images, labels, start, epsilon, norm, steps, loss)
    return jnp.where(per_image(state.broken, images), state.adversarial, state.best)


def ascend(
    apply: Apply,
    images: jax.Array,
    labels: jax.Array,
    start: jax.Array,
    epsilon: float | jax.Array,
    norm: str,
    steps: int,
    loss: str | losses.Loss,
) -> State:
    """The ascent from a start `[N, ...]`, which is clipped to [0, 1]; the other arguments are those of `apgd`."""
    ball, score = norms.named(norm), losses.named(loss)
    climb = losses.climb(apply, lambda logits: score(logits, labels))
    window_of = jnp.asarray(windows(steps))

    def moved(s: State) -> jax.Array:
        ahead = ball.project(s.x + per_image(s.size, s.x) * ball.steepest(s.gradient), images, epsilon)
        share = jnp.where(s.step == 0, 1, MOMENTUM)
        return ball.project(s.x + share * (ahead - s.x) + (1 - share) * (s.x - s.previous), images, epsilon)

    def step(s: State) -> State:
        x = moved(s)
        logits, value, gradient = climb(x)
        wrong, better = ~losses.correct(logits, labels), value > s.best_loss
        pick = lambda which, new, old: jnp.where(per_image(which, x), new, old)
        s = s._replace(
            x=x,
            previous=s.x,
            gradient=gradient,
            best=pick(better, x, s.best),
            best_gradient=pick(better, gradient, s.best_gradient),
            best_loss=jnp.where(better, value, s.best_loss),
            adversarial=pick(wrong, x, s.adversarial),
            broken=s.broken | wrong,
            loss=value,
            rises=s.rises + (value > s.loss),
        )
        return _checkpoint(s, window_of[s.step])._replace(step=s.step + 1)

    logits, value, gradient = climb(x := jnp.clip(start, 0, 1))
    state = State(
        step=jnp.zeros((), jnp.int32),
        x=x,
        previous=x,
        gradient=gradient,
        best=x,
        best_gradient=gradient,
        best_loss=value,
        adversarial=x,
        broken=~losses.correct(logits, labels),
        size=jnp.full_like(value, 2) * epsilon,
        loss=jnp.zeros_like(value),  # the reference's first window compares with 0, not with the loss of the start
        rises=jnp.zeros(value.shape, jnp.int32),
        halved=jnp.ones(value.shape, bool),
        checked=value,
    )
    return lax.while_loop(lambda s: (s.step < steps) & ~s.broken.all(), step, state)


def _checkpoint(s: State, window: jax.Array) -> State:
    """Halves steps after a window of that length; a window of 0 changes nothing."""
    due = window > 0
    stuck = ~s.halved & (s.checked >= s.best_loss)
    halve = due & ((s.rises <= RISES * window) | stuck)
    again = per_image(halve, s.x)
    return s._replace(
        x=jnp.where(again, s.best, s.x),
        gradient=jnp.where(again, s.best_gradient, s.gradient),
        size=jnp.where(halve, s.size / 2, s.size),
        rises=jnp.where(due, 0, s.rises),
        halved=jnp.where(due, halve, s.halved),
        checked=jnp.where(due, s.best_loss, s.checked),
    )
