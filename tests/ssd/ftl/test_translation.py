import jax
import numpy as np
import pytest

from framework import ssd
from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.ftl import preconditioning, translation, victims
from framework.ssd.workload import generators
from framework.ssd.workload.requests import READ, TRIM, WRITE
from tests.ssd.plain_ftl import Plane

SMALL = {"channels": 2, "chips": 1, "dies": 1, "planes": 1, "blocks": 12, "pages": 8, "mapping": "page"}


def device(**fields):
    return presets.isp_ml(**(SMALL | {"over_provisioning": 0.4} | fields))


def requests(design, count, seed=0, kinds=(0.1, 0.8, 0.1)):
    rng = np.random.default_rng(seed)
    return rng.choice([READ, WRITE, TRIM], count, p=kinds).astype(np.int32), rng.integers(
        0, design.logical_pages, count
    )


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "full"), [("greedy", True), ("fifo", False), ("cost-benefit", True)])
def test_the_map_is_that_of_a_plain_loop(victim, full):
    """Every page moved, every erase and every place, after reads, writes and TRIMs on two planes."""
    design = device(victim=victim, reserve=2 if full else 1, precondition="full" if full else "none")
    rows = design.ftl.rows(design.geometry)
    kind, page = requests(design, 1500)
    state, effect = translation.translate(preconditioning.state_of(design), kind, page, design.ftl, design.geometry)
    planes = [Plane(12, 8, design.ftl.reserve, victim, rows if full else 0) for _ in range(2)]
    for i, (what, where) in enumerate(zip(kind, page, strict=True)):
        plane, row = planes[where % 2], int(where) // 2
        if what == WRITE:
            relocated, erased, offset = plane.write(row)
            assert (relocated, erased, offset) == (effect.relocated[i], effect.erased[i], effect.offset[i]), i
        elif what == TRIM:
            plane.trim(row)
    for number, plane in enumerate(planes):
        assert plane.erases == state.erases[number].tolist()
        result = {row: (index // 8, index % 8) for row, index in enumerate(state.map[number].tolist()) if index >= 0}
        assert result == plane.where
        assert [len(plane.valid[block]) for block in range(12)] == state.valid[number].tolist()
    assert effect.erased.sum() > 100


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["d-choices", "random"])
def test_relocated_pages_are_the_victims_valid_pages(victim):
    design = device(victim=victim, static_wear=3, precondition="full")
    state, effect = translation.translate(
        preconditioning.state_of(design), *requests(design, 1500, kinds=(0, 1, 0)), design.ftl, design.geometry
    )
    np.testing.assert_array_equal(effect.relocated, effect.valid)
    owner, where = np.asarray(state.owner).reshape(2, -1), np.asarray(state.map)
    for plane in range(2):
        np.testing.assert_array_equal(owner[plane, where[plane]], np.arange(where.shape[1]))
    np.testing.assert_array_equal((np.asarray(state.owner) >= 0).sum(2), state.valid)
    np.testing.assert_array_equal((np.asarray(state.opened) < 0).sum(1), state.free)


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "choices"), [("random", 10), ("d-choices", 1), ("d-choices", 60)])
def test_more_random_draws_relocate_fewer_pages(victim, choices):
    design = device(victim=victim, choices=choices, precondition="full")
    kind, page = requests(design, 1500, kinds=(0, 1, 0))
    state, _ = translation.translate(preconditioning.state_of(design), kind, page, design.ftl, design.geometry)
    drawn = np.arange(2000)
    choose = lambda number: victims.choose(state._replace(drawn=number), 0, design.ftl, jax.random.key(0))
    shares = np.bincount(jax.jit(jax.vmap(choose))(drawn), minlength=12) / len(drawn)
    used = (np.asarray(state.opened[0]) >= 0) & (np.arange(12) != int(state.at[0]))
    least = used & (state.valid[0] == np.min(np.asarray(state.valid[0])[used]))
    assert not shares[~used].any()
    if choices == 60:
        assert shares[least].sum() > 0.99 > least.sum() / used.sum()
    else:
        np.testing.assert_allclose(shares[used], 1 / used.sum(), atol=0.03)


