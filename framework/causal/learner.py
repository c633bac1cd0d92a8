"""The learner: a smooth path from a dense start to a directed acyclic graph.

    minimise  mu [ score(W) + l1 |W|_1 + l_sim sum C | min(|W|, 1) - K | ] + h(W)

along a falling mu, so that acyclicity counts for more and more; h is the log-determinant function. Every stage takes
Adam steps from where the last one ended. What is left is cut at a threshold and made a DAG by `graphs.break_cycles`.
From there, and from nothing, a search over single edges climbs the likelihood; the better end is refitted by least
squares. An edge costs the search log(n) / 2 + log(d) (1 + (l_sim / l1) C (1 - 2K)): the EBIC, in which the prior takes
the place of its belief in sparse graphs as it takes that of the penalty on the path.

Reference: DAGMA, arXiv 2209.08037, algorithm 1; the prior of arXiv 2311.11212; the search of arXiv 2010.09133.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework.causal import acyclicity, graphs, inputs, local_search, moments, ordering, scores
from framework.causal.knowledge import Knowledge
from framework.core.types import Metrics

STATUS = ("ok", "the data, the penalty or the prior weight are not finite, or one of the latter is negative")
FINISHES = ("search", "cut")
NOISES = ("equal", "unequal")
_MOST_TRUST = 1e3  # l_sim / l1 counts as no more in the search
_MOMENTS = optax.scale_by_adam(b1=0.99, b2=0.999)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Config:
    """How to fit; static under every transformation.

    The defaults are for raw data with noise of equal variance.
    """

    transform: str = dataclasses.field(default="center", metadata={"static": True})  # one of moments.TRANSFORMS
    penalty: float = dataclasses.field(default=0.03, metadata={"static": True})  # l1, where `fit` is given none
    prior_weight: float | None = dataclasses.field(default=None, metadata={"static": True})  # l_sim; None is l1
    cut: float = dataclasses.field(default=0.3, metadata={"static": True})  # |W| below is no edge
    path: tuple[float, ...] = dataclasses.field(  # mu of each stage
        default=(1.0, 0.1, 0.01, 0.001, 0.0001), metadata={"static": True}
    )
    stage_steps: tuple[int, ...] = dataclasses.field(  # steps of each stage
        default=(3000, 3000, 3000, 3000, 6000), metadata={"static": True}
    )
    rate: float = dataclasses.field(default=3e-3, metadata={"static": True})  # Adam's
    finish: str = dataclasses.field(default="search", metadata={"static": True})  # cut stops at the cut path
    noise: str = dataclasses.field(default="equal", metadata={"static": True})  # variances that the search assumes

    def __post_init__(self):
        if self.transform not in moments.TRANSFORMS:
            raise ValueError(f"transform must be one of {', '.join(moments.TRANSFORMS)}, got {self.transform!r}")
        for name in ("penalty", "cut"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.prior_weight is not None and not self.prior_weight >= 0:
            raise ValueError(f"prior_weight must be at least 0, or None for the penalty, got {self.prior_weight}")
        stages = (*self.path, *self.stage_steps)
        if not self.path or len(self.path) != len(self.stage_steps) or not min(stages) > 0:
            raise ValueError(
                f"path and stage_steps need one positive number a stage, got {self.path} and {self.stage_steps}"
            )
        for name, choices in (("finish", FINISHES), ("noise", NOISES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if not self.rate > 0:
            raise ValueError(f"rate must be positive, got {self.rate}")

    @property
    def steps(self) -> int:
        """Steps of a whole fit."""
        return sum(self.stage_steps)


class Problem(NamedTuple):
    """What a fit is given, as numbers."""

    covariance: jax.Array  # S, [d, d] float64
    penalty: jax.Array  # l1, []
    prior: jax.Array  # K, [d, d]
    confidence: jax.Array  # C, [d, d]
    prior_weight: jax.Array  # l_sim, []
    samples: jax.Array  # n, []


class State(NamedTuple):
    """Where a fit stands."""

    weights: jax.Array  # W, [d, d] float64
    inside: jax.Array  # [d, d], the last weights known to lie in the domain of h
    moments: optax.OptState  # Adam's, leaves [d, d]
    rate: jax.Array  # [], the step length of this stage; halved at the edge of the domain
    step: jax.Array  # [] int32, steps taken


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Result:
    """A fitted graph; a pytree whose names are static."""

    weights: jax.Array  # [d, d] float64, 0 off the graph; of the transformed columns
    graph: jax.Array  # [d, d] bool, always a DAG
    uncut: jax.Array  # [d, d] float64, the weights before the cut
    status: jax.Array  # [] int32, index into STATUS
    names: tuple[str, ...] | None = dataclasses.field(default=None, metadata={"static": True})


def fit(
    x: Any,
    knowledge: Knowledge | None = None,
    config: Config = Config(),
    *,
    penalty: float | jax.Array | None = None,
    prior_weight: float | jax.Array | None = None,
) -> Result:
    """Learns a directed acyclic graph from a table; computes in float64 whatever the caller's setting.

    Composes with `jit`, `vmap` and both: a batch of tables, of priors, of penalties. In a plain call it compiles once
    for a shape and a Config. A caller with 64 bits switched on may nest them as it likes; one without keeps `jit`
    outermost. The defaults assume noise of about unit variance: scale the table if its columns are far from that.

    Args:
      x: the table, `[n, d]`: an array, or a pandas DataFrame, whose column names then stand in the result.
      knowledge: a prior; matched by name if both sides have names, else by position.
      config: structure and defaults.
      penalty: l1, at least 0; by default the config's.
      prior_weight: l_sim, at least 0; by default the config's, and l1 where that has none.

    Returns:
      A `Result`, of NumPy arrays in a plain call. Under a transformation bad data cannot raise: look at its `status`.

    Raises:
      ValueError: if x is not `[n, d]` with at least 3 rows, holds NaN or infinity or a constant column, or the
        knowledge is of other columns.

    Reference: arXiv 2209.08037 and arXiv 2311.11212.
    """
    x, knowledge, names = inputs.check(x, knowledge, config.transform)
    inputs.check_numbers(penalty=penalty, prior_weight=prior_weight)
    with jax.enable_x64(True):
        given = inputs.in_float64((x, knowledge, penalty, prior_weight))
        return inputs.on_host(dataclasses.replace(_fit(config, *given), names=names))


@jax.jit
def _fit(config, x, knowledge, penalty, prior_weight) -> Result:
    return solve(problem(x, knowledge, config, penalty=penalty, prior_weight=prior_weight), config)


def solve(problem: Problem, config: Config) -> Result:
    """A whole fit in one traceable call: `init`, every `step`, `finish`."""
    body = lambda state, _: (step(state, problem, config)[0], None)
    return finish(jax.lax.scan(body, init(problem, config), length=config.steps)[0], problem, config)


def problem(
    x: jax.Array,
    knowledge: Knowledge | None,
    config: Config,
    *,
    counts: jax.Array | None = None,
    penalty: float | jax.Array | None = None,
    prior_weight: float | jax.Array | None = None,
) -> Problem:
    """The numbers of a fit, for a caller that drives `step` itself; as `fit`, with the counts of a resample, `[n]`.

    Raises:
      RuntimeError: if 64 bits are switched off.
    """
    if not jax.config.jax_enable_x64:
        raise RuntimeError("causal computes in float64: drive its steps inside `with jax.enable_x64(True):`")
    x = jnp.asarray(x, jnp.float64)
    covariance = moments.covariance(x, config.transform, counts)
    size = covariance.shape[-1]
    penalty = config.penalty if penalty is None else penalty
    prior_weight = config.prior_weight if prior_weight is None else prior_weight
    prior, confidence = (
        (jnp.zeros((size, size)), jnp.zeros((size, size)))
        if knowledge is None
        else (jnp.asarray(knowledge.edges, jnp.float64), jnp.asarray(knowledge.confidence, jnp.float64))
    )
    return Problem(
        covariance,
        jnp.asarray(penalty, jnp.float64),
        prior,
        confidence,
        jnp.asarray(penalty if prior_weight is None else prior_weight, jnp.float64),
        jnp.asarray(x.shape[0], jnp.float64),
    )


def init(problem: Problem, config: Config) -> State:
    """The start of a fit: no edges."""
    weights = jnp.zeros_like(problem.covariance)
    rate = jnp.asarray(config.rate, weights.dtype)
    return State(weights, weights, _MOMENTS.init(weights), rate, jnp.zeros((), jnp.int32))


def step(state: State, problem: Problem, config: Config) -> tuple[State, Metrics]:
    """One Adam step on the path; a step that left the domain of h is taken back and the rate of the stage halved."""
    ends = np.cumsum(config.stage_steps)
    stage = jnp.sum(state.step >= ends[:-1])
    enters = jnp.any(state.step == np.concatenate([[0], ends[:-1]]))
    fresh = state._replace(moments=_MOMENTS.init(state.weights), rate=jnp.asarray(config.rate, state.rate.dtype))
    state = jax.tree.map(lambda new, old: jnp.where(enters, new, old), fresh, state)
    cycles = acyclicity.log_det(state.weights)
    score, score_gradient = scores.least_squares(state.weights, problem.covariance)
    sparsity, sparsity_gradient = scores.sparsity(state.weights, *problem[1:5])
    mu = jnp.asarray(config.path, state.weights.dtype)[stage]
    gradient = mu * (score_gradient + sparsity_gradient) + cycles.gradient
    update, moved = _MOMENTS.update(gradient, state.moments)
    off_diagonal = ~jnp.eye(len(gradient), dtype=bool)
    proposal = jnp.where(off_diagonal, state.weights - state.rate * update, 0)
    forward = state._replace(weights=proposal, inside=state.weights, moments=moved)
    back = state._replace(weights=state.inside, rate=state.rate / 2)
    state = jax.tree.map(lambda good, bad: jnp.where(cycles.inside, good, bad), forward, back)
    metrics = {"objective": mu * (score + sparsity) + cycles.value, "score": score, "acyclicity": cycles.value}
    return state._replace(step=state.step + 1), metrics


def finish(state: State, problem: Problem, config: Config) -> Result:
    """Cuts small weights, breaks the cycles that are left, and searches on from there."""
    weighed = (
        (problem.penalty >= 0) & (problem.prior_weight >= 0) & jnp.isfinite(problem.penalty + problem.prior_weight)
    )
    finite = jnp.all(jnp.isfinite(problem.covariance)) & jnp.all(jnp.isfinite(state.inside)) & weighed
    uncut = jnp.where(finite, state.inside, 0)
    weights = graphs.break_cycles(jnp.where(jnp.abs(uncut) >= config.cut, uncut, 0))
    if config.finish == "search":
        weights = jnp.where(finite, _searched(weights != 0, problem, config), 0)
    return Result(weights, weights != 0, uncut, jnp.where(finite, 0, 1).astype(jnp.int32))


def _searched(graph: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """Weights of the best end of two searches: from the path's graph, and from nothing along the top-down order.

    Where noise is not of one variance there is no such order, and the second search is free from the start. Both run in
    one loop: two loops side by side can starve each other of threads for ever on a CPU of few cores (jax 0.10).
    """
    size, equal = len(graph), config.noise == "equal"
    trust = jnp.clip(problem.prior_weight / problem.penalty, 0, _MOST_TRUST)
    trust = jnp.where(problem.prior_weight > 0, trust, 0)
    doubt = jnp.log(size) * (1 + trust * problem.confidence * (1 - 2 * problem.prior))
    cost = jnp.log(problem.samples) / 2 + doubt
    anywhere, none = ~jnp.eye(size, dtype=bool), jnp.zeros((size, size), bool)
    along = ordering.top_down(problem.covariance) if equal else anywhere
    climb = jax.vmap(
        lambda start, allowed: local_search.climb(
            start, problem.covariance, problem.samples, local_search.Edges(cost, allowed, none), equal
        )
    )
    starts = climb(jnp.stack([graph, none]), jnp.stack([anywhere, along])).graph
    ends = climb(starts, jnp.stack([anywhere, anywhere]))
    best = jnp.any(ends.graph & graphs.greatest(ends.score)[:, None, None], axis=0)
    return jnp.where(best, local_search.refit(best, problem.covariance), 0)
