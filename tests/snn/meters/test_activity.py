import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.meters import activity

STEPS, BATCH = 7, 5


@pytest.fixture
def rasters():
    """Two layers: [T, B, 3, 2] and [T, B, 4]"""
    draws = np.random.default_rng(0)
    return [jnp.asarray(draws.random((STEPS, BATCH, *shape)) < 0.4) for shape in [(3, 2), (4,)]]


def test_spikes_of_a_layer_are_those_of_its_neurons_one_by_one(rasters):
    counts = activity.spikes_per_layer(rasters)
    assert counts.shape == (STEPS, BATCH, 2)
    assert jnp.issubdtype(counts.dtype, jnp.integer)
    for t, b, layer in np.ndindex(counts.shape):
        assert np.asarray(counts)[t, b, layer] == sum(1 for spike in np.asarray(rasters[layer])[t, b].flat if spike)


@pytest.mark.slow
def test_float_counts_keep_their_type_and_have_a_gradient(rasters):
    floats = [r.astype(jnp.float32) for r in rasters]
    np.testing.assert_array_equal(activity.spikes_per_layer(floats), activity.spikes_per_layer(rasters))
    slope = jax.grad(lambda x: activity.spikes_per_layer([x])[0].sum())(floats[0])
    np.testing.assert_array_equal(slope.sum(axis=(1, 2, 3)), [BATCH * 6, *[0] * (STEPS - 1)])


def test_spikes_until_a_latency_are_those_of_the_steps_before(rasters):
    counts = activity.spikes_per_layer(rasters)
    until = np.asarray(jax.jit(jax.vmap(activity.spikes_until, (None, 0)))(counts, jnp.arange(STEPS + 2)))
    for steps in range(STEPS + 2):
        np.testing.assert_array_equal(until[steps], np.asarray(counts)[:steps].sum(axis=0))
    assert until.dtype == counts.dtype


def test_density_is_the_mean_of_the_raster(rasters):
    spikes = activity.spikes_per_layer(rasters).sum(axis=0)
    density = activity.density(spikes, jnp.array([6, 4]), STEPS)
    for layer, raster in enumerate(rasters):
        by_image = np.asarray(raster).reshape(STEPS, BATCH, -1).mean(axis=(0, 2))
        np.testing.assert_allclose(density[:, layer], by_image, rtol=1e-6)


def test_the_published_density_of_vgg_16_follows_from_its_spikes():
    """CIFAR-10, 277,504 neurons: rate, phase, burst."""
    density = activity.density(np.array([61.949e6, 35.196e6, 6.920e6]), 277_504, np.array([10_000, 1_500, 1_125]))
    np.testing.assert_allclose(density, [0.0223, 0.0846, 0.0222], atol=5e-5)


def test_accuracy_over_time_equals_a_loop():
    draws = np.random.default_rng(1)
    logits, labels = draws.integers(0, 3, (STEPS, BATCH, 4)).astype(np.float32), draws.integers(0, 4, BATCH)
    accuracy = np.asarray(jax.jit(activity.accuracy_over_time)(logits, labels))
    for t in range(STEPS):
        right = sum(list(logits[t, b]).index(max(logits[t, b])) == labels[b] for b in range(BATCH))
        assert accuracy[t] == pytest.approx(right / BATCH)


CURVE = jnp.array([0.1, 0.5, 0.8, 0.7, 0.9, 0.9])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "first", "lasting"),
    [(0.05, 1, 1), (0.5, 2, 2), (0.6, 3, 3), (0.75, 3, 5), (0.8, 3, 5), (0.9, 5, 5), (0.95, 7, 7)],
)
def test_latency_of_a_curve_that_falls_once(target, first, lasting):
    assert activity.latency(CURVE, target) == first
    assert activity.latency(CURVE, target, lasting=True) == lasting


def test_a_curve_that_ends_below_the_target_never_lasts():
    assert activity.latency(jnp.array([0.2, 0.9, 0.8]), 0.85) == 2
    assert activity.latency(jnp.array([0.2, 0.9, 0.8]), 0.85, lasting=True) == 4


def test_a_nan_reaches_no_target():
    assert activity.latency(jnp.array([jnp.nan, 0.9, jnp.nan]), 0.5) == 2
    assert activity.latency(jnp.array([jnp.nan, 0.9, jnp.nan]), 0.5, lasting=True) == 4


@pytest.mark.slow
@pytest.mark.parametrize("images", [7, 1000])
def test_latency_tolerates_rounding_but_not_one_image(images):
    """jit divides by a product with the rounded inverse: 584 of 1000 shares come out below themselves."""
    right = np.arange(1, images + 1)
    labels = jnp.zeros(images, int)
    answers = jnp.stack([jnp.arange(images) < right[:, None], jnp.full((images, images), 0.5)], axis=-1)
    accuracy = jax.jit(activity.accuracy_over_time)(answers, labels)
    latencies = jax.vmap(lambda target: activity.latency(accuracy, target))(jnp.asarray(right / images))
    np.testing.assert_array_equal(latencies, right)


def test_latency_over_seeds_and_targets_equals_one_at_a_time():
    curves = jnp.asarray(np.random.default_rng(2).random((9, 3)), jnp.float32)
    together = jax.jit(activity.latency, static_argnames="lasting")(curves, jnp.array([0.5, 0.7, 2.0]), lasting=False)
    single = [activity.latency(curves[:, i], target) for i, target in enumerate([0.5, 0.7, 2.0])]
    np.testing.assert_array_equal(together, single)


def test_rasters_of_different_batches_are_refused(rasters):
    with pytest.raises(ValueError, match="raster 1 has shape"):
        activity.spikes_per_layer([rasters[0], rasters[1][:, :2]])
    with pytest.raises(ValueError, match="at least one layer"):
        activity.spikes_per_layer([])


def test_labels_of_another_batch_are_refused():
    with pytest.raises(ValueError, match="labels"):
        activity.accuracy_over_time(jnp.zeros((3, 4, 2)), jnp.zeros(5, int))


def test_a_curve_without_steps_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        activity.latency(jnp.zeros(0), 0.5)
