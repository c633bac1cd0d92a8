from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.core import checks
from framework.models import training

COUNT, BATCH = 20, 6


def loss(params, images, labels, key):
    """Least squares; counts the images in a running statistic."""
    residual = images @ params["weight"] - labels
    new_params = params | {"mean": params["mean"].at[labels.astype(int)].add(1.0)}
    return (residual**2).mean(), (new_params, {"noise": jax.random.uniform(key)})


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(size=(COUNT, 3)).astype(np.float32), np.arange(COUNT, dtype=np.float32)


def initial_params():
    return {"weight": jnp.zeros(3), "mean": jnp.zeros(COUNT)}


def run(data, steps, key=0):
    trainer = training.trainer(loss, optax.sgd(0.1), BATCH)
    state = trainer.init(initial_params(), COUNT, jax.random.key(key))
    return jax.lax.scan(lambda s, _: trainer.step(s, data), state, length=steps)


@pytest.mark.slow
def test_an_epoch_sees_no_image_twice(data):
    per_epoch = COUNT // BATCH
    for epochs in (1, 2, 3):
        counts = np.asarray(run(data, epochs * per_epoch)[0].params["mean"])
        assert counts.sum() == epochs * per_epoch * BATCH
        assert counts.max() <= epochs
    assert sorted(np.asarray(run(data, per_epoch + 1)[0].order)) == list(range(COUNT))


@pytest.mark.slow
def test_epochs_have_different_orders_and_steps_different_keys(data):
    first, second = (np.asarray(run(data, steps)[0].order) for steps in (1, COUNT // BATCH + 1))
    assert np.any(first != second)
    noise = np.asarray(run(data, 6)[1]["noise"])
    assert len(set(noise.tolist())) == 6


@pytest.mark.slow
def test_a_step_is_the_optimisers_on_the_batch(data):
    images, labels = data
    state, metrics = run(data, 1)
    rows = np.asarray(state.order)[:BATCH]
    expected = 0.1 * 2 * images[rows].T @ labels[rows] / BATCH
    np.testing.assert_allclose(state.params["weight"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], [(labels[rows] ** 2).mean()], rtol=1e-5)


def test_a_batch_that_cannot_be_filled_is_refused():
    with pytest.raises(ValueError, match="a batch must hold 1 to 20 images, the training set, got 21"):
        training.trainer(loss, optax.sgd(0.1), COUNT + 1).init(initial_params(), COUNT, jax.random.key(0))
    for batch in (0, 2.5):
        with pytest.raises(ValueError, match=f"batch must be a whole number of at least 1, got {batch}"):
            training.trainer(loss, optax.sgd(0.1), batch)
    with pytest.raises(ValueError, match="a random key is wanted"):
        training.trainer(loss, optax.sgd(0.1), BATCH).init(initial_params(), COUNT, 0)


class Fields(NamedTuple):
    weight: jax.Array
    mean: jax.Array


def test_running_statistics_are_found_by_name_in_any_tree():
    params = [{"mean": 1, "scale": 2}, (3, Fields(4, 5)), {"var": {"kernel": 6}, "mask": 7}]
    source = jax.tree.map(lambda leaf: -leaf, params)
    result = training.with_statistics(params, source)
    assert result == [{"mean": -1, "scale": 2}, (3, Fields(4, -5)), {"var": {"kernel": 6}, "mask": -7}]
    assert training.with_statistics(8, -8) == 8


def test_accuracy_is_the_share_of_correct_labels():
    images = jnp.eye(4)[jnp.array([0, 1, 2, 3, 0, 1])]
    labels = jnp.array([0, 1, 2, 0, 1, 1])
    assert training.accuracy(lambda x: x, images, labels, batch=3) == pytest.approx(4 / 6)
    with pytest.raises(ValueError, match="no multiple of a batch of 4"):
        training.accuracy(lambda x: x, images, labels, batch=4)


def test_nan_is_never_correct():
    logits = lambda x: jnp.where(jnp.arange(2) == 1, jnp.nan, x)
    assert training.accuracy(logits, jnp.eye(2), jnp.array([0, 1])) == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 3]), "labels must lie between 0 and 2, got 0 to 3"),
        (np.array([-1, 1]), "labels must lie between 0 and 2, got -1 to 1"),
        (np.array([0.0, 1.0]), "labels must be whole numbers from 0 to 2, got float64"),
    ],
)
def test_labels_that_are_not_classes_are_refused(labels, message):
    checks.labels("labels", np.array([0, 2, 1]), 3)
    jax.jit(lambda traced: checks.labels("labels", traced, 3))(labels.astype(int))
    with pytest.raises(ValueError, match=message):
        checks.labels("labels", labels, 3)


def test_an_optimiser_that_needs_the_loss_gets_it(data):
    trainer = training.trainer(loss, optax.polyak_sgd(10.0), BATCH)
    state = trainer.init(initial_params(), COUNT, jax.random.key(0))
    state_after, metrics = trainer.step(state, data)
    chosen = np.asarray(state_after.order)[:BATCH]
    gradient = -2 * data[0][chosen].T @ data[1][chosen] / BATCH
    expected = -min(float(metrics["loss"]) / (gradient @ gradient), 10.0) * gradient
    np.testing.assert_allclose(state_after.params["weight"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "message"), [(optax.lbfgs(), "also wants grad and value_fn"), (0.1, "a trainer wants optimisers")]
)
def test_optimisers_that_need_functions_are_refused(optimizer, message):
    with pytest.raises(ValueError, match=message):
        training.trainer(loss, optimizer, BATCH)
