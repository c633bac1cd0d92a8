import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from framework import sgd, ssd
from framework.causal.metrics import graph_distance
from framework.snn import architectures
from framework.snn import layers as snn_layers
from framework.snn.neurons import models
from framework.ssd.device import presets
from framework.ssd.isp import training

pytestmark = pytest.mark.slow

DESIGN = presets.isp_ml(channels=4)
PAGES = np.random.default_rng(0).normal(size=(26, 10, 3)).astype(np.float32)
RATE = 0.1


def loss(w, page):
    return 0.5 * jnp.mean(jnp.sum((w - page) ** 2, -1))


def train(rule, **options):
    return training.train(DESIGN, rule, loss, jnp.zeros(3), PAGES, **options)


def test_downpour_is_the_plain_loop_in_the_order_of_the_clock():
    """The oracle: each event of the schedule by hand, page p on channel p mod 4."""
    trace = train(sgd.downpour(optax.sgd(RATE)), epochs=2)
    master, workers, taken = np.zeros(3), np.zeros((4, 3)), np.zeros(4, int)
    centres = []
    for worker in trace.schedule.worker:
        page = PAGES[4 * (taken[worker] % 6) + worker]
        master = master - RATE * (workers[worker] - page.mean(0))
        workers[worker] = master
        taken[worker] += 1
        centres.append(master)
    np.testing.assert_allclose(trace.observations, centres[3::4], atol=1e-6)
    assert trace.read_pages == 48


def test_rounds_of_synchronous_sgd_are_large_batches():
    trace = train(sgd.synchronous(optax.sgd(RATE)))
    w, centres = np.zeros(3), []
    for round_ in range(6):
        w = w - RATE * (w - PAGES[4 * round_ : 4 * round_ + 4].mean((0, 1)))
        centres.append(w)
    np.testing.assert_allclose(trace.observations, centres, atol=1e-6)
    assert trace.time.dtype == np.int64
    assert (np.diff(trace.time) > 0).all()


def test_staleness_is_the_number_of_other_workers():
    trace = train(sgd.downpour(optax.sgd(RATE)), watch=lambda state: state.workers.staleness)
    np.testing.assert_array_equal(trace.observations[1:], np.full((5, 4), 3))


def test_looks_may_be_few_and_see_what_is_asked_for():
    rule = sgd.elastic(optax.sgd(RATE), 0.2, 2, synchronous=False)
    full = train(rule, watch=lambda state: state.worker_mean)
    few = train(rule, watch=lambda state: state.worker_mean, every=3)
    np.testing.assert_array_equal(few.time, full.time[2::3])
    np.testing.assert_allclose(few.observations, full.observations[2::3], atol=1e-7)


def test_more_channels_train_faster_on_the_same_pages():
    times = []
    for channels in (1, 2, 4):
        design = presets.isp_ml(channels=channels)
        trace = training.train(design, sgd.downpour(optax.sgd(RATE)), loss, jnp.zeros(3), PAGES[:24])
        assert trace.read_pages == 24
        times.append(trace.time[-1])
    assert times[0] / times[1] == pytest.approx(2, rel=0.05)
    assert times[0] / times[2] == pytest.approx(4, rel=0.05)


def test_pages_alone_come_as_the_simulator_reads_them():
    """Without computing a channel's pages come one after another, as of a load of one request at a time."""
    free = training.Controllers(width=1e12, bus_gb_s=1e12, clock_mhz=1e12)
    design = presets.isp_ml(channels=1, host_gb_s=1e8)
    planned = training.schedule(design, free, training.MinibatchCost(1, 1, 0, 1), sgd.local(optax.sgd(RATE), 10**6), 20)
    size = design.geometry.page_bytes
    many = np.arange(20) * size
    load = ssd.Load(np.zeros(20, int), many, np.full(20, size), np.zeros(20, np.int32), queue_depth=1, uniform=size)
    np.testing.assert_allclose(planned.time, ssd.simulate(design, load).ended, atol=40)  # a nanosecond or two a step


def test_the_energy_is_that_of_pages_instructions_and_rest():
    """24 pages of 8 KiB at 2 uJ and 10 pJ a bit, 157 instructions of 5 pJ on each, 500 mW all the time."""
    trace = train(sgd.local(optax.sgd(RATE), 2), cost=training.MinibatchCost(100, 50, 7, 3))
    spent = 24 * (2e-6 + 8192 * 8 * 10e-12 + 157 * 5e-12) + 0.5 * 1e-9 * int(trace.time[-1])
    assert trace.energy == pytest.approx(spent, rel=1e-9)


def test_steps_that_fill_no_look_are_left_out():
    trace = train(sgd.local(optax.sgd(RATE), 2), every=4)
    assert (len(trace.time), trace.read_pages) == (1, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "at least 1 epoch"),
        ({"every": 7}, "every must lie in 1 to 6 steps"),
    ],
)
def test_bad_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        train(sgd.local(optax.sgd(RATE)), **options)


