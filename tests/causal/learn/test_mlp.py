import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import causal
from framework.causal import graphs, learner
from framework.causal.learn import mlp, problems
from framework.causal.metrics import graph_distance
from framework.causal.synthetic import noise, nonlinear

pytestmark = pytest.mark.usefixtures("float64")

CONFIG = causal.Config.equal_variance(score="mlp", finish="cut", hidden=4)


@pytest.fixture
def network():
    shapes = (3, 3, 4), (3, 4), (3, 4), (3,)
    return mlp.Network(*map(jax.random.normal, jax.random.split(jax.random.key(0), 4), shapes))


@pytest.mark.slow
def test_a_prediction_is_that_of_plain_loops(network):
    x = np.random.default_rng(0).normal(size=(5, 3))
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    first, offset, second, bias = map(np.asarray, network)
    for row, outcome in zip(x, mlp.predict(network, jnp.asarray(x)), strict=True):
        for j in range(3):
            inner = [sigmoid(offset[j, h] + sum(row[i] * first[i, j, h] for i in range(3))) for h in range(4)]
            assert float(outcome[j]) == pytest.approx(
                bias[j] + sum(second[j, h] * inner[h] for h in range(4)), rel=1e-10
            )


@pytest.mark.slow
def test_every_term_has_the_gradient_of_finite_differences(network):
    network = jax.tree.map(lambda leaf: 0.3 * leaf, network)
    x = np.random.default_rng(1).normal(size=(20, 3))
    prior = causal.Knowledge(np.eye(3, k=1))
    arguments = problems.problem(x, prior, CONFIG)
    terms = lambda params: mlp.terms(params, arguments, CONFIG, jnp.array(False))
    outcome = terms(network)
    direction = jax.tree.map(lambda leaf: jnp.asarray(np.random.default_rng(2).normal(size=leaf.shape)), network)
    updated = [terms(jax.tree.map(lambda p, d, s=s: p + s * 1e-6 * d, network, direction)) for s in (1, -1)]
    for name in ("fit", "prior", "cycles"):
        slope = (getattr(updated[0], name)[0] - getattr(updated[1], name)[0]) / 2e-6
        exact = sum(jnp.sum(g * d) for g, d in zip(getattr(outcome, name)[1], direction, strict=True))
        assert float(exact) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.long
def test_curved_relations_are_found_better_than_by_lines():
    tables, truths = [], []
    for seed in range(4):
        graph_key, data_key = jax.random.split(jax.random.key(seed))
        truths.append(graphs.erdos_renyi(graph_key, 6, 1.5))
        tables.append(nonlinear.mlp(data_key, truths[-1], 500, noise.gaussian()))
    curved = causal.Config.equal_variance(
        score="mlp", finish="cut", penalty=0.005, stage_steps=(1000, 1000, 1000, 1000, 2000)
    )
    distance = {}
    for name, config in (("lines", causal.Config.equal_variance()), ("curves", curved)):
        outcome = jax.jit(jax.vmap(causal.fit, in_axes=(0, None, None)))(jnp.stack(tables), None, config).graph
        distance[name] = sum(int(graph_distance.compare(t, g)["shd"]) for t, g in zip(truths, outcome, strict=True))
    assert distance["curves"] <= 0.7 * distance["lines"]


@pytest.mark.slow
def test_the_path_keeps_to_hard_knowledge():
    x = np.random.default_rng(2).normal(size=(50, 3))
    x[:, 1] += np.sin(2 * x[:, 0])
    hard = causal.Knowledge(required=[("a", "c")], forbidden=[("a", "b"), ("b", "a")], names="abc")
    config = causal.Config.equal_variance(score="mlp", finish="cut", hidden=4, stage_steps=(100,) * 5)
    result = causal.fit(x, hard, config)
    assert result.graph[0, 2]
    assert not result.graph[0, 1]
    assert not result.graph[1, 0]
    assert not result.uncut[0, 1]


@pytest.mark.slow
def test_the_start_lies_well_inside_the_domain():
    for size in (2, 30):
        arguments = problems.problem(np.random.default_rng(0).normal(size=(40, size)), None, CONFIG)
        start = learner.init(arguments, CONFIG).params
        assert float(jnp.sum(mlp.adjacency(start) ** 2, axis=1).max()) < 0.25
