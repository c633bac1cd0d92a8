"""The learner: a smooth path from a dense start to a directed acyclic graph, and a search from where it ends.

    minimise  mu [ score(W) + l1 |W|_1 + l_sim sum C | min(|W|, 1) - K | ] + h(W)

along a falling mu, so that acyclicity h counts for more and more; or, as an augmented Lagrangian with rho = 1 / mu,

    minimise  score(W) + .. + alpha h(W) + h(W)^2 / (2 mu),          alpha <- alpha + h(W) / mu after each stage,

whose mu has to fall further, to 1e-8 say. Every stage takes Adam steps from where the last one ended. What is left is
cut at a threshold and made a DAG by `graphs.break_cycles`; `discrete` searches on from there.

Reference: DAGMA, arXiv 2209.08037, algorithm 1; NOTEARS, arXiv 1803.01422, for the Lagrangian; the prior of arXiv
2311.11212.
"""

import dataclasses
import warnings
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework.causal import diagnostics, graphs, inputs
from framework.causal.config import Config
from framework.causal.discrete import hill_climbing, orientation, search
from framework.causal.io import edge_list
from framework.causal.knowledge import Knowledge
from framework.causal.learn import linear, mlp, moments
from framework.causal.learn.problems import Problem, problem
from framework.core.precision import x64
from framework.core.tracing import is_traced
from framework.core.types import Array, Metrics

STATUS = ("ok", "the data, the penalty or the prior weight are not finite, or one of the latter is negative")
_MOMENTS = optax.scale_by_adam(b1=0.99, b2=0.999)


