import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import sgd

WORKERS, BATCH, DIMENSION, STEPS = 4, 8, 5, 6


def loss(w, batch):
    x, y = batch
    return jnp.mean((x @ w - y) ** 2)


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, WORKERS, BATCH, DIMENSION)).astype(np.float32)
    return x, (x @ np.arange(DIMENSION, dtype=np.float32) + rng.normal(size=x.shape[:-1])).astype(np.float32)


def run(optimizer, data):
    rule = sgd.synchronous(optimizer)
    start = rule.init(jnp.zeros(DIMENSION), WORKERS)
    return jax.jit(lambda s: jax.lax.scan(lambda s, b: (rule.step(s, loss, b), None), s, data)[0])(start)


@pytest.mark.slow
def test_n_workers_are_one_with_a_batch_n_times_as_large():
    x, y = problem()
    optimizer = optax.adam(0.05)

    def step(carry, batch):
        params, state = carry
        gradient = jax.grad(loss)(params, batch)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    start = (jnp.zeros(DIMENSION), optimizer.init(jnp.zeros(DIMENSION)))
    whole = x.reshape(STEPS, -1, DIMENSION), y.reshape(STEPS, -1)
    (large, _), _ = jax.lax.scan(step, start, whole)
    np.testing.assert_allclose(run(optimizer, (x, y)).centre, large, atol=1e-6)


def test_equal_summation_order_is_large_batch_sgd_exactly():
    data = problem()
    rate = np.float32(0.125)  # a power of two: no rounding that a fused product and sum would leave out

    @jax.jit
    def by_hand(w):
        def step(w, batch):
            gradients = jax.vmap(jax.grad(loss), in_axes=(None, 0))(w, batch)
            return w - rate * (gradients.sum(0) / WORKERS), None

        return jax.lax.scan(step, w, data)[0]

    np.testing.assert_array_equal(run(optax.sgd(0.125), data).centre, by_hand(jnp.zeros(DIMENSION)))


def test_workers_never_leave_the_centre():
    state = run(optax.sgd(0.05), problem())
    np.testing.assert_array_equal(state.workers.params, np.broadcast_to(state.centre, (WORKERS, DIMENSION)))
