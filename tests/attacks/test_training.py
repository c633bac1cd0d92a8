import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.attacks import evaluate, fgsm, training
from framework.models import training as plain

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
LABELS = np.arange(64) % 2
EPSILON = 0.2
# a strong feature that an attack turns round, and a weak one that is safe from it
IMAGES = np.stack([0.5 + 0.1 * (2 * LABELS - 1), 0.5 + 0.4 * (2 * LABELS - 1) * (RNG.random(64) < 0.9)], 1)
IMAGES = IMAGES.reshape(64, 1, 1, 2).astype(np.float32)


def forward(params, images, train):
    moved = params | {"mean": params["mean"] + train}
    return (images.reshape(len(images), -1) - 0.5) @ params["kernel"], moved


def start():
    return {"kernel": jnp.array([[-5.0, 5.0], [-0.5, 0.5]]), "mean": jnp.zeros(())}


def trained(loss):
    trainer = plain.trainer(loss, optax.sgd(0.5), 64)
    state = trainer.init(start(), 64, jax.random.key(0))
    return jax.lax.scan(lambda s, _: trainer.step(s, (IMAGES, LABELS)), state, length=60)[0].params


def robust(params):
    apply = lambda images: forward(params, images, False)[0]
    return evaluate(jax.random.key(1), fgsm(EPSILON), apply, IMAGES, LABELS).accuracy["fgsm"]


AGAINST = training.pgd_7(EPSILON, 0.1)
LOSSES = {
    "adversarial": training.adversarial(forward, AGAINST),
    "trades": training.trades(forward, 6.0, EPSILON, 0.1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_training_against_attacks_brings_robustness_and_training_without_does_not(name):
    params = trained(LOSSES[name])
    assert robust(params) > 0.85
    assert robust(trained(training.standard(forward))) < 0.2


def test_the_loss_is_that_of_the_attacked_images():
    key = jax.random.key(2)
    value, (moved, metrics) = LOSSES["adversarial"](start(), IMAGES, LABELS, key)
    worst = IMAGES - EPSILON * np.sign(2 * LABELS - 1).reshape(-1, 1, 1, 1)
    logits = forward(start(), np.clip(worst, 0, 1), False)[0]
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert moved["mean"] == 1  # the attack moved no statistics
    assert metrics["accuracy"] == (logits.argmax(-1) == LABELS).mean()


def test_the_attack_sees_running_statistics_and_training_those_of_the_batch():
    """A network that turns round when it trains: what the attack takes for the worst is then the best."""
    turned = lambda params, images, train: (forward(params, images, train)[0] * (1 if train else -1), params)
    value = training.adversarial(turned, AGAINST)(start(), IMAGES, LABELS, jax.random.key(2))[0]
    best = np.clip(IMAGES + EPSILON * np.sign(2 * LABELS - 1).reshape(-1, 1, 1, 1), 0, 1)
    turned_round = forward(start(), best, False)[0]
    expected = optax.softmax_cross_entropy_with_integer_labels(turned_round, LABELS).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-3)


def test_trades_moves_statistics_by_the_clean_images_and_then_by_the_attacked():
    moved = LOSSES["trades"](start(), IMAGES, LABELS, jax.random.key(2))[1][0]
    assert moved["mean"] == 2


def test_trades_is_the_clean_loss_where_agreement_is_worth_nothing():
    key = jax.random.key(3)
    clean = training.standard(forward)(start(), IMAGES, LABELS, key)[0]
    np.testing.assert_allclose(training.trades(forward, 0.0)(start(), IMAGES, LABELS, key)[0], clean)
    assert training.trades(forward, 6.0)(start(), IMAGES, LABELS, key)[0] > clean


def test_divergence_is_kullback_leiblers():
    logits, clean = RNG.normal(size=(2, 4, 3))
    p, q = (np.exp(each) / np.exp(each).sum(-1, keepdims=True) for each in (clean, logits))
    np.testing.assert_allclose(training.divergence(logits, clean), (p * np.log(p / q)).sum(-1), rtol=1e-4)
