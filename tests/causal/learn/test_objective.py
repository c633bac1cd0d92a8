import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import causal

CHAIN = np.array([[0, 2, 0], [0, 0, -1.5], [0, 0, 0]])
ROWS = np.random.default_rng(0).normal(size=(300, 3)) @ np.linalg.inv(np.eye(3) - CHAIN)
WEIGHTS = np.array([[0.4, 0.5, -0.2], [0.1, 0.3, 0.7], [-0.6, 0.2, 0.9]])


def test_the_objective_is_the_sum_that_is_written():
    """With the exponential by its series; the diagonal counts for nothing."""
    w = WEIGHTS * (1 - np.eye(3))
    terms = [np.eye(3)]
    for k in range(1, 25):
        terms.append(terms[-1] @ (w * w) / k)
    acyclic = np.trace(sum(terms)) - 3
    misfit = 0.5 * np.square(ROWS - ROWS @ w).sum() / len(ROWS)
    with jax.enable_x64(True):
        result = causal.objective(0.1, 0.7)(jnp.asarray(WEIGHTS), jnp.asarray(ROWS))
    assert float(result) == pytest.approx(0.7 * (misfit + 0.1 * np.abs(w).sum()) + acyclic, rel=1e-10)


def test_gradient_descent_on_it_ends_at_the_graph_of_the_data():
    """x0 -> x1 -> x2, and x0 -> x2 through x1 alone."""
    loss, adam = causal.objective(0.05), optax.adam(0.02)

    @jax.jit
    def step(state, _):
        w, moments = state
        change, moments = adam.update(jax.grad(loss)(w, ROWS.astype(np.float32)), moments)
        return (optax.apply_updates(w, change), moments), None

    start = jnp.full((3, 3), 0.1)
    (w, _), _ = jax.lax.scan(step, (start, adam.init(start)), length=1500)
    assert {tuple(edge) for edge in np.argwhere(causal.dag(w))} == {(0, 1), (1, 2)}


def test_a_graph_is_cut_where_it_is_weakest():
    weights = jnp.array([[0.0, 0.9, 0.0], [0.4, 0.0, 0.2], [0.0, 0.5, 0.8]])
    assert {tuple(edge) for edge in np.argwhere(causal.dag(weights))} == {(0, 1), (2, 1)}
    assert {tuple(edge) for edge in np.argwhere(causal.dag(weights, cut=0.1))} == {(0, 1), (2, 1)}
    assert not causal.dag(weights, cut=1.0).any()
