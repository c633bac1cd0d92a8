import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas import advrush
from framework.nas.advrush import curvature

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 2, 2, 1))


@pytest.fixture(autouse=True)
def exact():
    with jax.enable_x64(True):
        yield


def quadratic(alphas, images):
    """sum of x' A(alpha) x / 2, whose gradient is linear in x."""
    x = images.reshape(len(images), -1)
    matrix = jnp.diag(alphas) + 0.3
    return 0.5 * jnp.einsum("ni,ij,nj->", x, matrix, x)


def network(activation):
    """A small net with two layers, and alphas that scale its hidden units."""
    one, two = RNG.normal(size=(4, 6)), RNG.normal(size=(6, 3))

    def per_example_loss(alphas, images):
        logits = activation(images.reshape(len(images), -1) @ one * alphas) @ two
        return (jax.nn.logsumexp(logits, -1) - logits[:, 0]).sum()

    return per_example_loss


SMOOTH, KINKED = network(jax.nn.softplus), network(jax.nn.relu)
ALPHAS = np.linspace(0.5, 1.5, 6)
H = np.float64(0.5)


@pytest.mark.parametrize("h", [1e-3, 1.0, 7.0])
@pytest.mark.parametrize("squared", [True, False])
def test_of_a_quadratic_loss_difference_and_curvature_are_one(h, squared):
    alphas = jnp.array([1.0, -2.0, 0.5, 3.0])
    result = [curvature.penalty(quadratic, alphas, IMAGES, h, squared, kind) for kind in curvature.KINDS]
    x = IMAGES.reshape(3, 4)
    matrix = np.diag(alphas) + 0.3
    z = h * np.sign(x @ matrix) / 2  # four coordinates: the sign has length 2
    norms = np.linalg.norm(z @ matrix, axis=1)
    np.testing.assert_allclose(result, np.mean(norms**2 if squared else norms), rtol=1e-9)


def test_both_kinds_agree_on_a_smooth_network():
    for h in (1e-4, 1e-5):
        result = [curvature.penalty(SMOOTH, ALPHAS, IMAGES, h, False, kind) for kind in curvature.KINDS]
        np.testing.assert_allclose(*result, rtol=1e-3)
    error = lambda h: abs(
        curvature.penalty(SMOOTH, ALPHAS, IMAGES, h, False)
        / curvature.penalty(SMOOTH, ALPHAS, IMAGES, h, False, "exact")
        - 1
    )
    assert 5 < error(1e-2) / error(1e-3) < 20  # of first order in h


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("per_example_loss", [SMOOTH, KINKED])
def test_the_slope_in_alpha_is_that_of_reverse_over_reverse(per_example_loss, squared):
    fast = lambda a: curvature.penalty(per_example_loss, a, IMAGES, 1.5, squared)
    whole = lambda a: curvature.penalty(per_example_loss, a, IMAGES, 1.5, squared, differentiate_all=True)
    np.testing.assert_allclose(jax.grad(fast)(ALPHAS), jax.grad(whole)(ALPHAS), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.grad(fast))(ALPHAS), jax.grad(fast)(ALPHAS), rtol=1e-10, atol=1e-12)


