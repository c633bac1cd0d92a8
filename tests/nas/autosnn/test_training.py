import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import data
from framework.core.chunked_scan import advance
from framework.nas import advrush, autosnn
from framework.nas.autosnn import blocks, training
from framework.nas.autosnn import supernet as spiking_supernet
from framework.nas.autosnn.space import Slot, Space

pytestmark = pytest.mark.slow

BATCH, STEPS = 20, 45


@pytest.fixture(scope="module")
def one_slot():
    """One slot with two candidates: as little as a supernet can be."""
    names = ("skip_connect", "SCB_k1")
    slot = Slot(tuple(blocks.candidate(name, (5, 5)) for name in names))
    places = (blocks.convolution(5), slot, blocks.max_pool(), blocks.dense(20))
    return Space(places, names, (4, 4, 1), 2, autosnn.Dynamics(steps=3))


@pytest.fixture(scope="module")
def trained(one_slot, halves):
    """A supernet's training, and what each step measured."""
    trainer = training.supernet_trainer(one_slot, autosnn.Config(epochs=15, batch=BATCH), optax.adam(3e-2))
    start = trainer.init(jax.random.key(0), 60)
    return advance(trainer.step, start, tuple(map(jnp.asarray, halves)), STEPS)


def test_every_architecture_of_a_supernet_uses_the_images(trained, one_slot, halves):
    supernet = training.supernet(trained[0], one_slot)
    scores = autosnn.enumerate(supernet, *halves)
    assert scores.accuracy.min() > 0.9
    assert scores.spikes[1] > scores.spikes[0] > 0  # two layers of neurons more


def test_the_reference_is_the_mean_of_the_last_epochs_spikes(trained):
    state, metrics = trained
    assert metrics.keys() == {"loss", "accuracy", "spikes"}
    assert float(state.spikes) == pytest.approx(float(metrics["spikes"][-3:].mean()), rel=1e-5)


def test_the_statistics_of_blocks_that_were_not_drawn_stay(one_slot, halves):
    params, state = spiking_supernet.init(jax.random.key(0), one_slot)
    run = jax.jit(lambda choice: spiking_supernet.apply(one_slot, params, state, choice, halves[0], train=True)[1])
    for choice, moves in ((0, False), (1, True)):
        after = run(jnp.array([choice]))
        same = jax.tree.map(np.array_equal, after, state)
        assert not any(jax.tree.leaves(same[0]))
        assert all(jax.tree.leaves(same[1])) != moves


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y + 7), "labels of the training set must lie in 0 .. 1, got 7 .. 8"),
        (lambda x, y: (x[:10], y[:10]), "a batch must hold 1 to 10 images"),
        (lambda x, y: (x[:0], y[:0]), "the training set needs at least 1 image"),
    ],
)
def test_training_sets_that_cannot_be_used_are_refused(one_slot, halves, change, message):
    with pytest.raises(ValueError, match=message):
        autosnn.train_supernet(jax.random.key(0), *change(*halves), one_slot, autosnn.Config(1, BATCH))


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}, {"paths": 0}, {"epochs": 1.5}])
def test_a_training_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="epochs, batch and paths must be at least 1 each"):
        autosnn.Config(**wrong)


def test_one_program_trains_the_supernet_and_every_network_of_it(one_slot, halves):
    """Compiled once, whatever is pinned, and for the states that it returns too."""
    trainer = training.supernet_trainer(one_slot, autosnn.Config(1, BATCH))
    shapes = {
        str(jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype), leaf.weak_type), jax.tree.leaves(state)))
        for pinned in (None, [0], np.array([1]))
        for state in (jax.eval_shape(lambda p=pinned: trainer.init(jax.random.key(0), 60, p)),)
        for state in (state, jax.eval_shape(trainer.step, state, tuple(map(jnp.asarray, halves)))[0])
    }
    assert len(shapes) == 1


