"""Architectures of NAS-Bench-201 trained small on parts of a data set, to see how well a part ranks them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.parts.shared.intervals import ENOUGH, difference
from framework import runs
from framework.core import keys
from framework.models import training
from framework.nas import nasbench201 as space
from framework.nas import rank_fidelity

DRAWS = 1000  # of the bootstrap
KINDS = ("equal epochs", "equal steps")
WHOLE = "all images"
Part = tuple[Any, Any]  # images [N, h, w, c] as a network takes them, labels [N]


def batches(rows: np.ndarray, epochs: int, batch: int, seed: int) -> np.ndarray:
    """The rows of each step of a training, every epoch in an order of its own: `[steps, batch]`.

    Raises:
      ValueError: if the rows fill no batch.
    """
    if not 1 <= batch <= len(rows) or epochs < 1:
        raise ValueError(
            f"{len(rows)} images take batches of 1 to as many, for an epoch or more; got {batch}, {epochs}"
        )
    rng, whole = np.random.default_rng(seed), len(rows) // batch * batch
    return np.concatenate([rng.permutation(rows)[:whole].reshape(-1, batch) for _ in range(epochs)]).astype(np.int32)


def fit(loss: Callable, params: Any, plan: jax.Array, steps: jax.Array, rate: float, train: Part) -> Any:
    """Parameters after some steps of SGD with Nesterov's momentum along a cosine.

    Args:
      loss: (params, images, labels) -> (scalar, params with their running statistics moved).
      params: to begin with.
      plan: `[at least steps, batch]`, the rows of each step.
      steps: `[]` int32, can be traced: one program for every length.
      rate: at the start.
      train: the images.
    """
    plan, train = jax.tree.map(jnp.asarray, (plan, train))
    optimizer = optax.chain(optax.add_decayed_weights(5e-4), optax.trace(0.9, nesterov=True))

    def step(index: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        params, state = carry
        gradient, statistics = jax.grad(loss, has_aux=True)(params, train[0][plan[index]], train[1][plan[index]])
        change, state = optimizer.update(gradient, state, params)
        now = rate * (1 + jnp.cos(jnp.pi * index / steps)) / 2
        return training.with_statistics(jax.tree.map(lambda p, c: p - now * c, params, change), statistics), state

    return lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]


def score_tasks(
    run: runs.Run, phase: str, task: Callable, count: int, fixed: Any, seed: int, options: Any = ()
) -> np.ndarray:
    """Accuracies of `count` trainings: [count]."""
    row = lambda number, accuracy: {"step": number + 1, "seed": seed, "phase": phase, "accuracy": float(accuracy)}
    return runs.run_tasks(run, phase, task, count, fixed, row, options=options)


def draw_architectures(key, count: int) -> list[space.Architecture]:
    """Draws architectures at random, no two the same."""
    every = space.architectures()
    return [every[i] for i in np.asarray(jax.random.choice(key, len(every), (count,), replace=False)).tolist()]


def accuracies(
    run: runs.Run,
    phase: str,
    net: space.Config,
    rate: float,
    architectures,
    plans: np.ndarray,
    room: int,
    train,
    test,
    seed: int,
    options: Any = (),
) -> np.ndarray:
    """Test accuracies of all architectures, each trained by the plan of each seed; norms by the test images.

    Args:
      run, phase: for checkpoints and metrics.
      net, rate: what is trained, and how fast.
      architectures: `[A]`.
      plans: `[S, steps, batch]`, of `batches`.
      room: steps of the longest plan of all calls, so that they are compiled once.
      train, test: the images.
      seed: of the first of the S trainings.
      options: of the compiler.

    Returns:
      `[A, S]`.
    """
    seeds, steps, _ = plans.shape
    plans = jnp.pad(plans, ((0, 0), (0, room - steps), (0, 0)))
    fixed = (jnp.array(architectures), plans, jnp.array(steps), train, test, seed + jnp.arange(seeds))
    return score_tasks(run, phase, _training(net, rate), len(architectures) * seeds, fixed, seed, options).reshape(
        -1, seeds
    )


@functools.cache
def _training(net: space.Config, rate: float) -> Callable:
    """The task of one architecture and one seed."""

    def task(number: jax.Array, fixed: Any) -> jax.Array:
        architectures, plans, steps, train, test, seeds = fixed
        which, seed_index = jnp.divmod(number, len(seeds))
        architecture = architectures[which]

        def loss(params, images, labels):
            logits, new_params = space.forward(params, architecture, images, train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), new_params

        params = space.init(jax.random.fold_in(jax.random.key(0), seeds[seed_index]), net)
        params = fit(loss, params, plans[seed_index], steps, rate, train)
        return (space.forward(params, architecture, test[0], train=True)[0].argmax(-1) == test[1]).mean()

    return task


def taus(accuracies: dict[str, np.ndarray], truth: np.ndarray, seed: int, seeds: int) -> dict[str, Any]:
    """Kendall's tau of each way to train, and P1's less that of random selection.

    Args:
      found: way -> accuracies, `[architectures, seeds]`; `WHOLE` and both rules of each kind among them.
      truth: the accuracies that the rankings are compared with, `[architectures]`.
      seed: of the bootstrap.
      seeds: behind each mean; of fewer than three there are no intervals.

    Returns:
      `tau`; with seeds enough its 95 % intervals over architectures drawn with replacement; from two seeds on
      `tau_between_seeds`, the tau of trainings on all images with two seeds against each other; mean accuracies.
    """
    kendall, ways = jax.jit(rank_fidelity.kendall), list(accuracies)
    means = np.stack([values.mean(1) for values in accuracies.values()])
    tau = {way: float(kendall(row, truth)) for way, row in zip(ways, means, strict=True)}
    pairs = [(one, other) for i, one in enumerate(accuracies[WHOLE].T) for other in accuracies[WHOLE].T[:i]]
    numbers: dict[str, Any] = {
        "tau": tau,
        "rank_accuracy": {way: float(values.mean()) for way, values in accuracies.items()},
    }
    if pairs:
        numbers["tau_between_seeds"] = float(np.mean([kendall(*pair) for pair in pairs]))
    apart: dict[str, Any] = {kind: tau[f"P1, {kind}"] - tau[f"random, {kind}"] for kind in KINDS}
    if seeds >= ENOUGH:
        bootstrap = jax.jit(rank_fidelity.bootstrap, static_argnums=3)
        draws = np.asarray(bootstrap(keys.derive(jax.random.key(seed), "bootstrap"), means, truth, DRAWS))
        ends = lambda values: map(float, np.percentile(values, [2.5, 97.5]))
        column = dict(zip(ways, draws.T, strict=True))
        for way, values in column.items():
            for name, end in zip(("tau_low", "tau_high"), ends(values), strict=True):
                numbers.setdefault(name, {})[way] = end
        for kind, mean in apart.items():
            low, high = ends(column[f"P1, {kind}"] - column[f"random, {kind}"])
            apart[kind] = {"low": low, "mean": mean, "high": high}
    return numbers | {f"tau_{difference(seeds)}_of_P1": apart}
