"""The linear model x = x W + e on the path: where it starts, what it minimises, and what it must keep to."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from framework.causal.config import Config
from framework.causal.discrete import ancestry
from framework.causal.learn import acyclicity, scores
from framework.causal.learn.problems import Problem

_RADIUS = 0.5  # of a start: half of the log-determinant's domain


class Terms(NamedTuple):
    """The terms of an objective at some parameters, each with its gradient, a pytree like them."""

    fit: tuple[jax.Array, jax.Array]  # the score
    prior: tuple[jax.Array, jax.Array]  # sparsity and the soft knowledge
    cycles: tuple[jax.Array, jax.Array]  # the acyclicity function h
    inside: jax.Array  # [] bool, whether the parameters lie in the domain of h


def start(problem: Problem, config: Config) -> jax.Array:
    """No edges; or l_init K C, signed as the covariance and short enough for the domain of h, `[d, d]`."""
    if not config.start:
        return jnp.zeros_like(problem.covariance)
    signs = jnp.ones_like(problem.covariance) if config.similarity == "signed" else jnp.sign(problem.covariance)
    weights = jnp.where(problem.allowed, config.start * problem.prior * problem.confidence * signs, 0)
    radius = acyclicity.spectral_radius(weights * weights)
    return weights * jnp.sqrt(_RADIUS / jnp.maximum(radius, _RADIUS))


def terms(weights: jax.Array, problem: Problem, config: Config, last: jax.Array) -> Terms:
    """The objective's terms at W; `last` says whether the path is in its last stage."""
    weight = soft_weight(problem)
    value, gradient = scores.sparsity(
        weights,
        jnp.where(problem.required, 0.0, problem.penalty),
        problem.prior,
        problem.confidence,
        weight,
        config.similarity,
    )
    if problem.ancestors is not None:
        cost = weight * problem.ancestor_confidence * (1 - 2 * problem.ancestors)
        paths, slope = ancestry.smooth(weights, cost)
        value, gradient = value + paths, gradient + slope
    cycles = acyclicity.FUNCTIONS[config.acyclicity](weights)
    return Terms(
        _score(weights, problem, config, last), (value, gradient), (cycles.value, cycles.gradient), cycles.inside
    )


def project(weights: jax.Array, problem: Problem, config: Config) -> jax.Array:
    """The nearest W that keeps to hard knowledge, and to the lower bounds where there are any."""
    if config.bound:
        signed = config.similarity == "signed"
        signs = jnp.where(problem.covariance < 0, -1.0, 1.0) if not signed else jnp.ones_like(weights)
        known = problem.confidence > 0
        claimed = known & (problem.prior > 0.5)
        weights = jnp.where(claimed, signs * jnp.maximum(signs * weights, config.bound), weights)
        if signed:
            weights = jnp.where(known & ~claimed, jnp.maximum(weights, 0), weights)
    return jnp.where(problem.allowed, weights, 0)


def adjacency(weights: jax.Array) -> jax.Array:
    """W itself, `[d, d]`."""
    return weights


def soft_weight(problem: Problem) -> jax.Array:
    """l_sim on the path; 0 where only the search asks the data how far to trust the prior."""
    return jnp.zeros_like(problem.penalty) if problem.prior_weight is None else problem.prior_weight


def _score(weights: jax.Array, problem: Problem, config: Config, last: jax.Array) -> tuple[jax.Array, jax.Array]:
    if config.score == "logistic":
        return scores.logistic(weights, problem.table, problem.share)
    if config.score == "least_squares":
        return scores.least_squares(weights, problem.covariance)
    equal = scores.golem_ev(weights, problem.covariance)
    if config.score == "golem_ev":
        return equal
    unequal = scores.golem_nv(weights, problem.covariance)
    return jax.tree.map(lambda nv, ev: jnp.where(last, nv, ev), unequal, equal)
