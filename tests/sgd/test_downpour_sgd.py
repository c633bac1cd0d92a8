import numpy as np
import optax
import pytest

from framework import sgd
from tests.sgd.quadratic import DIMENSION, RATE, TARGETS, WORKERS, run


@pytest.mark.parametrize(("accumulate", "period"), [("sum", 1), ("sum", 3), ("mean", 3)])
def test_equals_a_plain_loop(accumulate, period):
    """The oracle: workers one after another, in NumPy."""
    master, workers = np.zeros(DIMENSION), np.zeros((WORKERS, DIMENSION))
    gathered = np.zeros_like(workers)
    for step, round_ in enumerate(TARGETS):
        for i, target in enumerate(round_):
            gradient = workers[i] - target
            workers[i] -= RATE * gradient
            gathered[i] += gradient
            if (step + 1) % period == 0:
                master = master - RATE * gathered[i] / (period if accumulate == "mean" else 1)
                workers[i], gathered[i] = master, 0
    state = run(sgd.downpour(optax.sgd(RATE), period, accumulate))
    np.testing.assert_allclose(state.centre, master, atol=1e-6)
    np.testing.assert_allclose(state.workers.params, workers, atol=1e-6)
    np.testing.assert_allclose(state.workers.extra, gathered, atol=1e-6)


def test_one_worker_is_plain_sgd():
    single = TARGETS[:, :1]
    w = np.zeros(DIMENSION)
    for target in single[:, 0]:
        w -= RATE * (w - target)
    np.testing.assert_allclose(run(sgd.downpour(optax.sgd(RATE)), single).centre, w, atol=1e-6)


def test_the_master_may_have_an_optimiser_of_its_own():
    """Adagrad at the master: the root of the sum of squares divides each push, in NumPy."""
    master, workers, squares = np.zeros(DIMENSION), np.zeros((WORKERS, DIMENSION)), np.zeros(DIMENSION)
    for round_ in TARGETS:
        for i, target in enumerate(round_):
            gradient = workers[i] - target
            squares += gradient**2
            master = master - 0.3 * gradient / np.sqrt(squares + 1e-7)
            workers[i] = master
    server = optax.adagrad(0.3, initial_accumulator_value=0.0, eps=1e-7)
    state = run(sgd.downpour(optax.sgd(RATE), server=server))
    np.testing.assert_allclose(state.centre, master, atol=1e-5)


def test_an_unknown_accumulation_is_refused():
    with pytest.raises(ValueError, match="accumulate must be one of sum, mean, got 'max'"):
        sgd.downpour(optax.sgd(RATE), accumulate="max")
