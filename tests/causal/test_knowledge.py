import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import causal
from framework.causal import graphs, knowledge

NAMES = ("a", "b", "c")


def test_columns_are_matched_by_name():
    edges = np.arange(9).reshape(3, 3) / 10
    updated = causal.Knowledge(edges, 1 - edges, NAMES).align(["c", "a", "b"])
    assert updated.edges[0, 1] == edges[2, 0]
    assert updated.confidence[1, 2] == 1 - edges[0, 1]
    assert updated.names == ("c", "a", "b")


def test_knowledge_of_other_columns_is_refused():
    known = causal.Knowledge(np.zeros((3, 3)), np.zeros((3, 3)), NAMES)
    with pytest.raises(ValueError, match="it has b that the data lack, and lacks z"):
        known.align(["a", "z", "c"])


def test_knowledge_of_some_columns_is_told_the_others():
    with pytest.raises(ValueError, match=r"must name every column of the data, in any order; it lacks z, c$"):
        causal.Knowledge(names=("a", "b"), required=[("a", "b")]).align(["a", "z", "b", "c"])


def test_a_frame_is_no_matrix_whose_labels_are_passed_over(extra):
    frame = extra("pandas").DataFrame(np.eye(3, k=1), index=list("cba"), columns=list("cba"))
    with pytest.raises(ValueError, match=r"forbidden must be a matrix .* got a DataFrame"):
        causal.Knowledge(names=NAMES, forbidden=frame)


@pytest.mark.parametrize(
    ("edges", "confidence", "names", "what"),
    [
        (np.full((2, 2), 1.5), np.zeros((2, 2)), None, r"edges must lie in \[0, 1\]"),
        (np.zeros((2, 2)), np.full((2, 2), np.nan), None, r"confidence must lie in \[0, 1\]"),
        (np.zeros((2, 3)), np.zeros((2, 3)), None, r"edges must be \[d, d\]"),
        (np.zeros((2, 2)), np.zeros((3, 3)), None, r"confidence must be \[d, d\] of 2 columns"),
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


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "recall"), [(0.8, 0.8), (0.3, 0.3), (1.0, 1.0), (0.5, 0.0)])
def test_an_imperfect_prior_has_the_quality_it_was_asked_for(precision, recall):
    truth = np.asarray(graphs.erdos_renyi(jax.random.key(0), 20, 2))
    claimed = knowledge.imperfect(jax.random.key(1), truth, precision, recall).edges > 0
    right = (claimed & truth).sum()
    assert right == round(recall * truth.sum())
    assert claimed.sum() == right + round(right * (1 - precision) / precision)
    assert not np.diagonal(claimed).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "recall", "what"),
    [(0, 1, "precision must lie"), (1, 2, "recall in"), (0.01, 1, "false edges; there are")],
)
def test_an_impossible_quality_is_refused(precision, recall, what):
    truth = np.asarray(graphs.erdos_renyi(jax.random.key(0), 5, 1))
    with pytest.raises(ValueError, match=what):
        knowledge.imperfect(jax.random.key(1), truth, precision, recall)


def test_pairs_and_tiers_of_names_become_matrices():
    known = causal.Knowledge(names=NAMES, required=[("a", "b")], forbidden=[("c", "b")], tiers=[["a"], ["c"]])
    np.testing.assert_array_equal(np.argwhere(known.required), [[0, 1]])
    np.testing.assert_array_equal(np.argwhere(known.forbidden), [[2, 0], [2, 1]])
    paths = causal.Knowledge(names=NAMES, ancestors=[("a", "c")])
    np.testing.assert_array_equal(paths.ancestors, paths.ancestor_confidence)
    assert np.argwhere(paths.ancestors).tolist() == [[0, 2]]


