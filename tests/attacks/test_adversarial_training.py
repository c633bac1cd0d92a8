import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.attacks import adversarial_training, evaluate, fgsm
from framework.models import training

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
LABELS = np.arange(64) % 2
EPSILON = 0.2
# a strong feature that an attack inverts, and a weak one that it cannot change
IMAGES = np.stack([0.5 + 0.1 * (2 * LABELS - 1), 0.5 + 0.4 * (2 * LABELS - 1) * (RNG.random(64) < 0.9)], 1)
IMAGES = IMAGES.reshape(64, 1, 1, 2).astype(np.float32)


def forward(params, images, train):
    new_params = params | {"mean": params["mean"] + train}
    return (images.reshape(len(images), -1) - 0.5) @ params["kernel"], new_params


def initial_params():
    return {"kernel": jnp.array([[-5.0, 5.0], [-0.5, 0.5]]), "mean": jnp.zeros(())}


def train(loss):
    trainer = training.trainer(loss, optax.sgd(0.5), 64)
    state = trainer.init(initial_params(), 64, jax.random.key(0))
    return jax.lax.scan(lambda s, _: trainer.step(s, (IMAGES, LABELS)), state, length=60)[0].params


def robust_accuracy(params):
    apply = lambda images: forward(params, images, False)[0]
    return evaluate(jax.random.key(1), apply, IMAGES, LABELS, fgsm(EPSILON)).accuracy["fgsm"]


ATTACK = adversarial_training.pgd_7(EPSILON, 0.1)
LOSSES = {
    "adversarial": adversarial_training.adversarial_loss(forward, ATTACK),
    "trades": adversarial_training.trades_loss(forward, 6.0, EPSILON, 0.1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_only_training_against_attacks_brings_robustness(name):
    params = train(LOSSES[name])
    assert robust_accuracy(params) > 0.85
    assert robust_accuracy(train(adversarial_training.standard_loss(forward))) < 0.2


def test_the_loss_is_that_of_the_attacked_images():
    key = jax.random.key(2)
    value, (new_params, metrics) = LOSSES["adversarial"](initial_params(), IMAGES, LABELS, key)
    worst = IMAGES - EPSILON * np.sign(2 * LABELS - 1).reshape(-1, 1, 1, 1)
    logits = forward(initial_params(), np.clip(worst, 0, 1), False)[0]
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert new_params["mean"] == 1  # the attack moved no statistics
    assert metrics["accuracy"] == (logits.argmax(-1) == LABELS).mean()


def test_the_attack_uses_running_statistics():
    """A network whose logits change sign in training: the worst image of the attack is then the best one."""
    negate_in_training = lambda params, images, train: (
        forward(params, images, train)[0] * (1 if train else -1),
        params,
    )
    value = adversarial_training.adversarial_loss(negate_in_training, ATTACK)(
        initial_params(), IMAGES, LABELS, jax.random.key(2)
    )[0]
    best = np.clip(IMAGES + EPSILON * np.sign(2 * LABELS - 1).reshape(-1, 1, 1, 1), 0, 1)
    negative_logits = forward(initial_params(), best, False)[0]
    expected = optax.softmax_cross_entropy_with_integer_labels(negative_logits, LABELS).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-3)


def test_trades_updates_statistics_by_clean_then_by_attacked():
    new_params = LOSSES["trades"](initial_params(), IMAGES, LABELS, jax.random.key(2))[1][0]
    assert new_params["mean"] == 2


def test_trades_with_beta_0_is_the_clean_loss():
    key = jax.random.key(3)
    clean = adversarial_training.standard_loss(forward)(initial_params(), IMAGES, LABELS, key)[0]
    np.testing.assert_allclose(
        adversarial_training.trades_loss(forward, 0.0)(initial_params(), IMAGES, LABELS, key)[0], clean
    )
    assert adversarial_training.trades_loss(forward, 6.0)(initial_params(), IMAGES, LABELS, key)[0] > clean


def test_divergence_is_kullback_leiblers():
    logits, clean = RNG.normal(size=(2, 4, 3))
    p, q = (np.exp(logits_of_one) / np.exp(logits_of_one).sum(-1, keepdims=True) for logits_of_one in (clean, logits))
    np.testing.assert_allclose(
        adversarial_training.kl_divergence(logits, clean), (p * np.log(p / q)).sum(-1), rtol=1e-4
    )
