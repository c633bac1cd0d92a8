import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn.meters import rasters

METERS = {
    "intervals": rasters.intervals(6),
    "bursts": rasters.bursts(3),
    "amplitudes": rasters.amplitudes([0.125, 0.25, 0.5]),
    "regularity": rasters.regularity(),
}
each_meter = pytest.mark.parametrize("meter", METERS.values(), ids=METERS)


def trains(*spikes, steps):
    """[T, neurons] from the spike times of each neuron"""
    made = np.zeros((steps, len(spikes)), bool)
    for neuron, times in enumerate(spikes):
        made[list(times), neuron] = True
    return jnp.asarray(made)


def times(raster):
    """Spike times of each neuron of [T, ...]"""
    flat = np.asarray(raster).reshape(len(raster), -1) > 0
    return [np.flatnonzero(neuron) for neuron in flat.T]


def binned(values, longest):
    """Counts of 1 .. longest, and of what is longer"""
    values = list(values)
    return [values.count(k) for k in range(1, longest + 1)] + [sum(v > longest for v in values)]


def assert_same(result, expected):
    """Counts bit for bit, moments up to the rounding of another order of compilation"""
    for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0 if jnp.issubdtype(a.dtype, jnp.integer) else 2e-6)


@pytest.fixture
def payloads():
    """[T, B, neurons] of burst neurons (v_th = 1/8, beta = 2) under random drive"""
    drive = np.random.default_rng(0).uniform(-0.1, 0.5, (60, 4, 10)).astype(np.float32)
    return jax.lax.scan(burst_neuron, (jnp.zeros((4, 10)), jnp.full((4, 10), 0.125)), drive)[1]


def burst_neuron(state, drive):
    potential, threshold = state[0] + drive, state[1]
    payload = jnp.where(potential >= threshold, threshold, 0)
    return (potential - payload, jnp.where(payload > 0, 2 * threshold, 0.125)), payload


@pytest.mark.slow
def test_several_statistics_are_those_of_each_alone():
    payloads = (np.random.default_rng(0).random((30, 4)) < 0.3).astype(np.float32)
    meters = {"intervals": rasters.intervals(5), "bursts": rasters.bursts(3), "totals": rasters.totals()}
    result = rasters.measure(rasters.combine(meters), payloads)
    for name, meter in meters.items():
        np.testing.assert_array_equal(result[name], rasters.measure(meter, payloads))
    np.testing.assert_array_equal(result["totals"], payloads.sum(0))


def test_a_raster_holds_payloads_and_drops_later_steps(payloads):
    np.testing.assert_array_equal(rasters.measure(rasters.raster(60), payloads), payloads)
    np.testing.assert_array_equal(rasters.measure(rasters.raster(40), payloads), payloads[:40])
    longer = rasters.measure(rasters.raster(70), payloads)
    assert longer.shape == (70, 4, 10)
    assert not longer[60:].any()
    with pytest.raises(ValueError, match="raster: steps must be at least 1"):
        rasters.raster(0)


@pytest.mark.slow
def test_three_neurons_by_hand():
    raster = trains([0, 1, 2, 7], [3], [0, 4, 5, 8, 9], steps=10)
    assert rasters.measure(rasters.intervals(4), raster).tolist() == [4, 0, 1, 1, 1]  # 1 1 5; none; 4 1 3 1
    assert rasters.measure(rasters.bursts(5), raster).tolist() == [3, 2, 1, 0, 0, 0]  # 3, 1; 1; 1, 2, 2
    assert rasters.measure(rasters.bursts(1), raster).tolist() == [3, 3]


def test_a_spike_at_time_zero_has_an_interval():
    assert rasters.measure(rasters.intervals(2), trains([0, 2], steps=3)).tolist() == [0, 1, 0]


def test_a_burst_longer_than_all_bins_is_in_the_last_one():
    assert rasters.measure(rasters.bursts(), jnp.ones((9, 1))).tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(("share", "longest"), [(0.02, 40), (0.3, 5), (0.9, 1)])
