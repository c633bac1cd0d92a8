import pytest

from framework.runs import no_interval
from framework.runs.reporting import intervals


def test_one_and_two_seeds_have_no_interval_and_three_have_one():
    assert [no_interval(seeds) for seeds in (1, 2, 3, 30)] == [
        "one seed, no interval",
        "two seeds, no interval",
        "",
        "",
    ]


def test_a_claim_over_too_few_seeds_is_none():
    assert intervals.qualify("It helps.", "") == "It helps."
    said = intervals.qualify("It helps.", "one seed, no interval")
    assert said == "This run cannot support the claim (one seed, no interval). Claim under study: It helps."


@pytest.mark.parametrize(
    ("numbers", "config", "seeds"),
    [
        ({"seeds": 4, "part.seeds": 1}, {"seeds": 9}, 4),
        ({"a.seeds": 4, "b.seeds": 2, "noseeds": 1}, {}, 2),
        ({"x": 1.0}, {"seeds": 3}, 3),
        ({"x": 1.0}, {"seeds": None}, None),
        ({"x": 1.0}, {}, None),
    ],
)
def test_seeds_are_those_that_a_result_tells_or_else_its_config(numbers, config, seeds):
    assert intervals.seeds_of(numbers, config) == seeds
