import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets, timing
from framework.ssd.workload import generators


def test_the_phases_of_mqsim():
    """ONFI NV-DDR2 as MQSim has it, but for its channel clock in whole nanoseconds."""
    with jax.enable_x64(True):
        phases = timing.phases(presets.mqsim_default().timing)
        assert [int(x) for x in (phases.read_command, phases.program_command, phases.erase_command)] == [290, 361, 220]
        assert (int(phases.plane), int(phases.setup), int(phases.read[0])) == (650, 30, 75_000)
        relocated = lambda rate: round(8192 * float(timing.phases(timing.Timing(channel_mt_s=rate)).byte))
        assert [relocated(1000 / 3), relocated(333.0), relocated(1200.0)] == [24_576, 24_601, 6_827]
        assert int(timing.link(8192, 4.0)) == 2_496


@pytest.mark.slow
@pytest.mark.parametrize("name", presets.NAMES)
def test_presets_are_devices_of_their_own(name):
    design = presets.NAMES[name]()
    assert design.capacity < design.geometry.physical_bytes
    assert presets.NAMES[name](channels=2).geometry.channels == 2
    assert design.replace(**design.fields()) == design
    load = generators.poisson(jax.random.key(0), 40, 1e4, read_ratio=0.5, size=design.geometry.page_bytes)
    assert ssd.simulate(design, load).status == 0


def test_a_design_is_a_pytree_of_its_numbers():
    design = presets.mqsim_default()
    leaves = jax.tree.leaves(design)
    assert len(leaves) == len(ssd.Timing._fields) + len(ssd.Power._fields)
    assert hash(design.structure) == hash(design.replace(read_us=50.0).structure)
    assert design.structure != design.replace(chips=2).structure != design.replace(chips=2, victim="fifo").structure


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"read_us": 0}, "read_us must be positive"),
        ({"read_us": float("nan")}, "read_us must be positive"),
        ({"program_us": 1e-5}, "at least a nanosecond"),
        ({"channel_mt_s": -1.0}, "channel_mt_s must be positive"),
        ({"read_us": ()}, "1 to 8 page types"),
        ({"read_us": "75"}, "read_us must be a number, got '75'"),
        ({"read_us": jnp.array(-5.0)}, "read_us must be positive and at most"),
        ({"program_us": (100.0, 2e8)}, "program_us must be positive and at most"),
        ({"erase_us": (1.0, 2.0)}, "erase_us takes one number, got 2"),
        ({"memory_us": 1e-4}, "memory_us must be at least a nanosecond"),
        ({"margin_erase_us": -1.0}, "margin_erase_us must be at least 0"),
        ({"idle_mw": -1.0}, "idle_mw must be at least 0"),
        ({"read_uj": float("nan")}, "read_uj must be at least 0"),
        ({"arbitration": "first"}, "arbitration must be one of data-first, command-first"),
        ({"suspend": "both", "scheduling": "fifo"}, "wants scheduling='read-first'"),
        ({"multiplane": True}, "die_mode='overlap'"),
        ({"rows": 3}, "a design has no field 'rows'"),
        ({"over_provisioning": 1.0}, "below 1"),
        ({"over_provisioning": 0.0, "mapping": "page"}, "leaves no spare block"),
        ({"over_provisioning": 0.9999999, "blocks": 1, "pages": 2}, "leaves no logical page"),
        ({"precondition": "full"}, "for mapping='page'"),
        ({"victim": "oldest"}, "victim must be one of greedy"),
        ({"reserve": 0}, "reserve must be an integer of at least 1"),
        ({"cache_pages": -1}, "cache pages must be an integer of at least 0"),
    ],
)
def test_what_is_no_device_is_refused(fields, what):
    with pytest.raises(ValueError, match=what):
        presets.mqsim_default(**fields)


def test_over_provisioning_by_either_definition():
    physical = presets.isp_ml(blocks=100, pages=100, over_provisioning=0.2)
    logical = physical.replace(op_of="logical", over_provisioning=0.25)
    assert physical.ftl.rows(physical.geometry) == logical.ftl.rows(logical.geometry) == 8000
    assert physical.ftl.ratio(physical.geometry) == pytest.approx(99 / 80)


@pytest.mark.slow
def test_energy_is_that_of_the_counts():
    design = presets.isp_ml(idle_mw=1000.0)
    load = generators.closed(jax.random.key(0), 100, 4, read_ratio=0.5)
    report = ssd.simulate(design, load)
    reads = int(np.sum(report.reads))
    energy, power = report.energy, design.power
    assert energy.read == pytest.approx(reads * power.read_uj * 1e-6)
    assert energy.program == pytest.approx((100 - reads) * power.program_uj * 1e-6)
    assert energy.channel == pytest.approx(100 * 8192 * 8 * power.channel_pj_bit * 1e-12)
    assert energy.host == pytest.approx(100 * 8192 * 8 * power.host_pj_bit * 1e-12)
    assert energy.erase == 0
    assert energy.idle == pytest.approx(report.elapsed * 1e-9)
    assert energy.total == pytest.approx(sum(energy[:-1]))
