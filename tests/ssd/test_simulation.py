import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import ssd
from framework.ssd import simulation
from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.workload import generators
from tests.ssd import oracle

pytestmark = pytest.mark.slow

LOADS = {"reads": 1.0, "writes": 0.0, "mixed": 0.6}


def assert_identical(device, load, ops=oracle.direct):
    report = ssd.simulate(device, load)
    ended, _ = oracle.simulate(device, load, ops)
    np.testing.assert_array_equal(report.ended, ended)
    return report


FAST = ("data first", "command first", "everything")  # the rest shares most of the program with these


@pytest.mark.parametrize(
    "structure", [name if name in FAST else pytest.param(name, marks=pytest.mark.long) for name in oracle.STRUCTURES]
)
@pytest.mark.parametrize("queue_depth", [0, 6])
def test_every_request_ends_when_the_event_simulation_says(structure, queue_depth):
    """Random devices and loads, open and closed; every nanosecond."""
    for seed in range(15):
        rng = np.random.default_rng(seed)
        device = oracle.design(structure, rng)
        ratio = list(LOADS.values())[seed % 3]
        assert_identical(device, oracle.load(device, rng, 120, ratio, queue_depth, trims=0.05 * (seed % 2)))


@pytest.mark.parametrize("queue_depth", [0, 3])
def test_requests_of_several_pages_end_with_their_last_one(queue_depth):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        device = oracle.design("data first", rng)
        assert_identical(device, oracle.load(device, rng, 60, 0.7, queue_depth, largest=4))


def poisson(rate, requests=20_000, **choices):
    return generators.poisson(jax.random.key(0), requests, rate, **choices)


def test_an_idle_device_takes_the_sum_of_the_phases():
    device = presets.mqsim_default()
    reads = ssd.simulate(device, generators.closed(jax.random.key(0), 300, 1, read_ratio=1.0))
    writes = ssd.simulate(device, generators.closed(jax.random.key(0), 300, 1, read_ratio=0.0))
    assert set(reads.latency.tolist()) == {290 + 75_000 + 30 + 24_576 + 2_496}
    assert set(writes.latency.tolist()) == {2_496 + 361 + 24_576 + 750_000}
    assert closed_forms.unloaded_latency(device) == (102_392, 777_433)
    half = ssd.simulate(device, generators.closed(jax.random.key(0), 300, 1, size=4096))
    assert set(half.latency.tolist()) == {int(closed_forms.unloaded_latency(device, 4096).read)}


@pytest.mark.parametrize(("rate", "mean"), [(50e3, 117.0), (100e3, 148.0)])
def test_latencies_are_those_of_mqsim(rate, mean):
    """Means of MQSim for 8 KB reads on 8 channels of 4 chips, of 60,000 requests; these 20,000 are others."""
    device = presets.mqsim_default(channels=8, chips=4, dies=1, planes=1, read_us=75, program_us=750)
    assert ssd.simulate(device, poisson(rate)).mean_us == pytest.approx(mean, rel=0.02)


def test_mixed_loads_are_served_as_by_mqsim():
    """70 % reads at 40,000/s. Of one load MQSim's mean is 456 us; in order of arrival that load takes 496 here. Other
    loads of the law differ by 1 %, but both orders alike: their ratio is held within 1 %, the mean itself within 2 %.
    """
    device = presets.mqsim_default(dies=1, planes=1)
    means, ratios, most = [], [], []
    for seed in range(4):
        load = generators.poisson(jax.random.key(seed), 40_000, 4e4, read_ratio=0.7)
        report = ssd.simulate(device, load, check=False)
        means.append(report.mean_us)
        ratios.append(report.mean_us / ssd.simulate(device.replace(scheduling="fifo"), load, check=False).mean_us)
        most.append(report.max_us)
    assert ratios == pytest.approx([456 / 496] * 4, rel=0.01)
    assert np.mean(means) == pytest.approx(456, rel=0.02)
    assert np.mean(most) == pytest.approx(4752, rel=0.1)


def test_a_saturated_device_reaches_a_closed_form_bound():
    load = generators.closed(jax.random.key(0), 12_000, 512)
    convoy = presets.mqsim_default(dies=1, planes=1)
    bounds = closed_forms.read_bounds(convoy)
    slow = ssd.simulate(convoy, load)
    assert 0.94 * bounds.convoy < slow.iops < bounds.convoy
    fast = ssd.simulate(convoy.replace(arbitration="command-first"), load)
    assert 1.4 * slow.iops < fast.iops < min(bounds.bus, bounds.luns)


def test_one_chip_is_an_m_d_1_queue():
    device = presets.mqsim_default(channels=1, chips=1, dies=1, planes=1)
    service = 290 + 75_000 + 30 + 24_576
    load = poisson(0.3e9 / service, 200_000)
    report = ssd.simulate(device, load)
    waiting = report.latency.mean() - 2_496
    assert waiting / service == pytest.approx(closed_forms.queueing(0.3), rel=0.01)


@pytest.mark.slow
def test_designs_and_loads_are_vmapped():
    device = presets.isp_ml(channels=3, chips=2)
    loads = [generators.poisson(jax.random.key(i), 100, 2e4, read_ratio=0.5, span=2**24) for i in range(2)]
    with jax.enable_x64(True):
        reads = jnp.array([30.0, 75.0, 90.0])
        designs = jax.vmap(lambda us: device.replace(read_us=us))(reads)
        many = jax.vmap(ssd.simulate, in_axes=(0, None))(designs, loads[0])
        both = jax.jit(jax.vmap(ssd.simulate, in_axes=(None, 0)))(
            device, jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *loads)
        )
    for i, us in enumerate(reads.tolist()):
        alone = ssd.simulate(device.replace(read_us=us), loads[0])
        np.testing.assert_array_equal(many.ended[i], alone.ended)
        assert many.energy.total[i] == pytest.approx(alone.energy.total)
    for i, load in enumerate(loads):
        np.testing.assert_array_equal(both.ended[i], ssd.simulate(device, load).ended)
    assert not many.status.any()


