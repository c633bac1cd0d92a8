"""Laws that every distributed SGD rule obeys."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import sgd
from tests.sgd.quadratic import DIMENSION, RATE, STEPS, TARGETS, WORKERS, loss, run

RULES = {
    "synchronous": lambda: sgd.synchronous(optax.sgd(RATE)),
    "downpour": lambda: sgd.downpour(optax.sgd(RATE), period=3),
    "elastic": lambda: sgd.elastic(optax.sgd(RATE), 0.2, period=3),
    "elastic in turns": lambda: sgd.elastic(optax.sgd(RATE), 0.2, period=3, synchronous=False),
    "elastic with momentum": lambda: sgd.elastic(optax.sgd(RATE), 0.2, period=3, momentum=0.9, synchronous=False),
    "local": lambda: sgd.local(optax.sgd(RATE), period=3),
}
ASYNCHRONOUS = ("downpour", "elastic in turns", "elastic with momentum")


class TestEveryRule:
    @pytest.mark.parametrize("name", RULES)
    def test_all_begin_at_the_given_parameters_and_count_their_steps(self, name):
        rule = RULES[name]()
        start = rule.init(jnp.ones(DIMENSION), WORKERS)
        np.testing.assert_array_equal(start.workers.params, np.ones((WORKERS, DIMENSION)))
        np.testing.assert_array_equal(start.centre, start.worker_mean)
        np.testing.assert_array_equal(run(rule, start=1.0).workers.steps, np.full(WORKERS, STEPS))

    @pytest.mark.parametrize("name", ASYNCHRONOUS)
    def test_a_round_is_the_events_of_all_workers_in_their_order(self, name):
        rule = RULES[name]()

        @jax.jit
        def by_events(state):
            batches = TARGETS.reshape(-1, DIMENSION)
            workers = jnp.tile(jnp.arange(WORKERS), STEPS)
            return jax.lax.scan(lambda s, one: (rule.event(s, loss, *one), None), state, (workers, batches))[0]

        one_by_one = by_events(rule.init(jnp.ones(DIMENSION), WORKERS))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), run(rule, start=1.0), one_by_one)

    @pytest.mark.parametrize("name", sorted(set(RULES) - set(ASYNCHRONOUS)))
    def test_a_rule_with_a_barrier_has_no_single_events(self, name):
        assert RULES[name]().event is None

    @pytest.mark.parametrize("name", ["downpour", "elastic in turns"])
    def test_in_a_round_everyone_is_as_late_as_there_are_others(self, name):
        staleness = run(RULES[name]()).workers.staleness
        np.testing.assert_array_equal(staleness, np.full(WORKERS, WORKERS - 1))


def test_who_waits_is_never_late():
    for name in ("synchronous", "elastic", "local"):
        assert not run(RULES[name]()).workers.staleness.any()


@pytest.mark.slow
def test_period_and_rates_can_be_swept_in_one_program():
    periods, alphas = jnp.array([1, 2, 3]), jnp.array([0.05, 0.1, 0.2])
    final = lambda period, alpha: run(sgd.elastic(optax.sgd(RATE), alpha, period)).centre
    swept = jax.vmap(final)(periods, alphas)
    single = [final(int(period), float(alpha)) for period, alpha in zip(periods, alphas, strict=True)]
    np.testing.assert_allclose(swept, jnp.stack(single), atol=1e-6)


@pytest.mark.parametrize("period", [0, 2.5, float("inf"), float("nan")])
@pytest.mark.parametrize("make", [sgd.downpour, sgd.local, lambda o, period: sgd.elastic(o, 0.1, period)])
def test_a_period_that_is_no_number_of_steps_is_refused(make, period):
    with pytest.raises(ValueError, match=f"period must be a whole number of local steps from 1 on, got {period}"):
        make(optax.sgd(RATE), period=period)


def test_a_swept_number_may_be_more_exact_than_the_parameters():
    """Under 64 bits arrays of numbers are float64; float32 parameters stay float32."""
    final = lambda alpha, momentum: run(sgd.elastic(optax.sgd(RATE), alpha, 3, momentum=momentum)).centre
    single = final(0.2, 0.9)
    with jax.enable_x64(True):
        start = np.zeros(DIMENSION, np.float32)
        swept = jax.jit(lambda a, m: run(sgd.elastic(optax.sgd(RATE), a, 3, momentum=m), start=start).centre)
        result = swept(jnp.array(0.2), jnp.array(0.9))
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, single, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        sgd.synchronous,
        sgd.downpour,
        sgd.local,
        lambda rate: sgd.elastic(rate, 0.1),
        lambda rate: sgd.downpour(optax.sgd(RATE), server=rate),
        lambda rate: sgd.local(optax.sgd(RATE), outer=rate),
    ],
)
def test_a_rate_in_the_place_of_an_optimiser_is_refused(make):
    with pytest.raises(ValueError, match=r"a rule wants optimisers of optax, such as optax\.sgd\(0\.1\), got 0\.2"):
        make(0.2)


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="at least 1 worker, got 0"):
        RULES["synchronous"]().init(jnp.ones(DIMENSION), 0)


def test_batches_without_the_workers_axis_are_refused():
    rule = RULES["local"]()
    with pytest.raises(AssertionError):
        rule.step(rule.init(jnp.ones(DIMENSION), WORKERS), loss, TARGETS[0, :2])


VALUED = {"polyak": lambda: optax.polyak_sgd(0.5), "momo": lambda: optax.contrib.momo(0.3)}


@pytest.mark.parametrize("name", VALUED)
def test_a_worker_gets_its_own_loss(name):
    optimizer = VALUED[name]()
    rules = [
        sgd.local(optimizer, 10**6),
        sgd.elastic(optimizer, 0.1, 10**6),
        sgd.elastic(optimizer, 0.1, 10**6, synchronous=False),
        sgd.downpour(optimizer, 10**6),
    ]
    expected = []
    for worker in range(WORKERS):
        params = jnp.ones(DIMENSION)
        state = optimizer.init(params)
        for batch in TARGETS[:, worker]:
            value, gradient = jax.value_and_grad(loss)(params, batch)
            updates, state = optimizer.update(gradient, state, params, value=value)
            params = optax.apply_updates(params, updates)
        expected.append(params)
    for rule in rules:
        np.testing.assert_allclose(run(rule, start=1.0).workers.params, expected, atol=1e-5)


def test_a_master_gets_the_loss_of_what_is_pushed():
    """With one step between exchanges: the mean of all losses, or one loss after another."""
    optimizer = optax.polyak_sgd(0.5)
    params, pushed = jnp.ones(DIMENSION), jnp.ones(DIMENSION)
    state, push_state = optimizer.init(params), optimizer.init(pushed)
    workers = [pushed] * WORKERS
    for batches in TARGETS:
        values, gradients = jax.vmap(jax.value_and_grad(loss), (None, 0))(params, batches)
        updates, state = optimizer.update(gradients.mean(0), state, params, value=values.mean())
        params = optax.apply_updates(params, updates)
        for i, batch in enumerate(batches):
            value, gradient = jax.value_and_grad(loss)(workers[i], batch)
            updates, push_state = optimizer.update(gradient, push_state, pushed, value=value)
            workers[i] = pushed = optax.apply_updates(pushed, updates)
    np.testing.assert_allclose(run(sgd.synchronous(optimizer), start=1.0).centre, params, atol=1e-5)
    rule = sgd.downpour(optax.sgd(RATE), server=optimizer)
    np.testing.assert_allclose(run(rule, start=1.0).centre, pushed, atol=1e-5)


def test_an_outer_optimiser_gets_the_mean_of_the_last_losses():
    outer = optax.chain(optax.sgd(1.0), optax.contrib.reduce_on_plateau(accumulation_size=STEPS + 1))
    state = run(sgd.local(optax.sgd(RATE), 1, outer), start=1.0)
    centre, losses = np.ones(DIMENSION), []
    for targets in TARGETS:  # all begin each step at the centre
        losses += [float(loss(centre, target)) for target in targets]
        centre = centre - RATE * (centre - targets.mean(0))
    np.testing.assert_allclose(state.master.optimizer[1].avg_value, np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(state.centre, centre, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        sgd.synchronous,
        sgd.downpour,
        sgd.local,
        lambda optimizer: sgd.elastic(optimizer, 0.1),
        lambda optimizer: sgd.downpour(optax.sgd(RATE), server=optimizer),
        lambda optimizer: sgd.local(optax.sgd(RATE), outer=optimizer),
    ],
)
@pytest.mark.parametrize("optimizer", [optax.lbfgs(), optax.contrib.sophia(0.1)], ids=["lbfgs", "sophia"])
def test_an_optimiser_that_wants_functions_is_refused(make, optimizer):
    with pytest.raises(ValueError, match="a rule hands gradient, parameters and loss to its optimiser"):
        make(optimizer)
