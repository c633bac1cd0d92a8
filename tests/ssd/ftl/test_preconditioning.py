import jax
import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.ftl import preconditioning
from framework.ssd.workload import generators

pytestmark = pytest.mark.slow


@pytest.fixture
def forget():
    """Worn devices are kept; these tests make them in another way."""
    preconditioning._use_uniformly.cache_clear()
    yield
    preconditioning._use_uniformly.cache_clear()


def amplification(design):
    load = generators.closed(jax.random.key(1), 12_000, 16, read_ratio=0.0, span=design.capacity)
    report = ssd.simulate(design, load, check=False)
    return float(report.write_amplification)


def test_a_part_of_the_planes_stands_for_all(forget, monkeypatch):
    """A device worn in by two of its planes amplifies writes as one of which all are, from the first of them on."""
    fields = {"channels": 8, "chips": 2, "blocks": 32, "pages": 32, "mapping": "page", "precondition": "steady"}
    design = presets.isp_ml(**fields, over_provisioning=0.28, op_of="logical")
    whole = amplification(design)
    preconditioning._use_uniformly.cache_clear()
    rows = design.ftl.rows(design.geometry)
    monkeypatch.setattr(preconditioning, "LARGE", 1)
    monkeypatch.setattr(preconditioning, "PART", 2 * rows)
    state = preconditioning.state_of(design)
    assert amplification(design) == pytest.approx(whole, rel=0.04)
    assert whole > 1.8
    assert state.map.shape == (16, rows)
    assert len(np.unique(np.asarray(state.offset))) > 4  # planes are out of step
    for plane in range(16):  # every logical page lies in one place of its plane, which knows it
        places = np.asarray(state.map[plane])
        assert len(np.unique(places)) == rows
        np.testing.assert_array_equal(np.asarray(state.owner[plane]).ravel()[places], np.arange(rows))


def test_the_enterprise_preset_collects_garbage():
    """Overwritten twenty times at random, small; and from the first requests on at its own size."""
    small = presets.enterprise_tlc(channels=2, chips=1, dies=1, planes=1, blocks=32, pages=48, cache_pages=0)
    load = generators.closed(
        jax.random.key(0), 20 * small.logical_pages, 16, read_ratio=0.0, size=16384, span=small.capacity
    )
    report = ssd.simulate(small, load, check=False)
    law = closed_forms.write_amplification(small.ftl.ratio(small.geometry))
    assert report.write_amplification == pytest.approx(law, rel=0.1)
    assert report.erased > 1000
    assert not any("ideal mapping" in note for note in report.notes)


@pytest.mark.long
def test_the_enterprise_preset_collects_garbage_at_its_own_size():
    design = presets.enterprise_tlc()
    load = generators.closed(jax.random.key(0), 20_000, 64, read_ratio=0.0, size=16384, span=design.capacity)
    report = ssd.simulate(design, load)
    law = closed_forms.write_amplification(design.ftl.ratio(design.geometry))
    assert report.write_amplification == pytest.approx(law, rel=0.15)
    assert report.erased > 50
