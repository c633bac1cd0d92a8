"""The contract that every attack keeps, in both norms, on a linear network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import norms
from tests.attacks.models import linear, random_images

KEYS = jax.random.split(jax.random.key(0), 6)
_, APPLY = linear()
IMAGES = random_images(6)
LABELS = np.asarray(APPLY(IMAGES).argmax(-1))
EPSILON = {"linf": 0.03, "l2": 0.2}

ATTACKS = {
    "fgsm": lambda epsilon, norm: attacks.fgsm(epsilon, norm),
    "pgd": lambda epsilon, norm: attacks.pgd(epsilon, norm, steps=3, restarts=2),
    "apgd": lambda epsilon, norm: attacks.apgd(epsilon, norm, steps=3),
    "apgd_targeted": lambda epsilon, norm: attacks.apgd_targeted(epsilon, norm, targets=1, steps=3)[0],
    "fab_targeted": lambda epsilon, norm: attacks.fab_targeted(epsilon, norm, targets=1, steps=3)[0],
    "square": lambda epsilon, norm: attacks.square(epsilon, norm, queries=3),
}


@jax.jit
def run(attack, keys, images, labels):
    return attack(keys, APPLY, images, labels)


@pytest.mark.slow
@pytest.mark.parametrize("norm", norms.NORMS)
@pytest.mark.parametrize("name", ATTACKS)
class TestAttackConformance:
    def test_images_lie_in_ball_and_box(self, name, norm):
        adversarial = run(ATTACKS[name](EPSILON[norm], norm), KEYS, IMAGES, LABELS)
        assert adversarial.shape == IMAGES.shape
        assert adversarial.dtype == IMAGES.dtype
        assert norms.get(norm).magnitude(adversarial - IMAGES).max() <= EPSILON[norm] * (1 + 1e-4)
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1

    def test_the_same_keys_give_the_same_images(self, name, norm):
        attack = ATTACKS[name](EPSILON[norm], norm)
        first, second = (run(attack, KEYS, IMAGES, LABELS) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_an_image_does_not_depend_on_its_neighbours(self, name, norm):
        """A search ends early when all images of a batch are adversarial; in a ball this small none is."""
        attack = ATTACKS[name](1e-4, norm)
        adversarial = run(attack, KEYS, IMAGES, LABELS)
        np.testing.assert_allclose(run(attack, KEYS[2:4], IMAGES[2:4], LABELS[2:4]), adversarial[2:4], atol=1e-6)

    def test_epsilon_is_a_leaf_that_can_be_traced(self, name, norm):
        attack = ATTACKS[name](EPSILON[norm], norm)
        traced = jax.jit(lambda epsilon: ATTACKS[name](epsilon, norm)(KEYS, APPLY, IMAGES, LABELS))(EPSILON[norm])
        assert EPSILON[norm] in jax.tree.leaves(attack)
        np.testing.assert_allclose(traced, run(attack, KEYS, IMAGES, LABELS), atol=1e-6)

    def test_values_out_of_range_are_refused(self, name, norm):
        for epsilon in (0.0, -0.1, np.nan):
            with pytest.raises(ValueError, match="epsilon must be above 0"):
                ATTACKS[name](epsilon, norm)
        with pytest.raises(ValueError, match="norm must be one of linf, l2, got 'l1'"):
            ATTACKS[name](EPSILON[norm], "l1")
        with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
            ATTACKS[name](EPSILON[norm], norm)(KEYS, APPLY, jnp.asarray(2 * IMAGES), LABELS)