def test_histograms_equal_a_loop_over_spike_times(share, longest):
    raster = jnp.asarray(np.random.default_rng(1).random((50, 3, 7)) < share)
    gaps = np.concatenate([np.diff(t) for t in times(raster)])
    assert rasters.measure(rasters.intervals(longest), raster).tolist() == binned(gaps, longest)
    flat = np.asarray(raster).reshape(50, -1).T
    runs = [len(list(run)) for train in flat for spike, run in itertools.groupby(train) if spike]
    assert rasters.measure(rasters.bursts(longest), raster).tolist() == binned(runs, longest)


@pytest.mark.slow
def test_histograms_keep_account_of_every_spike(payloads):
    raster = np.asarray(payloads) > 0
    spikes, firing = raster.sum(), raster.any(axis=0).sum()
    gaps = np.asarray(rasters.measure(rasters.intervals(60), payloads))
    runs = np.asarray(rasters.measure(rasters.bursts(60), payloads))
    assert gaps.sum() == spikes - firing
    assert (runs * np.arange(1, 62)).sum() == spikes
    assert gaps[0] == (runs * np.arange(61)).sum()
    assert rasters.measure(rasters.amplitudes([0.125, 0.25, 0.5, 1.0, 2.0]), payloads).sum() == spikes


def test_the_amplitudes_of_bursts_are_those_of_their_lengths(payloads):
    """The n-th spike of a burst has amplitude v_th 2^(n - 1): one for each burst of at least n spikes."""
    runs = np.asarray(rasters.measure(rasters.bursts(60), payloads))
    counts = rasters.measure(rasters.amplitudes([0.125, 0.25, 0.5, 1.0]), payloads)
    at_least = runs[::-1].cumsum()[::-1]
    assert counts.tolist() == [*at_least[:4], at_least[4:].sum()]
    assert counts[1] > 0


def test_an_amplitude_of_no_level_is_in_the_last_bin():
    payloads = jnp.array([[0.5, 0.75, 0.5000001], [0.0, -0.5, 9.0]])
    assert rasters.measure(rasters.amplitudes([0.5, 1.0]), payloads).tolist() == [2, 0, 2]


def test_single_spikes_have_one_amplitude():
    assert rasters.measure(rasters.amplitudes([1.0]), trains([0, 3], [2], steps=4)).tolist() == [3, 0]


def test_regularity_equals_its_definition_over_spike_times(payloads):
    result = [np.asarray(leaf).reshape(-1) for leaf in rasters.measure(rasters.regularity(), payloads)]
    for neuron, spikes in enumerate(times(payloads)):
        gaps = np.diff(spikes)
        if len(gaps) < 2:
            expected = [np.nan] * 3
        else:
            contrast = ((gaps[1:] - gaps[:-1]) / (gaps[1:] + gaps[:-1])) ** 2
            expected = [np.log(len(spikes) / 60), gaps.std(ddof=1) / gaps.mean(), 3 * contrast.mean()]
        np.testing.assert_allclose([leaf[neuron] for leaf in result], expected, rtol=1e-5, atol=1e-6)


def test_local_variation_is_that_of_another_program():
    """Intervals 0.3, 4.5, 6.7, 9.3: 0.8306154336734695 in the documentation of elephant."""
    raster = trains(np.cumsum([2, 3, 45, 67, 93]), steps=250)
    assert rasters.measure(rasters.regularity(), raster).local_variation[0] == pytest.approx(0.8306154336734695)


def test_a_clock_is_regular():
    clock = jnp.zeros((700, 1), bool).at[::7].set(True)
    result = rasters.measure(rasters.regularity(), clock)
    assert result.log_rate == pytest.approx(np.log(1 / 7))
    assert result.cv == 0
    assert result.local_variation == 0


def test_regularity_of_a_bernoulli_train():
    share, gaps = 0.1, np.arange(1, 300)
    chance = share * (1 - share) ** (gaps - 1)
    contrast = 3 * ((gaps - gaps[:, None]) / (gaps + gaps[:, None])) ** 2
    train = jnp.asarray(np.random.default_rng(3).random((2000, 200)) < share)
    result = rasters.measure(rasters.regularity(), train)
    assert result.cv.mean() == pytest.approx(np.sqrt(1 - share), abs=0.01)
    assert result.local_variation.mean() == pytest.approx(chance @ contrast @ chance, abs=0.01)


