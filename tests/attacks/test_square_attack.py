import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import losses, norms
from framework.attacks.square_attack import patch_sides
from tests.attacks.models import linear, random_images

pytestmark = pytest.mark.slow

KEYS = jax.random.split(jax.random.key(0), 30)
_, APPLY = linear()
IMAGES = random_images(30)
LABELS = np.asarray(APPLY(IMAGES).argmax(-1))
EPSILON = {"linf": 0.015, "l2": 0.07}


@jax.jit
def run(attack, keys, images, labels):
    return attack(keys, APPLY, images, labels)


def test_patch_sides_follow_the_schedule_of_the_reference():
    side = patch_sides(5000, 32, 32, "linf")
    changes = np.flatnonzero(np.diff(side)) + 1
    assert side[[0, *changes]].tolist() == [29, 20, 14, 10, 7, 5, 4, 3]
    assert changes.tolist() == [11, 51, 201, 501, 1001, 2001, 4001]
    assert set(patch_sides(5000, 32, 32, "l2")[[0, 20, 100, 300, 4500]]) == {29, 21, 15, 11, 3}
    assert patch_sides(5000, 4, 9, "linf").max() == 4


@pytest.mark.parametrize("norm", ["linf", pytest.param("l2", marks=pytest.mark.slow)])
def test_images_stay_in_ball_and_box_and_queries_only_help(norm):
    ball, worst = norms.get(norm), []
    for queries in (1, 60):
        adversarial = run(attacks.square(EPSILON[norm], norm, queries=queries), KEYS, IMAGES, LABELS)
        assert ball.magnitude(adversarial - IMAGES).max() <= EPSILON[norm] * (1 + 1e-5)
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1
        worst.append(np.asarray(losses.margin(APPLY(adversarial), LABELS)))
    assert (worst[0] <= worst[1]).all()
    assert (worst[0] < worst[1]).sum() > 15
    assert (worst[1] > 0).sum() < 15


def test_it_reaches_the_single_optimum_of_a_gradient_attack():
    """Two classes of a linear model; squares never cover the last row and column, which have no weight here."""
    weights = np.random.default_rng(3).normal(size=IMAGES.shape[1:]).astype(np.float32)
    weights[-1], weights[:, -1] = 0, 0
    apply = lambda x: jnp.stack([9 + (x * weights).sum((1, 2, 3)), 0 * x[:, 0, 0, 0]], -1)
    gray, zeros = np.full_like(IMAGES[:8], 0.5), np.zeros(8, int)
    both = jax.jit(lambda attack: losses.margin(apply(attack(KEYS[:8], apply, gray, zeros)), zeros))
    best = both(attacks.fgsm(0.02, loss="margin"))
    np.testing.assert_allclose(both(attacks.square(0.02, queries=1200)), best, atol=1e-4)


def test_an_image_has_its_own_draws_or_those_of_its_batch():
    alone = np.asarray(run(attacks.square(0.02, queries=60), KEYS, IMAGES, LABELS))
    part = run(attacks.square(0.02, queries=60), KEYS[1:3], IMAGES[1:3], LABELS[1:3])
    np.testing.assert_allclose(part, alone[1:3], atol=1e-6)
    shared = run(attacks.square(0.02, queries=60, shared=True), KEYS, IMAGES, LABELS)
    differs = abs(shared - alone).max((1, 2, 3)) > 1e-3
    assert not differs[0]
    assert differs.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, "square: epsilon must be above 0"),
        ({"epsilon": 0.1, "queries": 0}, "square: queries must be a whole number of at least 1"),
        ({"epsilon": 0.1, "norm": "l1"}, "norm must be one of"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        attacks.square(**arguments)


def test_images_without_height_and_width_are_refused():
    with pytest.raises(ValueError, match=r"square: images must be \[N, H, W, C\], got the shape \(30, 40\)"):
        attacks.square(0.1)(KEYS, APPLY, IMAGES.reshape(30, 40), LABELS)
