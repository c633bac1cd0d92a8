"""Spoilt files and texts, some here and thousands in the campaign: read rightly, or refused in one line."""

import os

import pytest

from tests.fuzz.campaign import campaign, faults
from tests.fuzz.readers import ROOMS

INPUTS = int(os.environ.get("SEXTANT_FUZZ", "40"))  # a reader; the slow ones take fewer


@pytest.mark.parametrize("room", ROOMS)
def test_spoilt_input_is_read_rightly_or_refused_in_one_line(room):
    """In a process of little memory: none may die, hang, claim too much, raise something else or accept nonsense."""
    result = campaign(room, INPUTS, timeout=600.0)
    assert sum(sum(item["outcomes"].values()) for item in result) >= 10
    assert not faults(result)


@pytest.mark.long
@pytest.mark.parametrize("room", ROOMS)
def test_corrupt_inputs_are_read_correctly_or_refused_long(room):
    assert not faults(campaign(room, 4000))
