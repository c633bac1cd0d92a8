import pytest
import scipy.stats

from experiments.parts.shared import intervals


def test_the_standard_error_is_scipys_from_three_values_on():
    values = [0.3, 0.9, 0.4]
    assert intervals.standard_error(values) == pytest.approx(scipy.stats.sem(values), rel=1e-15)
    assert [intervals.standard_error(values[:n]) for n in (1, 2)] == [0.0, 0.0]


def test_comparisons_over_too_few_seeds_are_marked():
    words = "two seeds, no interval"
    assert intervals.mark_comparisons(2, "accuracy", "loss") == {"no_interval": {"accuracy": words, "loss": words}}
    assert intervals.mark_comparisons(3, "accuracy") == {}


def test_a_difference_is_a_gain_from_three_seeds_on():
    assert [intervals.difference(seeds) for seeds in (1, 2, 3)] == ["difference", "difference", "gain"]
    assert intervals.bars(2) == ""
    assert intervals.bars(3) == " Means over 3 seeds, bars: standard errors."
    assert intervals.bars(20, "graphs", "bands") == " Means over 20 graphs, bands: standard errors."
