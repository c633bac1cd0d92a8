import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import losses, norms
from framework.attacks.auto_pgd import ascend, class_of_rank, window_lengths
from tests.attacks.models import boundary_distance, fixed_network, linear, random_images

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


def test_checkpoints_lie_at_the_steps_of_the_paper():
    steps = np.flatnonzero(window_lengths(100)) + 1
    assert steps.tolist() == [22, 41, 57, 70, 80, 87, 93, 99]
    assert window_lengths(100)[steps - 1].tolist() == [22, 19, 16, 13, 10, 7, 6, 6]
    assert window_lengths(1).tolist() == [1]


def ascend_by_loop(weights, x0, y, start, epsilon, norm, steps):
    """Algorithm 1 for one image and cross-entropy on logits (x - 1/2) W, in plain NumPy."""

    def evaluate(x):
        z = (x - 0.5) @ weights
        e = np.exp(z - z.max())
        return np.log(e.sum()) + z.max() - z[y], weights @ (e / e.sum() - np.eye(len(z))[y]), z.argmax() != y

    def project(x):
        d = x - x0
        d = np.clip(d, -epsilon, epsilon) if norm == "linf" else d * min(1, epsilon / max(np.linalg.norm(d), 1e-12))
        return np.clip(x0 + d, 0, 1)

    x = previous = best = start
    value, gradient, is_adversarial = evaluate(x)
    best_loss, best_gradient, step_size, history, reduced, checkpoint_loss = (
        value,
        gradient,
        2 * epsilon,
        [0.0],
        True,
        value,
    )
    for i in range(steps):
        direction = np.sign(gradient) if norm == "linf" else gradient / np.linalg.norm(gradient)
        z, a = project(x + step_size * direction), 0.75 if i else 1.0
        x, previous = project(x + a * (z - x) + (1 - a) * (x - previous)), x
        value, gradient, is_wrong = evaluate(x)
        is_adversarial |= is_wrong
        history.append(value)
        if value > best_loss:
            best, best_loss, best_gradient = x, value, gradient
        if k := window_lengths(steps)[i]:
            increases = sum(b > a for a, b in zip(history[-k - 1 : -1], history[-k:], strict=True))
            halve = increases <= 0.75 * k or (not reduced and checkpoint_loss >= best_loss)
            reduced, checkpoint_loss = halve, best_loss
            if halve:
                step_size, x, gradient = step_size / 2, best, best_gradient
    return best, best_loss, step_size, is_adversarial


@pytest.mark.parametrize("norm", norms.NORMS)
def test_an_ascent_equals_a_plain_loop(norm):
    with jax.enable_x64(True):
        weights, apply = linear(dtype=np.float64)
        images, epsilon = random_images(8, low=0.2, high=0.8, dtype=np.float64), {"linf": 0.01, "l2": 0.05}[norm]
        labels, start = apply(images).argmax(-1), np.clip(images + random_images(8, 5, -0.05, 0.05, np.float64), 0, 1)
        run = jax.jit(lambda start: ascend(apply, images, labels, start, epsilon, norm, 60, "cross_entropy"))
        state = run(start)
        flat = lambda x: x.reshape(len(x), -1)
        if state.step < 60:
            pytest.fail("every image is adversarial: nothing was compared")
        for i in range(8):
            best, best_loss, step_size, is_adversarial = ascend_by_loop(
                weights, flat(images)[i], int(labels[i]), flat(start)[i], epsilon, norm, 60
            )
            np.testing.assert_allclose(flat(state.x_best)[i], best, atol=1e-9)
            np.testing.assert_allclose(state.best_loss[i], best_loss, atol=1e-9)
            if norm == "linf":  # the other loss ends flat, where increases are a matter of rounding
                assert state.step_size[i] == step_size
            assert state.is_adversarial[i] == is_adversarial


CHAOTIC = ("l2", "dlr")  # near ties of three logits the ratio's steps amplify rounding: only robustness can agree


@pytest.mark.parametrize("norm", norms.NORMS)
@pytest.mark.parametrize("loss", ["cross_entropy", "dlr", "targeted_dlr"])
def test_ascents_reach_the_points_of_the_reference_program(reference, norm, loss):
    """Greatest losses and robustness after 100 steps in float64, from the same start on the same network."""
    (case,) = (case for case in reference["apgd"] if (case["norm"], case["loss"]) == (norm, loss))
    with jax.enable_x64(True):
        apply, images, labels, start = fixed_network()
        targets = class_of_rank(apply(images), 2)
        loss_function = (lambda z, y: losses.targeted_dlr(z, y, targets)) if loss == "targeted_dlr" else loss
        run = jax.jit(lambda start: ascend(apply, images, labels, start, case["epsilon"], norm, 100, loss_function))
        state = run(start)
        best = np.asarray(state.x_best).sum((1, 2, 3))
    assert (~np.asarray(state.is_adversarial)).tolist() == case["robust"]
    if (norm, loss) != CHAOTIC:
        np.testing.assert_allclose(state.best_loss, case["best_loss"], rtol=1e-6 if norm == "linf" else 1e-4)
        np.testing.assert_allclose(best, case["best_sum"], rtol=1e-9 if norm == "linf" else 1e-6)


def test_targets_are_the_ranks_of_the_clean_logits():
    logits = jnp.array([[3.0, 1.0, 2.0, 0.0], [0.0, 3.0, 1.0, 2.0]])
    assert [class_of_rank(logits, rank).tolist() for rank in (1, 2, 4)] == [[0, 1], [2, 3], [3, 0]]
    assert [attack.numbers["rank"] for attack in attacks.apgd_targeted(0.1, targets=3)] == [2, 3, 4]


@pytest.mark.parametrize("norm", norms.NORMS)
def test_robustness_of_a_linear_model_is_exact(norm):
    """Robust where the nearest boundary is farther than epsilon; the box is out of reach."""
    weights, apply = linear()
    images = random_images(60, low=0.4, high=0.6)
    labels = np.asarray(apply(images).argmax(-1))
    distance = boundary_distance(weights, apply(images), labels, norm)
    epsilon = float(np.median(distance))
    certain = abs(distance / epsilon - 1) > 0.02
    result = attacks.evaluate(KEY, apply, images, labels, attacks.apgd_targeted(epsilon, norm, targets=4, steps=40))
    np.testing.assert_array_equal(result.robust[certain], (distance > epsilon)[certain])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attacks.apgd(-1.0), "apgd-ce: epsilon must be above 0, got -1.0"),
        (lambda: attacks.apgd(0.1, steps=0), "steps must be a whole number of at least 1, got 0"),
        (lambda: attacks.apgd(0.1, "l1"), "norm must be one of linf, l2"),
        (lambda: attacks.apgd(0.1, loss="ce"), "loss must be one of cross_entropy, dlr, margin"),
        (lambda: attacks.apgd_targeted(0.1, targets=0), "apgd-t: targets must be a whole number of at least 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
