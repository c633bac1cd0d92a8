import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.discrete import equivalence, order_search
from framework.causal.discrete.hill_climbing import Edges
from framework.causal.synthetic import linear

pytestmark = pytest.mark.usefixtures("float64")

SAMPLES = 60


def table(seed, nodes):
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.normal(size=(nodes, nodes)) * (rng.uniform(size=(nodes, nodes)) < 0.6), 1)
    order = rng.permutation(nodes)
    x = rng.normal(size=(SAMPLES, nodes)) @ np.linalg.inv(np.eye(nodes) - weights[order][:, order])
    return x - x.mean(0)


def residual(x, node, parents):
    parents = list(parents)
    fitted = x[:, parents] @ np.linalg.lstsq(x[:, parents], x[:, node], rcond=None)[0] if parents else 0
    return np.mean((x[:, node] - fitted) ** 2)


def plain_score(x, graph, cost, equal):
    """The oracle: the profiled log likelihood by least squares, node by node."""
    left = [residual(x, j, np.flatnonzero(graph[:, j])) for j in range(x.shape[1])]
    fit = x.shape[1] * np.log(np.sum(left)) if equal else np.sum(np.log(left))
    return -len(x) / 2 * fit - np.sum(cost[graph])


def best_score(x, cost, equal):
    """The oracle: every order and every choice of parents along it."""
    nodes = range(x.shape[1])
    sets = lambda j: [s for size in nodes for s in itertools.combinations([i for i in nodes if i != j], size)]
    left = {(j, parents): residual(x, j, parents) for j in nodes for parents in sets(j)}
    price = {(j, parents): sum(cost[i, j] for i in parents) for j, parents in left}
    best = -np.inf
    for order in itertools.permutations(nodes):
        before = [[(j, p) for p in sets(j) if set(p) <= set(order[:index])] for index, j in enumerate(order)]
        if equal:
            totals = np.array([0.0]), np.array([0.0])
            for options in before:
                totals = tuple(
                    (total[:, None] + [part[option] for option in options]).ravel()
                    for total, part in zip(totals, (left, price), strict=True)
                )
            scores = -len(x) / 2 * x.shape[1] * np.log(totals[0]) - totals[1]
            best = max(best, scores.max())
        else:
            value = lambda option: -len(x) / 2 * np.log(left[option]) - price[option]
            best = max(best, sum(max(map(value, options)) for options in before))
    return best


def plain_choice(x, order, cost):
    """The oracle: along an order each node starts from all before it and takes or drops the best one at a time."""
    graph = np.zeros((len(order), len(order)), bool)
    for index, j in enumerate(order):
        score = lambda parents, j=j: (
            -len(x) / 2 * np.log(residual(x, j, sorted(parents))) - sum(cost[i, j] for i in parents)
        )
        parents = set(order[:index])
        while index:
            other = max((parents ^ {i} for i in order[:index]), key=score)
            if score(other) <= score(parents) + 1e-7:
                break
            parents = other
        graph[list(parents), j] = True
    return graph


def edges(nodes, cost, **masks):
    anywhere, none = ~jnp.eye(nodes, dtype=bool), jnp.zeros((nodes, nodes), bool)
    return Edges(jnp.asarray(cost), masks.get("allowed", anywhere), masks.get("required", none))


compiled = jax.jit(order_search.search_orders, static_argnames=("equal", "restarts"))


def climb(x, order, arguments, equal, **restarts):
    covariance = jnp.asarray(x.T @ x / len(x))
    return compiled(jnp.asarray(order), covariance, jnp.asarray(float(len(x))), arguments, equal, **restarts)


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "equal"), [(4, False), (4, True), (5, False)])
def test_from_a_few_orders_it_finds_the_best_graph_of_all(nodes, equal):
    final = []
    for seed in range(10):
        x, rng = table(seed, nodes), np.random.default_rng(seed)
        cost = rng.uniform(1, 4, size=(nodes, nodes))
        arguments = edges(nodes, cost)
        result = max(float(climb(x, rng.permutation(nodes), arguments, equal).score) for _ in range(6))
        best = best_score(x, cost, equal)
        assert result <= best + 1e-6
        final.append(result > best - 1e-6)
    assert np.mean(final) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
