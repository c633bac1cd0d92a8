import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from framework import attacks
from framework.attacks import network
from framework.attacks.masking import Doubt
from tests.attacks.models import images_of, linear

KEY = jax.random.key(0)
IMAGES = images_of(24, low=0.3, high=0.7)
FIRST, SECOND = (jnp.asarray(linear(seed)[0]) for seed in (0, 1))
FLAT = lambda weights, images: (images - 0.5).reshape(len(images), -1) @ weights
LABELS = np.asarray(FLAT(FIRST, IMAGES).argmax(-1))


class Plain:
    def __init__(self):
        self.weights = FIRST

    def logits(self, images):
        return FLAT(self.weights, images)

    __call__ = logits

    def turn(self):
        self.weights = SECOND


class Module(nnx.Module):
    def __init__(self):
        self.weights = nnx.Param(FIRST)

    def __call__(self, images):
        return FLAT(self.weights[...], images)

    def turn(self):
        self.weights[...] = SECOND


def bound():
    held = Plain()
    return held.logits, held.turn


def partial_of_an_object():
    held = Plain()
    return jax.tree_util.Partial(held), held.turn


def callable_object():
    held = Plain()
    return held, held.turn


def module():
    held = Module()
    return held, held.turn


def cell():
    held = {"weights": [FIRST]}
    return lambda images: FLAT(held["weights"][-1], images), lambda: held["weights"].append(SECOND)


def array_in_place():
    held = np.array(FIRST)
    return lambda images: FLAT(jnp.asarray(held), images), lambda: np.copyto(held, SECOND)


def derivative_in_place():
    """A straight-through network whose derivative, alone, reads what changes."""
    held = {"weights": FIRST}

    @jax.custom_vjp
    def logits(images):
        return FLAT(FIRST, images)

    def back(shape, gradient):
        return ((gradient @ held["weights"].T).reshape(shape),)

    logits.defvjp(lambda images: (FLAT(FIRST, images), images.shape), back)
    return lambda images: logits(images), lambda: held.update(weights=SECOND)


KINDS = [bound, partial_of_an_object, callable_object, module, cell, array_in_place, derivative_in_place]


@pytest.mark.parametrize("kind", KINDS)
def test_a_verdict_is_of_the_weights_of_now(kind):
    """What was evaluated before makes no difference: the same as for an object that never was."""
    attack = attacks.pgd(0.02, steps=3)
    apply, turn = kind()
    before = attacks.evaluate(KEY, attack, apply, IMAGES, LABELS)
    turn()
    after = attacks.evaluate(KEY, attack, apply, IMAGES, LABELS)
    fresh, turn = kind()
    turn()
    expected = np.asarray(attack(jax.random.fold_in(KEY, 0), fresh, IMAGES, LABELS))
    broken = (np.asarray(fresh(expected).argmax(-1)) != LABELS) & (np.asarray(fresh(IMAGES).argmax(-1)) == LABELS)
    np.testing.assert_array_equal(~after.robust, broken | (np.asarray(fresh(IMAGES).argmax(-1)) != LABELS))
    np.testing.assert_allclose(after.images[broken], expected[broken], atol=1e-6)
    assert not np.array_equal(before.images, after.images)


def test_transfer_is_of_the_weights_of_now():
    source, target = Plain(), Plain()
    attack = attacks.fgsm(0.001)
    first = attacks.transfer(KEY, attack, source, target, IMAGES, LABELS)[1].mean()
    target.turn()
    second = attacks.transfer(KEY, attack, source, target, IMAGES, LABELS)[1].mean()
    table = attacks.matrix(KEY, attack, {"source": source, "target": target}, IMAGES, LABELS)
    assert first > 0.8
    assert second == table["source"]["target"] < 0.5


def test_weights_that_change_meanwhile_change_nothing():
    held, sequence = Plain(), (attacks.fgsm(0.001),) * 2
    plain = attacks.evaluate(KEY, sequence, Plain(), IMAGES, LABELS, batch=12)
    turned = attacks.evaluate(KEY, sequence, held, IMAGES, LABELS, batch=12, watch=lambda *_: held.turn())
    np.testing.assert_array_equal(plain.robust, turned.robust)


class Norm(nnx.Module):
    def __init__(self, dropout):
        rngs = nnx.Rngs(0)
        self.layers = nnx.Dropout(0.5, rngs=rngs) if dropout else nnx.BatchNorm(40, rngs=rngs)

    def __call__(self, images):
        return FLAT(FIRST, self.layers(images.reshape(len(images), -1)) + 0.5)


