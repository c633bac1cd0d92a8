from collections import OrderedDict

import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.engine.closed_loop import FREES_SLOT
from framework.ssd.ftl import buffer
from framework.ssd.workload.requests import READ, TRIM, WRITE
from tests.ssd import oracle
from tests.ssd.plain_ftl import Plane

pytestmark = pytest.mark.slow


def plain(kind, page, capacity):
    """Hits and victims of a buffer kept as an ordered dictionary of slots."""
    slots, head, served = [None] * capacity, 0, []
    for what, number in zip(kind, page, strict=True):
        there, victim = number in slots, -1
        if what == WRITE and not there:
            victim = -1 if slots[head] is None else slots[head]
            slots[head] = number
            head = (head + 1) % capacity
        if what == TRIM and there:
            slots[slots.index(number)] = None
        served.append((what == READ and there, victim))
    return served


def test_hits_and_victims_are_those_of_a_plain_buffer():
    rng = np.random.default_rng(0)
    kind, page = rng.choice(3, 600, p=(0.4, 0.5, 0.1)), rng.integers(0, 40, 600) * 1000
    served = buffer.serve(kind, page, 7)
    assert list(zip(served.hit.tolist(), served.victim.tolist(), strict=True)) == plain(kind, page, 7)
    assert served.hit.sum() > 20


def staged(device, load):
    """The operations of a device with a buffer and a page map, by the plain buffer and the plain map."""
    asked = list(oracle.pages(device, load))
    freeing = lambda size, kind: READ if kind == TRIM and size < device.geometry.page_bytes else kind
    served = plain(
        [freeing(size, kind) for *_, size, kind in asked], [page for _, page, *_ in asked], device.cache.pages
    )
    geometry, rows = device.geometry, device.ftl.rows(device.geometry)
    make = lambda: Plane(geometry.blocks, geometry.pages, device.ftl.reserve, device.ftl.victim, rows)
    planes = OrderedDict()
    for (request, page, size, kind), (hit, victim) in zip(asked, served, strict=True):
        plane, row = geometry.plane_of(page if victim < 0 else victim)
        there = planes.setdefault(plane, make())
        if kind == TRIM and size == device.geometry.page_bytes:
            there.trim(row)
        if kind == TRIM or hit:
            yield request, oracle.Op(request, "memory")
        elif kind == READ:
            yield request, oracle.flash(device, request, page, oracle.READ, size)
        else:
            yield request, oracle.Op(request, "buffer", evicts=victim >= 0)
        if victim >= 0:
            relocated, erased, _ = there.write(row)
            more = [oracle.READ, oracle.PROGRAM] * relocated + [2] * erased
            for internal in more:
                bytes_moved = 0 if internal == 2 else geometry.page_bytes
                yield request, oracle.flash(device, -1, victim, internal, bytes_moved, of_eviction=True)
            last = {"of_eviction": True, "frees": True}
            yield request, oracle.flash(device, FREES_SLOT, victim, oracle.PROGRAM, geometry.page_bytes, **last)


@pytest.mark.slow
def test_a_buffered_full_device_equals_the_event_simulation():
    """Back pressure, collection, TRIM, read hits, open and closed; every nanosecond."""
    fields = {"mapping": "page", "over_provisioning": 0.4, "precondition": "full", "cache_pages": 6}
    for seed, queue_depth in ((0, 0), (1, 5), (2, 1), (3, 9)):
        rng = np.random.default_rng(seed)
        device = oracle.design("data first", rng, cache_flushes=2, blocks=12, pages=8, channels=2, chips=1, **fields)
        load = oracle.load(device, rng, 250, 0.3, queue_depth, trims=0.05)
        report = ssd.simulate(device, load)
        ended, operations = oracle.simulate(device, load, staged)
        np.testing.assert_array_equal(report.ended, ended)
        assert report.erased == sum(op.kind == 2 for op in operations) > 0
        assert report.relocated > 0


def test_a_buffer_hides_programs_until_it_is_full():
    fields = {"channels": 1, "chips": 1, "memory_us": 2.0, "cache_flushes": 1, "cache_pages": 50}
    device = presets.isp_ml(**fields)
    page = device.geometry.page_bytes
    count = 80
    load = ssd.Load(
        np.zeros(count, np.int64), np.arange(count) * page, np.full(count, page), np.ones(count, np.int32), 1
    )
    report = ssd.simulate(device, load)
    link = 2_496
    assert set(report.latency[:51].tolist()) == {link + 2_000}
    program = int(closed_forms.unloaded_latency(device).write) - link
    assert report.latency[60:].min() >= program - link
    assert report.programmed == 30
    again = ssd.Load(load.arrival, load.offset % (40 * page), load.size, load.kind, 1)
    assert ssd.simulate(device, again).programmed == 0


def test_a_trim_of_a_part_of_a_page_frees_nothing():
    """Two pages in the buffer and two on flash; TRIMs over half of each, then over one of each as a whole."""
    fields = {"mapping": "page", "over_provisioning": 0.4, "blocks": 12, "pages": 8, "cache_pages": 2}
    device = presets.isp_ml(channels=1, **fields)
    page = device.geometry.page_bytes
    writes = [(number, page, WRITE) for number in range(4)]  # 2 and 3 stay in the buffer
    halves = [(number, page // 2, TRIM) for number in range(4)]
    load = lambda rows: ssd.Load(
        np.arange(len(rows)) * 10**7,
        *(np.array(column, np.int64) for column in ([row[0] * page for row in rows], [row[1] for row in rows])),
        np.array([row[2] for row in rows], np.int32),
    )
    reads = lambda rows: ssd.simulate(device, load([*rows, (3, page, READ)]))
    kept, freed = reads(writes + halves), reads(writes + halves + [(3, page, TRIM)])
    assert (kept.cached, freed.cached) == (2, 1)
    assert kept.latency[-1] < freed.latency[-1]  # from memory, from flash
