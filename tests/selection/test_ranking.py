import jax
import numpy as np
import pytest

from framework.selection import ranking

SCORES = np.array([3.0, 1.0, 2.0, 2.0, -1.0])


def test_ends_of_a_ranking_are_in_order():
    assert ranking.largest(SCORES, 3).tolist() == [0, 2, 3]
    assert ranking.smallest(SCORES, 4).tolist() == [4, 1, 2, 3]
    assert ranking.smallest(np.array([0, np.iinfo(np.int32).min, 5]), 2).tolist() == [1, 0]
    np.testing.assert_array_equal(jax.jit(lambda s: ranking.largest(s, 3))(SCORES), [0, 2, 3])


def test_scores_are_compared_in_their_own_precision():
    close = 1 + np.array([0.0, 2e-12, 1e-12])  # alike as float32
    assert ranking.largest(close, 2).tolist() == [1, 2]


@pytest.mark.parametrize(("beta", "expected"), [(1.0, [4, 1, 2]), (0.0, [0, 3, 2]), (0.7, [4, 1, 0]), (0.4, [4, 0, 3])])
def test_a_mixture_takes_both_ends(beta, expected):
    assert ranking.mixture(SCORES, 3, beta).tolist() == expected


@pytest.mark.parametrize("beta", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_mixture_never_takes_a_point_twice(beta):
    assert sorted(ranking.mixture(SCORES, 5, beta).tolist()) == [0, 1, 2, 3, 4]
    assert len(ranking.mixture(SCORES, 0, beta)) == 0


def test_bad_rankings_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\], got 1.5"):
        ranking.mixture(SCORES, 2, 1.5)
    with pytest.raises(ValueError, match="asked for 6"):
        ranking.largest(SCORES, 6)
    with pytest.raises(ValueError, match="the score of point 1 is NaN"):
        ranking.smallest(np.array([0.0, np.nan]), 1)


KEYS = jax.random.split(jax.random.key(0), 4000)
TIES = np.array([1.0, 0, 1, 1, 0, 1, 2])  # one sure point, two of the four that follow


def frequencies(select, count, keys=KEYS):
    """How often each point is among the chosen, `[N]`."""
    selected = np.asarray(jax.vmap(select)(keys))
    return np.bincount(selected.ravel(), minlength=count) / len(keys)


def assert_frequencies(observed, expected, draws=len(KEYS)):
    """Within 5 standard deviations of a binomial share."""
    expected = np.asarray(expected)
    assert (abs(observed - expected) <= 5 * np.sqrt(expected * (1 - expected) / draws)).all(), observed


def test_equal_scores_are_selected_uniformly_by_the_key():
    half = [0.5, 0, 0.5, 0.5, 0, 0.5, 1]
    assert_frequencies(frequencies(lambda key: ranking.largest(TIES, 3, key), 7), half)
    assert_frequencies(frequencies(lambda key: ranking.smallest(-TIES, 3, key), 7), half)
    assert_frequencies(frequencies(lambda key: ranking.largest(np.int32(TIES), 3, key), 7), half)
    # a mixture: one of the two least, one of the greatest
    assert_frequencies(frequencies(lambda key: ranking.mixture(TIES, 2, 0.5, key), 7), [0, 0.5, 0, 0, 0.5, 0, 1])


def test_pairs_of_equal_points_are_uniform_too():
    pairs = np.sort(np.asarray(jax.vmap(lambda key: ranking.largest(np.zeros(4), 2, key))(KEYS)), axis=1)
    observed = np.bincount(4 * pairs[:, 0] + pairs[:, 1], minlength=16).reshape(4, 4) / len(KEYS)
    assert_frequencies(observed, np.triu(np.full((4, 4), 1 / 6), 1))


def test_distinct_scores_need_no_key():
    scores = np.random.default_rng(0).permutation(50).astype(float)
    for key in KEYS[:5]:
        for rank in (ranking.largest, ranking.smallest):
            np.testing.assert_array_equal(rank(scores, 20, key), rank(scores, 20))
        np.testing.assert_array_equal(ranking.mixture(scores, 20, 0.3, key), ranking.mixture(scores, 20, 0.3))


def test_an_invalid_key_is_refused():
    with pytest.raises(ValueError, match="a random key is wanted"):
        ranking.largest(TIES, 2, 0)