def test_long_intervals_that_hardly_vary_lose_no_digits():
    spikes = np.cumsum(np.tile([5000, 5001], 20))
    result = rasters.measure(rasters.regularity(), trains(spikes, steps=201_000))
    gaps = np.diff(spikes)
    assert result.cv[0] == pytest.approx(gaps.std(ddof=1) / gaps.mean(), rel=1e-4)


def test_fewer_than_three_spikes_have_no_regularity():
    result = rasters.measure(rasters.regularity(), trains([], [2], [1, 2], [0, 1, 2], steps=3))
    for leaf in result:
        assert np.isnan(leaf).tolist() == [True, True, True, False]


@each_meter
def test_a_meter_inside_a_simulation_equals_the_stored_raster(meter, payloads):
    def step(carry, drive):
        neuron, state = carry
        neuron, payload = burst_neuron(neuron, drive)
        return (neuron, meter.step(state, payload)), payload

    drive = np.random.default_rng(4).uniform(-0.1, 0.5, (30, 6)).astype(np.float32)
    start = (jnp.zeros(6), jnp.full(6, 0.125)), meter.init((6,))
    (_, state), stored = jax.jit(lambda: jax.lax.scan(step, start, drive))()
    assert_same(meter.finish(state), rasters.measure(meter, stored))


@pytest.mark.slow
@each_meter
def test_images_by_vmap_equal_one_at_a_time(meter, payloads):
    together = jax.jit(jax.vmap(lambda p: rasters.measure(meter, p), in_axes=1))(payloads)
    for image in (0, 3):
        one_of_all = jax.tree.map(lambda leaf, index=image: leaf[index], together)
        assert_same(one_of_all, rasters.measure(meter, payloads[:, image]))


@pytest.mark.slow
@each_meter
def test_a_meter_takes_float64(meter, payloads):
    with jax.enable_x64(True):
        precise = rasters.measure(meter, jnp.asarray(np.asarray(payloads[:, 0], np.float64)))
    assert_same(rasters.measure(meter, payloads[:, 0]), precise)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_entropy_of_equally_frequent_words_is_their_length(length):
    words = np.array(list(itertools.product([0, 1], repeat=length)))
    assert rasters.word_entropy(jnp.asarray(words.reshape(-1, 1)), length) == pytest.approx(length)


def test_word_entropy_equals_a_count_of_words(payloads):
    spikes = np.asarray(payloads).reshape(60, -1) > 0
    words = [tuple(train[t : t + 7]) for train in spikes.T for t in range(0, 54, 7)]
    share = np.array([words.count(w) for w in set(words)]) / len(words)
    entropy = jax.jit(rasters.word_entropy, static_argnums=1)(payloads, 7)
    assert entropy == pytest.approx(-(share * np.log2(share)).sum(), rel=1e-5)


@pytest.mark.slow
def test_a_silent_raster_has_no_entropy():
    assert rasters.word_entropy(jnp.zeros((8, 3)), 4) == 0


@pytest.mark.parametrize("make", [rasters.intervals, rasters.bursts])
def test_a_histogram_without_bins_is_refused(make):
    with pytest.raises(ValueError, match="longest must be at least 1, got 0"):
        make(0)


@pytest.mark.parametrize("levels", [[], [0.0, 1.0], [1.0, 0.5], [0.5, 0.5]])
def test_levels_that_do_not_ascend_from_above_zero_are_refused(levels):
    with pytest.raises(ValueError, match="positive and ascending"):
        rasters.amplitudes(levels)


@pytest.mark.parametrize("length", [0, 9, 21])
def test_a_word_that_does_not_fit_is_refused(length):
    with pytest.raises(ValueError, match="length must be"):
        rasters.word_entropy(jnp.zeros((8, 3)), length)
