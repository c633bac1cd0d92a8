import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import sgd
from framework.sgd import training

X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def loss(w, batch):
    return 0.5 * jnp.mean(jnp.sum((w - batch) ** 2, -1))


@pytest.mark.slow
def test_each_worker_sees_its_own_samples_once_an_epoch():
    source = sgd.shard(jnp.arange(50), workers=4, batch=3, key=jax.random.key(0))
    order = training.orders(source, jnp.array(0))
    observed = np.concatenate([training.batches(source, jnp.array(index), 3, order) for index in range(4)], axis=1)
    assert (np.sort(observed, axis=1) == np.arange(48).reshape(4, 12)).all()
    assert (observed != np.arange(48).reshape(4, 12)).any()
    assert (training.orders(source, jnp.array(1)) != order).any()


def test_without_a_key_samples_come_as_they_stand():
    state = sgd.run(sgd.local(optax.sgd(0.1), 2), loss, jnp.zeros(3), X, workers=4, batch=3, devices=1)
    shards, w = X[:48].reshape(4, 12, 3), np.zeros((4, 3))
    for step in range(4):
        w = w - 0.1 * (w - shards[:, 3 * step : 3 * step + 3].mean(1))
        if step % 2:
            w[:] = w.mean(0)
    np.testing.assert_allclose(state.centre, w[0], atol=1e-6)


def test_each_epoch_is_shuffled_anew_and_may_end_early():
    """Epochs of 4 steps, 10 steps: the oracle draws its batches by `shard`, `orders` and `batches`, step by step."""
    rule, key = sgd.local(optax.sgd(0.1), 3), jax.random.key(2)
    source, state = sgd.shard(X, 4, 3, key), rule.init(jnp.zeros(3), 4)
    step = jax.jit(lambda state, batches: rule.step(state, loss, batches))
    for number in range(10):
        order = training.orders(source, jnp.array(number // 4))
        state = step(state, training.batches(source, jnp.array(number % 4), 3, order))
    result = sgd.run(rule, loss, jnp.zeros(3), X, workers=4, batch=3, steps=10, devices=1, key=key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), result, state)
    assert result.workers.steps.tolist() == [10] * 4


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.skipif("jax.device_count() < 2"))])
def test_a_run_is_of_what_the_loss_holds_by_now(devices, caplog):
    held = {"scale": 1.0}
    scaled = lambda w, batch: held["scale"] * loss(w, batch)
    rule = sgd.local(optax.sgd(0.1), 2)
    run = lambda: sgd.run(rule, scaled, jnp.zeros(3), X, workers=4, batch=3, devices=devices).centre
    once = run()
    held["scale"] = 0.0
    np.testing.assert_array_equal(run(), np.zeros(3))
    held["scale"] = 1.0
    with jax.log_compiles(True):
        np.testing.assert_array_equal(run(), once)
    assert not [item for item in caplog.messages if item.startswith("Finished XLA compilation of jit(train)")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 60}, "a shard of 60 workers holds 0 samples"),
        ({"workers": 4, "batch": 13}, "a batch must hold 1 to that, got 13"),
        ({"workers": 4, "steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"workers": 4, "steps": 2.5}, "steps must be a whole number of at least 1, got 2.5"),
        ({"workers": 4, "batch": 2.5}, "batch must be a whole number of at least 1, got 2.5"),
        ({"workers": 4, "key": 0}, "a random key is wanted"),
        ({"workers": 4, "devices": 3000}, "devices must be 1 to"),
        ({"workers": 4, "form": "xmap"}, "form must be one of pmap, shard_map"),
    ],
)
def test_bad_settings_are_refused(options, message):
    options = {"batch": 3, "devices": 1} | options
    with pytest.raises(ValueError, match=message):
        sgd.run(sgd.synchronous(optax.sgd(0.1)), loss, jnp.zeros(3), X, **options)


def test_data_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one leading axis"):
        sgd.shard((X, X[:10]), 4, 3)
