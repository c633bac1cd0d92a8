import jax
import numpy as np
import pytest

from framework.ssd.isp import clock
from framework.ssd.isp.controllers import Durations


def durations(sense=75, fetch=25, compute=(100, 100, 100), transfer=10, apply=5):
    with jax.enable_x64(True):
        return jax.tree.map(np.int64, Durations(sense, fetch, np.array(compute), transfer, apply))


def run(form, arguments, period, count, chips=1):
    due = np.arange(count + 1) % period == 0
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(form, static_argnums=(2, 3))(arguments, due, count, chips))


def by_hand(arguments, period, count, together, chips):
    """The oracle: one worker at a time in plain Python; returns (time, worker) in order of time."""
    workers = len(arguments.compute)
    left = [[0] * chips for _ in range(workers)]  # when each chip's last page left it
    pages, done = [0] * workers, [0] * workers
    steps, free, events = [0] * workers, 0, []

    def go_on(worker, begin):
        chip = pages[worker] % chips
        left[worker][chip] = max(left[worker][chip] + arguments.sense, begin) + arguments.fetch
        done[worker] = left[worker][chip] + arguments.compute[worker]
        pages[worker] += 1

    for worker in range(workers):
        go_on(worker, 0)

    for number in range(1, count + 1):
        if together:
            end, meets = max(done), number % period == 0
            end += (workers * (arguments.transfer + arguments.apply) + arguments.transfer) if meets else 0
            events.append((end, -1))
            for worker in range(workers):
                go_on(worker, end if meets else done[worker])
            continue
        worker = min(range(workers), key=lambda w: (done[w], w))
        steps[worker] += 1
        end = done[worker]
        if steps[worker] % period == 0:
            end = free = max(end, free) + 2 * arguments.transfer + arguments.apply
        events.append((end, worker))
        go_on(worker, end)
    return sorted(events, key=lambda event: event[0])


@pytest.mark.parametrize("chips", [1, 3])
@pytest.mark.parametrize("period", [1, 3])
@pytest.mark.parametrize("compute", [(100, 100, 100), (90, 130, 1000), (1, 2, 3)])
@pytest.mark.parametrize("form", [clock.rounds, clock.turns])
def test_equals_a_loop_in_plain_python(form, compute, period, chips):
    arguments = durations(compute=compute)
    result = run(form, arguments, period, 40, chips)
    expected = by_hand(arguments, period, 40, form is clock.rounds, chips)
    assert list(zip(result.time.tolist(), result.worker.tolist(), strict=True)) == [(int(t), w) for t, w in expected]


def test_who_only_computes_is_never_kept_waiting_by_the_flash():
    """A page is read and fetched while the last is at work: in a steady run a step takes fetch + compute."""
    result = run(clock.turns, durations(compute=(1000,)), 10**6, 50)
    assert set(np.diff(result.time)) == {1025}


def test_who_only_reads_takes_a_page_each_time_the_array_has_one():
    result = run(clock.turns, durations(compute=(0,)), 10**6, 50)
    assert set(np.diff(result.time)) == {75 + 25}


def test_interleaved_chips_saturate_the_channel():
    """The steady page of `Durations`, and its three bounds: the arrays, the channel, the computing."""
    for compute, chips, expected in ((0, 2, 50), (0, 4, 25), (30, 4, 55)):
        arguments = durations(compute=(compute,))
        result = run(clock.turns, arguments, 10**6, 80, chips).time
        assert (result[-1] - result[39]) / 40 == arguments.page(chips)[0] == expected


def test_equal_workers_take_turns_and_a_slow_one_falls_behind():
    equal = run(clock.turns, durations(), 1, 30).worker
    np.testing.assert_array_equal(equal.reshape(-1, 3), np.tile([0, 1, 2], (10, 1)))
    counts = np.bincount(run(clock.turns, durations(compute=(100, 100, 700)), 1, 60).worker)
    assert min(counts[0], counts[1]) > 3 * counts[2]


def test_busy_and_exchange_times_are_those_of_the_steps():
    """A worker's last step may still be waited for; every third of its own meets the master."""
    result = run(clock.turns, durations(compute=(100, 100, 700)), 3, 60)
    counts = np.bincount(result.worker)
    np.testing.assert_array_equal(result.busy, counts * [100, 100, 700])
    assert result.exchanging == (counts // 3).sum() * (2 * 10 + 5)


def test_a_barrier_makes_all_as_slow_as_the_slowest():
    lame = run(clock.rounds, durations(compute=(100, 100, 700)), 1, 10)
    slow = run(clock.rounds, durations(compute=(700, 700, 700)), 1, 10)
    np.testing.assert_array_equal(lame.time, slow.time)
    np.testing.assert_array_equal(lame.busy, [1000, 1000, 7000])
    assert lame.exchanging == 10 * (3 * 15 + 10)
