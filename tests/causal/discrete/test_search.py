import itertools

import jax
import numpy as np
import pytest

from framework import causal
from framework.causal import graphs
from framework.causal.discrete import search
from framework.causal.learn import problems

pytestmark = pytest.mark.usefixtures("float64")

SEARCH = jax.jit(search.search)


def every_dag():
    """All 25 DAGs of three nodes."""
    pairs = ((0, 1), (0, 2), (1, 2))
    for ways in itertools.product(range(3), repeat=3):
        graph = np.zeros((3, 3), bool)
        for (i, j), way in zip(pairs, ways, strict=True):
            graph[i, j], graph[j, i] = way == 1, way == 2
        if graphs.is_dag(graph):
            yield graph


def plain_score(x, graph, config, weight, prior):
    """The oracle: log likelihood less log(n) / 2 + log(d) an edge, and log(d) (l_sim / l1) C (1 - 2 K) a belief."""
    left = []
    for j in range(3):
        parents = np.flatnonzero(graph[:, j])
        fitted = x[:, parents] @ np.linalg.lstsq(x[:, parents], x[:, j], rcond=None)[0] if len(parents) else 0
        left.append(np.mean((x[:, j] - fitted) ** 2))
    fit = 3 * np.log(np.sum(left)) if config.noise == "equal" else np.sum(np.log(left))
    price = lambda claims, confidence: np.log(3) * weight / config.penalty * confidence * (1 - 2 * claims)
    edges = np.log(len(x)) / 2 + np.log(3) + price(prior.edges, prior.confidence)
    paths = np.asarray(graphs.reachability(graph)) * price(prior.ancestors, prior.ancestor_confidence)
    return -len(x) / 2 * fit - np.sum(edges[graph]) - np.sum(paths)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "finish"), [("equal", "search"), ("unequal", "order")])
def test_a_fixed_prior_weight_gives_the_best_graph(noise, finish):
    """Few rows and random beliefs of random trust in edges and paths, so that every price decides something."""
    config, final = causal.Config.equal_variance(noise=noise, finish=finish), []
    off = ~np.eye(3, dtype=bool)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(25, 3)) @ np.linalg.inv(np.eye(3) - np.triu(rng.normal(size=(3, 3)), 1))
        x = (x - x.mean(0))[:, rng.permutation(3)]
        beliefs = [rng.uniform(size=(3, 3)) * off for _ in range(4)]
        prior = causal.Knowledge(*beliefs[:2], ancestors=beliefs[2], ancestor_confidence=beliefs[3])
        weight = config.penalty * rng.uniform(0.5, 2)
        arguments = problems.problem(x, prior, config, prior_weight=weight)
        result = np.asarray(SEARCH(np.zeros((3, 3), bool), arguments, config)[0])
        best = max(plain_score(x, graph, config, weight, prior) for graph in every_dag())
        final.append(plain_score(x, result, config, weight, prior) > best - 1e-6)
    assert np.mean(final) >= 0.9


@pytest.mark.slow
def test_without_a_prior_the_penalty_of_the_path_does_not_count():
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[:, 1] += x[:, 0]
    config, start = causal.Config.equal_variance(), np.zeros((3, 3), bool)
    result = [
        SEARCH(start, problems.problem(x, None, config, penalty=penalty), config)[0] for penalty in (0.0, 0.03, 9.0)
    ]
    np.testing.assert_array_equal(result[0], result[1])
    np.testing.assert_array_equal(result[0], result[2])
    assert result[0].any()
