import itertools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.discrete import ancestry

pytestmark = pytest.mark.usefixtures("float64")

CHANGES, COUNTS, SMOOTH = (jax.jit(f) for f in (ancestry.changes, ancestry.path_counts, ancestry.smooth))


def dag(seed, nodes, density=0.5):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(size=(nodes, nodes)) < density, 1)
    order = rng.permutation(nodes)
    return upper[order][:, order]


def costs(seed, nodes):
    return np.random.default_rng(seed).normal(size=(nodes, nodes))


def plain_total(graph, cost):
    """The oracle: the cost of every pair that a path joins, by the closure of the graph."""
    return np.sum(cost[np.asarray(graphs.reachability(jnp.asarray(graph)))])


def updated(graph, move, i, j):
    """The graph after a move of i -> j, or None where it cannot be made or closes a cycle."""
    if graph[i, j] != (move > 0):
        return None
    after = graph.copy()
    after[i, j] = move == 0
    after[j, i] |= move == 2
    return after if nx.is_directed_acyclic_graph(nx.from_numpy_array(after, create_using=nx.DiGraph)) else None


def ladder(squares):
    """A chain of diamonds: the number of paths from end to end doubles with each."""
    graph = np.zeros((3 * squares + 1, 3 * squares + 1), bool)
    for k in range(0, 3 * squares, 3):
        for i, j in ((0, 1), (0, 2), (1, 3), (2, 3)):
            graph[k + i, k + j] = True
    return graph


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_the_change_of_every_single_move_is_that_of_the_closure(seed):
    graph, cost = dag(seed, 5, density=0.3 + 0.05 * seed), costs(seed, 5)
    changes = np.asarray(CHANGES(jnp.asarray(graph), jnp.asarray(cost)))
    before, observed = plain_total(graph, cost), set()
    for move, (i, j) in itertools.product(range(3), itertools.permutations(range(5), 2)):
        after = updated(graph, move, i, j)
        if after is not None:
            observed.add(move)
            assert changes[move, i, j] == pytest.approx(plain_total(after, cost) - before, abs=1e-10)
    assert observed == {0, 1, 2}
    assert np.all(np.isfinite(changes))


@pytest.mark.slow
def test_the_total_is_the_cost_of_the_closure():
    for seed in range(10):
        graph, cost = dag(seed, 8), costs(seed, 8)
        counts = COUNTS(jnp.asarray(graph))
        assert float(ancestry.total(counts, cost + 9 * np.eye(8))) == pytest.approx(plain_total(graph, cost))
        np.testing.assert_array_equal(
            CHANGES(jnp.asarray(graph), cost), CHANGES(jnp.asarray(graph), cost + 9 * np.eye(8))
        )


def test_paths_are_counted_as_networkx_counts_them():
    for seed in range(5):
        graph = dag(seed, 7)
        known = nx.from_numpy_array(graph, create_using=nx.DiGraph)
        counts = np.asarray(COUNTS(jnp.asarray(graph)))
        for i, j in itertools.permutations(range(7), 2):
            assert counts[i, j] == len(list(nx.all_simple_paths(known, i, j)))
        np.testing.assert_array_equal(np.diagonal(counts), 1)


def test_path_counts_are_exact_to_2_to_the_53():
    long = ladder(52)
    assert float(COUNTS(jnp.asarray(long))[0, -1]) == 2.0**52
    complete = np.triu(np.ones((400, 400), bool), 1)  # 2^398 paths from end to end
    counts = np.asarray(COUNTS(jnp.asarray(complete)))
    assert np.all(np.isfinite(counts))
    np.testing.assert_array_equal(counts > 0, complete | np.eye(400, dtype=bool))