def test_the_slope_in_alpha_is_that_of_differences():
    value = lambda a: curvature.penalty(SMOOTH, a, IMAGES, 1.5)
    steps = 1e-6 * np.eye(6)
    slopes = [(value(ALPHAS + step) - value(ALPHAS - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(jax.grad(value)(ALPHAS), slopes, rtol=1e-6)


@pytest.mark.parametrize("squared", [True, False])
def test_a_step_and_alphas_of_64_bits_go_with_images_of_32(squared):
    images = IMAGES.astype(np.float32)
    source = lambda images: jax.value_and_grad(lambda alphas: curvature.penalty(SMOOTH, alphas, images, H, squared))(
        ALPHAS
    )
    (value, slope), (expected, exactly) = source(jnp.asarray(images)), source(jnp.asarray(images, float))
    assert (value.dtype, slope.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(slope, exactly, rtol=1e-3, atol=1e-6)


def test_a_direction_has_length_one_and_none_without_gradient():
    gradient = jnp.asarray(np.concatenate([RNG.normal(size=(2, 5)), np.zeros((1, 5))]))
    lengths = np.linalg.norm(curvature.direction(gradient), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0], rtol=1e-12)
    theirs = curvature.direction(gradient, curvature.OFFICIAL_EPS)
    np.testing.assert_allclose(theirs[2], 1)  # the published program's, of length sqrt(5)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("differentiate_all", [True, False])
def test_where_nothing_changes_the_slope_is_zero_and_never_nan(squared, differentiate_all):
    value = lambda a: curvature.penalty(SMOOTH, a, IMAGES, 0.0, squared, differentiate_all=differentiate_all)
    result, slope = jax.value_and_grad(value)(ALPHAS)
    assert result == 0
    np.testing.assert_array_equal(slope, 0)


def test_the_regularized_loss_is_the_loss_plus_gamma_r():
    def loss(alphas, weights, images, labels):
        return (weights * SMOOTH(alphas, images) / len(images)), {"seen": labels.sum()}

    labels = jnp.arange(3)
    swept = jax.vmap(lambda gamma: advrush.regularize(loss, gamma, 0.5)(ALPHAS, 2.0, IMAGES, labels)[0])
    values = swept(jnp.array([0.0, 1.0, 3.0]))
    scaled = lambda a, x: 2.0 * SMOOTH(a, x)
    result = curvature.penalty(scaled, ALPHAS, IMAGES, 0.5)
    np.testing.assert_allclose(values - values[0], [0, result, 3 * result], rtol=1e-9)
    value, (aux, observed) = advrush.regularize(loss, 1.0, 0.5)(ALPHAS, 2.0, IMAGES, labels)
    assert (aux["seen"], observed) == (3, result)
    assert value == pytest.approx(values[1])


def test_r_has_no_gradient_in_weights_by_default():
    loss = lambda alphas, weights, images, labels: (weights * SMOOTH(alphas, images) / len(images), None)
    labels = jnp.arange(3)
    source = lambda **how: jax.grad(lambda w: advrush.regularize(loss, 1.0, 0.5, **how)(ALPHAS, w, IMAGES, labels)[0])(
        2.0
    )
    plain = jax.grad(lambda w: loss(ALPHAS, w, IMAGES, labels)[0])(2.0)
    assert source() == pytest.approx(plain)
    r = curvature.penalty(SMOOTH, ALPHAS, IMAGES, 0.5)
    assert source(differentiate_all=True) == pytest.approx(plain + 4.0 * r)  # R goes with the square of the weight


def test_the_presets_are_the_papers_and_the_programs():
    paper, code = advrush.paper(), advrush.official_code()
    assert (paper.gamma, paper.h, paper.warmup, paper.squared, paper.scale, paper.eps) == (0.01, 1.5, 50, True, 1, 0)
    assert (code.gamma, code.h, code.warmup, code.squared, code.scale, code.eps) == (0.01, 1.5, 50, False, 4, 1e-7)
    assert [float(code.step_at(epoch)) for epoch in (0, 1, 5, 6, 50)] == pytest.approx([0, 0.3, 1.5, 1.5, 1.5])
    assert float(paper.step_at(0)) == 1.5


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"h": -1.0}, "finite and not negative"),
        ({"warmup": -1}, "finite and not negative"),
        ({"eps": np.nan}, "gamma and scale must be finite, and eps"),
        ({"kind": "hvp"}, "one of"),
    ],
)
def test_bad_numbers_are_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        advrush.Regulariser(**settings)
    if "kind" in settings:
        with pytest.raises(ValueError, match=what):
            curvature.penalty(SMOOTH, ALPHAS, IMAGES, 1.0, **settings)