def test_the_score_is_that_of_the_graph(equal):
    for seed in range(5):
        x, rng = table(seed, 8), np.random.default_rng(seed)
        cost = rng.uniform(0.5, 4, size=(8, 8))
        result = climb(x, rng.permutation(8), edges(8, cost), equal)
        assert graphs.is_dag(result.graph)
        expected = plain_score(x, np.asarray(result.graph), cost, equal)
        assert float(result.score) == pytest.approx(expected, rel=1e-10, abs=1e-8)


@pytest.mark.slow
def test_the_score_never_falls_below_the_first_order():
    risen = []
    for seed in range(8):
        x, rng = table(seed, 6), np.random.default_rng(seed)
        cost, order = np.full((6, 6), 2.0), rng.permutation(6).tolist()
        start = plain_score(x, plain_choice(x, order, cost), cost, equal=False)
        risen.append(float(climb(x, order, edges(6, cost), equal=False).score) - start)
    assert min(risen) > -1e-6
    assert np.median(risen) > 1


def test_a_fixed_order_gives_its_best_parents():
    x, order, cost = table(0, 6), np.random.default_rng(0).permutation(6), np.full((6, 6), 2.0)
    rank = np.argsort(order)
    arguments = edges(6, cost, allowed=jnp.asarray(rank[:, None] < rank[None, :]))
    np.testing.assert_array_equal(climb(x, order, arguments, equal=False).graph, plain_choice(x, order.tolist(), cost))


@pytest.mark.slow
@pytest.mark.parametrize("equal", [True, False])
def test_forbidden_edges_never_appear_and_required_ones_never_go(equal):
    nodes, cases = 7, 200
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(nodes) for _ in range(cases)])
    rank = np.argsort(orders, axis=1)
    along = rank[:, :, None] < rank[:, None, :]
    allowed = (rng.uniform(size=along.shape) < 0.5) & ~np.eye(nodes, dtype=bool)
    required = along & allowed & (rng.uniform(size=along.shape) < 0.3)
    cost = rng.normal(1, 3, size=along.shape)  # some edges are paid for
    x = np.stack([table(seed, nodes) for seed in range(cases)])
    covariance = np.einsum("bni,bnj->bij", x, x) / SAMPLES
    arguments = Edges(*map(jnp.asarray, (cost, allowed, required)))
    one = lambda order, covariance, arguments: compiled(order, covariance, jnp.asarray(60.0), arguments, equal).graph
    result = jax.vmap(one)(jnp.asarray(orders), jnp.asarray(covariance), arguments)
    assert not jnp.any(result & ~allowed)
    assert not jnp.any(required & ~result)
    assert jnp.all(jax.vmap(graphs.is_dag)(result))


def test_fewer_rows_than_columns_bound_the_parents():
    x = np.random.default_rng(0).normal(size=(5, 8))
    result = climb(x - x.mean(0), np.arange(8), edges(8, np.full((8, 8), -1.0)), equal=False)
    assert int(result.graph.sum(0).max()) == 3
    assert np.isfinite(float(result.score))


@pytest.mark.slow
def test_duplicate_and_constant_columns_give_finite_scores():
    x = table(0, 3)
    x = np.concatenate([x, x[:, :1], np.zeros((SAMPLES, 1))], axis=1)
    for equal in (True, False):
        result = climb(x, np.arange(5), edges(5, np.full((5, 5), 2.0)), equal)
        assert graphs.is_dag(result.graph)
        assert np.isfinite(float(result.score))
        assert not jnp.any(result.graph[4]) | jnp.any(result.graph[:, 4])


def test_permuted_columns_give_the_permuted_graph():
    for seed in range(4):
        x, rng = table(seed, 8), np.random.default_rng(seed)
        cost, order, permutation = rng.uniform(1, 4, size=(8, 8)), rng.permutation(8), rng.permutation(8)
        result = climb(x, order, edges(8, cost), equal=False).graph
        moved_edges = edges(8, cost[permutation][:, permutation])
        updated = climb(x[:, permutation], np.argsort(permutation)[order], moved_edges, equal=False).graph
        np.testing.assert_array_equal(updated, result[permutation][:, permutation])


