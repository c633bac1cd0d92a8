import numpy as np
import pytest

from framework.ssd.device import presets
from framework.ssd.engine import closed_forms, host_link


def test_the_forms_of_mqsims_device():
    bounds = closed_forms.read_bounds(presets.mqsim_default(dies=1, planes=1))
    assert [round(x / 1000, 1) for x in bounds] == [400.6, 321.3, 320.3, 183.3]
    assert round(closed_forms.write_bound(presets.mqsim_default()) / 1000, 1) == 41.3


@pytest.mark.parametrize(("spare", "law"), [(0.05, 10.67), (0.07, 7.82), (0.125, 4.68), (0.28, 2.48), (1.0, 1.26)])
def test_lambert_w_as_tabled(spare, law):
    assert closed_forms.write_amplification(1 + spare) == pytest.approx(law, abs=0.006)


def test_what_has_no_closed_form_is_refused():
    with pytest.raises(ValueError, match="above 1"):
        closed_forms.write_amplification(1.0)
    with pytest.raises(ValueError, match="below 1"):
        closed_forms.queueing(1.0)
    with pytest.raises(ValueError, match="size must be"):
        closed_forms.unloaded_latency(presets.isp_ml(), 10_000)


def test_m_d_1_as_tabled():
    assert [round(closed_forms.queueing(load), 3) for load in (0.3, 0.5, 0.7, 0.8, 0.9)] == [
        1.214,
        1.5,
        2.167,
        3.0,
        5.5,
    ]


def test_a_fifo_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    arrival, service = np.sort(rng.integers(0, 5000, 200)), rng.integers(0, 60, 200)
    free, ends = 0, []
    for a, s in zip(arrival, service, strict=True):
        free = max(a, free) + s
        ends.append(free)
    assert host_link.fifo(np.asarray(arrival), np.asarray(service)).tolist() == ends


@pytest.mark.parametrize("late", [False, True])
def test_the_link_serves_by_time_and_then_by_number(late):
    done = np.array([30, 10, 10, 5])
    assert host_link.outbound(done, np.array([7, 4, 3, 100]), late).tolist() == [119, 109, 112, 105]
