import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.snn.neurons import surrogate
from framework.snn.nir.graph import (
    node,
)
from framework.snn.nir.interpreter import run
from tests.snn.nir.test_interpreter import BATCH, STEPS, chain


def trained_by_hand(weights, x, slope):
    """A dense LIF into a dense LI, one step after another: the mean of the last potentials."""
    first, second = weights
    v, u = jnp.zeros((x.shape[1], 4)), jnp.zeros((x.shape[1], 2))
    for now in x:
        v = v + 0.5 * (1.5 * (now @ first.T) - v)
        z = jax.lax.stop_gradient((v > 0.7) * 1.0 - slope(v - 0.7)) + slope(v - 0.7)
        v = jnp.where(v > 0.7, 0.0, v)
        u = u + 0.25 * (z @ second.T - u)
    return u.mean()


def trainable(weights):
    lif = {"tau": np.full(4, 2.0), "r": np.full(4, 1.5), "v_leak": np.zeros(4), "v_threshold": np.full(4, 0.7)}
    li = {"tau": np.full(2, 4.0), "r": np.ones(2), "v_leak": np.zeros(2)}
    layers = [
        node("Linear", weight=weights[0]),
        node("LIF", **lif),
        node("Linear", weight=weights[1]),
        node("LI", **li),
    ]
    return chain(((3,), (2,)), *layers)


def by_arctan(v):
    """The primitive of the default surrogate."""
    return jnp.arctan(jnp.pi * v) / jnp.pi


def by_triangle(v):
    """The primitive of `triangular(0.8)`."""
    z = jnp.clip(v / 0.8, -1, 1)
    return z - z * jnp.abs(z) / 2


@pytest.mark.parametrize(
    ("options", "primitive"), [({}, by_arctan), ({"surrogate": surrogate.triangular(0.8)}, by_triangle)]
)
def test_the_gradient_is_that_of_a_loop_with_the_same_surrogate(random, options, primitive):
    weights = [random.normal(0.5, 0.5, (4, 3)).astype(np.float32), random.normal(size=(2, 4)).astype(np.float32)]
    x = random.uniform(0, 2, (STEPS, BATCH, 3)).astype(np.float32)
    mean = lambda net: run(net, x, 1.0, **options)[-1].mean()
    expected = jax.grad(trained_by_hand)(weights, x, primitive)
    result = jax.grad(mean)(trainable(weights))
    np.testing.assert_allclose(mean(trainable(weights)), trained_by_hand(weights, x, primitive), rtol=1e-5)
    for index, nir_node in zip("02", expected, strict=True):
        np.testing.assert_allclose(result.nodes[index].values["weight"], nir_node, rtol=1e-4, atol=1e-6)
    assert all(np.abs(nir_node).max() > 1e-3 for nir_node in expected)
    assert np.abs(result.nodes["1"].values["tau"]).max() > 1e-4


def test_the_surrogate_changes_no_spike(random):
    weights = [random.normal(0.5, 0.5, (4, 3)).astype(np.float32), random.normal(size=(2, 4)).astype(np.float32)]
    x = random.uniform(0, 2, (STEPS, BATCH, 3)).astype(np.float32)
    by = lambda chosen: run(trainable(weights), x, 1.0, outputs=("1", "output"), surrogate=chosen)
    exact, smooth = by(surrogate.arctan()), by(jax.nn.sigmoid)
    for name in exact:
        np.testing.assert_array_equal(exact[name], smooth[name])
    assert set(np.unique(exact["1"])) == {0, 1}


def test_steps_of_an_optimiser_lower_the_loss_of_a_graph(random):
    x = random.uniform(0, 2, (STEPS, BATCH, 3)).astype(np.float32)
    graph = trainable([random.normal(0.5, 0.5, (4, 3)).astype(np.float32), np.ones((2, 4), np.float32)])
    loss = lambda net: ((run(net, x, 1.0)[-1] - 0.1) ** 2).mean()
    labels = jax.tree.map_with_path(lambda path, _: path[-1].key, graph)
    rules = {label: optax.adam(0.03) if label == "weight" else optax.set_to_zero() for label in jax.tree.leaves(labels)}
    optimizer = optax.multi_transform(rules, labels)
    state, losses, step = optimizer.init(graph), [], jax.jit(jax.value_and_grad(loss))
    for _ in range(20):
        value, gradient = step(graph)
        updates, state = optimizer.update(gradient, state)
        graph = optax.apply_updates(graph, updates)
        losses.append(float(value))
    assert losses[-1] < 0.2 * losses[0]
    np.testing.assert_array_equal(graph.nodes["1"].values["tau"], 2.0)
