"""The penalty and the weight of the prior, chosen by the data: a grid of fits in one vmapped call."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs, inputs, learner
from framework.causal.config import Config
from framework.causal.discrete import hill_climbing
from framework.causal.knowledge import Knowledge
from framework.causal.learn import moments, problems
from framework.core import keys
from framework.core.precision import x64
from framework.core.types import Key

CRITERIA = ("ebic", "held_out")
PENALTIES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)


class Choice(NamedTuple):
    """What a grid came to."""

    result: learner.Result  # the fit to all rows at the point chosen
    penalty: jax.Array  # [], the l1 chosen
    prior_weight: jax.Array | None  # [], the l_sim chosen; None where none was given
    scores: jax.Array  # [points], the criterion at each point, the greater the better


def choose(
    x: Any,
    knowledge: Knowledge | None = None,
    config: Config = Config(),
    *,
    penalties: Sequence[float] = PENALTIES,
    prior_weights: Sequence[float] | None = None,
    criterion: str = "ebic",
    key: Key | None = None,
    share: float = 0.25,
) -> Choice:
    """Fits at every point of a grid and takes the best; computes in float64 as `fit` does.

        ebic        log likelihood - edges (log(n) / 2 + log(d)), of least-squares weights on the graph
        held_out    log likelihood of a share of rows that the fits did not see, at weights and noise from the others

    Both take the noise as `config.noise` says. A search that ends a fit looks at the likelihood already, so there the
    penalty decides little and the weight of the prior more.

    Args:
      x, knowledge, config: as for `fit`.
      penalties: l1, at least 0.
      prior_weights: l_sim, at least 0, each tried with each penalty; without them as `fit` has it.
      criterion: `ebic` or `held_out`.
      key: which rows are held out; `jax.random.key(0)` by default.
      share: how many, in (0, 1).

    Returns:
      A `Choice`: the `result` of the fit to all rows at the point chosen, its `penalty` and `prior_weight`, None where
      none was given, and the `scores` of all points, `[points]`, penalty after penalty, the greater the better.

    Raises:
      ValueError: as `fit`; for another criterion, an empty grid, a share that is out of range or leaves no row to hold
        out or less than 3 to fit, a score that is not Gaussian, or what is no key.

    Warns:
      AssumptionWarning: as `fit`.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}")
    if not 0 < share < 1:
        raise ValueError(f"share must lie in (0, 1), got {share}")
    if config.score in ("logistic", "mlp"):
        raise ValueError(f"the grid compares linear Gaussian likelihoods; the score is {config.score!r}")
    if not len(penalties) or (prior_weights is not None and not len(prior_weights)):
        raise ValueError("a grid needs at least one penalty, and at least one prior weight where any are given")
    x, knowledge, names = inputs.check(x, knowledge, config)
    inputs.check_numbers(penalties=np.asarray(penalties, float))
    weights = None
    if prior_weights is not None:
        inputs.check_numbers(prior_weights=np.asarray(prior_weights, float))
        penalties, weights = (axis.ravel() for axis in np.meshgrid(penalties, prior_weights, indexing="ij"))
    count = round(share * len(x)) if criterion == "held_out" else 0
    if criterion == "held_out" and not 1 <= count <= len(x) - 3:
        raise ValueError(f"a share of {share} holds out {count} of {len(x)} rows; wanted are 1 at least, and 3 to fit")
    held = _held_out(jax.random.key(0) if key is None else key, len(x), count)
    with x64():
        arguments = inputs.in_float64((x, knowledge, np.asarray(penalties, float), weights))
        result, best, scores = inputs.on_host(_choose(config, *arguments, held))
    at = lambda axis: None if axis is None else np.asarray(axis)[best]
    return Choice(dataclasses.replace(result, names=names), at(penalties), at(weights), scores)


def _held_out(key: Key, rows: int, count: int) -> jax.Array:
    """Which rows are held out, `[rows]` bool."""
    keys.check(key)
    return jnp.zeros(rows, bool).at[jax.random.permutation(key, rows)[:count]].set(True)


@jax.jit
def _choose(config, x, knowledge, penalties, weights, held):
    counts = (~held).astype(x.dtype)
    table = moments.transform_table(x, config.transform, counts)

    def point(penalty, weight):
        settings = {"penalty": penalty, "prior_weight": weight}
        graph = learner.solve(problems.problem(x, knowledge, config, counts=counts, **settings), config).graph
        return _score(graph, table, held, config)

    scores = jax.vmap(point)(penalties, weights)
    best = graphs.position(graphs.greatest(scores))
    pick = lambda axis: None if axis is None else axis[best]
    whole = problems.problem(x, knowledge, config, penalty=pick(penalties), prior_weight=pick(weights))
    return learner.solve(whole, config), best, scores


def _score(graph: jax.Array, table: moments.Table, held: jax.Array, config: Config) -> jax.Array:
    """The log likelihood of the held-out rows; where there are none, of all rows less the EBIC's cost of edges."""
    weights = hill_climbing.refit(graph, moments.second(table))
    squares = (table.values - table.values @ weights) ** 2
    variance = table.share @ squares
    variance = jnp.mean(variance) if config.noise == "equal" else variance
    log_likelihoods = -0.5 * (jnp.log(variance) + squares / variance).sum(axis=1)
    rows, columns = table.values.shape
    cost = jnp.sum(graph) * (jnp.log(rows) / 2 + jnp.log(columns))
    return jnp.where(jnp.any(held), log_likelihoods @ held, log_likelihoods.sum() - cost)
