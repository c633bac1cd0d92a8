import jax
import numpy as np
import pytest

from framework import causal
from framework.causal.discrete import equivalence, orientation
from framework.causal.discrete.orientation import (
    ASSUMED,
    COMPELLED,
    KNOWLEDGE,
    NONE,
    OPEN,
    PRIOR,
)
from tests.causal.dags import classes, every_dag, random_dag

orient, directions = jax.jit(orientation.orient), jax.jit(orientation.directions, static_argnums=4)


@pytest.fixture(scope="module")
def small():
    """All DAGs of four nodes, and the number of the class of each."""
    every = every_dag(4)
    return every, classes(every)


def cases(small, count):
    """DAGs with the members of their class, and a generator for the rest of each case."""
    every, number = small
    rng = np.random.default_rng(1)
    for i in rng.choice(len(every), count, replace=False):
        yield every[i], every[number == number[i]], rng


def preferences(rng, members):
    """Edges that some member has as hard constraints, beliefs, and an order."""
    size = members.shape[-1]
    fixed = members[rng.integers(len(members))] & (rng.uniform(size=(size, size)) < 0.3)
    gain = np.triu(rng.normal(size=(size, size)) * (rng.uniform(size=(size, size)) < 0.5), 1)
    return orientation.Preferences(fixed, gain - gain.T, rng.permutation(size).astype(np.int32))


@pytest.mark.slow
def test_an_oriented_graph_stays_in_the_class(small):
    """The oracle: every member; beliefs that some member with the constraints satisfies are all satisfied."""
    for dag, members, rng in cases(small, 80):
        arguments = preferences(rng, members)
        outcome = np.asarray(orient(dag, arguments))
        assert (members == outcome).all((1, 2)).any()
        assert not (arguments.fixed & ~outcome).any()
        lost = [np.sum(np.maximum(arguments.gain, 0)[m.T]) for m in members[(members | ~arguments.fixed).all((1, 2))]]
        if min(lost) == 0:
            assert np.sum(np.maximum(arguments.gain, 0)[outcome.T]) == 0


@pytest.mark.slow
def test_every_member_of_a_class_is_oriented_alike(small):
    for _, members, rng in cases(small, 25):
        arguments = preferences(rng, members)
        for member in members[:6]:
            np.testing.assert_array_equal(orient(member, arguments), orient(members[0], arguments))


def test_a_chain_turns_round_as_a_whole_for_one_belief():
    """Three reversals in series, none of which the likelihood or a belief asks for alone."""
    chain = np.eye(5, k=1, dtype=bool)
    gain = np.zeros((5, 5))
    gain[1, 0], gain[0, 1] = 0.1, -0.1
    fixed = np.zeros((5, 5), bool)
    outcome = orient(chain, orientation.Preferences(fixed, gain, np.arange(5, dtype=np.int32)))
    np.testing.assert_array_equal(
        outcome, [[0, 0, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0] * 5]
    )
    fixed[4, 3] = True
    outcome = orient(chain, orientation.Preferences(fixed, gain, np.arange(5, dtype=np.int32)))
    np.testing.assert_array_equal(outcome, np.eye(5, k=-1, dtype=bool))


@pytest.mark.slow
def test_directions_are_what_all_members_agree_on(small):
    """The oracle: compelled, where all members agree; by knowledge, where all with the hard constraints do."""
    met = set()
    for dag, members, rng in cases(small, 80):
        fixed = dag & (rng.uniform(size=(4, 4)) < 0.3)
        free = orientation.compelled_by_data(dag, np.zeros_like(dag))
        np.testing.assert_array_equal(free, members.all(0))
        labels = np.asarray(directions(dag, free, fixed, np.zeros((4, 4)), False))
        known = members[(members | ~fixed).all((1, 2))].all(0)
        expected = np.select([~dag, members.all(0), known], [NONE, COMPELLED, KNOWLEDGE], OPEN)
        np.testing.assert_array_equal(labels, expected)
        met |= set(labels.ravel().tolist())
    assert met == {NONE, COMPELLED, KNOWLEDGE, OPEN}


def test_a_collider_that_a_constraint_made_is_no_evidence():
    """0 -> 2 is required, so the collider 0 -> 2 <- 1 says nothing of 1 -> 2 by the data alone."""
    graph = np.zeros((3, 3), bool)
    graph[[0, 1], 2] = True
    required = np.zeros_like(graph)
    required[0, 2] = True
    compelled = orientation.compelled_by_data(graph, required)
    assert not compelled.any()
    labels = directions(graph, compelled, required, np.zeros((3, 3)), False)
    assert labels[0, 2] == labels[1, 2] == KNOWLEDGE


