import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.attacks import masking
from framework.attacks.masking import Doubt
from tests.attacks.models import images_of, linear

_, APPLY = linear()
IMAGES = images_of(20)
LABELS = np.asarray(APPLY(IMAGES).argmax(-1))
CALLS = itertools.count()


def test_an_honest_network_raises_no_doubt():
    assert masking.check(APPLY, IMAGES, LABELS) == 5
    masking.compare({"clean": 0.9, "apgd-ce": 0.5, "apgd-t": 0.45, "square": 0.449})
    masking.compare({"clean": 0.9, "apgd-ce": 0.5})


@pytest.mark.slow
@pytest.mark.parametrize(
    "random",
    [
        lambda x: APPLY(x) + 0.1 * jax.random.normal(jax.random.key(next(CALLS)), (len(x), 5)),
        lambda x: APPLY(x) + 0.1 * jax.random.normal(jax.random.key(0), (len(x), 5)),
        lambda x: APPLY((x - x[:1]) / x.std()),
    ],
    ids=["another draw each time", "the same draw for each row", "looks at its neighbours"],
)
def test_a_random_network_is_seen(random):
    with pytest.warns(Doubt, match="change from call to call or with its neighbours"):
        masking.check(random, IMAGES, LABELS)


def test_probabilities_are_seen():
    with pytest.warns(Doubt, match="gives probabilities"):
        masking.check(lambda x: jax.nn.softmax(APPLY(x) / 10), IMAGES, LABELS)


def test_gradients_that_underflow_are_counted():
    with pytest.warns(Doubt, match=r"of 20 images gradients are exactly 0 for \d+ of cross_entropy, 0 of margin"):
        masking.check(lambda x: 1e4 * APPLY(x), IMAGES, LABELS)
    with pytest.warns(Doubt, match="0 for 20 of cross_entropy, 20 of margin"):
        masking.check(lambda x: APPLY(jnp.round(4 * x) / 4), IMAGES, LABELS)


def test_random_search_that_beats_gradients_is_seen():
    with pytest.warns(Doubt, match="Square broke 5.0% of images after all gradient attacks"):
        masking.compare({"clean": 0.9, "apgd-ce": 0.5, "square": 0.45})
