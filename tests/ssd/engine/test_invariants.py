import jax
import numpy as np
import pytest

from framework import ssd
from framework.ssd import simulation
from framework.ssd.device import presets
from framework.ssd.engine import invariants, timeline
from framework.ssd.workload import generators


@pytest.fixture(scope="module")
def made():
    design = presets.isp_ml(channels=2, chips=2)
    load = generators.closed(jax.random.key(0), 60, 4, read_ratio=0.6, span=2**24)
    with jax.enable_x64(True):
        prepared = simulation.prepare(design, load)
        times, _ = simulation.times(design, load, prepared, record=True)
        times = jax.tree.map(np.array, times)
    return design, load, prepared.planned, times, ssd.simulate(design, load)


def broken(made, report=None, **times):
    design, load, planned, result, right = made
    invariants.check(design, load, planned, result._replace(**times), report or right)


@pytest.mark.slow
def test_a_right_run_passes(made):
    broken(made)


def test_each_invariant_can_fail(made):
    """Times are tampered with, one invariant at a time."""
    *_, times, right = made
    ended = np.where(np.arange(60) == 9, 0, right.ended)
    with pytest.raises(ssd.InvariantError, match="not served; the first with it is request 9"):
        broken(made, right._replace(status=np.int32(1), ended=ended))
    last = int(np.argmax(right.ended))
    with pytest.raises(ssd.InvariantError, match=f"past the horizon; the first with it is request {last}$"):
        broken(made, right._replace(status=np.int32(2)))
    writes = np.flatnonzero(~right.reads)[2]  # a write that takes as long as a read on an idle device is too fast
    early = np.where(np.arange(60) == writes, right.issued + 102_392, right.ended)
    with pytest.raises(ssd.InvariantError, match=f"below the unloaded one; the first with it is request {writes}$"):
        broken(made, right._replace(status=np.int32(3), ended=early))
    with pytest.raises(ssd.InvariantError, match="operation 7 is not done"):
        broken(made, begun=np.where(np.arange(60) == 7, times.done, times.begun))
    with pytest.raises(ssd.InvariantError, match=r"is booked twice"):
        broken(made, begun=times.begun - np.where(np.arange(60) == np.argmax(times.begun), 200, 0) * 1000)
    with pytest.raises(ssd.InvariantError, match="requests in flight where the queue depth is 4"):
        broken(made, right._replace(issued=np.zeros_like(right.issued)))
    design, load, planned, *_ = made
    with pytest.raises(ssd.InvariantError, match="more than its rate"):
        invariants.check(design.replace(host_gb_s=1e-4), load, planned, times, right)


def test_a_latency_below_the_unloaded_one_has_a_status(made):
    from framework.ssd import report

    with jax.enable_x64(True):
        status = lambda ended, horizon=10**12: int(
            report.status_of(report.Times(np.zeros(2, np.int64), np.asarray(ended), None, None), 100, horizon)
        )
        assert [status([100, 200]), status([0, 200]), status([99, 200]), status([100, 10**13])] == [0, 1, 3, 2]


def test_busy_times_are_those_of_the_phases(made):
    design, load, *_ = made
    result = ssd.schedule(design, load)
    busy = ssd.busy(result, design)
    reads = int((load.kind == 0).sum())
    relocated = 24_576
    assert busy.bus.sum() == reads * (290 + 30 + relocated) + (60 - reads) * (361 + relocated)
    assert busy.luns.sum() == (result.work[:, 1] - result.work[:, 0]).sum()


def by_hand(kinds, work):
    """A schedule of one lane, its bus left out."""
    none = np.zeros((len(kinds), 2), np.int64)
    zero = np.zeros(len(kinds), np.int64)
    return timeline.Schedule(zero, zero, np.array(kinds), none, none, np.array(work))


def test_a_suspended_operation_is_no_double_booking():
    read, program = 0, 1
    result = by_hand([program, read, read, program], [[0, 100], [20, 40], [60, 120], [150, 160]])
    invariants.check_bookings(result, suspends=True)
    assert ssd.busy(result, presets.isp_ml(channels=1)).luns.tolist() == [[120 + 10]]
    with pytest.raises(ssd.InvariantError, match="lane 0 is booked twice at 20 ns"):
        invariants.check_bookings(result)
    for kind in (read, program):
        twice = by_hand([kind, kind], [[0, 100], [99, 140]])
        with pytest.raises(ssd.InvariantError, match="lane 0 is booked twice at 99 ns"):
            invariants.check_bookings(twice, suspends=True)


@pytest.mark.slow
def test_littles_law_holds_in_a_closed_run():
    report = ssd.simulate(presets.isp_ml(), generators.closed(jax.random.key(0), 4000, 16))
    assert report.iops * report.mean_us * 1e-6 == pytest.approx(16, rel=0.005)
