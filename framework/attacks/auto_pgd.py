"""APGD: projected gradient ascent with momentum and step sizes that adapt to the progress of the loss.

Reference: Croce and Hein, "Reliable evaluation of adversarial robustness", arXiv 2003.01690, algorithm 1.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from framework.attacks import attack, losses, norms
from framework.attacks.attack import Apply, Attack, Scalar, expand
from framework.core import checks
from framework.core.types import Array, Key

MOMENTUM = 0.75  # alpha, weight of the new step against the last one
INCREASE_SHARE = 0.75  # rho, share of the steps of a window that must increase the loss
FIRST_WINDOW, LEAST_WINDOW, WINDOW_DECREMENT = 0.22, 0.06, 0.03  # as shares of all steps


class State(NamedTuple):
    """State of an ascent."""

    step: Int[Array, ""]
    x: Float[Array, "n ..."]
    x_previous: Float[Array, "n ..."]
    gradient: Float[Array, "n ..."]  # at x
    x_best: Float[Array, "n ..."]  # the point of greatest loss
    best_gradient: Float[Array, "n ..."]
    best_loss: Float[Array, " n"]
    x_adversarial: Float[Array, "n ..."]  # the latest misclassified point, or the start
    is_adversarial: Bool[Array, " n"]
    step_size: Float[Array, " n"]
    loss: Float[Array, " n"]  # at x
    increases: Int[Array, " n"]  # steps of this window that increased the loss
    was_halved: Bool[Array, " n"]  # at the last checkpoint
    checkpoint_loss: Float[Array, " n"]  # best_loss at the last checkpoint


def apgd(epsilon: Scalar, norm: str = "linf", *, loss: str | losses.Loss = "cross_entropy", steps: int = 100) -> Attack:
    """APGD on a loss.

    A step z = P(x + step_size s(gradient)) is combined with momentum, x <- P(x + .75 (z - x) + .25 (x - x_previous)).
    If too few steps of a window increased the loss, or the best loss did not improve, the checkpoint at its end halves
    the step size and returns to the best point so far.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      loss: `cross_entropy`, `dlr` (3 classes or more), `margin` or a function (logits, labels) -> `[N]`.
      steps: gradient steps after the gradient at the start, at least 1. The search ends early when every image of the
        batch is adversarial.

    Returns:
      The attack `apgd-ce`, `apgd-LOSS`, or `apgd` for a function.

    Raises:
      ValueError: for an epsilon not above 0, steps below 1, an unknown norm or loss.

    Reference: arXiv 2003.01690, algorithm 1.
    """
    losses.get(loss)
    name = "apgd-ce" if loss == "cross_entropy" else f"apgd-{loss}" if isinstance(loss, str) else "apgd"
    return _make(_run, name, {"epsilon": epsilon}, norm, steps, loss=loss)


def apgd_targeted(epsilon: Scalar, norm: str = "linf", *, targets: int = 9, steps: int = 100) -> tuple[Attack, ...]:
    """APGD on the targeted DLR loss, one attack per target: the classes ranked second, third, ... on the clean image.

    Args:
      epsilon: radius of the ball, above 0; may be traced.
      norm: `linf` or `l2`, in small or capital letters.
      targets: number of targets, at most the number of classes less one; there must be 4 classes or more.
      steps: as for `apgd`.

    Returns:
      Attacks `apgd-t` for `evaluate`, which passes the images that are still robust from one to the next. They share
      one compiled program.

    Raises:
      ValueError: for a number out of range or an unknown norm.
    """
    ranks = target_ranks("apgd-t", targets)
    return tuple(_make(_run_targets, "apgd-t", {"epsilon": epsilon, "rank": rank}, norm, steps) for rank in ranks)


def target_ranks(name: str, targets: int) -> range:
    """Ranks 2, 3, ... of the target classes; rank 1 is the largest logit.

    Args:
      name: of the attack, for the message.
      targets: number of targets, at least 1.

    Returns:
      The ranks.

    Raises:
      ValueError: if `targets` is not a whole number of at least 1.
    """
    checks.counts(f"{name}: ", targets=targets)
    return range(2, targets + 2)


def class_of_rank(logits: Float[Array, "n classes"], rank: int | Array) -> Int[Array, " n"]:
    """The class with the `rank`-th largest logit.

    Args:
      logits: `[N, classes]`.
      rank: from 1 to the number of classes, which `evaluate` checks; may be traced.

    Returns:
      `[N]`.
    """
    return jnp.argsort(logits, -1)[:, logits.shape[-1] - rank]


def window_lengths(steps: int) -> Int[np.ndarray, " steps"]:
    """The length of the window that ends at each step, 0 at steps without a checkpoint.

    For 100 steps the checkpoints lie after 22, 41, 57, 70, 80, 87, 93 and 99 steps.
    """
    lengths = np.zeros(steps, np.int32)
    step_count = lambda share: max(int(share * steps), 1)
    window = end = step_count(FIRST_WINDOW)
    while end <= steps:
        lengths[end - 1] = window
        window = max(window - step_count(WINDOW_DECREMENT), step_count(LEAST_WINDOW))
        end += window
    return lengths


def _make(run, name: str, numbers: dict, norm: str, steps: int, **structure: Any) -> Attack:
    norm = norms.canonical_name(norm)
    checks.counts(f"{name}: ", steps=steps)
    return attack.make(run, name, numbers, norm=norm, steps=steps, **structure)


def _run_targets(keys: Key, apply: Apply, images: Array, labels: Array, rank: int | Array, **options: Any) -> jax.Array:
    targets = class_of_rank(apply(images), rank)
    return _run(keys, apply, images, labels, loss=lambda z, y: losses.targeted_dlr(z, y, targets), **options)


def _run(
    keys: Key,
    apply: Apply,
    images: Array,
    labels: Array,
    epsilon: Scalar,
    norm: str,
    steps: int,
    loss: str | losses.Loss,
) -> jax.Array:
    start = images + epsilon * norms.get(norm).sample_sphere(keys, images)
    state = ascend(apply, images, labels, start, epsilon, norm, steps, loss)
    return jnp.where(expand(state.is_adversarial, images), state.x_adversarial, state.x_best)


def ascend(
    apply: Apply,
    images: Float[Array, "n ..."],
    labels: Int[Array, " n"],
    start: Float[Array, "n ..."],
    epsilon: Scalar,
    norm: str,
    steps: int,
    loss: str | losses.Loss,
) -> State:
    """Runs the ascent of `apgd` from a start.

    Args:
      apply: images `[N, ...]` -> logits `[N, classes]`.
      images: `[N, ...]`, centres of the balls, in [0, 1].
      labels: `[N]`.
      start: `[N, ...]`; it is clipped to [0, 1].
      epsilon: radius of the ball, above 0.
      norm: `linf` or `l2`.
      steps: gradient steps, at least 1.
      loss: as for `apgd`.

    Returns:
      The last state.
    """
    ball, loss_function = norms.get(norm), losses.get(loss)
    evaluate = losses.value_and_gradient(apply, lambda logits: loss_function(logits, labels))
    lengths = jnp.asarray(window_lengths(steps))

    def next_point(s: State) -> jax.Array:
        ahead = ball.project(s.x + expand(s.step_size, s.x) * ball.steepest(s.gradient), images, epsilon)
        weight = jnp.where(s.step == 0, 1, MOMENTUM)
        return ball.project(s.x + weight * (ahead - s.x) + (1 - weight) * (s.x - s.x_previous), images, epsilon)

    def step(s: State) -> State:
        x = next_point(s)
        logits, value, gradient = evaluate(x)
        wrong, better = ~losses.is_correct(logits, labels), value > s.best_loss
        pick = lambda mask, new, old: jnp.where(expand(mask, x), new, old)
        s = s._replace(
            x=x,
            x_previous=s.x,
            gradient=gradient,
            x_best=pick(better, x, s.x_best),
            best_gradient=pick(better, gradient, s.best_gradient),
            best_loss=jnp.where(better, value, s.best_loss),
            x_adversarial=pick(wrong, x, s.x_adversarial),
            is_adversarial=s.is_adversarial | wrong,
            loss=value,
            increases=s.increases + (value > s.loss),
        )
        return _apply_checkpoint(s, lengths[s.step])._replace(step=s.step + 1)

    logits, value, gradient = evaluate(x := jnp.clip(start, 0, 1))
    state = State(
        step=jnp.zeros((), jnp.int32),
        x=x,
        x_previous=x,
        gradient=gradient,
        x_best=x,
        best_gradient=gradient,
        best_loss=value,
        x_adversarial=x,
        is_adversarial=~losses.is_correct(logits, labels),
        step_size=jnp.full_like(value, 2) * epsilon,
        loss=jnp.zeros_like(value),  # the reference's first window compares with 0, not with the loss of the start
        increases=jnp.zeros(value.shape, jnp.int32),
        was_halved=jnp.ones(value.shape, bool),
        checkpoint_loss=value,
    )
    return lax.while_loop(lambda s: (s.step < steps) & ~s.is_adversarial.all(), step, state)


def _apply_checkpoint(s: State, window: Array) -> State:
    """Halves the step sizes of images without progress after a window of that length; 0 means no checkpoint."""
    due = window > 0
    stuck = ~s.was_halved & (s.checkpoint_loss >= s.best_loss)
    halve = due & ((s.increases <= INCREASE_SHARE * window) | stuck)
    restart = expand(halve, s.x)
    return s._replace(
        x=jnp.where(restart, s.x_best, s.x),
        gradient=jnp.where(restart, s.best_gradient, s.gradient),
        step_size=jnp.where(halve, s.step_size / 2, s.step_size),
        increases=jnp.where(due, 0, s.increases),
        was_halved=jnp.where(due, halve, s.was_halved),
        checkpoint_loss=jnp.where(due, s.best_loss, s.checkpoint_loss),
    )
