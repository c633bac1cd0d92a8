import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import losses, norms
from tests.attacks.models import linear, random_images

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)
WEIGHTS, APPLY = linear()
IMAGES = random_images(40, low=0.3, high=0.7)
LABELS = np.asarray(APPLY(IMAGES).argmax(-1))


@jax.jit
def run(attack, images=IMAGES, labels=LABELS):
    return attack(KEY, APPLY, images, labels)


def two_classes(images):
    """Logits +f and -f of one linear function: the gradient has one direction everywhere."""
    f = (images - 0.5).reshape(len(images), -1) @ WEIGHTS[:, 0]
    return jnp.stack([f, -f], -1)


LABELS_OF_TWO = np.asarray(two_classes(IMAGES).argmax(-1))


@pytest.mark.parametrize("norm", norms.NORMS)
@pytest.mark.parametrize("attack", [attacks.fgsm, lambda e, n: attacks.pgd(e, n, steps=10, step_size=2 * e)])
def test_the_adversary_of_a_linear_model_is_exact(norm, attack):
    """The image moves by epsilon along the weights' sign (L-inf) or direction (L2), against its label."""
    away = (WEIGHTS[:, 0] * np.where(LABELS_OF_TWO == 0, -1, 1)[:, None]).reshape(IMAGES.shape)
    step = np.sign(away) if norm == "linf" else away / np.linalg.norm(WEIGHTS[:, 0])
    adversarial = jax.jit(lambda attack: attack(KEY, two_classes, IMAGES, LABELS_OF_TWO))(attack(0.1, norm))
    np.testing.assert_allclose(adversarial, IMAGES + 0.1 * step, atol=1e-4)


def test_fgsm_is_its_formula_and_the_box_is_kept():
    images = random_images(20)
    labels = APPLY(images).argmax(-1)
    gradient = jax.grad(lambda x: losses.cross_entropy(APPLY(x), labels).sum())(images)
    expected = np.clip(images + 0.3 * np.sign(gradient), 0, 1)
    np.testing.assert_allclose(run(attacks.fgsm(0.3), images, labels), expected, atol=1e-6)


def test_pgd_equals_a_plain_loop():
    x = IMAGES
    for _ in range(5):
        gradient = jax.grad(lambda x: losses.dlr(APPLY(x), LABELS).sum())(x)
        x = np.clip(np.clip(x + 0.03 * np.sign(gradient), IMAGES - 0.08, IMAGES + 0.08), 0, 1)
    attack = attacks.pgd(0.08, steps=5, step_size=0.03, start="image", loss="dlr")
    np.testing.assert_allclose(run(attack), x, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("norm", norms.NORMS)
def test_more_restarts_never_find_fewer(norm):
    epsilon = 0.02 if norm == "linf" else 0.1
    is_adversarial = []
    for restarts in (1, 2, 6):
        attack = attacks.pgd(epsilon, norm, steps=1, restarts=restarts, step_size=0.5 * epsilon)
        adversarial = run(attack)
        assert norms.get(norm).magnitude(adversarial - IMAGES).max() <= epsilon * (1 + 1e-4)
        is_adversarial.append(~losses.is_correct(APPLY(adversarial), LABELS))
    assert (is_adversarial[0] <= is_adversarial[1]).all()
    assert (is_adversarial[1] <= is_adversarial[2]).all()
    assert 0 < is_adversarial[0].sum() < is_adversarial[2].sum()


def test_a_step_is_two_and_a_half_balls_over_all_steps():
    assert attacks.pgd(0.1, steps=5).numbers["step_size"] == pytest.approx(0.05)
    assert attacks.pgd(0.1, steps=5, step_size=0.01).numbers["step_size"] == 0.01


def test_starts_have_the_spread_they_promise():
    ends = {s: run(attacks.pgd(0.1, steps=1, step_size=1e-6, start=s)) for s in ("normal", "uniform")}
    assert 0.0009 < np.std(ends["normal"] - IMAGES) < 0.0011
    np.testing.assert_allclose(np.std(ends["uniform"] - IMAGES), 0.1 / 3**0.5, rtol=0.05)


def test_it_runs_inside_a_jitted_step_with_traced_weights():
    """TRADES: the labels are what the loss takes, here the clean logits."""
    divergence = lambda logits, clean: jnp.sum(jax.nn.softmax(clean) * -jax.nn.log_softmax(logits), -1)
    attack = attacks.pgd(0.1, steps=3, start="normal", loss=divergence)

    @jax.jit
    def step(weights, images):
        apply = lambda x: x.reshape(len(x), -1) @ weights
        adversarial = attack(KEY, apply, images, apply(images))
        return jax.grad(lambda w: divergence(adversarial.reshape(len(adversarial), -1) @ w, apply(images)).sum())(
            weights
        )

    gradient = step(WEIGHTS, IMAGES)
    assert gradient.shape == WEIGHTS.shape
    assert jnp.abs(gradient).max() > 0


def test_one_program_serves_every_epsilon_and_vmap_sweeps_it():
    traces = []

    @jax.jit
    def run_once(attack):
        traces.append(attack.name)
        return attack(KEY, APPLY, IMAGES, LABELS)

    singles = jnp.stack([run_once(attacks.pgd(epsilon, steps=3)) for epsilon in (0.01, 0.1)])
    assert len(traces) == 1
    swept = jax.jit(jax.vmap(lambda e: attacks.pgd(e, steps=3)(KEY, APPLY, IMAGES, LABELS)))(jnp.array([0.01, 0.1]))
    np.testing.assert_allclose(swept, singles, atol=1e-6)


def test_an_image_s_draws_do_not_depend_on_its_neighbours():
    keys = jax.random.split(KEY, 40)
    attack = jax.jit(lambda *data: attacks.pgd(0.05, steps=2, restarts=2)(data[0], APPLY, *data[1:]))
    whole = attack(keys, IMAGES, LABELS)
    np.testing.assert_allclose(attack(keys[7:9], IMAGES[7:9], LABELS[7:9]), whole[7:9], atol=1e-6)


def test_a_gradient_that_is_nan_moves_nothing():
    apply = lambda x: APPLY(x) + jnp.sqrt(0 * x[:, :1, 0, 0])
    adversarial = attacks.pgd(0.1, steps=2, start="image")(KEY, apply, IMAGES, LABELS)
    assert jnp.isfinite(adversarial).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, "pgd-20: epsilon must be above 0, got 0.0"),
        ({"epsilon": 0.1, "step_size": -1.0}, "step_size must be above 0"),
        ({"epsilon": 0.1, "steps": 0}, "pgd: steps must be a whole number of at least 1, got 0"),
        ({"epsilon": 0.1, "steps": 2.5}, "pgd: steps must be a whole number of at least 1, got 2.5"),
        ({"epsilon": 0.1, "restarts": 0}, "pgd: restarts must be a whole number of at least 1, got 0"),
        ({"epsilon": 0.1, "start": "corner"}, "start must be one of image, uniform, normal, got 'corner'"),
        ({"epsilon": 0.1, "norm": "l7"}, "norm must be one of linf, l2"),
        ({"epsilon": 0.1, "loss": "l7"}, "loss must be one of"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        attacks.pgd(**arguments)
