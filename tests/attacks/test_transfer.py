import jax
import numpy as np

from framework import attacks
from tests.attacks.models import images_of, linear

KEY = jax.random.key(0)
IMAGES = images_of(40, low=0.3, high=0.7)
WEIGHTS, SOURCE = linear()
ATTACK = attacks.fgsm(0.05)


def near(share):
    """A network that shares some of its weights with the source."""
    mixed = share * WEIGHTS + (1 - share) * linear(9)[0]
    return lambda images: (images - 0.5).reshape(len(images), -1) @ mixed


LABELS = np.asarray(SOURCE(IMAGES).argmax(-1))


def test_to_itself_a_transfer_is_the_attack():
    made, robust = attacks.transfer(KEY, ATTACK, SOURCE, SOURCE, IMAGES, LABELS)
    found = attacks.evaluate(KEY, ATTACK, SOURCE, IMAGES, LABELS)
    np.testing.assert_array_equal(robust, found.robust)
    np.testing.assert_array_equal(made, found.images)


def test_a_target_is_right_where_it_is_right_on_both_images():
    target = near(0.8)
    made, robust = attacks.transfer(KEY, ATTACK, SOURCE, target, IMAGES, LABELS)
    right = lambda images: np.asarray(target(images).argmax(-1)) == LABELS
    np.testing.assert_array_equal(robust, right(IMAGES) & right(made))


def test_the_matrix_holds_every_pair_and_the_nearer_network_suffers_more():
    networks = {"source": SOURCE, "near": near(0.8), "far": near(0.3)}
    table = attacks.matrix(KEY, ATTACK, networks, IMAGES, LABELS)
    assert {(a, b) for a in table for b in table[a]} == {(a, b) for a in networks for b in networks}
    clean = {name: (np.asarray(apply(IMAGES).argmax(-1)) == LABELS).mean() for name, apply in networks.items()}
    lost = {name: clean[name] - table["source"][name] for name in networks}
    assert lost["source"] > lost["far"]
    assert lost["near"] > lost["far"]


def test_who_was_wrong_on_the_clean_image_has_not_withstood():
    contrary = lambda images: -SOURCE(images)
    made, robust = attacks.transfer(KEY, ATTACK, SOURCE, contrary, IMAGES, LABELS)
    assert (np.asarray(contrary(made).argmax(-1)) == LABELS).any()
    assert not robust.any()
    assert attacks.matrix(KEY, ATTACK, {"a": SOURCE, "b": contrary}, IMAGES, LABELS)["a"]["b"] == 0
