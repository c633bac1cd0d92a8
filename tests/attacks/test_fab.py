import jax
import numpy as np
import pytest

from framework import attacks
from framework.attacks import losses, norms
from tests.attacks.models import boundary_distance, fixed_network, linear, random_images

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


def nearest_adversarial(norm, targets, apply, images, labels, steps=100):
    """Adversarial images of each target, however far."""
    sequence = attacks.fab_targeted(np.inf, norm, targets=targets, steps=steps, nearest=True)
    run = jax.jit(lambda attack: attack(KEY, apply, images, labels))
    return [np.asarray(run(attack)) for attack in sequence]


@pytest.mark.parametrize("norm", norms.NORMS)
def test_the_nearest_boundary_of_a_linear_model_is_exact(norm):
    weights, apply = linear()
    images = random_images(40, low=0.4, high=0.6)
    labels = np.asarray(apply(images).argmax(-1))
    adversarial = nearest_adversarial(norm, 4, apply, images, labels)
    for images_adv in adversarial:
        assert not losses.is_correct(apply(images_adv), labels).any()
    distance = np.min([norms.get(norm).magnitude(images_adv - images) for images_adv in adversarial], axis=0)
    exact = boundary_distance(weights, apply(images), labels, norm)
    assert (distance >= exact * (1 - 1e-3)).all()
    np.testing.assert_allclose(distance, exact, rtol=0.01)


@pytest.mark.parametrize("norm", norms.NORMS)
@pytest.mark.parametrize("index", [0, 3])
def test_distances_agree_with_the_reference_program(reference, norm, index):
    """Rank by rank; where the network is not linear, rounding sends a few searches elsewhere."""
    apply, images, labels, _ = fixed_network(np.float32)
    (case,) = (c for c in reference["fab"] if (c["norm"], c["rank"]) == (norm, index + 2))
    adversarial = nearest_adversarial(norm, 4, apply, images, labels)[index]
    close = np.isclose(norms.get(norm).magnitude(adversarial - images), case["distance"], rtol=1e-3)
    assert close.mean() >= 0.95


def test_only_an_image_within_epsilon_counts():
    weights, apply = linear()
    images = random_images(40, low=0.4, high=0.6)
    labels = np.asarray(apply(images).argmax(-1))
    exact = boundary_distance(weights, apply(images), labels, "linf")
    epsilon = float(np.median(exact))
    result = attacks.evaluate(KEY, apply, images, labels, attacks.fab_targeted(epsilon, targets=4))
    certain = abs(exact / epsilon - 1) > 0.02
    np.testing.assert_array_equal(result.robust[certain], (exact > epsilon)[certain])
    np.testing.assert_array_equal(result.images[result.robust], images[result.robust])
    assert abs(result.images - images).max() <= epsilon


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0}, "fab-t: epsilon must be above 0"),
        ({"epsilon": 0.1, "steps": 0}, "fab-t: steps must be a whole number of at least 1"),
        ({"epsilon": 0.1, "targets": 0}, "fab-t: targets must be a whole number of at least 1"),
        ({"epsilon": 0.1, "norm": "l1"}, "norm must be one of"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        attacks.fab_targeted(**arguments)
