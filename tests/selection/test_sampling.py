import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import selection
from framework.core import keys
from framework.selection import entropy_file, histogram, sampling

SEEDS = 1000


def successive(probabilities, size):
    """The oracle: the exact probability of every set under successive draws without replacement."""
    sets = dict.fromkeys(map(frozenset, itertools.combinations(range(len(probabilities)), size)), 0.0)
    for drawn in itertools.permutations(range(len(probabilities)), size):
        chance, left = 1.0, 1.0
        for point in drawn:
            chance *= probabilities[point] / left
            left -= probabilities[point]
        sets[frozenset(drawn)] += chance
    return sets


@pytest.mark.slow
def test_sets_have_the_law_of_successive_draws():
    """Chi-square over all 20 sets of 3 out of 6: 99.9th percentile of 19 degrees of freedom."""
    probabilities = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    drawn = np.asarray(selection.proxies(jax.random.split(jax.random.key(0), 4000), 3, probabilities, block=1000))
    wanted = successive(probabilities, 3)
    counts = dict.fromkeys(wanted, 0)
    for row in drawn:
        counts[frozenset(row.tolist())] += 1
    chi = sum((counts[each] - 4000 * wanted[each]) ** 2 / (4000 * wanted[each]) for each in wanted)
    assert chi < 43.8


@pytest.mark.slow
def test_inclusion_is_that_of_numpy_choice():
    """Within 4 standard errors in each bin of a histogram whose heights differ by a factor of 50."""
    rng = np.random.default_rng(0)
    entropy = 10 ** np.concatenate([rng.uniform(-4, -3.5, 200), rng.uniform(-3, -2, 60), rng.uniform(-1, 0.2, 8)])
    bins = np.asarray(histogram.histogram(entropy).bins)
    p = np.asarray(selection.histogram_probabilities(entropy, "P1"))
    ours = np.asarray(selection.proxies(jax.random.split(jax.random.key(0), SEEDS), 40, p, block=SEEDS))
    theirs = np.stack([np.random.RandomState(seed).choice(len(p), 40, False, p) for seed in range(SEEDS)])
    for label in np.unique(bins):
        one, other = ((bins[drawn] == label).sum(1) for drawn in (ours, theirs))
        error = np.sqrt((one.var() + other.var()) / SEEDS)
        assert abs(one.mean() - other.mean()) <= 4 * error + 1e-9


@pytest.mark.slow
def test_the_numpy_draw_of_the_released_sampler_is_reproduced(shared):
    """Of the reference, not of our own draws: points bin by bin, RandomState(777), sha1 of the sorted indices."""
    import hashlib
    import json

    golden = json.loads(shared("proxy_nas", "golden_histograms.json").read_text())["cifar10_resnet20"]
    path = shared("proxy_nas", "entropy_list", "cifar10_resnet20_index_entropy_class.txt")
    entropy = entropy_file.read(path).entropy
    order = np.argsort(histogram.histogram(entropy).bins, kind="stable")
    for rule in histogram.RULES:
        p = np.asarray(selection.histogram_probabilities(entropy, rule))[order]
        drawn = np.sort(np.random.RandomState(777).choice(order, 5000, False, p / p.sum()))
        assert hashlib.sha1(drawn.astype("<i8").tobytes()).hexdigest() == golden[f"{rule}_seed777_k5000_sha1_sorted"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 17, 50])
def test_a_selection_has_the_size_and_no_point_twice(size):
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    for options in ({"probabilities": p}, {"count": 50}):
        chosen = np.asarray(selection.select(jax.random.key(1), size, **options))
        assert chosen.shape == (size,)
        assert len(set(chosen.tolist())) == size
        assert set(chosen.tolist()) <= set(range(50))


@pytest.mark.slow
def test_points_without_probability_are_never_drawn():
    p = np.array([0.0, 1.0, 0.0, 1e-6, 2.0])
    drawn = np.asarray(selection.proxies(keys.for_seeds(0, 50), 3, p))
    assert set(drawn.ravel().tolist()) == {1, 3, 4}


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [-600, -140, 140, 600])
def test_probabilities_of_any_sum_draw_the_same(exponent):
    """A power of two that float32 cannot hold: the draws are those without it, bit for bit."""
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    seeds = keys.for_seeds(0, 20)
    wanted = selection.proxies(seeds, 8, p)
    np.testing.assert_array_equal(selection.proxies(seeds, 8, np.ldexp(p, exponent)), wanted)
    assert len(np.unique(wanted)) > 40


def test_what_float32_rounds_to_nothing_is_still_drawn_before_what_has_no_probability():
    p = np.array([0.0, 1e-60, 0.3, 0.0, 1e-250])
    for key in keys.for_seeds(0, 5):
        assert set(selection.select(key, 3, p).tolist()) == {1, 2, 4}


@pytest.mark.slow
def test_every_part_of_a_shuffled_selection_is_alike():
    """A point of great weight stands at the front no more often than at the back; sorted, indices ascend."""
    p = np.array([20.0] + [1.0] * 19)
    drawn = np.asarray(selection.proxies(jax.random.split(jax.random.key(0), SEEDS), 10, p, block=SEEDS))
    places = np.argmax(drawn == 0, 1)[(drawn == 0).any(1)]
    assert abs(places.mean() - 4.5) < 4 * np.sqrt(99 / 12 / len(places))
    chosen = np.asarray(selection.select(jax.random.key(0), 10, p, shuffle=False))
    assert (np.diff(chosen) > 0).all()
    assert set(chosen) == set(np.asarray(selection.select(jax.random.key(0), 10, p)).tolist())


@pytest.mark.slow
def test_blocks_vmap_and_jit_draw_what_single_calls_draw():
    p = np.random.default_rng(0).uniform(0.01, 1, 50)
    seeds = keys.for_seeds(3, 5)
    single = np.stack([selection.select(key, 8, p) for key in seeds])
    np.testing.assert_array_equal(selection.proxies(seeds, 8, p, block=2), single)
    np.testing.assert_array_equal(jax.vmap(lambda key: selection.select(key, 8, p))(seeds), single)
    np.testing.assert_array_equal(jax.jit(selection.select, static_argnums=1)(seeds[0], 8, jnp.asarray(p)), single[0])


@pytest.mark.parametrize(("count", "size"), [(1, 1), (31, 31), (32, 5), (33, 20), (1000, 100)])
def test_the_earliest_clocks_are_those_of_a_stable_sort(count, size):
    """Of equal clocks the first; among them such as never ring."""
    clocks = np.random.default_rng(0).integers(0, 12, count).astype(np.float32) / 10
    clocks[::7] = np.inf
    wanted = np.sort(np.argsort(clocks, kind="stable")[:size])
    np.testing.assert_array_equal(sampling._earliest(jnp.asarray(clocks), size), wanted)


@pytest.mark.parametrize(
    ("size", "options", "said"),
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
def test_bad_draws_are_refused(size, options, said):
    if "probabilities" in options:
        options = {"probabilities": np.array(options["probabilities"])}
    with pytest.raises(ValueError, match=said):
        selection.select(jax.random.key(0), size, **options)


@pytest.mark.parametrize(
    ("seeds", "options", "said"),
    [
        (jax.random.key(0), {}, r"proxies takes keys \[S\], one a selection, got the shape \(\)"),
        (jax.random.split(jax.random.key(0), 2), {"block": 0}, "block must be a whole number of at least 1, got 0"),
        ([0, 1], {}, "a random key is wanted"),
    ],
)
def test_bad_proxies_are_refused(seeds, options, said):
    with pytest.raises(ValueError, match=said):
        selection.proxies(seeds, 2, count=5, **options)
