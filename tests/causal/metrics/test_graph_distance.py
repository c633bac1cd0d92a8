import itertools

import jax
import numpy as np
import pytest

from framework.causal.metrics import graph_distance


def graph(*edges, size=4):
    made = np.zeros((size, size), bool)
    for i, j in edges:
        made[i, j] = True
    return made


def test_a_case_by_hand():
    true = graph((0, 1), (1, 2), (2, 3))
    estimated = graph((0, 1), (2, 1), (0, 3))
    scores = {name: float(value) for name, value in graph_distance.compare(true, estimated).items()}
    assert scores == pytest.approx(
        {
            "shd": 3,
            "edges": 3,
            "true_edges": 3,
            "correct": 1,
            "reversed": 1,
            "extra": 1,
            "missing": 1,
            "fdr": 2 / 3,
            "tpr": 1 / 3,
            "fpr": 2 / 3,
            "precision": 1 / 3,
            "recall": 1 / 3,
            "f1": 1 / 3,
        }
    )


def pairs_that_differ(true, estimated):
    """The oracle: the distance pair by pair, where each pair is joined one way, the other way or not at all."""
    pairs = itertools.combinations(range(len(true)), 2)
    return sum((true[i, j], true[j, i]) != (estimated[i, j], estimated[j, i]) for i, j in pairs)


@pytest.mark.slow
def test_shd_equals_brute_force_on_all_three_node_graphs():
    pairs = list(itertools.combinations(range(3), 2))
    every = []
    for ways in itertools.product(range(3), repeat=3):
        edges = [(i, j) if way == 1 else (j, i) for (i, j), way in zip(pairs, ways, strict=True) if way]
        every.append(graph(*edges, size=3))
    for true, estimated in itertools.product(every, repeat=2):
        scores = graph_distance.compare(true, estimated)
        assert int(scores["shd"]) == pairs_that_differ(true, estimated)
        assert int(scores["shd"]) == int(graph_distance.compare(estimated, true)["shd"])


def test_the_truth_itself_is_perfect():
    true = graph((0, 1), (0, 2))
    scores = graph_distance.compare(true, true)
    assert (scores["shd"], scores["f1"], scores["fdr"]) == (0, 1, 0)


def test_empty_graphs_give_numbers_and_no_nan():
    for true, estimated in itertools.product([graph(), graph((0, 1))], repeat=2):
        assert all(np.isfinite(value) for value in graph_distance.compare(true, estimated).values())
    assert graph_distance.compare(graph((0, 1)), graph())["shd"] == 1


@pytest.mark.slow
def test_many_graphs_are_compared_at_once():
    rng = np.random.default_rng(0)
    true, estimated = (np.triu(rng.uniform(size=(6, 5, 5)) < 0.4, 1) for _ in range(2))
    together = jax.vmap(graph_distance.compare)(true, estimated)
    for i in range(6):
        alone = graph_distance.compare(true[i], estimated[i])
        assert {name: float(value[i]) for name, value in together.items()} == {n: float(v) for n, v in alone.items()}
