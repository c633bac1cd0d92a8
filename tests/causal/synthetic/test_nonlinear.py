import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.causal.metrics import sortability
from framework.causal.synthetic import linear, noise, nonlinear

KEY = jax.random.key(3)
GRAPH = np.zeros((5, 5), bool)
for edge in [(3, 0), (0, 4), (3, 4), (4, 1)]:  # node 2 stands alone
    GRAPH[edge] = True
ORDER = (2, 3, 0, 4, 1)


def parents(node):
    return np.flatnonzero(GRAPH[:, node])


def fixed(rows, seed=0):
    """A noise that is always the same table, and the table."""
    table = np.random.default_rng(seed).normal(size=(rows, 5))
    return (lambda key, shape: jnp.asarray(table)), table


def generators(rows):
    """Each generator as a function of a key alone, and of a key and a graph."""
    weights = linear.edge_weights(jax.random.key(1), GRAPH)
    return {
        "mlp": lambda key, graph=GRAPH: nonlinear.mlp(key, graph, rows, noise.gaussian()),
        "gaussian_process": lambda key, graph=GRAPH: nonlinear.gaussian_process(key, graph, rows, noise.gumbel()),
        "iscm": lambda key, graph=GRAPH: nonlinear.iscm(key, jnp.where(graph, weights, 0), rows, noise.uniform()),
    }


LAYERS = jax.jit(nonlinear.mlp_weights)
GENERATORS = ("mlp", "gaussian_process", "iscm")