def test_an_empty_shard_is_refused():
    with pytest.raises(ValueError, match="3 pages leave one of 4 channels without any: an empty shard"):
        training.train(DESIGN, sgd.local(optax.sgd(RATE)), loss, jnp.zeros(3), PAGES[:3])


def test_a_page_that_is_larger_than_a_page_of_flash_is_refused():
    """8,192 bytes a page: 10 samples of 204 floats and a label of 4 bytes are 8,200, of 203 8,160."""
    objective = lambda w, page: jnp.mean(page[0] @ w) + 0 * page[1].sum()
    run = lambda features, **more: training.train(
        DESIGN,
        sgd.local(optax.sgd(RATE), 2),
        objective,
        jnp.zeros(features),
        (np.zeros((8, 10, features), np.float32), np.zeros((8, 10), np.int32)),
        **more,
    )
    what = (
        r"10 samples takes 8200 bytes \(float32 \[10, 204\], int32 \[10\]\), but .* holds 8192: take at most 9 samples"
    )
    with pytest.raises(ValueError, match=what):
        run(204)
    assert run(203).read_pages == 8
    assert run(784, stored_bytes=7850).read_pages == 8  # pixels of a byte
    with pytest.raises(ValueError, match="takes 8193 bytes"):
        run(4, stored_bytes=8193)
    with pytest.raises(ValueError, match="stored_bytes must be at least 1, got 0"):
        run(4, stored_bytes=0)
    with pytest.raises(ValueError, match="holds 8192: take a device of larger page_bytes"):
        training.check_pages(DESIGN, np.zeros((8, 10, 10_000), np.float32))
    training.check_pages(DESIGN.replace(page_bytes=16384), jax.ShapeDtypeStruct((8, 10, 204), jnp.float32))
    with pytest.raises(ValueError, match=r"pages take leaves \[pages, samples, ...\], got the shapes \[\(8,\)\]"):
        training.check_pages(DESIGN, np.zeros(8))


def test_more_pages_than_the_device_has_are_refused():
    tiny = presets.isp_ml(channels=4, blocks=3, pages=2, over_provisioning=0.0)
    assert tiny.logical_pages == 24
    with pytest.raises(ValueError, match="26 pages do not fit a device of 24"):
        training.train(tiny, sgd.local(optax.sgd(RATE), 2), loss, jnp.zeros(3), PAGES)
    assert training.train(tiny, sgd.local(optax.sgd(RATE), 2), loss, jnp.zeros(3), PAGES[:24]).finite


def test_training_that_diverges_is_said():
    with pytest.warns(
        training.DivergenceWarning, match=r"training diverged: .*, first seen at look 1, \d+ ns; take a lower rate"
    ):
        trace = train(sgd.synchronous(optax.sgd(1e30)))
    assert not trace.finite
    with pytest.warns(training.DivergenceWarning, match="not finite at the end; take a lower rate"):
        train(sgd.synchronous(optax.sgd(1e30)), watch=lambda state: state.workers.steps)
    assert train(sgd.synchronous(optax.sgd(RATE))).finite


@pytest.mark.slow
def test_graph_learner_and_spiking_network_train_by_one_rule():
    """Any loss will do: the objective of a DAG learner, and a spiking network by its surrogate gradient."""
    from framework import snn

    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 2))
    table = np.stack([x[:, 0], 1.5 * x[:, 0] + 0.3 * x[:, 1]], axis=1).astype(np.float32)

    def dag(w, page):
        return (
            0.5 * jnp.mean((page - page @ w) ** 2)
            + 0.01 * jnp.abs(w).sum()
            + jnp.trace(jax.scipy.linalg.expm(w * w))
            - 2
        )

    layers = (snn_layers.flatten(), *architectures.mlp((8,), 2))
    unit = models.lif()

    def spiking(params, page):
        pixels, labels = page
        logits = snn.unroll(layers, params, pixels, unit, 4)[0].logits[-1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    pixels = rng.uniform(size=(24, 10, 2, 2, 1)).astype(np.float32)
    labels = (pixels[:, :, 0, 0, 0] > 0.5).astype(np.int32)
    start = snn.init(jax.random.key(0), layers, (2, 2, 1), unit)
    assert graph_distance  # the room whose objective this is
    cases = [
        (dag, jnp.zeros((2, 2)), table.reshape(24, 10, 2)),
        (spiking, start, (pixels, labels)),
    ]
    for objective, params, pages in cases:
        rule = sgd.elastic(optax.sgd(0.05), 0.9 / 4, synchronous=False)
        trace = training.train(DESIGN, rule, objective, params, pages, epochs=6)
        everything = jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(-1, *leaf.shape[2:]), pages)
        assert objective(trace.state.centre, everything) < 0.9 * objective(params, everything)
