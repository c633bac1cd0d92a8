import itertools

import jax
import networkx as nx
import numpy as np
import pytest

from framework.causal.metrics.intervention import sid


def every_dag(nodes):
    """All DAGs of so many nodes, `[n, nodes, nodes]` bool."""
    pairs = list(itertools.combinations(range(nodes), 2))
    dags = []
    for ways in itertools.product(range(3), repeat=len(pairs)):
        graph = np.zeros((nodes, nodes), bool)
        for (i, j), way in zip(pairs, ways, strict=True):
            graph[(i, j) if way == 1 else (j, i)] = way > 0
        if nx.is_directed_acyclic_graph(nx.from_numpy_array(graph.astype(int), create_using=nx.DiGraph)):
            dags.append(graph)
    return np.stack(dags)


def random_dag(seed, nodes, degree=2):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(size=(nodes, nodes)) < 2 * degree / (nodes - 1), 1)
    order = rng.permutation(nodes)
    return upper[order][:, order]


def gaussian(dag, rng):
    """A linear Gaussian model of the graph: (total effects, covariance). Random weights, so nothing cancels."""
    size = len(dag)
    weights = dag * rng.uniform(0.5, 2, dag.shape) * rng.choice([-1, 1], dag.shape)
    effects = np.linalg.inv(np.eye(size) - weights)  # [i, j]: d E[x_j | do(x_i)] / d x_i
    return effects, effects.T @ np.diag(rng.uniform(0.5, 2, size)) @ effects


def wrong_effects(effects, covariance, i, adjusted):
    """`[d]` bool: where regressing on x_i and the adjustment set misses the effect of x_i; 0 within that set."""
    regressors = [i, *adjusted]
    implied = np.linalg.solve(covariance[np.ix_(regressors, regressors)], covariance[regressors])[0]
    implied[list(adjusted)] = 0
    return np.abs(implied - effects[i]) > 1e-8


def sid_by_regression(true, estimated, rng):
    """The oracle: regressions in the population of a random model of the true graph."""
    effects, covariance = gaussian(true, rng)
    return sum(wrong_effects(effects, covariance, i, np.flatnonzero(estimated[:, i])).sum() for i in range(len(true)))


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_sid_equals_regressions_in_a_gaussian_model(nodes):
    """All pairs of all DAGs: 625 of three nodes, 294849 of four."""
    every, rng = every_dag(nodes), np.random.default_rng(nodes)
    sets = list(itertools.product([False, True], repeat=nodes))
    code = np.einsum("nzi,z->ni", every, 2 ** np.arange(nodes)[::-1])  # which of `sets` the parents of i are
    expected = np.zeros((len(every), len(every)), int)
    for row, true in zip(expected, every, strict=True):
        effects, covariance = gaussian(true, rng)
        for i in range(nodes):
            counts = [0 if z[i] else wrong_effects(effects, covariance, i, np.flatnonzero(z)).sum() for z in sets]
            row += np.array(counts)[code[:, i]]
    matrix = jax.vmap(jax.vmap(sid, in_axes=(None, 0)), in_axes=(0, None))(every, every)
    np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize(("degree", "degree_found"), [(1, 1), (2, 2), (3, 1), (1, 3)])
def test_larger_graphs_agree_with_regressions_too(degree, degree_found):
    rng = np.random.default_rng(degree)
    for seed in range(10):
        true, estimated = random_dag(seed, 9, degree), random_dag(100 + seed, 9, degree_found)
        assert int(sid(true, estimated)) == sid_by_regression(true, estimated, rng)


def test_the_example_of_the_paper():
    """X1 -> X2, both -> Y1, Y2, Y3. One more edge harms nothing, one edge reversed harms 8; both are 1 apart in SHD."""
    true = np.zeros((5, 5), bool)
    true[0, 1:], true[1, 2:] = True, True
    more, turned = true.copy(), true.copy()
    more[2, 3] = True
    turned[0, 1], turned[1, 0] = False, True
    assert int(sid(true, more)) == 0
    assert int(sid(true, turned)) == 8


def test_sid_is_zero_for_the_graph_and_its_supergraphs():
    for seed in range(5):
        dag = random_dag(seed, 9)
        order = list(nx.topological_sort(nx.from_numpy_array(dag.astype(int), create_using=nx.DiGraph)))
        full = np.zeros((9, 9), bool)
        full[np.ix_(order, order)] = np.triu(np.ones((9, 9), bool), 1)
        some = dag | (full & (np.random.default_rng(seed).uniform(size=(9, 9)) < 0.3))
        assert [int(sid(dag, estimated)) for estimated in (dag, some, full)] == [0, 0, 0]


def test_sid_to_the_empty_graph_counts_confounded_pairs():
    """The oracle: x_j given x_i is not x_j under do(x_i) where some cause of i leads to j around i, or is j."""
    for seed in range(8):
        graph = nx.from_numpy_array(random_dag(seed, 9).astype(int), create_using=nx.DiGraph)
        count = 0
        for i in graph:
            around = nx.subgraph_view(graph, filter_node=lambda node, i=i: node != i)
            count += len(set().union(*({w} | nx.descendants(around, w) for w in nx.ancestors(graph, i))))
        true = nx.to_numpy_array(graph, nodelist=range(9)) > 0
        assert int(sid(true, np.zeros_like(true))) == count


def test_a_full_graph_turned_round_is_wrong_about_everything():
    full = np.triu(np.ones((9, 9), bool), 1)
    assert int(sid(full, full.T)) == 72


def test_it_does_not_depend_on_the_order_of_the_columns():
    true, estimated, order = random_dag(0, 9), random_dag(1, 9), np.random.default_rng(0).permutation(9)
    assert int(sid(true[order][:, order], estimated[order][:, order])) == int(sid(true, estimated)) > 0


@pytest.mark.slow
def test_vmap_and_jit_equal_single_uncompiled_calls():
    true = np.stack([random_dag(seed, 9) for seed in range(3)])
    estimated = np.stack([random_dag(50 + seed, 9) for seed in range(3)])
    with jax.disable_jit():
        alone = [int(sid(a, b)) for a, b in zip(true, estimated, strict=True)]
    assert [int(sid(a, b)) for a, b in zip(true, estimated, strict=True)] == alone
    assert jax.vmap(sid)(true, estimated).tolist() == alone
    assert jax.jit(jax.vmap(sid))(true, estimated.astype(np.float32)).tolist() == alone
