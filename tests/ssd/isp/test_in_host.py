import numpy as np
import pytest

from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.isp import in_host

pytestmark = pytest.mark.slow


def test_the_formula_and_its_overlapped_form():
    assert in_host.expected_time(10, 4, 7) == 13
    assert in_host.expected_time(10, 4, 7, overlapped=True) == 7
    assert in_host.expected_time(10, 4, 5, overlapped=True) == 6


@pytest.mark.parametrize("policy", in_host.POLICIES)
@pytest.mark.parametrize("memory", [0, 1, 3, 10])
def test_misses_equal_a_plain_cache(policy, memory):
    accesses = np.random.default_rng(0).integers(0, 8, 200)
    held, missed = [], []
    for page in accesses:
        missed.append(page not in held)
        if policy == "lru":
            held = [other for other in held if other != page] + [page]
            held = held[-memory:] if memory else []
        elif missed[-1] and len(held) < memory:
            held.append(page)
    np.testing.assert_array_equal(in_host.misses(accesses, memory, policy), missed)


@pytest.mark.parametrize("policy", in_host.POLICIES)
def test_misses_fall_with_memory_and_stay_once_all_fits(policy):
    passes = np.tile(np.arange(50), 4)
    counts = [in_host.misses(passes, memory, policy).sum() for memory in (0, 10, 30, 49, 50, 60)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-2:] == [50, 50]
    assert counts[3] == (200 if policy == "lru" else 50 + 3)


def test_a_replay_takes_the_time_of_the_simulator():
    design = presets.isp_ml(channels=2)
    one, many = (in_host.replay(design, np.arange(count)) for count in (20, 200))
    assert many == pytest.approx(10 * one, rel=0.1)
    assert in_host.replay(design, []) == 0
    alone = closed_forms.unloaded_latency(design).read
    assert in_host.replay(design, np.arange(20), queue_depth=1) == pytest.approx(20e-9 * alone, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: in_host.expected_time(1, 2, 1), "io at most the total"),
        (lambda: in_host.expected_time(1, float("nan"), 1), "times must be at least 0"),
        (lambda: in_host.expected_time(1, 1, [0, -1]), "times must be at least 0"),
        (lambda: in_host.replay(presets.isp_ml(), [0], 0), "queue_depth must be at least 1, got 0"),
        (lambda: in_host.replay(presets.isp_ml(), [2**40]), "past the device's end"),
        (lambda: in_host.misses([1], 2, "fifo"), "policy must be one of lru, pinned"),
        (lambda: in_host.misses([], 2), "0 or more pages"),
    ],
)
def test_bad_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
