import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.attacks import losses

LOGITS = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 6, 20)
TARGETS = (LABELS + 1 + np.arange(20) % 5) % 6


@pytest.mark.slow
def test_losses_are_their_formulas():
    margin, dlr, targeted, entropy = [], [], [], []
    for z, y, t in zip(LOGITS, LABELS, TARGETS, strict=True):
        decreasing = sorted(z, reverse=True)
        margin.append(max(z[i] for i in range(6) if i != y) - z[y])
        dlr.append(margin[-1] / (decreasing[0] - decreasing[2] + 1e-12))
        targeted.append((z[t] - z[y]) / (decreasing[0] - (decreasing[2] + decreasing[3]) / 2 + 1e-12))
        entropy.append(np.log(np.exp(z).sum()) - z[y])
    np.testing.assert_allclose(losses.margin(LOGITS, LABELS), margin, rtol=1e-5)
    np.testing.assert_allclose(losses.dlr(LOGITS, LABELS), dlr, rtol=1e-5)
    np.testing.assert_allclose(losses.targeted_dlr(LOGITS, LABELS, TARGETS), targeted, rtol=1e-5)
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, LABELS), entropy, rtol=1e-5)


@pytest.mark.parametrize("loss", [losses.dlr, lambda z, y: losses.targeted_dlr(z, y, TARGETS)])
def test_the_ratio_does_not_change_with_shift_and_scale(loss):
    np.testing.assert_allclose(loss(1e4 * LOGITS + 7, LABELS), loss(LOGITS, LABELS), rtol=2e-4)


def test_no_nan_is_correct():
    logits = jnp.array([[3.0, 1.0], [jnp.nan, 1.0], [3.0, jnp.nan], [1.0, 3.0], [jnp.inf, 0.0]])
    assert losses.is_correct(logits, jnp.zeros(5, int)).tolist() == [True, False, False, False, True]


@pytest.mark.slow
def test_each_image_has_the_gradient_of_its_own_loss():
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(4, 6)), jnp.float32)
    images = jnp.asarray(np.random.default_rng(3).normal(size=(20, 4)), jnp.float32)
    apply = lambda x: jnp.sin(x) @ weights
    logits, values, gradient = losses.value_and_gradient(apply, lambda z: losses.cross_entropy(z, LABELS))(images)
    one = jax.grad(lambda x, y: losses.cross_entropy(apply(x[None]), y[None])[0])
    np.testing.assert_allclose(gradient, jax.vmap(one)(images, LABELS), atol=1e-5)
    np.testing.assert_allclose(values, losses.cross_entropy(apply(images), LABELS), rtol=1e-6)
    np.testing.assert_allclose(logits, apply(images), rtol=1e-6)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="loss must be one of cross_entropy, dlr, margin or a function, got 'hinge'"):
        losses.get("hinge")
    assert losses.get(losses.dlr) is losses.get("dlr")


def test_too_few_logits_for_a_ratio_are_refused():
    with pytest.raises(ValueError, match="this ratio compares 3 logits, the network has 2: take loss='margin'"):
        losses.dlr(LOGITS[:, :2], LABELS % 2)
    with pytest.raises(ValueError, match="this ratio compares 4 logits, the network has 3"):
        losses.targeted_dlr(LOGITS[:, :3], LABELS % 3, LABELS % 3)
