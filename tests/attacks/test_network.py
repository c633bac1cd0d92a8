import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from framework import attacks
from framework.attacks import GradientMaskingWarning, network, transferability
from tests.attacks.models import linear, random_images

KEY = jax.random.key(0)
IMAGES = random_images(24, low=0.3, high=0.7)
WEIGHTS, OTHER_WEIGHTS = (jnp.asarray(linear(seed)[0]) for seed in (0, 1))


def linear_logits(weights, images):
    return (images - 0.5).reshape(len(images), -1) @ weights


LABELS = np.asarray(linear_logits(WEIGHTS, IMAGES).argmax(-1))


class Plain:
    def __init__(self):
        self.weights = WEIGHTS

    def logits(self, images):
        return linear_logits(self.weights, images)

    __call__ = logits

    def change_weights(self):
        self.weights = OTHER_WEIGHTS


class Module(nnx.Module):
    def __init__(self):
        self.weights = nnx.Param(WEIGHTS)

    def __call__(self, images):
        return linear_logits(self.weights[...], images)

    def change_weights(self):
        self.weights[...] = OTHER_WEIGHTS


def bound_method():
    model = Plain()
    return model.logits, model.change_weights


def partial_of_an_object():
    model = Plain()
    return jax.tree_util.Partial(model), model.change_weights


def callable_object():
    model = Plain()
    return model, model.change_weights


def nnx_module():
    model = Module()
    return model, model.change_weights


def closure():
    state = {"weights": [WEIGHTS]}
    return lambda images: linear_logits(state["weights"][-1], images), lambda: state["weights"].append(OTHER_WEIGHTS)


def array_in_place():
    weights = np.array(WEIGHTS)
    return lambda images: linear_logits(jnp.asarray(weights), images), lambda: np.copyto(weights, OTHER_WEIGHTS)


def derivative_in_place():
    """A straight-through network whose derivative, alone, reads what changes."""
    state = {"weights": WEIGHTS}

    @jax.custom_vjp
    def logits(images):
        return linear_logits(WEIGHTS, images)

    def back(shape, gradient):
        return ((gradient @ state["weights"].T).reshape(shape),)

    logits.defvjp(lambda images: (linear_logits(WEIGHTS, images), images.shape), back)
    return lambda images: logits(images), lambda: state.update(weights=OTHER_WEIGHTS)


KINDS = [bound_method, partial_of_an_object, callable_object, nnx_module, closure, array_in_place, derivative_in_place]


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_uses_the_current_weights(kind):
    """Earlier evaluations make no difference: the result is that of a new object."""
    attack = attacks.pgd(0.02, steps=3)
    apply, change_weights = kind()
    before = attacks.evaluate(KEY, apply, IMAGES, LABELS, attack)
    change_weights()
    after = attacks.evaluate(KEY, apply, IMAGES, LABELS, attack)
    new_apply, change_weights = kind()
    change_weights()
    expected = np.asarray(attack(jax.random.fold_in(KEY, 0), new_apply, IMAGES, LABELS))
    is_adversarial = (np.asarray(new_apply(expected).argmax(-1)) != LABELS) & (
        np.asarray(new_apply(IMAGES).argmax(-1)) == LABELS
    )
    np.testing.assert_array_equal(~after.robust, is_adversarial | (np.asarray(new_apply(IMAGES).argmax(-1)) != LABELS))
    np.testing.assert_allclose(after.images[is_adversarial], expected[is_adversarial], atol=1e-6)
    assert not np.array_equal(before.images, after.images)


def test_transfer_uses_the_current_weights():
    source, target = Plain(), Plain()
    attack = attacks.fgsm(0.001)
    first = attacks.transfer(KEY, source, target, IMAGES, LABELS, attack)[1].mean()
    target.change_weights()
    second = attacks.transfer(KEY, source, target, IMAGES, LABELS, attack)[1].mean()
    table = transferability.transfer_matrix(KEY, {"source": source, "target": target}, IMAGES, LABELS, attack)
    assert first > 0.8
    assert second == table["source"]["target"] < 0.5


def test_weights_changed_during_an_evaluation_are_ignored():
    model, sequence = Plain(), (attacks.fgsm(0.001),) * 2
    expected = attacks.evaluate(KEY, Plain(), IMAGES, LABELS, sequence, batch=12)
    result = attacks.evaluate(
        KEY, model, IMAGES, LABELS, sequence, batch=12, progress=lambda *_: model.change_weights()
    )
    np.testing.assert_array_equal(expected.robust, result.robust)


class Norm(nnx.Module):
    def __init__(self, dropout):
        rngs = nnx.Rngs(0)
        self.layers = nnx.Dropout(0.5, rngs=rngs) if dropout else nnx.BatchNorm(40, rngs=rngs)

    def __call__(self, images):
        return linear_logits(WEIGHTS, self.layers(images.reshape(len(images), -1)) + 0.5)


@pytest.mark.parametrize("dropout", [False, True])
def test_an_nnx_network_is_refused_in_training_mode(dropout):
    model = Norm(dropout)
    attack = attacks.fgsm(0.01)
    for _ in range(2):
        model.train()
        with pytest.raises(ValueError, match=r"changes a state of its own .* call its method eval") as error:
            attacks.evaluate(KEY, model, IMAGES, LABELS, attack)
        assert "\n" not in str(error.value)
        model.eval()
        result = attacks.evaluate(KEY, model, IMAGES, LABELS, attack)
        assert result.accuracy["clean"] == (np.asarray(model(IMAGES).argmax(-1)) == LABELS).mean()


