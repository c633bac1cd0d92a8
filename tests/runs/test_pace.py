import threading

import pytest

from framework.runs.pace import rate_limit


class Clock:
    """Time that passes only by sleeping, or where the test says so."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_calls_come_no_more_often_than_allowed(clock):
    times = []
    call = rate_limit(lambda: times.append(clock.now), 30, clock, clock.sleep)
    for _ in range(5):
        call()
    assert times == [1000, 1002, 1004, 1006, 1008]


def test_who_is_slower_than_the_pace_never_waits(clock):
    call = rate_limit(lambda: None, 60, clock, clock.sleep)
    for _ in range(4):
        call()
        clock.now += 1.5
    assert clock.slept == []


def test_a_pause_saves_nothing_up(clock):
    times = []
    call = rate_limit(lambda: times.append(clock.now), 60, clock, clock.sleep)
    call()
    clock.now += 600
    call()
    call()
    assert times == [1000, 1600, 1601]


def test_the_time_that_a_call_takes_counts(clock):
    def slow():
        clock.now += 0.75

    call = rate_limit(slow, 60, clock, clock.sleep)
    call()
    call()
    assert clock.slept == [0.25]


@pytest.mark.parametrize("per_minute", [0, None])
def test_without_a_limit_the_function_stays_itself(per_minute):
    assert rate_limit(len, per_minute) is len


def test_arguments_results_and_errors_pass_through(clock):
    call = rate_limit(divmod, 60, clock, clock.sleep)
    assert call(7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        call(1, 0)
    assert call.__name__ == "divmod"


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="must be positive, or 0 for no limit, got -1"):
        rate_limit(len, -1)


def test_threads_share_the_pace():
    """The clock stands still, so that each call is told the whole time until its turn; no two turns are the same."""
    waits, message = [], threading.Lock()

    def sleep(seconds):
        with message:
            waits.append(seconds)

    call = rate_limit(lambda: None, 120, lambda: 0.0, sleep)
    threads = [threading.Thread(target=lambda: [call() for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [0.5 * turn for turn in range(1, 200)]
