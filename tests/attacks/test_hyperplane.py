import jax
import numpy as np
import pytest

from framework.attacks.hyperplane import step_onto

NORMS = ("linf", "l2")
RNG = np.random.default_rng(0)
COUNT, PIXELS = 60, 12
POINTS = RNG.uniform(size=(COUNT, PIXELS)).astype(np.float32)
POINTS[:10] = POINTS[:10].round()  # some at the border already
NORMAL = RNG.normal(size=(COUNT, PIXELS)).astype(np.float32)
NORMAL[5:15, :4] = 0
SHARES = np.linspace(-1.2, 1.2, COUNT).astype(np.float32)  # share of what the box allows, above 1 in magnitude: too far
step = jax.jit(step_onto, static_argnames="norm")


def gain_of_box(i, sign):
    """The most that w . (x + v) can gain in the box, in the direction `sign`."""
    w = sign * NORMAL[i]
    return np.where(w > 0, w * (1 - POINTS[i]), -w * POINTS[i]).sum()


def levels():
    gain = [SHARES[i] * gain_of_box(i, np.sign(SHARES[i])) for i in range(COUNT)]
    return ((NORMAL * POINTS).sum(-1) + gain).astype(np.float32)


def step_by_bisection(point, normal, level, norm):
    """The same by bisection on how far all coordinates have moved."""
    point, normal = point.astype(float), normal.astype(float)
    direction = normal * np.sign(level - normal @ point)
    speed = np.sign(direction) * (1 if norm == "linf" else abs(normal))
    displacement = lambda t: np.clip(point + t * speed, 0, 1) - point
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if direction @ displacement(middle) < abs(level - normal @ point) else (low, middle)
    return displacement(high)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_the_step_equals_that_of_bisection(norm):
    level = levels()
    steps = step(POINTS, NORMAL, level, norm=norm)
    expected = [step_by_bisection(*case, norm) for case in zip(POINTS, NORMAL, level, strict=True)]
    inside = abs(SHARES) < 1
    size = (lambda v: abs(v).max(-1)) if norm == "linf" else (lambda v: np.sqrt((v**2).sum(-1)))
    np.testing.assert_allclose(steps, expected, atol=2e-4)
    np.testing.assert_allclose(size(np.asarray(steps)), size(np.array(expected)), atol=2e-4)
    np.testing.assert_allclose((NORMAL * (POINTS + steps)).sum(-1)[inside], level[inside], atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_the_nearest_corner_is_taken_if_the_plane_is_too_far(norm):
    i = COUNT - 1
    steps = np.asarray(step(POINTS, NORMAL, levels(), norm=norm))[i]
    corner = np.where(NORMAL[i] > 0, 1, 0)
    np.testing.assert_allclose((POINTS[i] + steps)[NORMAL[i] != 0], corner[NORMAL[i] != 0], atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_on_the_plane_or_without_a_plane_the_step_is_zero(norm):
    steps = step(POINTS, np.zeros_like(NORMAL), np.ones(COUNT, np.float32), norm=norm)
    np.testing.assert_array_equal(steps, 0)
    level = (NORMAL * POINTS).sum(-1)
    np.testing.assert_allclose(step(POINTS, NORMAL, level, norm=norm), 0, atol=1e-5)
