import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.causal import graphs


def random_weights(seed, nodes, density):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(nodes, nodes)) * (rng.uniform(size=(nodes, nodes)) < density) * (1 - np.eye(nodes))


def as_networkx(graph):
    return nx.from_numpy_array(np.asarray(graph, int), create_using=nx.DiGraph)


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), nodes=st.sampled_from([1, 2, 5, 9]), density=st.floats(0, 0.6))
@settings(max_examples=60, deadline=None)
def test_reachability_and_acyclicity_agree_with_networkx(seed, nodes, density):
    graph = random_weights(seed, nodes, density) != 0
    closure = nx.transitive_closure(as_networkx(graph), reflexive=False)
    np.testing.assert_array_equal(graphs.reachability(graph), nx.to_numpy_array(closure, nodelist=range(nodes)) > 0)
    assert bool(graphs.is_dag(graph)) == nx.is_directed_acyclic_graph(as_networkx(graph))


def test_the_longest_path_is_found():
    chain = np.eye(33, k=1, dtype=bool)
    assert graphs.reachability(chain)[0, 32]


def cut_by_hand(weights):
    """The oracle: networkx finds the edges on cycles, the weakest goes, until none is left."""
    weights = weights.copy()
    while True:
        graph = as_networkx(weights != 0)
        component = {node: i for i, nodes in enumerate(nx.strongly_connected_components(graph)) for node in nodes}
        cyclic = [(a, b) for a, b in graph.edges if component[a] == component[b]]
        if not cyclic:
            return weights
        weights[min(cyclic, key=lambda edge: abs(weights[edge]))] = 0


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), nodes=st.sampled_from([2, 5, 9]), density=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_breaking_cycles_cuts_what_a_plain_loop_cuts(seed, nodes, density):
    with jax.enable_x64(True):
        weights = random_weights(seed, nodes, density)
        broken = graphs.break_cycles(jnp.asarray(weights))
        np.testing.assert_array_equal(broken, cut_by_hand(weights))
        assert graphs.is_dag(broken != 0)


def test_a_weak_edge_on_no_cycle_is_kept():
    weights = jnp.zeros((4, 4)).at[0, 1].set(0.9).at[1, 0].set(0.5).at[2, 3].set(1e-6)
    np.testing.assert_array_equal(graphs.break_cycles(weights), weights.at[1, 0].set(0))


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "degree", "edges"), [(10, 2, 20), (20, 4, 80), (5, 4, 10), (4, 0, 0), (1, 2, 0)])
def test_a_random_graph_is_a_dag_of_just_so_many_edges(nodes, degree, edges):
    for seed in range(5):
        graph = graphs.erdos_renyi(jax.random.key(seed), nodes, degree)
        assert int(graph.sum()) == edges
        assert graphs.is_dag(graph)


@pytest.mark.slow
def test_random_graphs_prefer_no_order():
    drawn = jax.vmap(lambda key: graphs.erdos_renyi(key, 6, 2))(jax.random.split(jax.random.key(0), 2000))
    frequency = np.asarray(drawn.mean(0))[~np.eye(6, dtype=bool)]
    assert np.abs(frequency - 12 / 30).max() < 5 * np.sqrt(0.24 / 2000)


@pytest.mark.parametrize(
    ("nodes", "degree", "what"),
    [
        (0, 2, "nodes must be a whole"),
        (5.5, 2, "got 5.5"),
        (5, -1, "degree must be"),
        (5, float("nan"), "degree must be"),
    ],
)
def test_an_impossible_random_graph_is_refused(nodes, degree, what):
    with pytest.raises(ValueError, match=what):
        graphs.erdos_renyi(jax.random.key(0), nodes, degree)


NAMES = ("a", "b", "c")


def test_named_edges_become_a_matrix():
    np.testing.assert_array_equal(np.argwhere(graphs.from_edges([("a", "c"), ("b", "a")], NAMES)), [[0, 2], [1, 0]])


@pytest.mark.parametrize(
    ("edges", "what"),
    [
        ([("a", "z")], "no column 'z'; the columns are a, b, c"),
        ([("a", "a")], "cannot be its own cause"),
        ([("a", "b"), ("a", "b")], "given twice"),
    ],
)
def test_bad_edges_are_refused(edges, what):
    with pytest.raises(ValueError, match=what):
        graphs.from_edges(edges, NAMES)


def test_a_cycle_is_written_out():
    cyclic = graphs.from_edges([("a", "b"), ("b", "c"), ("c", "a")], NAMES)
    assert graphs.find_cycle(cyclic, NAMES) == "a -> b -> c -> a"
    assert graphs.find_cycle(np.triu(np.ones((3, 3)), 1), NAMES) == ""


@pytest.mark.slow
def test_kept_edges_are_never_cut_from_a_cycle():
    weights = jnp.array([[0.0, 0.1, 0.0], [0.0, 0.0, 0.5], [0.9, 0.0, 0.0]])
    kept = jnp.zeros((3, 3), bool).at[0, 1].set(True)
    assert np.argwhere(graphs.break_cycles(weights)).tolist() == [[1, 2], [2, 0]]
    assert np.argwhere(graphs.break_cycles(weights, kept)).tolist() == [[0, 1], [2, 0]]


@pytest.mark.slow
def test_the_greatest_entry_is_numpys_argmax():
    for seed in range(20):
        values = np.random.default_rng(seed).integers(0, 5, size=(3, 4)).astype(np.float32)
        mask = np.asarray(jax.jit(graphs.greatest)(values))
        np.testing.assert_array_equal(np.flatnonzero(mask), [values.argmax()])
    assert np.flatnonzero(graphs.greatest(jnp.full(3, -jnp.inf))).tolist() == [0]