def amplification(victim, ratio, writes=400_000, **fields):
    """Of uniform random writes on a plane of 400 blocks of 64 pages, the first part discarded; next to the law."""
    plane = {"channels": 1, "blocks": 400, "pages": 64, "op_of": "logical", "over_provisioning": ratio}
    design = device(**(plane | {"victim": victim, "precondition": "full"} | fields))
    rng = np.random.default_rng(0)
    state = preconditioning.state_of(design)
    for _ in range(2):
        page = rng.integers(0, design.logical_pages, writes // 2)
        kind = np.full(len(page), WRITE, np.int32)
        state, effect = translation.translate(state, kind, page, design.ftl, design.geometry)
    return 1 + float(effect.relocated.mean()), closed_forms.write_amplification(design.ftl.ratio(design.geometry))


@pytest.mark.long
@pytest.mark.parametrize("ratio", [0.07, 0.125, 0.28, 0.5])
def test_write_amplification_follows_lambert_w(ratio):
    """FIFO does; greedy stays below it, the more so the less there is to spare."""
    greedy, law = amplification("greedy", ratio)
    fifo, _ = amplification("fifo", ratio)
    assert fifo == pytest.approx(law, rel=0.01)
    assert (0.88 if ratio < 0.2 else 0.95) * law < greedy < 1.005 * law
    if ratio <= 0.28:
        assert greedy < amplification("d-choices", ratio)[0] < fifo * 1.005


@pytest.mark.slow
def test_pages_that_are_copied_back_cost_the_channel_nothing():
    load = generators.closed(jax.random.key(0), 200, 2, read_ratio=0.0, span=2**18)
    relocated, copied = (ssd.simulate(device(precondition="full", copyback=item), load) for item in (False, True))
    assert copied.relocated == relocated.relocated > 0
    assert copied.energy.channel == pytest.approx(200 * 8192 * 8 * 10e-12)
    assert relocated.energy.channel == pytest.approx((200 + 2 * int(relocated.relocated)) * 8192 * 8 * 10e-12)
    assert copied.elapsed < relocated.elapsed


@pytest.mark.slow
def test_static_wear_levelling_narrows_the_spread_of_erases():
    """Half of the pages are never written again; without it their blocks are never erased."""
    kind = np.full(4000, WRITE, np.int32)

    def spread(threshold):
        design = device(static_wear=threshold, precondition="full", channels=1)
        page = np.random.default_rng(0).integers(0, design.logical_pages // 2, 4000)
        state, _ = translation.translate(preconditioning.state_of(design), kind, page, design.ftl, design.geometry)
        return np.ptp(state.erases[0])

    assert spread(0) > 3 * spread(4)


@pytest.mark.slow
def test_dynamic_wear_levelling_writes_the_least_worn_free_block():
    design = device(channels=1, dynamic_wear=False)
    state = translation.empty(design)._replace(erases=translation.empty(design).erases.at[0, 1].set(5))
    writes = np.full(9, WRITE, np.int32), np.arange(9)
    assert translation.translate(state, *writes, design.ftl, design.geometry)[0].at[0] == 1
    levelled = device(channels=1)
    assert translation.translate(state, *writes, levelled.ftl, levelled.geometry)[0].at[0] == 2


@pytest.mark.slow
def test_preconditioning_ends_in_a_steady_state():
    design = device(precondition="steady", blocks=40, pages=16, channels=1)
    state = preconditioning.state_of(design)
    assert (np.asarray(state.map) >= 0).all()
    page = np.random.default_rng(0).integers(0, design.logical_pages, 20_000)
    costs = []
    for _ in range(2):
        state, effect = translation.translate(
            state, np.full(len(page), WRITE, np.int32), page, design.ftl, design.geometry
        )
        costs.append(1 + float(effect.relocated.mean()))
    assert costs[0] == pytest.approx(costs[1], rel=0.02)


@pytest.mark.slow
def test_a_preconditioned_device_is_made_once():
    design = device(precondition="steady", blocks=20)
    with jax.enable_x64(True):
        wide = preconditioning.state_of(design)
    preconditioning._use_uniformly.cache_clear()
    jax.tree.map(np.testing.assert_array_equal, preconditioning.state_of(design), wide)
    load = generators.closed(jax.random.key(0), 50, 2, read_ratio=0.0, span=2**18)
    for read_us in (50.0, 75.0):
        ssd.simulate(design.replace(read_us=read_us), load)
    assert preconditioning._use_uniformly.cache_info().misses == 1


@pytest.mark.slow
def test_preconditioning_that_does_not_settle_says_why(monkeypatch):
    preconditioning._use_uniformly.cache_clear()
    monkeypatch.setattr(preconditioning, "CLOSE", 0.0)
    monkeypatch.setattr(preconditioning, "MOST", 3)
    monkeypatch.setattr(preconditioning, "WINDOW", 500)
    with pytest.raises(ValueError, match="still moves after 3 windows of 500"):
        preconditioning.state_of(device(precondition="steady"))


@pytest.mark.slow
def test_the_map_under_vmap_is_that_of_a_loop():
    design = device()
    kind, page = requests(design, 200)
    pages = np.stack([page, page[::-1]])
    run = lambda page: translation.translate(translation.empty(design), kind, page, design.ftl, design.geometry)
    many = jax.vmap(run)(pages)
    for i in range(2):
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda leaf, i=i: leaf[i], many), run(pages[i]))
