import jax
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.synthetic import random_graphs


def draws(number, nodes, degree):
    keys = jax.random.split(jax.random.key(0), number)
    return np.asarray(jax.vmap(lambda key: random_graphs.scale_free(key, nodes, degree))(keys))


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "degree", "edges"), [(20, 4, 70), (4, 9, 6), (4, 0, 0), (1, 2, 0)])
def test_a_scale_free_graph_is_a_dag_of_just_so_many_edges(nodes, degree, edges):
    for graph in draws(5, nodes, degree):
        assert graph.sum() == edges
        assert not graphs.find_cycle(graph, range(nodes))


def test_each_new_node_joins_up_to_degree_older_nodes():
    for graph in draws(5, 20, 4):
        assert sorted(graph.sum(1)) == [0, 1, 2, 3] + 16 * [4]


def attached(weights, edges):
    """The law of drawing `edges` of the nodes one after another: the probability of each set."""
    if edges == 0:
        return {frozenset(): 1.0}
    law = {}
    for node, weight in weights.items():
        rest = {other: w for other, w in weights.items() if other != node}
        for chosen, probability in attached(rest, edges - 1).items():
            together = chosen | {node}
            law[together] = law.get(together, 0) + weight / sum(weights.values()) * probability
    return law


def law_of_in_degrees(nodes, degree):
    """The oracle: growth by 1 + in-degree through all of its branches: {sorted in-degrees: probability}."""
    states = {(0,) * nodes: 1.0}
    for new in range(1, nodes):
        grown = {}
        for state, probability in states.items():
            weights = {old: 1 + state[old] for old in range(new)}
            for chosen, share in attached(weights, min(degree, new)).items():
                after = tuple(count + (node in chosen) for node, count in enumerate(state))
                grown[after] = grown.get(after, 0) + probability * share
        states = grown
    law = {}
    for state, probability in states.items():
        law[tuple(sorted(state))] = law.get(tuple(sorted(state)), 0) + probability
    return law


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "degree"), [(6, 2)])
def test_in_degrees_follow_the_law_of_preferential_attachment(nodes, degree):
    number, law = 20_000, law_of_in_degrees(nodes, degree)
    drawn, counts = np.unique(np.sort(draws(number, nodes, degree).sum(1), axis=1), axis=0, return_counts=True)
    frequency = {tuple(row.tolist()): count / number for row, count in zip(drawn, counts, strict=True)}
    assert set(frequency) <= set(law)
    for in_degrees, probability in law.items():
        deviation = np.sqrt(probability * (1 - probability) / number)
        assert abs(frequency.get(in_degrees, 0) - probability) < 5 * deviation


def test_scale_free_graphs_prefer_no_order():
    frequency = draws(20_000, 6, 2).mean(0)[~np.eye(6, dtype=bool)]
    assert np.abs(frequency - 9 / 30).max() < 5 * np.sqrt(0.21 / 20_000)


@pytest.mark.slow
def test_one_graph_is_the_same_with_and_without_transformations():
    keys = jax.random.split(jax.random.key(0), 5)
    single = [random_graphs.scale_free(key, 20, 4) for key in keys]
    np.testing.assert_array_equal(draws(5, 20, 4), single)
    np.testing.assert_array_equal(jax.jit(random_graphs.scale_free, static_argnums=(1, 2))(keys[0], 20, 4), single[0])


@pytest.mark.parametrize(
    ("nodes", "degree", "what"),
    [(0, 2, "nodes must be a whole"), (5.5, 2, "got 5.5"), (5, -1, "degree must be"), (5, 1.5, "degree must be")],
)
def test_an_impossible_scale_free_graph_is_refused(nodes, degree, what):
    with pytest.raises(ValueError, match=what):
        random_graphs.scale_free(jax.random.key(0), nodes, degree)
