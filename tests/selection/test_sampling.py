import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import selection
from framework.core import keys
from framework.selection import entropy_file, histogram, sampling

SEEDS = 1000


def probabilities_of_sets(probabilities, size):
    """The oracle: the exact probability of every set under successive draws without replacement."""
    sets = dict.fromkeys(map(frozenset, itertools.combinations(range(len(probabilities)), size)), 0.0)
    for draws in itertools.permutations(range(len(probabilities)), size):
        probability, remaining = 1.0, 1.0
        for point in draws:
            probability *= probabilities[point] / remaining
            remaining -= probabilities[point]
        sets[frozenset(draws)] += probability
    return sets


@pytest.mark.slow
def test_sets_have_the_probabilities_of_successive_draws():
    """Chi-square over all 20 sets of 3 out of 6: 99.9th percentile of 19 degrees of freedom."""
    probabilities = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    draws = np.asarray(selection.sample_many(jax.random.split(jax.random.key(0), 4000), 3, probabilities, block=1000))
    expected = probabilities_of_sets(probabilities, 3)
    counts = dict.fromkeys(expected, 0)
    for row in draws:
        counts[frozenset(row.tolist())] += 1
    chi = sum((counts[points] - 4000 * expected[points]) ** 2 / (4000 * expected[points]) for points in expected)
    assert chi < 43.8


@pytest.mark.slow
def test_inclusion_is_that_of_numpy_choice():
    """Within 4 standard errors in each bin of a histogram whose heights differ by a factor of 50."""
    rng = np.random.default_rng(0)
    entropy = 10 ** np.concatenate([rng.uniform(-4, -3.5, 200), rng.uniform(-3, -2, 60), rng.uniform(-1, 0.2, 8)])
    bins = np.asarray(histogram.histogram(entropy).bins)
    p = np.asarray(selection.histogram_probabilities(entropy, "P1"))
    ours = np.asarray(selection.sample_many(jax.random.split(jax.random.key(0), SEEDS), 40, p, block=SEEDS))
    theirs = np.stack([np.random.RandomState(seed).choice(len(p), 40, False, p) for seed in range(SEEDS)])
    for label in np.unique(bins):
        one, other = ((bins[draws] == label).sum(1) for draws in (ours, theirs))
        error = np.sqrt((one.var() + other.var()) / SEEDS)
        assert abs(one.mean() - other.mean()) <= 4 * error + 1e-9


@pytest.mark.slow
def test_the_numpy_draw_of_the_released_sampler_is_reproduced(shared):
    """Of the reference, not of our own draws: points bin by bin, RandomState(777), sha1 of the sorted indices."""
    import hashlib
    import json

    golden = json.loads(shared("proxy_nas", "golden_histograms.json").read_text())["cifar10_resnet20"]
    path = shared("proxy_nas", "entropy_list", "cifar10_resnet20_index_entropy_class.txt")
    entropy = entropy_file.read_entropy_list(path).entropy
    order = np.argsort(histogram.histogram(entropy).bins, kind="stable")
    for rule in histogram.RULES:
        p = np.asarray(selection.histogram_probabilities(entropy, rule))[order]
        draws = np.sort(np.random.RandomState(777).choice(order, 5000, False, p / p.sum()))
        assert hashlib.sha1(draws.astype("<i8").tobytes()).hexdigest() == golden[f"{rule}_seed777_k5000_sha1_sorted"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 17, 50])
def test_a_sample_has_the_size_and_no_point_twice(size):
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    for options in ({"probabilities": p}, {"count": 50}):
        selected = np.asarray(selection.sample(jax.random.key(1), size, **options))
        assert selected.shape == (size,)
        assert len(set(selected.tolist())) == size
        assert set(selected.tolist()) <= set(range(50))


