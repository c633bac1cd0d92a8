import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework import selection
from framework.selection.groups import first_of_groups

LABELS = np.repeat([0, 1, 2], [30, 4, 16])


def naive_shares(counts, size):
    """The published loop over strata, from the one with the fewest points on."""
    given, left = [0] * len(counts), size
    waiting = sorted(range(len(counts)), key=lambda g: counts[g])
    while waiting:
        group = waiting[0]
        given[group] = min(counts[group], left // len(waiting))
        left -= given[group]
        waiting.pop(0)
    return given


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=4, max_size=4), st.floats(0, 1))
def test_shares_are_those_of_the_published_loop_and_sum_to_the_size(counts, part):
    size = int(part * sum(counts))
    found = np.asarray(selection.shares(np.array(counts), size))
    assert found.tolist() == naive_shares(counts, size)
    assert found.sum() == size
    assert (found <= counts).all()


def test_shares_of_more_than_there_are_are_refused():
    with pytest.raises(ValueError, match="0 to 5 points, as many as there are; asked for 6"):
        selection.shares(np.array([2, 3]), 6)


@pytest.mark.parametrize(
    ("counts", "size", "message"),
    [
        ([-2, 4], 1, r"whole numbers of points from 0 on, \[groups\], got \[-2, 4\]"),
        ([1.5, 4], 1, "whole numbers of points from 0 on"),
        ([3, 4], 5.5, "points come in whole numbers, got 5.5"),
    ],
)
def test_shares_of_what_is_no_number_of_points_are_refused(counts, size, message):
    with pytest.raises(ValueError, match=message):
        selection.shares(counts, size)


@pytest.mark.slow
def test_the_first_of_each_group_are_taken():
    priority = np.array([0.3, 0.1, 0.2, 0.9, 0.5, 0.4])
    groups = np.array([0, 0, 0, 1, 1, 2])
    assert first_of_groups(priority, groups, np.array([2, 1, 0]), 3).tolist() == [1, 2, 4]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 9, 25, 50])
def test_a_balanced_selection_gives_each_class_its_share(size):
    choose = selection.class_balanced(lambda key, k, scores: selection.largest(scores, k), LABELS)
    scores = np.arange(50.0)
    chosen = np.asarray(choose(jax.random.key(0), size, scores))
    assert len(set(chosen.tolist())) == size
    shares = selection.shares(np.array([30, 4, 16]), size)
    np.testing.assert_array_equal(np.bincount(LABELS[chosen], minlength=3), shares)
    members = [range(30), range(30, 34), range(34, 50)]
    for label in range(3):
        assert set(chosen[LABELS[chosen] == label]) == set(members[label][::-1][: shares[label]])


def test_labels_must_be_there():
    with pytest.raises(ValueError, match="close over them"):
        jax.jit(lambda labels: selection.class_balanced(lambda *a: a, labels)(None, 1, ()))(LABELS)
    with pytest.raises(ValueError, match="whole numbers from 0 on"):
        selection.class_balanced(lambda *a: a, np.array([0.5]))


@pytest.mark.parametrize("count", [49, 51])
def test_points_and_labels_go_together(count):
    choose = selection.class_balanced(lambda key, k, scores: selection.largest(scores, k), LABELS)
    with pytest.raises(ValueError, match=r"50 labels need points \[50, ...\], got shape"):
        choose(jax.random.key(0), 5, np.arange(float(count)))
