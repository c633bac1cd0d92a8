import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.discrete import equivalence
from tests.causal.dags import classes, every_dag, random_dag

is_dag = jax.jit(graphs.is_dag)


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "dags"), [(1, 1), (2, 3), (3, 25), (4, 543), (5, 29281)])
def test_an_edge_is_directed_if_all_members_of_the_class_agree(nodes, dags):
    """The oracle: every DAG there is, and of each class the union of its members."""
    every = every_dag(nodes)
    assert len(every) == dags
    number = classes(every)
    union = np.zeros((number.max() + 1, nodes, nodes), bool)
    np.logical_or.at(union, number, every)
    np.testing.assert_array_equal(jax.vmap(equivalence.cpdag)(every), union[number])


@pytest.mark.slow
def test_closure_holds_what_all_members_agree_on():
    """The oracle: all members of the class that have some edges known beforehand."""
    every = every_dag(4)
    number, rng, close = classes(every), np.random.default_rng(0), jax.jit(equivalence.closure)
    fourth_rule = np.zeros((4, 4), bool)  # i, j, k, l of Meek's fourth rule; only background knowledge can need it
    fourth_rule[[0, 0, 0, 1, 3], [1, 2, 3, 3, 2]] = True
    followed = 0
    for dag in [fourth_rule, *every[rng.choice(len(every), 200, replace=False)]]:
        members = every[number == number[np.flatnonzero((every == dag).all((1, 2)))[0]]]
        known = dag & (rng.uniform(size=dag.shape) < 0.4)
        if dag is fourth_rule:
            known = np.zeros_like(dag)
            known[[1, 3], [3, 2]] = True
        agreed = members[(members | ~known).all((1, 2))].all(0)
        directed = close(np.asarray(equivalence.v_structures(dag)) | known, dag)
        np.testing.assert_array_equal(directed, agreed)
        followed += (agreed & ~known & ~np.asarray(equivalence.compelled_edges(dag))).sum()
    assert followed > 20


def test_reversing_a_covered_edge_changes_nothing():
    """Chickering's lemma: i -> j may be reversed within the class just where i and j share their other parents."""
    observed = set()
    for seed in range(6):
        dag = random_dag(seed, 12)
        for i, j in np.argwhere(dag):
            turned = dag.copy()
            turned[i, j], turned[j, i] = False, True
            if is_dag(turned):
                covered = bool(np.all(dag[:, i] == (dag[:, j] & (np.arange(12) != i))))
                assert bool(np.all(equivalence.cpdag(dag) == equivalence.cpdag(turned))) == covered
                observed.add(covered)
    assert observed == {True, False}


def test_a_class_does_not_depend_on_the_order_of_the_columns():
    dag, order = random_dag(0, 12), np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(equivalence.cpdag(dag[order][:, order]), equivalence.cpdag(dag)[order][:, order])


def pairs_that_differ(true, result):
    """The oracle: the distance of two CPDAGs, pair by pair."""
    pairs = itertools.combinations(range(len(true)), 2)
    return sum((true[i, j], true[j, i]) != (result[i, j], result[j, i]) for i, j in pairs)


def test_the_distance_counts_each_pair_of_columns_once():
    every = every_dag(3)
    number, cpdags = classes(every), np.asarray(jax.vmap(equivalence.cpdag)(every))
    first, second = np.divmod(np.arange(25 * 25), 25)
    distance = np.asarray(jax.vmap(equivalence.cpdag_shd)(every[first], every[second]))
    expected = [pairs_that_differ(cpdags[a], cpdags[b]) for a, b in zip(first, second, strict=True)]
    np.testing.assert_array_equal(distance, expected)
    np.testing.assert_array_equal(distance == 0, number[first] == number[second])


def test_a_collider_and_a_chain_are_two_apart():
    collider = np.array([[0, 1, 0], [0, 0, 0], [0, 1, 0]], bool)
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    assert int(equivalence.cpdag_shd(collider, chain)) == 2
    assert int(equivalence.cpdag_shd(chain, chain.T)) == 0


@pytest.mark.slow
def test_batched_and_compiled_equal_single_calls():
    dags = np.stack([random_dag(seed, 12) for seed in range(3)])
    with jax.disable_jit():
        alone = np.stack([equivalence.cpdag(dag) for dag in dags])
    np.testing.assert_array_equal(np.stack([equivalence.cpdag(dag) for dag in dags]), alone)
    np.testing.assert_array_equal(jax.vmap(equivalence.cpdag)(dags), alone)
    np.testing.assert_array_equal(jax.jit(jax.vmap(equivalence.cpdag))(dags.astype(np.float32)), alone)


def test_a_skeleton_by_hand():
    true = np.zeros((4, 4), bool)
    true[[0, 1, 2], [1, 2, 3]] = True
    result = np.zeros((4, 4), bool)
    result[[1, 0], [0, 3]] = True
    scores = {name: float(value) for name, value in equivalence.skeleton_scores(true, result).items()}
    assert scores == pytest.approx({"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5})


def test_directions_do_not_matter_to_the_skeleton():
    dag = random_dag(1, 12)
    for other in (dag, dag.T, equivalence.cpdag(dag)):
        assert all(float(score) == 1 for score in equivalence.skeleton_scores(dag, other).values())


def test_the_skeleton_of_an_empty_graph_gives_numbers_and_no_nan():
    empty, dag = np.zeros((5, 5), bool), random_dag(2, 5, 1)
    for true, result in itertools.product([empty, dag], repeat=2):
        assert all(jnp.isfinite(score) for score in equivalence.skeleton_scores(true, result).values())