class Linen(nn.Module):
    @nn.compact
    def __call__(self, images, train):
        return linear_logits(WEIGHTS, nn.BatchNorm(use_running_average=not train)(images))


def test_a_linen_network_in_training_mode_is_not_accepted():
    model = Linen()
    variables = model.init(KEY, IMAGES, False)
    attack = attacks.fgsm(0.01)
    apply_in_training = lambda images: model.apply(variables, images, True, mutable=["batch_stats"])
    with pytest.warns(GradientMaskingWarning, match="random or training"):
        attacks.evaluate(KEY, lambda images: apply_in_training(images)[0], IMAGES, LABELS, attack)
    with pytest.raises(
        ValueError, match=r"a tuple of 2: take the logits out of it, such as lambda x: network\(x\)\[0\]"
    ):
        attacks.evaluate(KEY, apply_in_training, IMAGES, LABELS, attack)
    with pytest.raises(ValueError, match=r"train=False\); flax says: Cannot update variable"):
        attacks.evaluate(KEY, lambda images: model.apply(variables, images, True), IMAGES, LABELS, attack)
    attacks.evaluate(KEY, lambda images: model.apply(variables, images, False), IMAGES, LABELS, attack)


class Noisy:
    def __init__(self):
        self.key = jax.random.key(0)

    def __call__(self, images):
        self.key, key = jax.random.split(self.key)
        return linear_logits(WEIGHTS, images) + jax.random.normal(key, (5,))


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda x: np.asarray(x).reshape(len(x), -1)[:, :5], "JAX cannot trace the network: attacks need jax.numpy"),
        (
            lambda x: linear_logits(WEIGHTS, x) if x.mean() > 0.5 else linear_logits(OTHER_WEIGHTS, x),
            "a branch on the images' values",
        ),
        (
            lambda x: {"logits": linear_logits(WEIGHTS, x)},
            r"must give one array, logits \[N, classes\], got a dict of 1",
        ),
        (lambda x: None, r"must give logits \[N, classes\], got NoneType"),
        (
            lambda x: linear_logits(WEIGHTS, x).argmax(-1, keepdims=True),
            "must give logits, which are floats, got int32",
        ),
        (lambda x: linear_logits(WEIGHTS, x)[:, :1], "gives one logit an image: give two"),
        (
            lambda x: linear_logits(WEIGHTS, x)[:7],
            r"must give logits \[24, classes\] for a batch of 24, got the shape \(7, 5\)",
        ),
        (Noisy(), "changes a state of its own .* must be made again"),
    ],
)
def test_an_invalid_network_gets_one_clear_line(apply, message):
    with pytest.raises(ValueError, match=message) as error:
        attacks.evaluate(KEY, apply, IMAGES, LABELS, attacks.fgsm(0.01))
    assert "\n" not in str(error.value)


def test_a_single_attack_gives_the_same_messages():
    attack = attacks.fgsm(0.01)
    with pytest.raises(ValueError, match="a tuple of 2"):
        attack(KEY, lambda x: (linear_logits(WEIGHTS, x), x), IMAGES, LABELS)
    with pytest.raises(ValueError, match="JAX cannot trace the network"):
        attack(KEY, lambda x: np.asarray(x), IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
        attack(KEY, lambda x: linear_logits(WEIGHTS, x), 255 * IMAGES, LABELS)
    with pytest.raises(ValueError, match="images must be floats"):
        attack(KEY, lambda x: linear_logits(WEIGHTS, x), (255 * IMAGES).astype(np.uint8), LABELS)


def test_keras_models_are_read_again_and_never_corrupted(monkeypatch):
    """A stand-in for keras: variables that its scope protects, and writes as those of BatchNorm in training."""
    scopes = []

    class StatelessScope:
        def __enter__(self):
            self.original_scope, self.state_mapping = (scopes or [None])[-1], {}
            scopes.append(self)
            return self

        def __exit__(self, *_):
            scopes.pop()

    state = {"mean": jnp.zeros(())}

    def model(images, training=False):
        scope = scopes[-1]
        mean = scope.state_mapping.get("mean", state["mean"])
        if training:
            scope.state_mapping["mean"] = 0.9 * mean + 0.1 * images.mean()
        return linear_logits(WEIGHTS, images - mean)

    keras = type("keras", (), {"StatelessScope": StatelessScope})
    monkeypatch.setitem(__import__("sys").modules, "keras", keras)
    attack = attacks.fgsm(0.01)
    attacks.evaluate(KEY, model, IMAGES, LABELS, attack)
    with pytest.raises(ValueError, match="training=False"):
        attacks.evaluate(KEY, lambda images: model(images, training=True), IMAGES, LABELS, attack)
    assert not isinstance(state["mean"], jax.core.Tracer)
    with StatelessScope() as outer:
        outer.state_mapping["mean"] = jnp.asarray(0.2)
        shifted = np.asarray(model(IMAGES))
        np.testing.assert_allclose(np.asarray(network.snapshot(model)(IMAGES)), shifted)