@pytest.mark.slow
def test_points_without_probability_are_never_drawn():
    p = np.array([0.0, 1.0, 0.0, 1e-6, 2.0])
    draws = np.asarray(selection.sample_many(keys.for_seeds(0, 50), 3, p))
    assert set(draws.ravel().tolist()) == {1, 3, 4}


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [-600, -140, 140, 600])
def test_probabilities_of_any_sum_draw_the_same(exponent):
    """A power of two that float32 cannot hold: the draws are those without it, bit for bit."""
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    seeds = keys.for_seeds(0, 20)
    expected = selection.sample_many(seeds, 8, p)
    np.testing.assert_array_equal(selection.sample_many(seeds, 8, np.ldexp(p, exponent)), expected)
    assert len(np.unique(expected)) > 40


def test_probabilities_below_float32_are_still_drawn():
    p = np.array([0.0, 1e-60, 0.3, 0.0, 1e-250])
    for key in keys.for_seeds(0, 5):
        assert set(selection.sample(key, 3, p).tolist()) == {1, 2, 4}


@pytest.mark.slow
def test_every_part_of_a_shuffled_sample_is_a_sample():
    """A point of great weight stands at the front no more often than at the back; sorted, indices ascend."""
    p = np.array([20.0] + [1.0] * 19)
    draws = np.asarray(selection.sample_many(jax.random.split(jax.random.key(0), SEEDS), 10, p, block=SEEDS))
    places = np.argmax(draws == 0, 1)[(draws == 0).any(1)]
    assert abs(places.mean() - 4.5) < 4 * np.sqrt(99 / 12 / len(places))
    selected = np.asarray(selection.sample(jax.random.key(0), 10, p, shuffle=False))
    assert (np.diff(selected) > 0).all()
    assert set(selected) == set(np.asarray(selection.sample(jax.random.key(0), 10, p)).tolist())


@pytest.mark.slow
def test_blocks_vmap_and_jit_equal_single_calls():
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    seeds = keys.for_seeds(3, 5)
    single = np.stack([selection.sample(key, 8, p) for key in seeds])
    np.testing.assert_array_equal(selection.sample_many(seeds, 8, p, block=2), single)
    np.testing.assert_array_equal(jax.vmap(lambda key: selection.sample(key, 8, p))(seeds), single)
    np.testing.assert_array_equal(jax.jit(selection.sample, static_argnums=1)(seeds[0], 8, jnp.asarray(p)), single[0])


@pytest.mark.parametrize(("count", "size"), [(1, 1), (31, 31), (32, 5), (33, 20), (1000, 100)])
def test_the_shortest_times_are_those_of_a_stable_sort(count, size):
    """Of equal times the first; some are infinite."""
    times = np.random.default_rng(0).integers(0, 12, count).astype(np.float32) / 10
    times[::7] = np.inf
    expected = np.sort(np.argsort(times, kind="stable")[:size])
    np.testing.assert_array_equal(sampling._shortest(jnp.asarray(times), size), expected)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (6, {"count": 5}, "0 to 5 points, as many as there are; asked for 6"),
        (-1, {"count": 5}, "asked for -1"),
        (3, {"probabilities": [1.0, 0.0, 1.0]}, "3 points are asked for, but only 2 have a probability above 0"),
        (1, {"probabilities": [1.0, -0.5]}, "the probability of point 1 is -0.5"),
        (1, {"probabilities": [1.0, np.nan]}, "point 1 is NaN"),
        (1, {"probabilities": [1.0, np.inf]}, "the probability of point 1 is inf; it must be 0 or more, and finite"),
        (1, {"probabilities": [[1.0]]}, "one number a point"),
        (1, {}, "just one"),
    ],
)
def test_bad_samples_are_refused(size, options, message):
    if "probabilities" in options:
        options = {"probabilities": np.array(options["probabilities"])}
    with pytest.raises(ValueError, match=message):
        selection.sample(jax.random.key(0), size, **options)


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        (jax.random.key(0), {}, r"sample_many takes keys \[S\], one a sample, got the shape \(\)"),
        (jax.random.split(jax.random.key(0), 2), {"block": 0}, "block must be a whole number of at least 1, got 0"),
        ([0, 1], {}, "a random key is wanted"),
    ],
)
def test_bad_keys_and_blocks_are_refused(seeds, options, message):
    with pytest.raises(ValueError, match=message):
        selection.sample_many(seeds, 2, count=5, **options)