def test_beliefs_without_confidence_are_trusted():
    np.testing.assert_array_equal(causal.Knowledge(np.eye(3, k=1)).confidence, np.ones((3, 3)))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"required": [("a", "b")], "forbidden": [("a", "b")]}, "a -> b is both required and forbidden"),
        ({"required": [("a", "b")], "tiers": [["b"], ["a"]]}, "a -> b is both required and forbidden"),
        ({"required": [("a", "b"), ("b", "c"), ("c", "a")]}, "required edges hold a cycle, a -> b -> c -> a"),
        ({"required": [("a", "z")]}, "no column 'z'"),
        ({"required": [("a", "b"), ("a", "b")]}, "given twice"),
        ({"tiers": [["a"], ["z"]]}, "tier 2 names an unknown column 'z'"),
        ({"tiers": [["a"], ["b", "a"]]}, "'a' stands in two tiers"),
        ({"required": np.zeros((2, 2))}, r"2 columns has 3 names"),
        ({"required": np.zeros((3, 3)), "forbidden": np.zeros((2, 2))}, r"forbidden must be \[d, d\] of 3 columns"),
        ({"ancestor_confidence": np.zeros((3, 3))}, "ancestor_confidence without ancestors"),
        ({"edges": [("a", "b")]}, "edges must be a matrix .* pairs of names are taken by required, forbidden and"),
        ({"edges": {("a", "b"): 0.9}}, r"edges must be a matrix \[d, d\] in the order of the names, got a dict"),
        ({"forbidden": [(2, 1)]}, r"forbidden must be pairs of names or a matrix \[d, d\], got pairs such as \(2, 1\)"),
        ({"required": [("a", 1)]}, "required must be pairs of names or a matrix"),
        ({"tiers": ["ab", "c"]}, r"tier 1 must be a list of columns, \['ab'\], got 'ab'"),
        ({"tiers": {"a": 0, "b": 1}}, r"tier 1 must be a list of columns, \['a'\], got 'a'"),
        ({"tiers": [1, 2]}, r"tier 1 must be a list of columns, \[1\], got 1"),
        ({"ancestors": np.full((3, 3), 2.0)}, r"ancestors must lie in \[0, 1\]"),
    ],
)
def test_knowledge_that_contradicts_itself_is_refused(fields, what):
    with pytest.raises(ValueError, match=what):
        causal.Knowledge(names=NAMES, **fields)


def test_empty_knowledge_and_unnamed_pairs_are_refused():
    with pytest.raises(ValueError, match="knowledge of nothing"):
        causal.Knowledge()
    with pytest.raises(ValueError, match=r"knowledge is of matrices \[d, d\], got one of shape \(\)"):
        causal.fit(np.random.default_rng(0).normal(size=(9, 3)), causal.Knowledge(0.5))
    with pytest.raises(ValueError, match="needs the names of all columns"):
        causal.Knowledge(required=[("a", "b")])


def test_aligning_moves_every_matrix():
    known = causal.Knowledge(
        np.eye(3, k=1), names=NAMES, required=[("a", "b")], ancestors=[("a", "c")], tiers=[["a"], ["c"]]
    )
    updated = known.align(["c", "b", "a"])
    assert updated.required[2, 1]
    assert updated.forbidden[0, 2]
    assert updated.ancestors[2, 0]
    assert updated.edges[2, 1] == known.edges[0, 1] == 1


def rule(source, target, kind):
    return {"source": source, "target": target, "kind": kind}


def test_rows_of_a_table_become_hard_knowledge():
    known = knowledge.from_rows([rule("a", "b", "required"), rule("c", "a", "Forbidden")], NAMES)
    assert np.argwhere(known.required).tolist() == [[0, 1]]
    assert np.argwhere(known.forbidden).tolist() == [[2, 0]]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([rule("a", "b", "perhaps")], "kind must be one of required, forbidden, got 'perhaps'"),
        ([rule("a", "b", "")], "kind must be one of required, forbidden, got ''"),
        ([{"source": "a", "target": "b"}], "has source, target, kind, got source, target$"),
        ([{"source": "a", "target": "b", "type": "forbidden"}], "has source, target, kind, got source, target, type$"),
        ([rule("a", "b", "forbidden") | {"weight": "1"}], "got source, target, kind, weight$"),
        ([rule("a", "b", "required")] * 2, "edge a -> b is given twice"),
        ([rule("a", "b", "required"), rule("a", "b", "forbidden")], "both required and forbidden"),
        ([rule("a", "b", "required"), rule("b", "a", "required")], "hold a cycle"),
        ([rule("*", "b", "forbidden")], r"no column '\*'"),
    ],
)
def test_rows_without_kind_or_with_contradictions_are_refused(rows, what):
    with pytest.raises(ValueError, match=what):
        knowledge.from_rows(rows, NAMES)


def test_edges_that_close_a_required_cycle_are_not_allowed():
    allowed, required = knowledge.hard(causal.Knowledge(names=NAMES, required=[("a", "b"), ("b", "c")]), 3)
    np.testing.assert_array_equal(allowed, np.triu(np.ones((3, 3), bool), 1))
    np.testing.assert_array_equal(np.argwhere(required), [[0, 1], [1, 2]])


def test_the_claims_alone_are_a_dag_that_keeps_to_hard_knowledge():
    claims = np.array([[0, 0.6, 0], [0, 0, 0.9], [0.8, 0, 0]])
    assert np.argwhere(knowledge.alone(causal.Knowledge(claims, names=NAMES))).tolist() == [[1, 2], [2, 0]]
    held = causal.Knowledge(claims, names=NAMES, required=[("a", "b")], forbidden=[("c", "a")])
    assert np.argwhere(knowledge.alone(held)).tolist() == [[0, 1], [1, 2]]