@pytest.mark.slow
def test_a_closed_load_under_vmap_equals_a_loop():
    device = presets.isp_ml(channels=2, chips=2)
    load = generators.closed(jax.random.key(0), 80, 5, read_ratio=0.5, span=2**24)
    with jax.enable_x64(True):
        designs = jax.vmap(lambda us: device.replace(program_us=us))(jnp.array([100.0, 300.0]))
        many = jax.vmap(ssd.simulate, in_axes=(0, None))(designs, load)
    for i, us in enumerate((100.0, 300.0)):
        np.testing.assert_array_equal(many.ended[i], ssd.simulate(device.replace(program_us=us), load).ended)


def test_a_transformation_of_a_32_bit_caller_is_refused():
    device, load = presets.isp_ml(), generators.poisson(jax.random.key(0), 10, 1e4)
    with pytest.raises(ValueError, match="jax_enable_x64"):
        jax.vmap(lambda us: ssd.simulate(device.replace(read_us=us), load).ended)(jnp.array([10.0, 20.0]))
    with pytest.raises(ValueError, match="jax_enable_x64"):
        jax.jit(lambda: ssd.simulate(device, load).ended)()
    assert ssd.simulate(device, load).ended.dtype == np.int64


def test_a_week_between_requests_does_not_overflow():
    device = presets.isp_ml()
    arrival = np.arange(70_000) // 7_000 * 60_480 * 10**9
    load = ssd.Load(arrival, np.arange(70_000) % 7_000 * 8192, np.full(70_000, 8192), np.zeros(70_000, np.int32))
    latency = ssd.simulate(device, load).latency.reshape(10, 7_000)
    assert (latency == latency[0]).all()


def test_days_of_queued_work_do_not_overflow():
    """Writes of 20 s on one chip: times and numbers of so many requests fit no one integer."""
    device, count = presets.isp_ml(channels=1, program_us=2e7), 20_000
    columns = np.arange(count) % 100 * 8192, np.full(count, 8192), np.ones(count, np.int32)
    load = ssd.Load(np.zeros(count, np.int64), *columns)
    last = 2_496 + count * (361 + 24_576 + 20 * 10**9)
    assert ssd.simulate(device, load).ended.tolist()[-1] == last
    assert ssd.sweep([device], load).max_us == pytest.approx(last / 1000, rel=1e-12)


def test_an_hour_of_simulated_time_does_not_overflow():
    device = presets.isp_ml()
    late = 3600 * 10**9
    load = ssd.Load(np.array([0, late]), np.array([0, 0]), np.array([8192, 8192]), np.zeros(2, np.int32))
    report = ssd.simulate(device, load)
    assert report.latency.tolist() == [102_392, 102_392]
    assert report.ended[1] == late + 102_392


def test_a_load_that_does_not_fit_is_refused():
    device = presets.isp_ml(channels=1, blocks=16, pages=16)
    one = lambda offset=0, size=512, arrival=0, kind=0: ssd.Load(
        *(np.array([x]) for x in (arrival, offset, size, kind))
    )
    for load, what in (
        (one(offset=device.capacity), "past the device's end"),
        (one(size=0), "sizes must be positive, but request 0 has 0"),
        (one(size=100), "multiples of 512"),
        (one(offset=-512), "at least 0"),
        (one(arrival=-1), "arrivals must be 0 to"),
        (one(kind=7), "kinds are 0"),
        (ssd.Load(np.array([5, 4]), *(np.array([0, 0]),), np.array([512, 512]), np.array([0, 0])), "must not go back"),
        (ssd.Load(*(np.array([]),) * 4), "at least 1 request"),
        (one(arrival=0.5), "takes integers, ns and bytes, but its arrival is of float64"),
    ):
        with pytest.raises(ValueError, match=what):
            ssd.simulate(device, load)
    for call in (ssd.simulate, ssd.schedule, lambda design, load: ssd.sweep([device, design], load)):
        with pytest.raises(ValueError, match=r"takes an ssd\.Design and an ssd\.Load, got NoneType and Load"):
            call(None, one())


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("queue_depth", [0, 4])
def test_reads_without_writes_are_served_in_order(ratio, queue_depth):
    """In a smaller program, at the same times; of a mixed load nothing is simplified."""
    device = presets.isp_ml(channels=2, chips=2, scheduling="read-first", blocks=64, pages=16)
    load = oracle.load(device, np.random.default_rng(0), 120, ratio, queue_depth)
    fifo = device.replace(scheduling="fifo")
    assert simulation.simplify(device, load) == (device if ratio == 0.5 else fifo)
    same = (ssd.simulate(device, load).ended == ssd.simulate(fifo, load).ended).all()
    assert same == (ratio != 0.5)
    assert_identical(device, load)
    summary = ssd.sweep([device, device.replace(read_us=40.0)], load)
    assert summary.mean_us[0] == pytest.approx(ssd.simulate(device, load).mean_us, rel=1e-12)
    for kept in ({"suspend": "program"}, {"cache_pages": 4}, {"mapping": "page"}):
        assert simulation.simplify(device.replace(**kept), load) == device.replace(**kept)