@pytest.mark.slow
def test_a_supernet_learns_recordings_of_an_event_camera(shared):
    """Windows of one N-MNIST sample: its left part or its right, at T frames each."""
    recording = data.read_events(shared("snn", "tonic_sample_nmnist.bin"))
    whole = data.frames(recording, 40).reshape(10, 4, 34, 34, 2)[:, :3].astype(np.float32)
    frames = np.concatenate([whole[:, :, 9:25, 2:18], whole[:, :, 9:25, 16:32]])
    names = ("skip_connect", "SCB_k1")
    slot = Slot(tuple(blocks.candidate(name, (5, 5)) for name in names))
    places = (blocks.convolution(5), blocks.max_pool(4), slot, blocks.max_pool(), blocks.dense(20))
    space = Space(places, names, (16, 16, 2), 2, autosnn.Dynamics(steps=3))
    labels = np.repeat([0, 1], 10)
    supernet = autosnn.train_supernet(
        jax.random.key(1), frames, labels, space, autosnn.Config(30, 20), optax.adam(3e-2)
    )
    assert autosnn.evaluate(supernet, np.array([1]), frames, labels).accuracy > 0.8


def test_the_regulariser_is_the_per_image_curvature(one_slot, halves):
    """R by its definition, of one network on running statistics, and none of it while it warms up."""
    regulariser = advrush.Regulariser(gamma=0.5, h=0.7, warmup=1)
    trainer = training.supernet_trainer(one_slot, autosnn.Config(2, 60, regulariser=regulariser), optax.sgd(0.0))
    state = trainer.init(jax.random.key(0), 60, (1,))
    start, data = state.inner.params, tuple(map(jnp.asarray, halves))
    (_, metrics) = advance(trainer.step, state, data, 2)
    assert metrics["curvature"][0] == 0

    state, _ = advance(trainer.step, state, data, 1)  # the statistics have moved, the weights have not
    tree = state.inner.params
    net = autosnn.build_network(one_slot, (1,))
    arguments = autosnn.inherit(training.supernet(state, one_slot), (1,))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, tree["params"], start["params"])))
    assert not all(jax.tree.leaves(jax.tree.map(np.array_equal, tree["state"], start["state"])))

    def loss(image, label):
        votes = net.apply(*arguments, image[None])[0].votes
        return jnp.mean(jnp.square(votes[0] - jax.nn.one_hot(label, 2)))

    slope = jax.jit(jax.vmap(jax.grad(loss)))
    before = slope(*data)
    sign = np.sign(before)
    length = np.sqrt(np.square(sign).sum((1, 2, 3), keepdims=True))
    behind = slope(data[0] + 0.7 * sign / np.where(length > 0, length, 1), data[1])
    expected = np.square(behind - before).sum((1, 2, 3)).mean()
    assert expected > 0
    assert metrics["curvature"][1] == pytest.approx(float(expected), rel=1e-4)
    plain = float(training.squared_error(net.apply(*arguments, data[0], train=True)[0], data[1]))
    assert float(metrics["loss"][1]) == pytest.approx(plain + 0.5 * float(expected), rel=1e-4)


def test_a_regularised_supernet_is_flatter_than_a_plain_one(one_slot, halves):
    data, steps = tuple(map(jnp.asarray, halves)), 45
    bound, free = (
        training.supernet_trainer(one_slot, autosnn.Config(15, BATCH, regulariser=source), optax.adam(1e-2))
        for source in (advrush.Regulariser(gamma=1e4, h=0.5, warmup=0), None)
    )
    after_bound, _ = advance(bound.step, bound.init(jax.random.key(0), 60), data, steps)
    after_free, _ = advance(free.step, free.init(jax.random.key(0), 60), data, steps)
    observed = {
        name: advance(bound.step, state, data, 9)[1] for name, state in (("bound", after_bound), ("free", after_free))
    }
    result = {name: float(np.mean(item["curvature"][:3])) for name, item in observed.items()}
    assert result["bound"] < 0.5 * result["free"], result
