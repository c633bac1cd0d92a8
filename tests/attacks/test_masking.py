import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import GradientMaskingWarning, masking
from tests.attacks.models import linear, random_images

_, APPLY = linear()
IMAGES = random_images(20)
LABELS = np.asarray(APPLY(IMAGES).argmax(-1))
CALLS = itertools.count()
KEY = jax.random.key(0)


def evaluate(apply, attack=attacks.pgd(0.01, steps=1), images=IMAGES):
    return attacks.evaluate(KEY, apply, images, LABELS, attack)


def test_an_ordinary_network_causes_no_warning():
    evaluate(APPLY)
    masking.compare_with_square({"clean": 0.9, "apgd-ce": 0.5, "apgd-t": 0.45, "square": 0.449})
    masking.compare_with_square({"clean": 0.9, "apgd-ce": 0.5})


RANDOM = {
    "another draw each time": lambda x: APPLY(x) + 0.1 * jax.random.normal(jax.random.key(next(CALLS)), (len(x), 5)),
    "the same draw for each row": lambda x: APPLY(x) + 0.1 * jax.random.normal(jax.random.key(0), (len(x), 5)),
    "looks at its neighbours": lambda x: APPLY((x - x[:1]) / x.std()),
}


@pytest.mark.slow
@pytest.mark.parametrize("random", RANDOM)
def test_a_random_network_causes_a_warning(random):
    with pytest.warns(GradientMaskingWarning, match="change from call to call or with its neighbours"):
        evaluate(RANDOM[random])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_probabilities_cause_a_warning(dtype):
    with pytest.warns(GradientMaskingWarning, match="gives probabilities"):
        evaluate(lambda x: jax.nn.softmax(APPLY(x) / 10).astype(dtype))


def test_sigmoid_outputs_cause_a_warning_but_not_small_logits():
    with pytest.warns(GradientMaskingWarning, match=r"all outputs lie in \[0, 1\], as after a sigmoid"):
        evaluate(lambda x: jax.nn.sigmoid(APPLY(x)))
    evaluate(lambda x: 0.4 * jax.nn.sigmoid(APPLY(x)))  # before training logits may be small and positive


def test_gradients_that_underflow_are_counted():
    with pytest.warns(
        GradientMaskingWarning, match=r"of 20 images gradients are exactly 0 for \d+ of cross_entropy, 0 of margin"
    ):
        evaluate(lambda x: 1e4 * APPLY(x))
    with pytest.warns(GradientMaskingWarning, match="0 for 20 of cross_entropy, 20 of margin"):
        evaluate(lambda x: APPLY(jnp.round(4 * x) / 4))


def test_square_and_constant_networks_need_no_gradients():
    evaluate(lambda x: APPLY(jnp.round(4 * x) / 4), attacks.square(0.01, queries=2))
    evaluate(lambda x: 0 * APPLY(x))


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (attacks.pgd(8, steps=1), r"pgd-1: a ball of linf radius 8 covers all images in \[0, 1\]; .* 8 / 255"),
        (attacks.fgsm(1.0, "Linf"), "a ball of linf radius 1 covers"),
        (attacks.fgsm(np.float32(6.4), "L2"), "a ball of l2 radius 6.4 covers"),  # the diagonal of 40 pixels is 6.32
    ],
)
def test_a_radius_in_units_of_255_causes_a_warning(attack, message):
    with pytest.warns(GradientMaskingWarning, match=message) as warnings:
        evaluate(APPLY, attack)
    with pytest.warns(GradientMaskingWarning, match=message):
        attack(KEY, APPLY, IMAGES, LABELS)
    assert len(warnings) == 1
    assert warnings[0].filename == __file__


def test_a_ball_that_excludes_an_image_causes_no_warning():
    evaluate(APPLY, attacks.fgsm(0.99))
    evaluate(APPLY, attacks.fgsm(6.3, "L2"))
    evaluate(APPLY, attacks.fab_targeted(np.inf, targets=1, steps=1))  # the nearest image, wherever it is


def test_square_beating_gradient_attacks_causes_a_warning():
    with pytest.warns(GradientMaskingWarning, match="Square broke 5.0% of images after all gradient attacks"):
        masking.compare_with_square({"clean": 0.9, "apgd-ce": 0.5, "square": 0.45})
