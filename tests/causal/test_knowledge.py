import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import causal
from framework.causal import graphs, knowledge

NAMES = ("a", "b", "c")


def test_columns_are_matched_by_name():
    edges = np.arange(9).reshape(3, 3) / 10
    moved = causal.Knowledge(edges, 1 - edges, NAMES).align(["c", "a", "b"])
    assert moved.edges[0, 1] == edges[2, 0]
    assert moved.confidence[1, 2] == 1 - edges[0, 1]
    assert moved.names == ("c", "a", "b")


def test_knowledge_of_other_columns_is_refused():
    known = causal.Knowledge(np.zeros((3, 3)), np.zeros((3, 3)), NAMES)
    with pytest.raises(ValueError, match="it has b that the data lack, and lacks z"):
        known.align(["a", "z", "c"])


@pytest.mark.parametrize(
    ("edges", "confidence", "names", "what"),
    [
        (np.full((2, 2), 1.5), np.zeros((2, 2)), None, r"edges must lie in \[0, 1\]"),
        (np.zeros((2, 2)), np.full((2, 2), np.nan), None, r"confidence must lie in \[0, 1\]"),
        (np.zeros((2, 3)), np.zeros((2, 3)), None, r"edges must be \[d, d\]"),
        (np.zeros((2, 2)), np.zeros((3, 3)), None, r"confidence must be \[d, d\] like edges"),
        (np.zeros((2, 2)), np.zeros((2, 2)), NAMES, "2 columns has 3 names"),
        (jnp.full((2, 2), -1.0), jnp.zeros((2, 2)), None, r"edges must lie in \[0, 1\]"),
    ],
)
def test_impossible_knowledge_is_refused(edges, confidence, names, what):
    with pytest.raises(ValueError, match=what):
        causal.Knowledge(edges, confidence, names)


def test_it_is_a_pytree_whose_names_are_static():
    known = causal.Knowledge(np.zeros((3, 3)), np.ones((3, 3)), NAMES)
    assert len(jax.tree.leaves(known)) == 2
    assert jax.jit(lambda k: jax.tree.map(lambda leaf: 1 - leaf, k))(known).names == NAMES


@pytest.mark.parametrize(("precision", "recall"), [(0.8, 0.8), (0.3, 0.3), (1.0, 1.0), (0.5, 0.0)])
def test_an_imperfect_prior_has_the_quality_it_was_asked_for(precision, recall):
    truth = np.asarray(graphs.erdos_renyi(jax.random.key(0), 20, 2))
    claimed = knowledge.imperfect(jax.random.key(1), truth, precision, recall).edges > 0
    right = (claimed & truth).sum()
    assert right == round(recall * truth.sum())
    assert claimed.sum() == right + round(right * (1 - precision) / precision)
    assert not np.diagonal(claimed).any()


@pytest.mark.parametrize(
    ("precision", "recall", "what"),
    [(0, 1, "precision must lie"), (1, 2, "recall in"), (0.01, 1, "false edges; there are")],
)
def test_an_impossible_quality_is_refused(precision, recall, what):
    truth = np.asarray(graphs.erdos_renyi(jax.random.key(0), 5, 1))
    with pytest.raises(ValueError, match=what):
        knowledge.imperfect(jax.random.key(1), truth, precision, recall)
