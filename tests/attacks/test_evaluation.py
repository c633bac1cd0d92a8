import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks.evaluation import batches
from tests.attacks.models import linear, random_images

pytestmark = pytest.mark.slow

KEY = jax.random.key(3)
WEIGHTS, APPLY = linear()
IMAGES = random_images(45, low=0.3, high=0.7)
LABELS = np.array(APPLY(IMAGES).argmax(-1))
LABELS[:4] = (LABELS[:4] + 1) % 5  # wrong from the start
SEQUENCE = (attacks.fgsm(0.004), attacks.pgd(0.006, steps=3), attacks.pgd(0.01, steps=3))


def test_batches_are_of_one_shape():
    parts = list(batches(np.arange(10, 17), 3))
    assert [rows.tolist() for _, rows, _ in parts] == [[10, 11, 12], [13, 14, 15], [16, 16, 16]]
    assert [(done, count) for done, _, count in parts] == [(3, 3), (6, 3), (7, 1)]
    assert list(batches(np.array([], int), 3)) == []


def test_robustness_is_that_of_the_attacks_alone():
    """An image is robust if it is right, and right after each attack with that attack's own draws."""
    result = attacks.evaluate(KEY, APPLY, IMAGES, LABELS, SEQUENCE)
    robust = np.asarray(APPLY(IMAGES).argmax(-1)) == LABELS
    accuracy = [robust.mean()]
    for index, attack in enumerate(SEQUENCE):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(KEY, index), jnp.arange(45))
        adversarial = jax.jit(lambda attack, keys: attack(keys, APPLY, IMAGES, LABELS))(attack, keys)
        robust &= np.asarray(APPLY(adversarial).argmax(-1)) == LABELS
        accuracy.append(robust.mean())
    np.testing.assert_array_equal(result.robust, robust)
    assert list(result.accuracy) == ["clean", "fgsm", "pgd-3"]
    np.testing.assert_allclose(list(result.accuracy.values()), [*accuracy[:2], accuracy[3]])
    assert 0 < robust.sum() < 41


@pytest.mark.parametrize("batch", [7, 1000])
def test_neither_batch_nor_padding_changes_robustness(batch):
    whole = attacks.evaluate(KEY, APPLY, IMAGES, LABELS, SEQUENCE, batch=45)
    parts = attacks.evaluate(KEY, APPLY, IMAGES, LABELS, SEQUENCE, batch=batch)
    np.testing.assert_array_equal(parts.robust, whole.robust)
    np.testing.assert_allclose(parts.images, whole.images, atol=1e-6)


def test_images_are_adversarial_or_original():
    result = attacks.evaluate(KEY, APPLY, IMAGES, LABELS, SEQUENCE)
    assert (np.asarray(APPLY(result.images).argmax(-1)) == LABELS)[result.robust].all()
    assert (np.asarray(APPLY(result.images).argmax(-1)) != LABELS)[~result.robust].all()
    np.testing.assert_array_equal(result.images[result.robust], IMAGES[result.robust])
    np.testing.assert_array_equal(result.images[:4], IMAGES[:4])
    assert not result.robust[:4].any()
    assert abs(result.images - IMAGES).max() <= 0.01 + 1e-6


@pytest.mark.parametrize(
    "form",
    [
        lambda network, weights: jax.tree_util.Partial(network, weights),
        lambda network, weights: lambda images: network(weights, images),
    ],
    ids=["parameters as leaves", "another closure"],
)
def test_an_attack_is_compiled_once_for_all_parameters(form, caplog):
    shapes = set()

    def network(weights, images):
        shapes.add(images.shape)
        return (images - 0.5).reshape(len(images), -1) @ weights

    sequence = attacks.apgd_targeted(0.01, targets=4, steps=5)
    run = lambda weights: attacks.evaluate(KEY, form(network, weights), IMAGES, LABELS, sequence, batch=8)
    negative = -jnp.asarray(WEIGHTS)
    first = run(jnp.asarray(WEIGHTS))
    with jax.log_compiles(True):
        second = run(negative)
    assert not [message for message in caplog.messages if message.startswith("Finished XLA compilation")]
    assert first.accuracy != second.accuracy
    assert shapes == {(8, *IMAGES.shape[1:])}


def test_no_nan_is_ever_robust():
    """Near its images this network gives NaN: that is a failure, and what is returned is a valid image."""
    apply = lambda x: jnp.where(abs(x - jnp.round(x, 1)).max((1, 2, 3))[:, None] > 1e-3, jnp.nan, APPLY(x))
    images = IMAGES.round(1)
    labels = np.asarray(APPLY(images).argmax(-1))
    for attack in (attacks.fgsm(0.01), attacks.apgd(0.01, steps=2)):
        result = attacks.evaluate(KEY, apply, images, labels, attack)
        assert not result.robust.any()
        assert np.isfinite(result.images).all()


def test_more_restarts_never_find_fewer():
    weak = attacks.pgd(0.01, steps=3, step_size=0.002)
    few, many = (attacks.evaluate(KEY, APPLY, IMAGES, LABELS, (weak,) * n).robust for n in (1, 6))
    assert (many <= few).all()
    assert many.sum() < few.sum()


def test_progress_is_reported_after_each_batch():
    calls = []
    attacks.evaluate(KEY, APPLY, IMAGES, LABELS, SEQUENCE[:1], batch=20, progress=lambda *call: calls.append(call))
    assert calls == [("fgsm", 20, 41), ("fgsm", 40, 41), ("fgsm", 41, 41)]


def test_a_network_that_gives_nan_is_refused():
    apply = lambda x: jnp.where(jnp.arange(len(x))[:, None] == 3, jnp.nan, APPLY(x))
    with pytest.raises(ValueError, match="the network gives NaN on the clean image 3"):
        attacks.evaluate(KEY, apply, IMAGES, LABELS, SEQUENCE)


@pytest.mark.parametrize("wrong", ["fgsm", ["fgsm"], None, attacks.fgsm])
def test_objects_other_than_attacks_are_refused(wrong):
    with pytest.raises(ValueError, match=r"attacks must be such as attacks\.pgd\(8 / 255\) makes, got "):
        attacks.evaluate(KEY, APPLY, IMAGES, LABELS, wrong)


@pytest.mark.parametrize("targeted", [attacks.apgd_targeted, attacks.fab_targeted])
def test_more_targets_than_other_classes_are_refused(targeted):
    attacks.evaluate(KEY, APPLY, IMAGES, LABELS, targeted(0.01, targets=4, steps=1))
    with pytest.raises(ValueError, match="-t: targets must be at most 4, as the network has 5 classes"):
        attacks.evaluate(KEY, APPLY, IMAGES, LABELS, targeted(0.01, targets=5, steps=1))
