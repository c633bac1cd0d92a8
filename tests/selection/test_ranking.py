import jax
import numpy as np
import pytest

from framework import selection

SCORES = np.array([3.0, 1.0, 2.0, 2.0, -1.0])


def test_the_ends_of_a_ranking_come_in_order_and_of_equals_the_first():
    assert selection.largest(SCORES, 3).tolist() == [0, 2, 3]
    assert selection.smallest(SCORES, 4).tolist() == [4, 1, 2, 3]
    assert selection.smallest(np.array([0, np.iinfo(np.int32).min, 5]), 2).tolist() == [1, 0]
    np.testing.assert_array_equal(jax.jit(lambda s: selection.largest(s, 3))(SCORES), [0, 2, 3])


def test_scores_are_compared_in_their_own_precision():
    close = 1 + np.array([0.0, 2e-12, 1e-12])  # alike as float32
    assert selection.largest(close, 2).tolist() == [1, 2]


@pytest.mark.parametrize(("beta", "wanted"), [(1.0, [4, 1, 2]), (0.0, [0, 3, 2]), (0.7, [4, 1, 0]), (0.4, [4, 0, 3])])
def test_a_mixture_takes_both_ends(beta, wanted):
    assert selection.mixture(SCORES, 3, beta).tolist() == wanted


@pytest.mark.parametrize("beta", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_mixture_never_takes_a_point_twice(beta):
    assert sorted(selection.mixture(SCORES, 5, beta).tolist()) == [0, 1, 2, 3, 4]
    assert len(selection.mixture(SCORES, 0, beta)) == 0


def test_bad_rankings_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\], got 1.5"):
        selection.mixture(SCORES, 2, 1.5)
    with pytest.raises(ValueError, match="asked for 6"):
        selection.largest(SCORES, 6)
    with pytest.raises(ValueError, match="the score of point 1 is NaN"):
        selection.smallest(np.array([0.0, np.nan]), 1)