def population(seed, degree=2, nodes=10, many=1e6):
    """A graph, the covariance of what it gives rise to under unit noise, and costs of the BIC doubled."""
    graph = graphs.erdos_renyi(jax.random.key(seed), nodes, degree)
    weights = linear.edge_weights(jax.random.key(100 + seed), graph)
    effects = jnp.linalg.inv(jnp.eye(nodes) - weights)
    return graph, effects.T @ effects, jnp.asarray(many), edges(nodes, jnp.full((nodes, nodes), jnp.log(many)))


@pytest.mark.long
def test_many_rows_identify_the_class_at_any_scale():
    for seed in range(6):
        graph, covariance, samples, arguments = population(seed)
        scale = jnp.sqrt(jnp.diagonal(covariance))
        problem = jnp.arange(10), covariance / scale[:, None] / scale, samples, arguments
        result = compiled(*problem, equal=False, restarts=10, key=jax.random.key(0))
        assert int(equivalence.cpdag_shd(graph, result.graph)) == 0


@pytest.mark.slow
def test_under_noise_of_one_variance_it_finds_the_graph():
    for seed in range(6):
        graph, *problem = population(seed)
        np.testing.assert_array_equal(compiled(jnp.arange(10), *problem, equal=True).graph, graph)


@pytest.mark.slow
def test_restarts_never_lower_the_score_and_keep_to_the_edges():
    rises = []
    for seed in range(4):
        graph, covariance, samples, arguments = population(seed, degree=3, many=200.0)
        order = jnp.argsort(graphs.reachability(graph).sum(0))  # one that keeps to the graph
        required = graph & (jax.random.uniform(jax.random.key(seed), graph.shape) < 0.2)
        problem = (order, covariance, samples, arguments._replace(required=required))
        shaken = compiled(*problem, equal=False, restarts=4, key=jax.random.key(seed))
        assert not jnp.any(required & ~shaken.graph)
        assert graphs.is_dag(shaken.graph)
        rises.append(float(shaken.score - compiled(*problem, equal=False).score))
    assert min(rises) > -1e-8


def test_restarts_without_a_key_are_refused():
    x = table(0, 3)
    with pytest.raises(ValueError, match="2 restarts need a key"):
        climb(x, np.arange(3), edges(3, np.ones((3, 3))), equal=False, restarts=2)


@pytest.mark.long
def test_many_searches_at_once_end_as_each_alone():
    tables = np.stack([table(seed, 6) for seed in range(6)])
    covariances = jnp.asarray(np.einsum("bni,bnj->bij", tables, tables) / SAMPLES)
    arguments, keys = edges(6, np.full((6, 6), 2.0)), jax.random.split(jax.random.key(0), 6)

    @jax.jit
    def one(covariance, key):
        order = jnp.arange(6)
        return order_search.search_orders(
            order, covariance, jnp.asarray(60.0), arguments, True, restarts=2, key=key
        ).graph

    np.testing.assert_array_equal(jax.vmap(one)(covariances, keys), jnp.stack(list(map(one, covariances, keys))))


@pytest.mark.slow
def test_a_32_bit_caller_gets_64_bit_work():
    x = table(0, 6)
    covariance, cost = np.float32(x.T @ x / SAMPLES), np.full((6, 6), 2.0)
    expected = order_search.search_orders(
        jnp.arange(6), jnp.asarray(covariance, jnp.float64), jnp.asarray(60.0), edges(6, cost), False
    )

    def outer(order, covariance):
        with jax.enable_x64(True):
            wide = jnp.asarray(covariance, jnp.float64)
            return order_search.search_orders(order, wide, jnp.asarray(60.0), edges(6, cost), False)

    with jax.enable_x64(False):
        result = jax.jit(jax.vmap(outer))(jnp.stack([jnp.arange(6)] * 2), jnp.stack([covariance] * 2))
    for lane in range(2):
        np.testing.assert_array_equal(result.graph[lane], expected.graph)
        assert float(result.score[lane]) == pytest.approx(float(expected.score), rel=1e-10)
