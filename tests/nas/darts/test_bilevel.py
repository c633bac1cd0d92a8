import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework.models import training
from framework.nas import advrush, darts
from framework.nas.darts import bilevel

pytestmark = pytest.mark.slow

QUICK = {"xla_backend_optimization_level": 0}
NET = darts.Supernet(2, 1, 4, reductions=())
CONFIG = darts.Config(epochs=4, batch=8, alpha_rate=0.02)
COUNT = 24


@pytest.fixture(scope="module")
def learned():
    """Images whose class is the quarter that shines."""
    rng = np.random.default_rng(0)
    labels = np.arange(2 * COUNT) % 4
    images = 0.2 * rng.random((2 * COUNT, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 0.8
    images = images.astype(np.float32)
    return darts.Data(images[:COUNT], labels[:COUNT], images[COUNT:], labels[COUNT:])


@pytest.fixture(scope="module")
def run(learned):
    """Step, first state, and the states and metrics of a whole search."""
    searcher = darts.searcher(NET, CONFIG)
    step = jax.jit(searcher.step, compiler_options=QUICK)
    states, observed = [searcher.init(jax.random.key(0), learned)], []
    for _ in range(darts.step_count(CONFIG, COUNT)):
        state, metrics = step(states[-1], learned)
        states.append(state)
        observed.append(jax.tree.map(float, metrics))
    return step, states, observed


@pytest.mark.long
def test_a_search_learns_its_images(run):
    _, states, observed = run
    assert len(states) == 1 + 4 * 3
    assert np.mean([item["loss"] for item in observed[-3:]]) < 0.9 * np.mean([item["loss"] for item in observed[:3]])
    assert darts.check(darts.derive_genotype(states[-1].alphas))
    assert "none" not in str(darts.derive_genotype(states[-1].alphas))


def test_the_first_adam_step_has_the_length_of_the_rate(run):
    """Its decay lies inside the gradient, and an architecture that no cell has stays but for it."""
    _, states, _ = run
    updated = np.abs(states[1].alphas.normal - states[0].alphas.normal)
    np.testing.assert_allclose(updated, CONFIG.alpha_rate, rtol=0.02)
    still = np.asarray(states[0].alphas.reduce)
    slope = CONFIG.alpha_decay * still  # no reduction cell: its gradient is the decay alone
    expected = still - CONFIG.alpha_rate * slope / (np.abs(slope) + 1e-8)
    np.testing.assert_allclose(states[1].alphas.reduce, expected, rtol=1e-3, atol=1e-6)


def test_momentum_uses_clipped_and_decayed_gradients(run, learned):
    """The second step of the stem's scale, from the traces of torch's SGD."""
    _, states, _ = run
    rate = 0.025
    for before, after in ((states[0], states[1]), (states[1], states[2])):
        trace = optax.tree.get(after.optimizer, "trace")["stem"]["scale"]
        np.testing.assert_allclose(
            after.params["stem"]["scale"], before.params["stem"]["scale"] - rate * trace, rtol=1e-5
        )
    norm = optax.tree.norm(optax.tree.get(states[1].optimizer, "trace"))
    assert norm < CONFIG.clip + CONFIG.decay * optax.tree.norm(states[0].params)


def test_the_rate_falls_along_a_cosine_over_epochs():
    rates = [float(bilevel._rate(CONFIG, jnp.array(epoch))) for epoch in range(5)]
    np.testing.assert_allclose(rates, 0.001 + 0.024 * (1 + np.cos(np.pi * np.arange(5) / 4)) / 2, rtol=1e-6)


def test_an_epoch_visits_each_image_once(run, learned):
    _, states, _ = run
    index = learned._replace(images=np.arange(COUNT)[:, None], valid_images=np.arange(COUNT)[:, None])
    drawn = [bilevel._batches(CONFIG, state, index, state.step // 3) for state in states[:6]]
    for epoch in (drawn[:3], drawn[3:]):
        assert sorted(np.concatenate([batch[0].ravel() for batch, _ in epoch])) == list(range(COUNT))
    held = [set(np.asarray(images).ravel().tolist()) for _, (images, _) in drawn]
    assert all(len(item) == 8 for item in held)
    assert len(set(map(frozenset, held))) > 1
    code = advrush.official_search(epochs=4, batch=8, augment=False)
    drawn = [bilevel._batches(code, state, index, state.step // 3) for state in states[:6]]
    assert [batch[0][0, 0] for batch, _ in drawn] == [0, 8, 16, 0, 8, 16]
    assert all(np.array_equal(images.ravel(), range(8)) for _, (images, _) in drawn)


def quadratic(alpha, w):
    """A bilevel problem with a mixed derivative: L_train = (w - alpha_1)^2 / 2 + alpha_2 w^3."""
    return 0.5 * (w["w"] - alpha[0]) ** 2 + alpha[1] * w["w"] ** 3


def test_the_mixed_derivative_is_that_of_the_closed_form():
    of_alpha = lambda w: jax.grad(quadratic)(jnp.array([0.3, 0.7]), w)
    w, v = {"w": jnp.array(2.0)}, {"w": jnp.array(-1.5)}
    expected = [-1 * -1.5, 3 * 2.0**2 * -1.5]
    np.testing.assert_allclose(bilevel.mixed_derivative(of_alpha, w, v), expected, rtol=1e-6)
    np.testing.assert_allclose(bilevel.mixed_derivative(of_alpha, w, v, "difference"), expected, rtol=1e-3)


def test_the_presets_are_the_papers_and_the_programs():
    paper, code = advrush.paper_search(), advrush.official_search()
    assert (paper.epochs, paper.batch, paper.regulariser) == (60, 32, advrush.paper())
    assert paper.shuffled
    assert not paper.frozen_norms
    assert (code.epochs, code.batch, code.regulariser) == (60, 32, advrush.official_code())
    assert not code.shuffled
    assert code.frozen_norms


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"epochs": 0}, "1 epoch and 1 image"),
        ({"batch": 0}, "1 epoch and 1 image"),
        ({"epochs": 1.5}, "1 epoch and 1 image"),
        ({"rate": np.nan}, "rate must be at least 0 and finite, got nan"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"order": 3}, "order must be 1 or 2, got 3"),
        ({"hessian": "none"}, "hessian must be one of exact, difference"),
    ],
)
def test_numbers_that_make_no_search_are_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        darts.Config(**settings)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": np.full(COUNT, 4)}, "labels must lie between 0 and 3, got 4 to 4"),
        ({"valid_labels": np.full(COUNT, -1)}, "labels must lie between 0 and 3, got -1 to -1"),
        ({"labels": np.zeros(3, int)}, "training part must hold 8 images"),
        ({"valid_images": np.zeros((COUNT, 6, 8, 1))}, "multiples of 4"),
        ({"images": np.zeros((COUNT, 8, 8, 1), np.uint8)}, "images must be floats, .* got uint8"),
    ],
)
def test_data_that_make_no_search_are_refused(learned, changes, what):
    with pytest.raises(ValueError, match=what):
        bilevel.check(NET, CONFIG, learned._replace(**changes))


