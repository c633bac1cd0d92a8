import numpy as np
import optax

from framework import sgd
from tests.sgd.quadratic import DIMENSION, RATE, TARGETS, WORKERS, run


def loop(period, outer):
    centre, workers, velocity = np.zeros(DIMENSION), np.zeros((WORKERS, DIMENSION)), np.zeros(DIMENSION)
    for step, targets in enumerate(TARGETS):
        workers = workers - RATE * (workers - targets)
        if (step + 1) % period == 0:
            centre, velocity = outer(centre, velocity, centre - workers.mean(0))
            workers = np.tile(centre, (WORKERS, 1))
    return centre, workers


def test_the_master_takes_the_mean():
    centre, workers = loop(4, lambda c, v, drift: (c - drift, v))
    state = run(sgd.local(optax.sgd(RATE), 4))
    np.testing.assert_allclose(state.centre, centre, atol=1e-6)
    np.testing.assert_allclose(state.workers.params, workers, atol=1e-6)


def test_an_outer_optimiser_moves_along_the_mean():
    """Nesterov's momentum over the differences, as DiLoCo has it."""

    def nesterov(centre, velocity, drift):
        velocity = 0.9 * velocity + drift
        return centre - 0.7 * (drift + 0.9 * velocity), velocity

    outer = optax.sgd(0.7, momentum=0.9, nesterov=True)
    np.testing.assert_allclose(run(sgd.local(optax.sgd(RATE), 3, outer)).centre, loop(3, nesterov)[0], atol=1e-6)
