import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.workload import generators

pytestmark = pytest.mark.slow

DEVICE = presets.isp_ml(channels=2, chips=2)
PAGE = DEVICE.geometry.page_bytes


def load(arrival, page, size, kind, **more):
    columns = (np.array(arrival, np.int64), PAGE * np.array(page, np.int64), np.array(size, np.int64))
    return ssd.Load(*columns, np.array(kind, np.int32), **more)


def test_a_trim_counts_only_in_its_own_statistics():
    alone = ssd.simulate(DEVICE, load([0, 10**6], [0, 1], [PAGE, 4096], [0, 1]))
    kinds = [2, 0, 1, 2, 2]
    among = ssd.simulate(
        DEVICE, load([0, 0, 10**6, 2 * 10**6, 10**9], [8, 0, 1, 16, 40], [2**16, PAGE, 4096, 2**20, 512], kinds)
    )
    assert among.requests == 5
    for name in ("iops", "bandwidth", "mean_us", "max_us"):
        assert getattr(among, name) == pytest.approx(getattr(alone, name), rel=1e-12), name
    assert [among.percentile(p) for p in (1, 50, 99, 100)] == [alone.percentile(p) for p in (1, 50, 99, 100)]
    seconds = 1e-9 * float(alone.elapsed)
    assert alone.bandwidth == pytest.approx((PAGE + 4096) / seconds)
    assert among.by_kind["reads"] == alone.by_kind["reads"]
    trims = among.by_kind["trims"]
    assert (trims.requests, trims.mean_us, trims.bandwidth) == (3, pytest.approx(DEVICE.timing.memory_us), 0)
    assert among.percentile(50, generators.TRIM) == DEVICE.timing.memory_us
    assert any("TRIM carries no data: the 3 requests" in note for note in among.notes)
    assert not any("TRIM" in note for note in alone.notes)


def test_kinds_apart_are_those_of_their_requests():
    made = generators.poisson(jax.random.key(0), 300, 2e4, read_ratio=0.6, span=2**24)
    report = ssd.simulate(DEVICE, made)
    for name, kind in (("reads", 0), ("writes", 1)):
        which = made.kind == kind
        result = report.by_kind[name]
        assert result.requests == which.sum()
        assert result.mean_us == pytest.approx(report.latency[which].mean() / 1000)
        assert result.max_us == report.latency[which].max() / 1000
        assert report.percentile(90, kind) == np.sort(report.latency[which])[-(-9 * which.sum() // 10) - 1] / 1000
        assert result.iops == pytest.approx(
            1e9 * which.sum() / (report.ended[which].max() - report.issued[which].min())
        )
    assert np.isnan(report.by_kind["trims"].mean_us)


def test_trims_alone_leave_no_latency():
    report = ssd.simulate(DEVICE, load([0], [0], [PAGE], [2]))
    assert all(np.isnan(item) for item in (report.mean_us, report.iops, report.bandwidth, report.percentile(50)))
    assert report.write_amplification == 1


def test_a_sweep_leaves_trims_out_as_a_simulation_does():
    made = generators.poisson(jax.random.key(0), 200, 2e4, read_ratio=0.5, span=2**24)
    kind = np.where(np.arange(200) % 5 == 0, generators.TRIM, made.kind).astype(np.int32)
    made = ssd.Load(made.arrival, made.offset, made.size, kind)
    report, summary = ssd.simulate(DEVICE, made), ssd.sweep([DEVICE], made)
    expected = (report.mean_us, report.percentile(99), report.max_us, report.iops, report.bandwidth)
    assert [float(item[0]) for item in summary[:5]] == pytest.approx([float(item) for item in expected], rel=1e-12)


def test_numbers_of_kinds_are_told_under_vmap():
    made = generators.poisson(jax.random.key(0), 100, 2e4, read_ratio=0.5, span=2**24)
    with jax.enable_x64(True):
        designs = jax.vmap(lambda us: DEVICE.replace(read_us=us))(jnp.array([30.0, 75.0]))
        serve = lambda design: (lambda report: (report.by_kind["reads"], report.percentile(50, generators.WRITE)))(
            ssd.simulate(design, made)
        )
        reads, median = jax.vmap(serve)(designs)
    for i, us in enumerate((30.0, 75.0)):
        alone = ssd.simulate(DEVICE.replace(read_us=us), made)
        np.testing.assert_allclose([item[i] for item in reads], list(alone.by_kind["reads"]), rtol=1e-12)
        assert median[i] == pytest.approx(alone.percentile(50, generators.WRITE))


@pytest.mark.parametrize(("rate", "beyond"), [(1e4, False), (2e4, False), (2e5, True), (2e6, True)])
def test_an_open_load_beyond_capacity_is_said(rate, beyond):
    """Four chips read 40,000 pages a second at most, 25,000 without queues that differ by chance."""
    made = generators.poisson(jax.random.key(0), 3000, rate, span=2**24)
    report = ssd.simulate(DEVICE, made)
    assert report.overloaded == beyond
    assert ssd.sweep([DEVICE], made).overloaded.tolist() == [beyond]
    said = [note for note in report.notes if "an open load beyond capacity" in note]
    assert len(said) == beyond
    if beyond:
        arrivals, end = 1e-6 * np.ptp(made.arrival), 1e-6 * report.elapsed
        assert said[0].startswith(f"arrivals ended after {arrivals:.4g} ms, the last answer after {end:.4g} ms")
    replayed = ssd.simulate(DEVICE, generators.closed_replay(made, 8))
    assert not replayed.overloaded


def test_a_shared_burst_is_no_overload():
    report = ssd.simulate(DEVICE, load([0] * 4, range(4), [PAGE] * 4, [0] * 4))
    assert not report.overloaded


def test_an_ideal_mapping_is_said_in_every_result():
    made = load([0], [0], [PAGE], [1])
    page = DEVICE.replace(mapping="page")
    assert ssd.simulate(DEVICE, made).notes == ("ideal mapping: no garbage collection",)
    assert ssd.simulate(page, made).notes == ()
    assert ssd.sweep([DEVICE, page], made).collects.tolist() == [0, 1]


def test_pages_left_in_the_cache_count_in_no_write_amplification():
    """100 pages written, every other one twice, through a cache of 20; 5 of those that it holds are trimmed."""
    device = DEVICE.replace(cache_pages=20)
    page = np.repeat(np.arange(100), 1 + np.arange(100) % 2)
    page = np.concatenate([page, np.arange(99, 94, -1)])
    kind = np.where(np.arange(len(page)) < 150, 1, 2)
    report = ssd.simulate(device, load([0] * len(page), page, [PAGE] * len(page), kind))
    assert (report.written, report.flushed_pages, report.cached, report.programmed) == (150, 80, 15, 80)
    assert report.write_amplification == 1
    assert any("15 of 150 pages written still lie in the write cache" in note for note in report.notes)
    unused = ssd.simulate(device, load([0], [0], [PAGE], [0]))
    assert not any("cache" in note for note in unused.notes)


def test_write_amplification_counts_flushed_pages():
    fields = {"mapping": "page", "over_provisioning": 0.3, "precondition": "full", "blocks": 16, "pages": 16}
    device = DEVICE.replace(cache_pages=64, **fields)
    made = generators.closed(jax.random.key(0), 4000, 8, read_ratio=0.0, span=device.capacity)
    report = ssd.simulate(device, made)
    assert report.cached == 64
    assert report.write_amplification == 1 + report.relocated / report.flushed_pages
    assert report.write_amplification > 1.3
    assert report.programmed / report.written < report.write_amplification
