import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.report import nearest_rank
from framework.ssd.workload import generators

pytestmark = pytest.mark.slow

LOAD = generators.poisson(jax.random.key(0), 150, 4e4, read_ratio=0.7, span=2**24)


@pytest.mark.slow
def test_a_mixture_of_designs_is_swept_in_the_order_given():
    device = presets.isp_ml(channels=2)
    designs = [device.replace(channels=(2, 3)[i % 2], read_us=20.0 + 10 * i) for i in range(7)]
    summary = ssd.sweep(designs, LOAD)
    for i, design in enumerate(designs):
        report = ssd.simulate(design, LOAD)
        assert summary.mean_us[i] == pytest.approx(report.mean_us, rel=1e-12)
        assert summary.p99_us[i] == pytest.approx(report.percentile(99), rel=1e-12)
        assert summary.max_us[i] == pytest.approx(report.max_us, rel=1e-12)
        assert summary.iops[i] == pytest.approx(report.iops, rel=1e-12)
        assert summary.bandwidth[i] == pytest.approx(report.bandwidth, rel=1e-12)
        assert summary.energy_j[i] == pytest.approx(report.energy.total)


def test_numbers_of_jax_are_swept_as_those_of_python():
    device = presets.isp_ml(channels=2)
    numbers = [20.0, 60.0]
    one, other = (
        ssd.sweep([device.replace(read_us=us) for us in item], LOAD) for item in (numbers, jnp.array(numbers))
    )
    np.testing.assert_array_equal(one, other)
    assert one.mean_us[0] < one.mean_us[1]


def test_a_sweep_tells_the_write_amplification_of_page_maps():
    """Collection on one of two devices; a plan each."""
    small = {"channels": 1, "blocks": 12, "pages": 8, "mapping": "page", "precondition": "full"}
    designs = [presets.isp_ml(**small, over_provisioning=share) for share in (0.4, 0.6)]
    load = generators.closed(jax.random.key(0), 150, 4, read_ratio=0.2, span=designs[1].capacity)
    result = ssd.sweep(designs, load).write_amplification
    assert result.tolist() == [float(ssd.simulate(design, load).write_amplification) for design in designs]
    assert result[0] > result[1] >= 1


def test_a_sweep_refuses_what_a_simulation_refuses():
    with pytest.raises(ValueError, match="at least 1 design"):
        ssd.sweep([], LOAD)
    tiny = presets.isp_ml(channels=1, blocks=4, pages=4)
    with pytest.raises(ValueError, match="past the device's end"):
        ssd.sweep([tiny], LOAD)


def test_a_percentile_is_a_rank():
    report = ssd.simulate(presets.isp_ml(channels=2), LOAD)
    latency = np.sort(report.latency) / 1000
    assert [report.percentile(p) for p in (1, 50, 100)] == [latency[1], latency[74], latency[149]]
    for count in (3, 100, 1000):  # 7 / 100 * 100 is more than 7 in floating point
        for percent in range(1, 101):
            assert nearest_rank(percent, count) == -(-percent * count // 100)
    assert nearest_rank(99.9, 1000) == 999
    with pytest.raises(ValueError, match="above 0"):
        report.percentile(0)