@pytest.mark.parametrize("dropout", [False, True])
def test_an_nnx_network_in_training_mode_is_refused_and_evaluated_after_eval(dropout):
    held = Norm(dropout)
    attack = attacks.fgsm(0.01)
    for _ in range(2):
        held.train()
        with pytest.raises(ValueError, match=r"changes a state of its own .* call its method eval") as error:
            attacks.evaluate(KEY, attack, held, IMAGES, LABELS)
        assert "\n" not in str(error.value)
        held.eval()
        found = attacks.evaluate(KEY, attack, held, IMAGES, LABELS)
        assert found.accuracy["clean"] == (np.asarray(held(IMAGES).argmax(-1)) == LABELS).mean()


class Linen(nn.Module):
    @nn.compact
    def __call__(self, images, train):
        return FLAT(FIRST, nn.BatchNorm(use_running_average=not train)(images))


def test_a_linen_network_in_training_mode_is_doubted_or_refused():
    model = Linen()
    variables = model.init(KEY, IMAGES, False)
    attack = attacks.fgsm(0.01)
    moved = lambda images: model.apply(variables, images, True, mutable=["batch_stats"])
    with pytest.warns(Doubt, match="random or training"):
        attacks.evaluate(KEY, attack, lambda images: moved(images)[0], IMAGES, LABELS)
    with pytest.raises(
        ValueError, match=r"a tuple of 2: take the logits out of it, such as lambda x: network\(x\)\[0\]"
    ):
        attacks.evaluate(KEY, attack, moved, IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"train=False\); flax says: Cannot update variable"):
        attacks.evaluate(KEY, attack, lambda images: model.apply(variables, images, True), IMAGES, LABELS)
    attacks.evaluate(KEY, attack, lambda images: model.apply(variables, images, False), IMAGES, LABELS)


class Noisy:
    def __init__(self):
        self.key = jax.random.key(0)

    def __call__(self, images):
        self.key, key = jax.random.split(self.key)
        return FLAT(FIRST, images) + jax.random.normal(key, (5,))


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda x: np.asarray(x).reshape(len(x), -1)[:, :5], "JAX cannot trace the network: attacks need jax.numpy"),
        (lambda x: FLAT(FIRST, x) if x.mean() > 0.5 else FLAT(SECOND, x), "a branch on the images' values"),
        (lambda x: {"logits": FLAT(FIRST, x)}, r"must give one array, logits \[N, classes\], got a dict of 1"),
        (lambda x: None, r"must give logits \[N, classes\], got NoneType"),
        (lambda x: FLAT(FIRST, x).argmax(-1, keepdims=True), "must give logits, which are floats, got int32"),
        (lambda x: FLAT(FIRST, x)[:, :1], "gives one logit an image: give two"),
        (lambda x: FLAT(FIRST, x)[:7], r"must give logits \[24, classes\] for a batch of 24, got the shape \(7, 5\)"),
        (Noisy(), "changes a state of its own .* must be made again"),
    ],
)
def test_what_is_no_network_gets_one_clear_line(apply, message):
    with pytest.raises(ValueError, match=message) as error:
        attacks.evaluate(KEY, attacks.fgsm(0.01), apply, IMAGES, LABELS)
    assert "\n" not in str(error.value)


def test_a_single_attack_has_the_same_words():
    attack = attacks.fgsm(0.01)
    with pytest.raises(ValueError, match="a tuple of 2"):
        attack(KEY, lambda x: (FLAT(FIRST, x), x), IMAGES, LABELS)
    with pytest.raises(ValueError, match="JAX cannot trace the network"):
        attack(KEY, lambda x: np.asarray(x), IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
        attack(KEY, lambda x: FLAT(FIRST, x), 255 * IMAGES, LABELS)
    with pytest.raises(ValueError, match="images must be floats"):
        attack(KEY, lambda x: FLAT(FIRST, x), (255 * IMAGES).astype(np.uint8), LABELS)


def test_keras_models_are_read_anew_and_never_spoiled(monkeypatch):
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
        return FLAT(FIRST, images - mean)

    keras = type("keras", (), {"StatelessScope": StatelessScope})
    monkeypatch.setitem(__import__("sys").modules, "keras", keras)
    attack = attacks.fgsm(0.01)
    attacks.evaluate(KEY, attack, model, IMAGES, LABELS)
    with pytest.raises(ValueError, match="training=False"):
        attacks.evaluate(KEY, attack, lambda images: model(images, training=True), IMAGES, LABELS)
    assert not isinstance(state["mean"], jax.core.Tracer)
    with StatelessScope() as outer:
        outer.state_mapping["mean"] = jnp.asarray(0.2)
        shifted = np.asarray(model(IMAGES))
        np.testing.assert_allclose(np.asarray(network.snapshot(model)(IMAGES)), shifted)