def test_one_edge_among_many_paths_takes_what_it_alone_joins():
    """Half of the paths from end to end go over each side of a diamond, and all of them over a bridge."""
    graph, cost = ladder(30), np.ones((91, 91))
    graph[45, 46] = False  # a diamond without one side: its other side is a bridge
    delete = np.asarray(CHANGES(jnp.asarray(graph), cost))[1]
    assert delete[0, 1] == -1
    cut = graph.copy()
    cut[45, 47] = False
    assert delete[45, 47] == plain_total(cut, cost) - plain_total(graph, cost)


@pytest.mark.slow
def test_changes_under_vmap_are_those_of_each_alone():
    many = jnp.asarray(np.stack([dag(seed, 6) for seed in range(4)]))
    cost = jnp.asarray(np.stack([costs(seed, 6) for seed in range(4)]))
    together = jax.jit(jax.vmap(ancestry.changes))(many, cost)
    for k in range(4):
        np.testing.assert_allclose(together[k], ancestry.changes(many[k], cost[k]), atol=1e-12)


def small_weights(seed, nodes):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(nodes, nodes)) * 0.4 * (1 - np.eye(nodes)))


@pytest.mark.parametrize("seed", range(4))
def test_the_smooth_gradient_is_that_of_finite_differences(seed):
    weights, cost = small_weights(seed, 5), jnp.asarray(costs(seed, 5))
    gradient = np.asarray(SMOOTH(weights, cost)[1])
    step = 1e-6
    for i, j in itertools.product(range(5), repeat=2):
        up, down = (SMOOTH(weights.at[i, j].add(sign * step), cost)[0] for sign in (1, -1))
        assert gradient[i, j] == pytest.approx(float((up - down) / (2 * step)), abs=1e-5)


def test_the_smooth_value_is_0_without_paths():
    nothing, gradient = SMOOTH(jnp.zeros((3, 3)), jnp.asarray(costs(0, 3)))
    assert float(nothing) == 0
    assert not np.any(gradient)
    chain = jnp.zeros((3, 3)).at[0, 1].set(-1.0).at[1, 2].set(1.0)
    for worth in (-2.0, 3.0):
        cost = jnp.zeros((3, 3)).at[0, 2].set(worth)
        assert float(SMOOTH(chain, cost)[0]) == pytest.approx(worth)


def test_a_favoured_path_pulls_most_where_it_is_weak():
    chain = lambda strength: jnp.zeros((3, 3)).at[0, 1].set(strength).at[1, 2].set(1.0)
    favoured, unwanted = (jnp.zeros((3, 3)).at[0, 2].set(worth) for worth in (-1.0, 1.0))
    pull = [float(SMOOTH(chain(strength), favoured)[1][0, 1]) for strength in (0.1, 0.5, 1.0)]
    assert pull[0] < pull[1] < pull[2] < 0
    assert float(SMOOTH(chain(0.5), unwanted)[1][0, 1]) > 0


def test_beyond_the_domain_the_smooth_value_stays_a_number():
    loop = jnp.zeros((2, 2)).at[0, 1].set(2.0).at[1, 0].set(2.0)
    for leaf in SMOOTH(loop, -jnp.ones((2, 2))):
        assert np.all(np.isfinite(leaf))


def test_path_beliefs_ask_for_edges_of_shortest_walks():
    """The oracle: all shortest paths of networkx."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        graph = np.triu(rng.uniform(size=(8, 8)) < 0.3, 1)
        belief = rng.uniform(size=(8, 8)) * (rng.uniform(size=(8, 8)) < 0.3) * ~np.eye(8, dtype=bool)
        skeleton, expected = nx.from_numpy_array((graph | graph.T).astype(int)), np.zeros((8, 8))
        for a, b in np.argwhere(belief):
            if nx.has_path(skeleton, a, b):
                for path in nx.all_shortest_paths(skeleton, a, b):
                    for i, j in itertools.pairwise(path):
                        expected[i, j] += belief[a, b]
        np.testing.assert_allclose(ancestry.along_shortest(graph, belief), expected, atol=1e-6)
