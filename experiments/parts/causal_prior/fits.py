"""Fits of the causal experiments: all tables and arms as one batch, in chunks with checkpoints, and a bootstrap."""

from functools import partial
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.parts.causal_prior.tasks import Task, make_prior
from framework import causal, runs
from framework.causal import bootstrapping
from framework.causal import learner as causal_learner
from framework.causal.learn import problems as causal_problems
from framework.core import devices, keys

CHUNK = 1000  # steps between two checkpoints


def make_learner(config: ConfigDict, transform: str, noise: str) -> causal.Config:
    """The learner for transformed columns and noise of `equal` or `unequal` variances; it depends on no truth."""
    method = causal.Config.equal_variance if noise == "equal" else causal.Config
    overrides = {name: value for name, value in config.learner.items() if value is not None}
    return method(transform=transform, prior_weight=config.prior.weight, **overrides)


def fit(run: runs.Run, phase: str, task: Task, learner: causal.Config, arms: dict) -> dict[str, list[causal.Result]]:
    """Fits every table with the priors of every arm.

    Args:
      run: for checkpoints and metrics.
      phase: the name of this part of the run in both.
      task: the tables, and hard constraints of all fits.
      learner: the settings of all fits.
      arms: name of an arm -> a prior, or None, for each table.

    Returns:
      The results of each arm, one a table.

    Raises:
      ValueError: if a fit fails.
    """
    labels = [(arm, seed) for arm in arms for seed in task.seeds]
    pairs = [(x, prior) for priors in arms.values() for x, prior in zip(task.tables, priors, strict=True)]
    problems = [causal_problems.problem(x, make_prior(prior, task), learner) for x, prior in pairs]

    def rows(done: int, metrics) -> list[dict[str, Any]]:
        last = [{name: values[-1, i] for name, values in metrics.items()} for i in range(len(labels))]
        prefixes = [{"step": done, "seed": seed, "phase": phase, "arm": arm} for arm, seed in labels]
        return [prefix | row for prefix, row in zip(prefixes, last, strict=True)]

    batch = _solve(run, phase, problems, learner, rows)
    results = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), batch) for i in range(len(labels))]
    return {arm: results[i * len(task.seeds) : (i + 1) * len(task.seeds)] for i, arm in enumerate(arms)}


def draw_resamples(config: ConfigDict, task: Task) -> jax.Array:
    """Draws the count of each row of the first table in each bootstrap resample, `[resamples, rows]`."""
    key = keys.derive(jax.random.key(config.seed), "bootstrap")
    return bootstrapping.resample(key, len(task.tables[0]), config.bootstrap)


def bootstrap(
    run: runs.Run, task: Task, learner: causal.Config, counts: jax.Array, result: causal.Result
) -> causal.Bootstrap:
    """Fits the first table of a task to its bootstrap resamples.

    Args:
      run: for checkpoints.
      task: the tables.
      learner: the settings of all fits.
      counts: of each row in each resample, `[resamples, rows]`.
      result: the fit to all rows.

    Returns:
      The summary of the fits, of NumPy arrays.
    """
    prior = make_prior(task.priors[0] if task.priors else None, task)
    problems = [causal_problems.problem(task.tables[0], prior, learner, counts=count) for count in counts]
    fits = _solve(run, "bootstrap", problems, learner, lambda done, metrics: [])
    fits = jax.tree.map(lambda first, rest: np.concatenate([np.asarray(first)[None], rest]), result, fits)
    return _to_numpy(_summarize(fits, causal_problems.problem(task.tables[0], prior, learner), learner))


_summarize = jax.jit(bootstrapping.summarize)
_to_numpy = partial(jax.tree.map, np.asarray)
_finish = devices.shard_over_devices(jax.vmap(causal_learner.finish, in_axes=(0, 0, None)), in_axes=(0, 0, None))


def _step(states: causal_learner.State, fixed: tuple[causal_problems.Problem, causal.Config]):
    return jax.vmap(causal_learner.step, in_axes=(0, 0, None))(states, *fixed)


def _solve(
    run: runs.Run, phase: str, problems: list[causal_problems.Problem], learner: causal.Config, rows
) -> causal.Result:
    """Solves all problems as one batch, in chunks; leaves `[problems, ...]`."""
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *problems)
    states = jax.vmap(causal_learner.init, in_axes=(0, None))(batch, learner)
    size = len(problems[0].covariance)
    memory = causal_problems.memory(int(problems[0].samples), size, learner, len(problems))
    fixed, split = (batch, learner), devices.Split(fixed=(0, None))
    states = runs.run_steps(run, phase, _step, states, fixed, learner.steps, CHUNK, rows, memory=memory, split=split)
    results = _finish(states, batch, learner)
    if np.any(results.status):
        raise ValueError(f"{phase}: {causal_learner.STATUS[int(np.max(results.status))]}")
    return results
