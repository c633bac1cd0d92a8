import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework import selection
from framework.selection import groups, ranking
from framework.selection.groups import take_from_groups

LABELS = np.repeat([0, 1, 2], [30, 4, 16])


def quotas_by_loop(counts, size):
    """The published loop over strata, from the one with the fewest points on."""
    quotas, remaining = [0] * len(counts), size
    waiting_groups = sorted(range(len(counts)), key=lambda g: counts[g])
    while waiting_groups:
        group = waiting_groups[0]
        quotas[group] = min(counts[group], remaining // len(waiting_groups))
        remaining -= quotas[group]
        waiting_groups.pop(0)
    return quotas


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=4, max_size=4), st.floats(0, 1))
def test_quotas_equal_the_published_loop_and_sum_to_the_size(counts, part):
    size = int(part * sum(counts))
    quotas = np.asarray(groups.equal_quotas(np.array(counts), size))
    assert quotas.tolist() == quotas_by_loop(counts, size)
    assert quotas.sum() == size
    assert (quotas <= counts).all()


def test_quotas_of_more_points_than_exist_are_refused():
    with pytest.raises(ValueError, match="0 to 5 points, as many as there are; asked for 6"):
        groups.equal_quotas(np.array([2, 3]), 6)


@pytest.mark.parametrize(
    ("counts", "size", "message"),
    [
        ([-2, 4], 1, r"whole numbers of points from 0 on, \[groups\], got \[-2, 4\]"),
        ([1.5, 4], 1, "whole numbers of points from 0 on"),
        ([3, 4], 5.5, "points come in whole numbers, got 5.5"),
    ],
)
def test_quotas_of_invalid_counts_are_refused(counts, size, message):
    with pytest.raises(ValueError, match=message):
        groups.equal_quotas(counts, size)


@pytest.mark.slow
def test_the_lowest_of_each_group_are_taken():
    priority = np.array([0.3, 0.1, 0.2, 0.9, 0.5, 0.4])
    groups = np.array([0, 0, 0, 1, 1, 2])
    assert take_from_groups(priority, groups, np.array([2, 1, 0]), 3).tolist() == [1, 2, 4]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 9, 25, 50])
def test_a_balanced_selection_gives_each_class_its_quota(size):
    select = selection.balance_classes(lambda key, scores, k: ranking.largest(scores, k), LABELS)
    scores = np.arange(50.0)
    selected = np.asarray(select(jax.random.key(0), scores, size))
    assert len(set(selected.tolist())) == size
    quotas = groups.equal_quotas(np.array([30, 4, 16]), size)
    np.testing.assert_array_equal(np.bincount(LABELS[selected], minlength=3), quotas)
    members = [range(30), range(30, 34), range(34, 50)]
    for label in range(3):
        assert set(selected[LABELS[selected] == label]) == set(members[label][::-1][: quotas[label]])


def test_labels_must_be_concrete_and_whole():
    with pytest.raises(ValueError, match="close over them"):
        jax.jit(lambda labels: selection.balance_classes(lambda *a: a, labels)(None, (), 1))(LABELS)
    with pytest.raises(ValueError, match="whole numbers from 0 on"):
        selection.balance_classes(lambda *a: a, np.array([0.5]))


@pytest.mark.parametrize("count", [49, 51])
def test_points_and_labels_must_have_the_same_length(count):
    select = selection.balance_classes(lambda key, scores, k: ranking.largest(scores, k), LABELS)
    with pytest.raises(ValueError, match=r"50 labels need points \[50, ...\], got shape"):
        select(jax.random.key(0), np.arange(float(count)), 5)