def test_an_oriented_collider_is_no_evidence():
    """The oracle: what all members of the class have, whatever edges are suspect."""
    every, rng = every_dag(4), np.random.default_rng(0)
    suspects = every & (rng.uniform(size=every.shape) < 0.5)
    outcome = np.asarray(jax.jit(jax.vmap(orientation.compelled_by_data))(every, suspects))
    assert outcome.any()
    assert not (outcome & ~np.asarray(jax.vmap(equivalence.compelled_edges)(every))).any()


def test_a_diamond_with_a_fixed_collider_stays_open():
    """1 -> 3 <- 2 is fixed by constraints, so that Meek's third rule says nothing of 3 -> 0: 0 -> 3 does as well."""
    graph, fixed = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    graph[[1, 2, 1, 2, 3], [0, 0, 3, 3, 0]] = True
    fixed[[1, 2], 3] = True
    compelled = orientation.compelled_by_data(graph, fixed)
    labels = np.asarray(directions(graph, compelled, fixed, np.zeros((4, 4)), False))
    expected = {(1, 0): COMPELLED, (2, 0): COMPELLED, (1, 3): KNOWLEDGE, (2, 3): KNOWLEDGE, (3, 0): OPEN}
    assert {(i, j): labels[i, j] for i, j in expected} == expected


def test_beliefs_and_assumptions_get_names_of_their_own():
    chain, nothing = np.eye(3, k=1, dtype=bool), np.zeros((3, 3), bool)
    gain = np.zeros((3, 3))
    gain[0, 1] = 1.0
    believed = directions(chain, nothing, nothing, gain, False)
    assert believed[0, 1] == believed[1, 2] == PRIOR  # what follows from a belief is the belief's too
    assert directions(chain, nothing, nothing, -gain, False)[0, 1] == OPEN
    assert directions(chain, nothing, nothing, np.zeros((3, 3)), True)[0, 1] == ASSUMED
    collider = np.zeros((3, 3), bool)
    collider[[0, 2], 1] = True
    assert directions(collider, collider, nothing, np.zeros((3, 3)), False)[0, 1] == COMPELLED
    assert directions(collider, collider, nothing, np.zeros((3, 3)), True)[0, 1] == ASSUMED


def test_a_class_of_many_columns_is_oriented_in_order():
    """Nothing decides but the rank: a tree grows from the node of least rank."""
    dag = random_dag(3, 30, degree=1)
    arguments = orientation.Preferences(np.zeros_like(dag), np.zeros(dag.shape), np.arange(30, dtype=np.int32))
    np.testing.assert_array_equal(equivalence.cpdag(orient(dag, arguments)), equivalence.cpdag(dag))


def chain_of(size, seed, rows=1000):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(size=rows)]
    for _ in range(size - 1):
        columns.append(0.8 * columns[-1] + rng.normal(size=rows))
    return np.stack(columns, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "believed"), [(3, [(1, 0)]), (5, [(1, 0), (2, 1)]), (14, [(6, 5), (9, 8)])])
def test_a_belief_in_an_open_arrow_is_honoured(size, believed):
    """Gaussian chains, whose direction no data tell, by the exact search and by that over orders."""
    belief, confidence = np.zeros((2, size, size))
    for i, j in believed:
        belief[i, j], confidence[i, j], confidence[j, i] = 0.95, 1, 1
    honoured = 0
    for seed in range(4):
        without = causal.fit(chain_of(size, seed))
        if set(without.direction[without.graph]) == {OPEN}:  # a chance edge can close arrows of a long chain
            result = causal.fit(chain_of(size, seed), causal.Knowledge(belief, confidence))
            for edge in believed:
                assert result.direction[edge] == PRIOR
            honoured += 1
    assert honoured >= 2


@pytest.mark.slow
def test_a_belief_in_a_path_turns_the_edges_between():
    """A chain of five, whose direction no data tell: 3 leads to 1, by 3 -> 2 -> 1."""
    belief, confidence = np.zeros((2, 5, 5))
    belief[3, 1], confidence[3, 1], confidence[1, 3] = 0.95, 1, 1
    for seed in range(3):
        result = causal.fit(chain_of(5, seed), causal.Knowledge(ancestors=belief, ancestor_confidence=confidence))
        assert result.direction[3, 2] == result.direction[2, 1] == PRIOR


@pytest.mark.slow
def test_a_belief_against_a_compelled_arrow_changes_nothing():
    """0 -> 2 <- 1, and a wrong belief in 2 -> 0."""
    x, y, e = np.random.default_rng(0).normal(size=(3, 2000))
    table = np.stack([x, y, x + y + e], axis=1)
    belief, confidence = np.zeros((2, 3, 3))
    belief[2, 0], confidence[2, 0], confidence[0, 2] = 0.95, 1, 1
    result = causal.fit(table, causal.Knowledge(belief, confidence))
    assert np.argwhere(result.graph).tolist() == [[0, 2], [1, 2]]
    assert result.direction[0, 2] == result.direction[1, 2] == COMPELLED