@given(seed=st.integers(0, 10**6), nodes=st.sampled_from([1, 7]), density=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_in_causal_order_every_edge_leads_forward(seed, nodes, density):
    rng = np.random.default_rng(seed)
    shuffle = rng.permutation(nodes)
    graph = np.triu(rng.uniform(size=(nodes, nodes)) < density, 1)[shuffle][:, shuffle]
    order = np.asarray(nonlinear.causal_order(graph))
    assert sorted(order) == list(range(nodes))
    position = np.argsort(order)
    assert all(position[cause] < position[effect] for cause, effect in np.argwhere(graph))


def test_the_causal_order_of_a_long_chain_is_found_under_vmap():
    chain = np.eye(12, k=-1, dtype=bool)
    np.testing.assert_array_equal(jax.vmap(nonlinear.causal_order)(jnp.stack([chain, chain.T]))[0], np.arange(12)[::-1])


@pytest.mark.slow
def test_the_mlp_is_its_equations_computed_node_by_node():
    with jax.enable_x64(True):
        draw, table = fixed(20)
        drawn = nonlinear.mlp(KEY, GRAPH, 20, draw)
        weights_key = jax.random.split(KEY)[1]
        plain = np.zeros((20, 5))
        for node in ORDER:
            first, second = (np.asarray(w) for w in LAYERS(weights_key, GRAPH, node))
            plain[:, node] = table[:, node]
            if len(parents(node)):
                hidden = 1 / (1 + np.exp(-plain[:, parents(node)] @ first[parents(node)]))
                plain[:, node] += hidden @ second
        np.testing.assert_allclose(drawn, plain, atol=1e-12)


def test_mlp_weights_are_on_parents_and_within_bounds():
    with jax.enable_x64(True):
        (first, second), (_, other) = (jax.tree.map(np.asarray, LAYERS(KEY, GRAPH, node)) for node in (4, 1))
    np.testing.assert_array_equal((first != 0).any(1), GRAPH[:, 4])
    magnitudes = np.abs(np.concatenate([first[parents(4)].ravel(), second]))
    assert len(magnitudes) == 300
    assert magnitudes.min() >= 0.5
    assert magnitudes.max() <= 2
    assert 0.4 < (first[parents(4)] > 0).mean() < 0.6
    assert not np.array_equal(second, other)


@pytest.mark.slow
def test_gaussian_process_equals_its_equations_node_by_node():
    with jax.enable_x64(True):
        draw, table = fixed(20)
        drawn = nonlinear.gaussian_process(KEY, GRAPH, 20, draw, length_scale=0.7, jitter=1e-6)
        function_key = jax.random.split(KEY)[1]
        plain = np.zeros((20, 5))
        for node in ORDER:
            plain[:, node] = table[:, node]
            if len(parents(node)):
                rows = plain[:, parents(node)]
                kernel = np.exp(-((rows[:, None] - rows[None]) ** 2).sum(-1) / (2 * 0.7**2))
                standard = jax.random.normal(jax.random.fold_in(function_key, node), (20,))
                plain[:, node] += np.linalg.cholesky(kernel + 1e-6 * np.eye(20)) @ standard
        np.testing.assert_allclose(drawn, plain, atol=1e-9)


@pytest.mark.slow
def test_single_precision_factors_the_kernel_of_a_thousand_rows():
    drawn = nonlinear.gaussian_process(KEY, GRAPH, 1000, noise.gaussian())
    assert drawn.dtype == jnp.float32
    assert np.isfinite(drawn).all()


@pytest.mark.slow
def test_the_iscm_is_its_equations_computed_node_by_node():
    with jax.enable_x64(True):
        draw, table = fixed(20)
        weights = np.asarray(linear.edge_weights(jax.random.key(1), GRAPH))
        drawn = nonlinear.iscm(KEY, weights, 20, draw)
        plain = np.zeros((20, 5))
        for node in ORDER:
            z = plain @ weights[:, node] + table[:, node]
            plain[:, node] = (z - z.mean()) / z.std()
        np.testing.assert_allclose(drawn, plain, atol=1e-12)


def test_iscm_columns_are_standardised_and_not_var_sortable():
    with jax.enable_x64(True):
        drawn = generators(20)["iscm"](KEY)
        np.testing.assert_allclose(drawn.mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(drawn.std(0), 1, atol=1e-12)
        assert sortability.varsortability(drawn, GRAPH) == 0.5


def test_iscm_covariance_follows_from_its_rescaled_weights():
    with jax.enable_x64(True):
        weights = np.asarray(linear.edge_weights(jax.random.key(1), GRAPH))
        covariance = np.eye(5)
        for position, node in enumerate(ORDER):
            scale = np.sqrt(weights[:, node] @ covariance @ weights[:, node] + 1)
            for earlier in ORDER[:position]:
                covariance[earlier, node] = covariance[node, earlier] = covariance[earlier] @ weights[:, node] / scale
        drawn = np.asarray(nonlinear.iscm(KEY, weights, 200_000, noise.gaussian()))
        np.testing.assert_allclose(drawn.T @ drawn / len(drawn), covariance, atol=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_a_draw_is_the_same_with_and_without_transformations(name):
    with jax.enable_x64(True):
        draw = generators(20)[name]
        keys = jax.random.split(KEY, 3)
        batch = jnp.stack([GRAPH, GRAPH.T, np.zeros_like(GRAPH)])
        single = [draw(key, graph) for key, graph in zip(keys, batch, strict=True)]
        np.testing.assert_allclose(jax.jit(jax.vmap(draw))(keys, batch), single, atol=1e-8)


@pytest.mark.parametrize("name", GENERATORS)
def test_what_a_node_is_does_not_depend_on_what_follows_it(name):
    """Without the edge into node 1, which has no effects, all other columns stay as they are."""
    with jax.enable_x64(True):
        draw = generators(20)[name]
        shorter = GRAPH.copy()
        shorter[4, 1] = False
        others = [0, 2, 3, 4]
        short, full = draw(KEY, shorter), draw(KEY)
        np.testing.assert_allclose(short[:, others], full[:, others], atol=1e-9)
        assert np.abs(short[:, 1] - full[:, 1]).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_draws_keep_the_precision_of_the_caller(name):
    assert jax.eval_shape(generators(20)[name], KEY) == jax.ShapeDtypeStruct((20, 5), jnp.float32)
    with jax.enable_x64(True):
        assert jax.eval_shape(generators(20)[name], KEY) == jax.ShapeDtypeStruct((20, 5), jnp.float64)


@pytest.mark.parametrize("draw", [nonlinear.mlp, nonlinear.gaussian_process, nonlinear.iscm])
def test_a_graph_that_cannot_be_drawn_from_is_refused(draw):
    with pytest.raises(ValueError, match="must not hold a cycle, but 0 -> 1 -> 0"):
        draw(KEY, 0.6 * (jnp.ones((2, 2)) - jnp.eye(2)), 10, noise.gaussian())
    with pytest.raises(ValueError, match=r"a graph \[d, d\] is wanted, got shape \(2, 3\)"):
        draw(KEY, jnp.zeros((2, 3)), 10, noise.gaussian())


def test_one_row_cannot_be_standardised():
    with pytest.raises(ValueError, match="at least 2 rows"):
        nonlinear.iscm(KEY, jnp.zeros((2, 2)), 1, noise.gaussian())
