from types import SimpleNamespace

import numpy as np
import pytest

from experiments.parts.causal_prior import scores

CHAIN = np.eye(3, k=1, dtype=bool)  # 0 -> 1 -> 2


def test_a_graph_is_measured_by_edges_classes_interventions():
    """Counted by hand: the chain turned round is of the same class, and two edges away."""
    measured = scores.measures(CHAIN, CHAIN.T)
    assert (measured["shd"], measured["cpdag_shd"], measured["skeleton_f1"], measured["auprc"]) == (2, 0, 1, "")
    assert scores.measures(CHAIN, CHAIN)["sid"] == 0 < measured["sid"]


def test_the_mean_distance_comes_with_its_standard_error():
    results = [SimpleNamespace(graph=graph) for graph in (CHAIN, CHAIN.T, np.zeros((3, 3), bool))]
    mean, error = scores.mean_shd([CHAIN] * 3, results)
    assert mean == pytest.approx(4 / 3)
    assert error == pytest.approx(np.std([0, 2, 2], ddof=1) / np.sqrt(3))
