"""The numerical problem of a fit: data, penalties, priors and constraints as arrays."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.causal import knowledge as known
from framework.causal.config import Config
from framework.causal.discrete import exact_search
from framework.causal.knowledge import Knowledge
from framework.causal.learn import moments
from framework.core.precision import is_x64_enabled


class Problem(NamedTuple):
    """The numbers of a fit; a batch has leaves with a leading axis."""

    covariance: jax.Array  # S of the transformed columns, [d, d] float64
    samples: jax.Array  # n, []
    penalty: jax.Array  # l1, []
    prior_weight: jax.Array | None  # l_sim, []; None where the data are to say how far the prior is trusted
    prior: jax.Array  # K, [d, d]
    confidence: jax.Array  # C, [d, d]
    allowed: jax.Array  # [d, d] bool, where an edge may stand
    required: jax.Array  # [d, d] bool, edges that do
    ancestors: jax.Array | None  # the belief in a path from i to j, [d, d]
    ancestor_confidence: jax.Array | None  # [d, d]
    location: jax.Array  # [d], of the transform
    scale: jax.Array  # [d], of the transform; 0 for a column that does not vary
    table: jax.Array | None  # the transformed columns, [n, d], for a score that needs more than S
    share: jax.Array | None  # the weight of each row, [n], likewise


def problem(
    x: jax.Array,
    knowledge: Knowledge | None,
    config: Config,
    *,
    counts: jax.Array | None = None,
    penalty: float | jax.Array | None = None,
    prior_weight: float | jax.Array | None = None,
) -> Problem:
    """The numbers of a fit, for a caller that drives `step` itself.

    Args:
      x: the table, `[n, d]`; nothing of it is checked here.
      knowledge, config, penalty, prior_weight: as for `fit`, with columns in the order of x.
      counts: how often each row stands in a resample, `[n]`; by default once each.

    Raises:
      RuntimeError: if 64 bits are switched off.
    """
    if not is_x64_enabled():
        raise RuntimeError("causal computes in float64: run its steps inside `with jax.enable_x64(True):`")
    x = jnp.asarray(x, jnp.float64)
    table = moments.transform_table(x, config.transform, counts)
    size = x.shape[-1]
    allowed, required = known.hard(knowledge, size)
    penalty = config.penalty if penalty is None else penalty
    believed = knowledge is not None and (knowledge.edges is not None or knowledge.ancestors is not None)
    whole = config.score in ("logistic", "mlp")
    return Problem(
        covariance=moments.second(table),
        samples=jnp.asarray(x.shape[0] if counts is None else counts.sum(), jnp.float64),
        penalty=jnp.asarray(penalty, jnp.float64),
        prior_weight=_weight(prior_weight, penalty, config, believed),
        prior=_belief(knowledge, "edges", required),
        confidence=_belief(knowledge, "confidence", required),
        allowed=allowed,
        required=required,
        ancestors=_paths(knowledge, "ancestors"),
        ancestor_confidence=_paths(knowledge, "ancestor_confidence"),
        location=table.location,
        scale=table.scale,
        table=table.values if whole else None,
        share=table.share if whole else None,
    )


def _weight(prior_weight, penalty, config: Config, believed: bool) -> jax.Array | None:
    """l_sim: as given; else what the data say, where a search can ask them; else l1. 0 where nothing is believed."""
    weight = config.prior_weight if prior_weight is None else prior_weight
    if weight is None:
        if believed and config.finish != "cut":
            return None
        weight = penalty if believed else 0.0
    return jnp.asarray(weight, jnp.float64)


def _belief(knowledge: Knowledge | None, field: str, required: jax.Array) -> jax.Array:
    """A matrix of beliefs about edges, 0 where there is none, where it is known better, and on the diagonal."""
    value = None if knowledge is None else getattr(knowledge, field)
    off_diagonal = 1.0 - jnp.eye(len(required))
    return jnp.zeros(required.shape) if value is None else jnp.where(required, 0.0, value) * off_diagonal


def _paths(knowledge: Knowledge | None, field: str) -> jax.Array | None:
    value = None if knowledge is None else getattr(knowledge, field)
    return None if value is None else jnp.asarray(value, jnp.float64) * (1.0 - jnp.eye(value.shape[-1]))


def memory(rows: int, columns: int, config: Config = Config(), batch: int = 1) -> int:
    """Bytes that a fit is going to need, to a factor of a few; of a batch of fits, all together.

    Raises:
      ValueError: if there is not at least one of each.
    """
    if min(rows, columns, batch) < 1:
        raise ValueError(f"a fit has at least 1 row, 1 column and 1 fit a batch, got {rows}, {columns} and {batch}")
    matrices = 40 + (16 * config.hidden if config.score == "mlp" else 0)
    tables = 4 + (3 * config.hidden if config.score == "mlp" else 0)
    exact = exact_search.memory(columns) if config.finish == "order" and config.noise == "unequal" else 0
    return batch * (8 * (matrices * columns**2 + tables * rows * columns) + exact)