class State(NamedTuple):
    """Where a fit stands."""

    params: Any  # W, [d, d] float64; or the network of an MLP
    inside: Any  # the last parameters known to lie in the domain of h
    moments: optax.OptState  # Adam's, leaves as params
    rate: jax.Array  # [], the step length of this stage; halved at the edge of the domain
    multiplier: jax.Array  # alpha, []
    step: jax.Array  # [] int32, steps taken


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Result:
    """A fitted graph; a pytree whose names, transform and score are static."""

    weights: Array  # [d, d] float64, 0 off the graph; of the transformed columns
    graph: Array  # [d, d] bool, always a DAG
    uncut: Array  # [d, d] float64, the weights before the cut
    direction: Array  # [d, d] int8, index into DIRECTIONS: what each edge owes its direction to
    status: Array  # [] int32, index into STATUS
    location: Array  # [d], what the transform subtracted
    scale: Array  # [d], and divided by; 0 for a column that does not vary
    network: mlp.Network | None  # of an MLP; None for linear weights
    names: tuple[str, ...] | None = dataclasses.field(default=None, metadata={"static": True})
    transform: str = dataclasses.field(default="center", metadata={"static": True})
    score: str = dataclasses.field(default="least_squares", metadata={"static": True})

    def __str__(self) -> str:
        """Its edges, a line each; of a batch, or under a transformation, as Python writes it."""
        leaves = self.weights, self.graph, self.direction
        plain = all(isinstance(leaf, np.ndarray | jax.Array) and not is_traced(leaf) for leaf in leaves)
        return edge_list.text(self) if plain and np.ndim(self.graph) == 2 else repr(self)


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
    outermost.

    Data alone tell a graph up to its Markov equivalence class: `direction` says of each edge whether the data compel
    its direction, knowledge or the prior fixed it, a model's assumption told it, or whether it is open. An edge that is
    open stands in the graph one way or the other, and neither is evidence.

    Args:
      x: the table, `[n, d]`: an array, or a pandas, polars or pyarrow table, whose column names then stand in the
        result.
      knowledge: soft and hard knowledge; matched by name if both sides have names, else by position.
      config: structure and defaults.
      penalty: l1, at least 0; by default the config's.
      prior_weight: l_sim, at least 0; by default the config's. Where that is None the search asks the data how far
        soft knowledge is to be trusted (`trust`); without a search l1 stands for it.

    Returns:
      A `Result`, of NumPy arrays in a plain call: `graph`, `[d, d]` bool, always a DAG; `weights`, `[d, d]` float64, of
      the transformed columns and 0 off the graph; `direction`, `[d, d]` int8, an index into `DIRECTIONS` (see
      `orientation.directions`); `uncut`, the weights where the path ends; `location` and `scale`, `[d]`, of the
      transform; `names`. Printed, it lists its edges. Under a transformation bad data cannot raise: its `status`, an
      index into `STATUS`, is then not 0.

    Raises:
      ValueError: if x is not `[n, d]` with at least 3 rows, holds something other than finite real numbers, a constant
        column or exact linear combinations of columns, the knowledge is of other columns, or a number is negative or
        not finite.

    Warns:
      AssumptionWarning: if the rows seem to depend on each other, or columns to be codes of groups (`diagnostics`), or
        the noise has no single variance where the config assumes one.

    Example:
      >>> from framework import causal
      >>> x, e, f = np.random.default_rng(0).normal(size=(3, 500))
      >>> table = np.stack([x, 2 * x + e, x - 1.5 * e + f], axis=1)
      >>> result = causal.fit(table, config=causal.Config.equal_variance())
      >>> np.argwhere(result.graph).tolist()
      [[0, 1], [0, 2], [1, 2]]
      >>> np.allclose(result.weights, [[0, 2, 4], [0, 0, -1.5], [0, 0, 0]], atol=0.1)
      True
      >>> free = causal.fit(table)  # without the assumption all three columns stay joined, in no order
      >>> {edge.direction for edge in causal.edges(free)}
      {'open'}

    Reference: arXiv 2209.08037 and arXiv 2311.11212.
    """
    x, knowledge, names = inputs.check(x, knowledge, config)
    inputs.check_numbers(penalty=penalty, prior_weight=prior_weight)
    with x64():
        arguments = inputs.in_float64((x, knowledge, penalty, prior_weight))
        result = inputs.on_host(dataclasses.replace(_fit(config, *arguments), names=names))
    for message in assumption_doubts(result, x, config):
        warnings.warn(message, diagnostics.AssumptionWarning, stacklevel=2)
    return result


def assumption_doubts(result: Result, x: Any, config: Config) -> list[str]:
    """What a fit shows of an assumption that its directions rest on; nothing under a transformation.

    Args:
      result: of a plain fit.
      x: the table, `[n, d]`.
      config: of the fit.
    """
    traced = is_traced((x, result.graph))
    if traced or config.finish == "cut" or config.noise == "unequal" or result.status:
        return []
    with x64():
        values = np.asarray(moments.transform_table(jnp.asarray(x, jnp.float64), config.transform).values)
    names = result.names or inputs.default_names(values.shape[1])
    return diagnostics.variance_doubts(values - values @ result.weights, np.asarray(result.graph).sum(0), names)


@jax.jit
def _fit(config, x, knowledge, penalty, prior_weight) -> Result:
    return solve(problem(x, knowledge, config, penalty=penalty, prior_weight=prior_weight), config)


def solve(problem: Problem, config: Config) -> Result:
    """A whole fit in one traceable call: `init`, every `step`, `finish`."""
    body = lambda state, _: (step(state, problem, config)[0], None)
    return finish(jax.lax.scan(body, init(problem, config), length=config.steps)[0], problem, config)


def init(problem: Problem, config: Config) -> State:
    """The start of a fit: no edges, or where the prior says."""
    model = _model(config)
    params = model.project(model.start(problem, config), problem, config)
    rate, multiplier = jnp.asarray(config.rate, jnp.float64), jnp.zeros((), jnp.float64)
    return State(params, params, _MOMENTS.init(params), rate, multiplier, jnp.zeros((), jnp.int32))


def step(state: State, problem: Problem, config: Config) -> tuple[State, Metrics]:
    """One Adam step on the path; a step that left the domain of h is taken back and the rate of the stage halved.

    Returns:
      The state, and `objective`, `score` and `acyclicity`, `[]` each, where the step began.
    """
    model, path = _model(config), jnp.asarray(config.path[config.start_stage :], jnp.float64)
    ends = np.cumsum(config.stage_steps[config.start_stage :])
    stage = jnp.sum(state.step >= ends[:-1])
    terms = model.terms(state.params, problem, config, stage == len(ends) - 1)
    score, cycles = terms.fit[0], terms.cycles[0]
    rise = jnp.where(terms.inside, cycles, 0) / path[stage - 1]
    state = _enter_stage(state, jnp.any(state.step == ends[:-1]), rise, config)
    mu = path[stage]
    push, pull = (1.0, state.multiplier + cycles / mu) if config.constraint == "lagrangian" else (mu, 1.0)
    gradient = jax.tree.map(lambda f, p, h: push * (f + p) + pull * h, terms.fit[1], terms.prior[1], terms.cycles[1])
    update, new_moments = _MOMENTS.update(gradient, state.moments)
    proposal = jax.tree.map(lambda p, u: p - state.rate * u, state.params, update)
    forward = state._replace(params=model.project(proposal, problem, config), inside=state.params, moments=new_moments)
    back = state._replace(params=state.inside, rate=state.rate / 2)
    state = jax.tree.map(lambda good, bad: jnp.where(terms.inside, good, bad), forward, back)
    objective = push * (score + terms.prior[0]) + pull * cycles
    return state._replace(step=state.step + 1), {"objective": objective, "score": score, "acyclicity": cycles}


def finish(state: State, problem: Problem, config: Config) -> Result:
    """Cuts small weights, breaks the cycles that are left, and searches on from there; required edges stay."""
    numbers = [problem.penalty, linear.soft_weight(problem)]
    finite = jnp.all(jnp.stack([jnp.isfinite(number) & (number >= 0) for number in numbers]))
    leaves = [problem.covariance, *jax.tree.leaves(state.inside)]
    finite &= jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
    sound = lambda leaf: jnp.where(finite, leaf, 0)
    uncut = sound(_model(config).adjacency(state.inside))
    strong = jnp.where(problem.required, 1.0, jnp.where(jnp.abs(uncut) >= config.cut, uncut, 0))
    graph = graphs.break_cycles(strong, problem.required) != 0
    compelled = search.compelled_by_data(graph, problem, config)
    if config.finish != "cut":
        graph, compelled = search.search(graph, problem, config)
        graph = jnp.where(finite, graph, problem.required)
    parts = of_graph(graph, compelled, problem, config)
    if config.finish == "cut":
        parts["weights"] = jnp.where(graph, uncut, 0)
    return Result(
        **parts | {"weights": sound(parts["weights"])},
        uncut=uncut,
        status=jnp.where(finite, 0, 1).astype(jnp.int32),
        location=problem.location,
        scale=problem.scale,
        network=jax.tree.map(sound, state.inside) if config.score == "mlp" else None,
        transform=config.transform,
        score=config.score,
    )


def of_graph(graph: jax.Array, compelled: jax.Array, problem: Problem, config: Config) -> dict[str, jax.Array]:
    """The parts of a result that follow from a graph: itself, its least-squares weights and its directions.

    Args:
      graph: `[d, d]` bool, a DAG.
      compelled: directions that the data compel, `[d, d]` bool.
      problem, config: of the fit.
    """
    fixed, gain = search.hard_directions(problem), search.gain(graph, problem, config)
    direction = orientation.directions(graph, compelled, fixed, gain, _tells_all(config))
    return {"graph": graph, "weights": hill_climbing.refit(graph, problem.covariance), "direction": direction}


def _tells_all(config: Config) -> bool:
    """True if the model assumes something that tells every direction: equal noise variances, or a form of equations."""
    if config.finish != "cut":
        return config.noise == "equal"
    raw = config.transform in ("center", "none")
    return config.score in ("logistic", "mlp") or (raw and config.score in ("least_squares", "golem_ev"))


def _model(config: Config) -> ModuleType:
    return mlp if config.score == "mlp" else linear


def _enter_stage(state: State, enters: jax.Array, rise: jax.Array, config: Config) -> State:
    """The state at the beginning of a stage; elsewhere as it is."""
    fresh = state._replace(
        moments=_MOMENTS.init(state.params),
        rate=jnp.full_like(state.rate, config.rate),
        multiplier=state.multiplier + rise,
    )
    return jax.tree.map(lambda new, old: jnp.where(enters, new, old), fresh, state)
