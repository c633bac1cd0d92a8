import jax
import numpy as np

from framework import attacks
from framework.attacks import transferability
from tests.attacks.models import linear, random_images

KEY = jax.random.key(0)
IMAGES = random_images(40, low=0.3, high=0.7)
WEIGHTS, SOURCE = linear()
ATTACK = attacks.fgsm(0.05)


def similar_network(share):
    """A network that shares some of its weights with the source."""
    mixed = share * WEIGHTS + (1 - share) * linear(9)[0]
    return lambda images: (images - 0.5).reshape(len(images), -1) @ mixed


LABELS = np.asarray(SOURCE(IMAGES).argmax(-1))


def test_to_itself_a_transfer_is_the_attack():
    images_adv, robust = attacks.transfer(KEY, SOURCE, SOURCE, IMAGES, LABELS, ATTACK)
    result = attacks.evaluate(KEY, SOURCE, IMAGES, LABELS, ATTACK)
    np.testing.assert_array_equal(robust, result.robust)
    np.testing.assert_array_equal(images_adv, result.images)


def test_the_target_must_classify_both_images_correctly():
    target = similar_network(0.8)
    images_adv, robust = attacks.transfer(KEY, SOURCE, target, IMAGES, LABELS, ATTACK)
    is_correct = lambda images: np.asarray(target(images).argmax(-1)) == LABELS
    np.testing.assert_array_equal(robust, is_correct(IMAGES) & is_correct(images_adv))


def test_the_matrix_has_all_pairs_and_similar_networks_suffer():
    networks = {"source": SOURCE, "near": similar_network(0.8), "far": similar_network(0.3)}
    table = transferability.transfer_matrix(KEY, networks, IMAGES, LABELS, ATTACK)
    assert {(a, b) for a in table for b in table[a]} == {(a, b) for a in networks for b in networks}
    clean = {name: (np.asarray(apply(IMAGES).argmax(-1)) == LABELS).mean() for name, apply in networks.items()}
    lost = {name: clean[name] - table["source"][name] for name in networks}
    assert lost["source"] > lost["far"]
    assert lost["near"] > lost["far"]


def test_an_image_that_was_misclassified_is_not_robust():
    contrary = lambda images: -SOURCE(images)
    images_adv, robust = attacks.transfer(KEY, SOURCE, contrary, IMAGES, LABELS, ATTACK)
    assert (np.asarray(contrary(images_adv).argmax(-1)) == LABELS).any()
    assert not robust.any()
    assert transferability.transfer_matrix(KEY, {"a": SOURCE, "b": contrary}, IMAGES, LABELS, ATTACK)["a"]["b"] == 0
