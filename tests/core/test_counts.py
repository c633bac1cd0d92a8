import numpy as np
import pytest

from framework.core import counts


@pytest.mark.parametrize("count", [0, -1, 2.0, 2.5, "2", None, np.float32(1)])
def test_what_counts_nothing_is_refused_by_name(count):
    with pytest.raises(ValueError, match=r"^pgd: steps must be a whole number of at least 1, got "):
        counts.check("pgd: ", restarts=1, steps=count)


def test_whole_numbers_of_any_kind_are_counts():
    counts.check(steps=1, workers=np.int32(4), batch=2**40)
