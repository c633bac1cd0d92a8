import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import sgd
from tests.sgd.quadratic import DIMENSION, RATE, TARGETS, WORKERS, loss, run

ALPHA = 0.2


def loop(period, order, synchronous, momentum):
    """The published updates, one worker after another, in NumPy."""
    centre, workers, velocity = np.zeros(DIMENSION), np.zeros((WORKERS, DIMENSION)), np.zeros((WORKERS, DIMENSION))
    for step, round_ in enumerate(TARGETS):
        observed, pulls = centre, []
        for i, target in enumerate(round_):
            before = workers[i].copy()
            velocity[i] = momentum * velocity[i] - RATE * (before + momentum * velocity[i] - target)
            workers[i] = before + velocity[i]
            if (step + (order == "after")) % period == 0:
                origin = workers[i] if order == "after" else before
                pulls.append(ALPHA * (origin - (observed if synchronous else centre)))
                workers[i] = workers[i] - pulls[-1]
                centre = centre + pulls[-1]
    return centre, workers


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("order", ["after", "before"])
def test_equals_a_plain_loop(order, synchronous, momentum):
    rule = sgd.elastic(optax.sgd(RATE), ALPHA, 3, momentum=momentum, order=order, synchronous=synchronous)
    state = run(rule)
    centre, workers = loop(3, order, synchronous, momentum)
    np.testing.assert_allclose(state.centre, centre, atol=1e-6)
    np.testing.assert_allclose(state.workers.params, workers, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", [True, False])
def test_an_exchange_conserves_centre_plus_workers(synchronous):
    rule = sgd.elastic(optax.sgd(0.0), ALPHA, synchronous=synchronous)
    start = rule.init(jnp.zeros(DIMENSION), WORKERS)
    start = start._replace(workers=start.workers._replace(params=jnp.asarray(TARGETS[0])))
    end = rule.step(start, loss, TARGETS[1])
    total = lambda state: state.centre + state.workers.params.sum(0)
    assert not np.allclose(end.centre, start.centre)
    np.testing.assert_allclose(total(end), total(start), atol=1e-6)


def test_alpha_one_nth_makes_the_centre_the_mean():
    state = run(sgd.elastic(optax.sgd(RATE), 1 / WORKERS))
    before = run(sgd.elastic(optax.sgd(RATE), 1 / WORKERS), TARGETS[:-1])
    updated = before.workers.params - RATE * (before.workers.params - TARGETS[-1])
    np.testing.assert_allclose(state.centre, updated.mean(0), atol=1e-6)


@pytest.mark.slow
def test_a_reset_after_the_mean_is_local_sgd():
    """Synchronous, alpha = 1 / n, workers put back to the centre after each exchange."""
    elastic, local = sgd.elastic(optax.sgd(RATE), 1 / WORKERS, 2), sgd.local(optax.sgd(RATE), 2)
    state, other = (rule.init(jnp.zeros(DIMENSION), WORKERS) for rule in (elastic, local))
    for step, target in enumerate(TARGETS):
        state, other = elastic.step(state, loss, target), local.step(other, loss, target)
        if step % 2:
            copies = jnp.broadcast_to(state.centre, state.workers.params.shape)
            state = state._replace(workers=state.workers._replace(params=copies))
    np.testing.assert_allclose(state.centre, other.centre, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:elastic. with alpha above")
@pytest.mark.parametrize("rate", [0.2, 1.0, 1.8])
def test_round_robin_is_stable_up_to_the_published_bound(rate):
    """The spectrum of one round as a linear map: 0 <= eta <= 2, 0 <= alpha <= (4 - 2 eta) / (4 - eta)."""
    bound = (4 - 2 * rate) / (4 - rate)

    def radius(alpha, workers=3):
        rule = sgd.elastic(optax.sgd(rate), min(alpha, 1.0), order="before", synchronous=False)
        start = rule.init(jnp.zeros(()), workers)

        def round_(numbers):
            state = start._replace(
                master=start.master._replace(params=numbers[0]), workers=start.workers._replace(params=numbers[1:])
            )
            state = rule.step(state, loss, jnp.zeros(workers))
            return jnp.concatenate([state.centre[None], state.workers.params])

        return np.abs(np.linalg.eigvals(jax.jacobian(round_)(jnp.zeros(workers + 1)))).max()

    assert radius(0.98 * bound) < 1
    assert rate == 0.2 or radius(1.05 * bound) > 1  # there the bound is 1, past which nothing is accepted


def test_without_a_step_all_at_once_is_stable_up_to_the_bound():
    """The spectrum of the exchange alone: 1 - alpha (n + 1) leaves the unit circle at alpha = 2 / (n + 1)."""
    n = WORKERS
    for alpha, stable in ((2 / (n + 1) - 0.01, True), (2 / (n + 1) + 0.01, False)):
        exchange = np.eye(n + 1)
        exchange[1:] -= alpha * (np.eye(n + 1)[1:] - np.eye(n + 1)[0])
        exchange[0] += alpha * (np.eye(n + 1)[1:] - np.eye(n + 1)[0]).sum(0)
        assert (np.abs(np.linalg.eigvals(exchange)).max() <= 1 + 1e-9) == stable
    with pytest.raises(ValueError, match=r"alpha must lie in \[0, 0.4\] for 4 workers"):
        sgd.elastic(optax.sgd(RATE), 0.41).init(jnp.zeros(()), n)
    with pytest.warns(UserWarning, match=r"alpha above 0.25 the centre of 4 workers overshoots"):
        sgd.elastic(optax.sgd(RATE), 0.3).init(jnp.zeros(()), n)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "during"}, "order must be one of after, before"),
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), got 1.0"),
        ({"synchronous": False}, r"alpha must lie in \[0, 1\]"),
    ],
)
def test_bad_choices_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sgd.elastic(optax.sgd(RATE), 1.5, **options).init(jnp.zeros(()), WORKERS)
