import pytest
import scipy.stats

from experiments._spread import standard_error


def test_the_standard_error_is_scipys_and_none_of_a_single_value():
    values = [0.3, 0.9, 0.4, 0.4]
    assert standard_error(values) == pytest.approx(scipy.stats.sem(values), rel=1e-15)
    assert standard_error([0.3]) == 0.0