@pytest.fixture(scope="module")
def regularised(learned):
    """A step of AdvRush, with and without its warm-up, and of gamma 0."""
    source = advrush.Regulariser(gamma=5.0, h=0.5, warmup=0)
    config = darts.Config(epochs=4, batch=8, alpha_rate=0.02, regulariser=source)
    searcher = darts.searcher(NET, config)
    step = jax.jit(searcher.step, compiler_options=QUICK)
    start = lambda **numbers: searcher.init(jax.random.key(0), learned, **numbers)
    return searcher, step, start


@pytest.mark.long
def test_advrush_that_warms_up_or_weighs_nothing_is_darts(regularised, run, learned):
    _, step, start = regularised
    darts_states = run[1]
    for numbers in ({"warmup": 4}, {"gamma": 0.0}):
        state, observed = step(start(**numbers), learned)
        np.testing.assert_allclose(state.alphas.normal, darts_states[1].alphas.normal, atol=1e-5)
        assert (float(observed["curvature"]) > 0) == ("gamma" in numbers)
    state, observed = step(start(), learned)
    assert float(np.abs(state.alphas.normal - darts_states[1].alphas.normal).max()) > 1e-3


@pytest.mark.long
def test_searches_in_one_program_are_each_their_own(regularised, learned):
    searcher, step, start = regularised
    alone = [step(start(warmup=warmup), learned)[0] for warmup in (0, 4)]
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(start(warmup=warmup) for warmup in (0, 4)))
    for vectorized in (False, True):
        together, _ = jax.jit(darts.batched_step(searcher.step, vectorized), compiler_options=QUICK)(states, learned)
        for position, state in enumerate(alone):
            np.testing.assert_allclose(together.alphas.normal[position], state.alphas.normal, atol=1e-5)
            np.testing.assert_allclose(
                together.params["classifier"]["kernel"][position], state.params["classifier"]["kernel"], atol=1e-5
            )


@pytest.mark.long
def test_second_order_is_the_gradient_through_a_step(run, learned):
    """Against autodiff of L_val(w - rate (dL_train/dw + decay w)), and the reference's difference near it."""
    state = run[1][0]
    rate, loss = 0.025, bilevel.cross_entropy(NET, True)
    batch, held = bilevel._batches(CONFIG, state, learned, jnp.array(0))

    def through(alphas):
        slope = jax.grad(loss, 1, has_aux=True)(alphas, state.params, *batch)[0]
        ahead = jax.tree.map(lambda w, g: w - rate * (g + CONFIG.decay * w), state.params, slope)
        return loss(alphas, training.with_statistics(ahead, state.params), *held)[0]

    expected = jax.jit(jax.grad(through), compiler_options=QUICK)(state.alphas)

    def outer(alphas, params):
        slopes, (updated, _) = jax.grad(loss, (0, 1), has_aux=True)(alphas, params, *held)
        return slopes, updated, {}

    for hessian, tolerance in (("exact", 1e-4), ("difference", 3e-2)):
        config = darts.Config(epochs=4, batch=8, order=2, hessian=hessian)
        unrolled = lambda state, config=config: bilevel._unrolled_gradient(config, outer, loss, state, rate, batch)[0]
        result = jax.jit(unrolled, compiler_options=QUICK)(state)
        scale = float(np.abs(expected.normal).max())
        np.testing.assert_allclose(result.normal, expected.normal, atol=tolerance * scale)


def test_frozen_norms_keep_the_statistics_of_validation(learned):
    """Once the warm-up is over; before it, the training batch moves them too."""
    config = darts.Config(epochs=4, batch=8, frozen_norms=True)
    searcher = darts.searcher(NET, config)
    step = jax.jit(searcher.step, compiler_options=QUICK)
    losses = [jax.jit(bilevel.cross_entropy(NET, train), compiler_options=QUICK) for train in (True, False)]
    for warmup in (0, 4):
        state = searcher.init(jax.random.key(0), learned, warmup=warmup)
        batch, held = bilevel._batches(config, state, learned, jnp.array(0))
        _, (updated, _) = losses[0](state.alphas, state.params, *held)
        final, observed = step(state, learned)
        same = np.allclose(final.params["stem"]["mean"], updated["stem"]["mean"], atol=1e-6)
        assert same == (warmup == 0)
        value, _ = losses[warmup == 0](final.alphas, updated, *batch)
        assert float(observed["loss"]) == pytest.approx(float(value), rel=1e-4)
