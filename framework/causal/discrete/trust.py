"""Calibration of a prior: the weight of its claims, estimated from how often the data support them.

Of each pair of columns a graph holds i -> j, j -> i or neither. Given the graph, the prior's claims are taken for the
answers of a witness with three rates,

    a  of claiming i -> j where the edge is i -> j        r  where it is j -> i          b  where there is none,

and all are found together: the graph and the rates that maximise

    log likelihood of the data - cost of the edges + log likelihood of the claims + log prior of the rates.

Given the rates, an edge that is claimed is worth log(a / b), one whose reverse is claimed log(r / b), and silence
log((1 - a) / (1 - b)). A witness who claims at random has a = r = b and is worth nothing. None is read the other way
round: where r comes out above a, the two are one, and the claims say who is joined but not which way. Few claims do not
show much: the prior of each rate is worth `PSEUDO_CLAIMS` at the rate of all claims. Beliefs in paths have two rates,
with a path and without.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

PSEUDO_CLAIMS = 8.0


class Worth(NamedTuple):
    """What claims are worth, given the rates of who made them."""

    costs: jax.Array  # [d, d], of each edge or path, in units of log likelihood; below 0 where it is favoured
    silence: jax.Array  # [], the log likelihood of the claims of a graph without any, and of the rates
    blind: jax.Array  # [] bool, whether claims turn out more often reversed than right


def of_edges(claims: jax.Array, confidence: jax.Array, graph: jax.Array, undecided: jax.Array | None = None) -> Worth:
    """What beliefs in edges are worth by the rates that fit a graph best.

    Args:
      claims: K, `[d, d]` in [0, 1].
      confidence: C, `[d, d]` in [0, 1], 0 on the diagonal.
      graph: `[d, d]` bool.
      undecided: edges whose direction is no evidence for or against the source, `[d, d]` bool: each counts half as it
        stands and half reversed; none by default.
    """
    apart = ~(graph | graph.T)
    stands = graph.astype(claims.dtype)
    if undecided is not None:
        stands = jnp.where(undecided | undecided.T, (stands + stands.T) / 2, stands)
    with_edge, against, without = (_Rate.estimate(claims, confidence, state) for state in (stands, stands.T, apart))
    either = _Rate.estimate(claims, confidence, graph | graph.T, 2 * PSEUDO_CLAIMS)
    blind = against.rate > with_edge.rate
    with_edge, against = (
        jax.tree.map(
            lambda joint, single: jnp.where(blind, joint, single), either._replace(prior=either.prior / 2), rate
        )
        for rate in (with_edge, against)
    )
    single = with_edge.likelihood - without.likelihood
    mirrored = against.likelihood - without.likelihood
    silence = jnp.sum(without.likelihood) + with_edge.prior + against.prior + without.prior
    return Worth(-single - mirrored.T, silence, blind)


def of_paths(claims: jax.Array, confidence: jax.Array, paths: jax.Array) -> Worth:
    """As `of_edges` for beliefs in paths, by the paths that a graph has, `[d, d]` bool."""
    present, absent = _Rate.estimate(claims, confidence, paths), _Rate.estimate(claims, confidence, ~paths)
    silence = jnp.sum(absent.likelihood) + present.prior + absent.prior
    return Worth(absent.likelihood - present.likelihood, silence, absent.rate > present.rate)


class _Rate(NamedTuple):
    """The rate of claims in one state of the graph."""

    rate: jax.Array  # []
    likelihood: jax.Array  # [d, d], log likelihood of each claim at that rate
    prior: jax.Array  # [], log prior of the rate

    @classmethod
    def estimate(
        cls, claims: jax.Array, confidence: jax.Array, state: jax.Array, pseudo: float = PSEUDO_CLAIMS
    ) -> "_Rate":
        made, asked = jnp.sum(confidence * claims), jnp.sum(confidence)
        base = (made + 0.5) / (asked + 1)
        here = confidence * state
        rate = (jnp.sum(here * claims) + pseudo * base) / (jnp.sum(here) + pseudo)
        likelihood = lambda claim: claim * jnp.log(rate) + (1 - claim) * jnp.log1p(-rate)
        return cls(rate, confidence * likelihood(claims), pseudo * likelihood(base))
