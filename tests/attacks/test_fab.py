import jax
import numpy as np
import pytest

from framework import attacks
from framework.attacks import losses, norms
from tests.attacks.models import boundary, fixed, images_of, linear

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


def nearest(norm, targets, apply, images, labels, steps=100):
    """Adversarial images of each target, however far."""
    chosen = attacks.fab_targeted(np.inf, norm, targets=targets, steps=steps, nearest=True)
    run = jax.jit(lambda attack: attack(KEY, apply, images, labels))
    return [np.asarray(run(attack)) for attack in chosen]


@pytest.mark.parametrize("norm", norms.NORMS)
def test_on_a_linear_model_it_finds_the_nearest_boundary(norm):
    weights, apply = linear()
    images = images_of(40, low=0.4, high=0.6)
    labels = np.asarray(apply(images).argmax(-1))
    found = nearest(norm, 4, apply, images, labels)
    for each in found:
        assert not losses.correct(apply(each), labels).any()
    distance = np.min([norms.named(norm).size(each - images) for each in found], axis=0)
    exact = boundary(weights, apply(images), labels, norm)
    assert (distance >= exact * (1 - 1e-3)).all()
    np.testing.assert_allclose(distance, exact, rtol=0.01)


@pytest.mark.parametrize("norm", norms.NORMS)
@pytest.mark.parametrize("place", [0, 3])
def test_the_reference_program_comes_as_near(reference, norm, place):
    """Rank by rank; where the network is not linear, rounding sends a few searches elsewhere."""
    apply, images, labels, _ = fixed(np.float32)
    (case,) = (c for c in reference["fab"] if (c["norm"], c["rank"]) == (norm, place + 2))
    found = nearest(norm, 4, apply, images, labels)[place]
    close = np.isclose(norms.named(norm).size(found - images), case["distance"], rtol=1e-3)
    assert close.mean() >= 0.95


def test_only_an_image_within_epsilon_counts():
    weights, apply = linear()
    images = images_of(40, low=0.4, high=0.6)
    labels = np.asarray(apply(images).argmax(-1))
    exact = boundary(weights, apply(images), labels, "linf")
    epsilon = float(np.median(exact))
    found = attacks.evaluate(KEY, attacks.fab_targeted(epsilon, targets=4), apply, images, labels)
    sure = abs(exact / epsilon - 1) > 0.02
    np.testing.assert_array_equal(found.robust[sure], (exact > epsilon)[sure])
    np.testing.assert_array_equal(found.images[found.robust], images[found.robust])
    assert abs(found.images - images).max() <= epsilon


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0}, "fab-t: epsilon must be above 0"),
        ({"epsilon": 0.1, "steps": 0}, "fab-t: steps must be a whole number of at least 1"),
        ({"epsilon": 0.1, "targets": 0}, "fab-t: targets must be a whole number of at least 1"),
        ({"epsilon": 0.1, "norm": "l1"}, "norm must be one of"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        attacks.fab_targeted(**arguments)
