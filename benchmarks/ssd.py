"""The SSD simulator and its oracles: a heap event simulation, MQSim's stored figures, closed forms; and its speed.

    python benchmarks/ssd.py --output=benchmarks/results/ssd.md

    identity       random devices and loads against the event simulation of the tests, to the nanosecond
    mqsim          latencies and throughput compared with MQSim's
    laws           unloaded latencies, saturation, M/D/1, Little
    amplification  write amplification compared with the Lambert-W law
    traces         MQSim's two traces
    speed          requests a second, compile apart
    sweep          many designs under one load

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tables
from absl import app, flags
from tables import Part, Row, at_least, at_most

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from framework import data, ssd
from framework.ssd import simulation
from framework.ssd.device import presets
from framework.ssd.engine import closed_forms
from framework.ssd.ftl import preconditioning, translation
from framework.ssd.workload import generators
from framework.ssd.workload.requests import WRITE
from tests.ssd import oracle

CHOSEN = flags.DEFINE_list("parts", [], "what to run; all by default")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
CONFIGURATIONS = flags.DEFINE_integer("configurations", 1000, "identity: random devices and loads")
DESIGNS = flags.DEFINE_integer("designs", 10_000, "sweep: designs")
REPEATS = flags.DEFINE_integer("repeats", 5, "speed: timed calls, of which the best counts")

KEY = jax.random.key(0)


def identity() -> Iterator[Row]:
    """Random devices (rates, durations) of eight structures under random loads of 500 requests of reads, writes and
    mixtures, open and closed at depth 1 to 16; `differing` counts requests whose end is not, to the nanosecond, that of
    the heap event simulation in `tests/ssd/event_simulator.py`.
    """
    count = -(-CONFIGURATIONS.value // (2 * len(oracle.STRUCTURES)))
    total = [0, 0]
    for structure in oracle.STRUCTURES:
        for closed in (False, True):
            differing = requests = 0
            for seed in range(count):
                rng = np.random.default_rng(seed)
                device = oracle.design(structure, rng)
                depth = int(rng.integers(1, 17)) if closed else 0
                load = oracle.load(device, rng, 500, (1.0, 0.0, 0.6)[seed % 3], depth)
                ended, _ = oracle.simulate(device, load)
                differing += int((ssd.simulate(device, load).ended != ended).sum())
                requests += len(load)
            total[0] += count
            total[1] += differing
            yield Row(
                {
                    "structure": structure,
                    "load": "closed" if closed else "open",
                    "devices": str(count),
                    "requests": str(requests),
                    "differing": str(differing),
                },
                {},
            )
    cells = {"structure": "all", "load": "", "devices": str(total[0]), "requests": str(500 * total[0])}
    yield Row(cells | {"differing": str(total[1])}, {"no request differs": at_most(total[1], 0)})


MQSIM_OPEN = {50e3: (117.0, 610.0), 100e3: (148.0, 836.0), 150e3: (266.0, 2104.0)}
MQSIM_MIXED = (40e3, 0.7, 456.0, 4752.0)  # requests a second, share of reads; mean and max of one load
MQSIM_CLOSED = {1: 102.0, 4: 110.0, 16: 150.0, 64: 392.0, 256: 1398.0, 512: 2694.0}


def mqsim() -> Iterator[Row]:
    """Means and maxima in us. Open: 60,000 Poisson requests of 8 KB, all of them reads where no share is given,
    on 8 channels x 4 chips x 1 x 1, mean of five seeds; MQSim's figures are of one load of its own, of which only the
    law is the same. Closed: random reads on 8 x 4 x 2 x 2, 20,000 of them; MQSim merges reads of two planes, which the
    serial chips here do not (its own gain is 6 % at depth 512), and states means in whole us. MQSim's figures are
    stored, not run here.
    """
    device = presets.mqsim_default(channels=8, chips=4, dies=1, planes=1, read_us=75, program_us=750)
    opened = [(rate, 1.0, *point) for rate, point in MQSIM_OPEN.items()]
    for rate, ratio, mean, most in (*opened, MQSIM_MIXED):
        loads = [generators.poisson(jax.random.key(seed), 60_000, rate, read_ratio=ratio) for seed in range(5)]
        reports = [ssd.simulate(device, load) for load in loads]
        means = [float(report.mean_us) for report in reports]
        measured = statistics.mean(means)
        high = statistics.mean(float(report.max_us) for report in reports)
        what = "" if ratio == 1 else f", {ratio:.0%} reads"
        cells = {"load": f"open, {rate:,.0f}/s{what}", "mean": tables.format_mean(means), "MQSim": mean}
        cells |= {"max": high, "MQSim max": most}
        goals = {"mean within 1 %": at_most(100 * abs(measured / mean - 1), 1)}
        yield Row(cells, goals | {"max within 8 %": at_most(100 * abs(high / most - 1), 8)})
    device = presets.mqsim_default()
    for depth, mean in MQSIM_CLOSED.items():
        report = ssd.simulate(device, generators.closed(KEY, 20_000, depth))
        cells = {"load": f"closed, depth {depth}", "mean": float(report.mean_us), "MQSim": mean}
        cells |= {"max": float(report.max_us), "MQSim max": ""}
        yield Row(cells, {"mean within 1 %": at_most(100 * abs(report.mean_us / mean - 1), 1)})


def laws() -> Iterator[Row]:
    """Latencies in us, throughputs in thousand requests a second. Saturation: closed random loads, 20,000 requests,
    at depth 2,048; random ones fill the queues unevenly, those in order evenly; M/D/1: 500,000 Poisson reads on one
    chip, in units of the service time; Little: requests in flight from throughput and mean latency, 100,000 of them, so
    that filling and emptying the queue counts little.
    """
    device = presets.mqsim_default(dies=1, planes=1)
    bounds = closed_forms.read_bounds(device)
    for kind, ratio, exact in zip(("read", "write"), (1.0, 0.0), closed_forms.unloaded_latency(device), strict=True):
        measured = ssd.simulate(device, generators.closed(KEY, 500, 1, read_ratio=ratio)).latency
        same = float((measured == exact).mean())
        mean = float(measured.mean()) / 1000
        cells = {"law": f"unloaded {kind}", "measured": mean, "closed form": float(exact) / 1000}
        yield Row(cells, {"exact": at_least(same, 1)})
    full = lambda design, **choices: ssd.simulate(design, generators.closed(KEY, 20_000, 2048, **choices)).iops
    one = presets.mqsim_default(channels=1, dies=1, planes=1)
    of_one = closed_forms.read_bounds(one).convoy
    cases = {
        "convoy, 1 x 4, data first": (full(one), of_one),
        "convoy, 8 x 4, data first": (full(device), bounds.convoy),
        "writes, 8 x 4": (full(device, read_ratio=0.0), closed_forms.write_bound(device)),
        "convoy, 8 x 4, in order": (full(device, pattern="sequential"), bounds.convoy),
        "writes, 8 x 4, in order": (
            full(device, pattern="sequential", read_ratio=0.0),
            closed_forms.write_bound(device),
        ),
    }
    for name, (measured, bound) in cases.items():
        cells = {"law": name, "measured": float(measured) / 1000, "closed form": float(bound) / 1000}
        yield Row(cells, {"within 1 %": at_most(100 * abs(measured / bound - 1), 1)})
    fast = full(device.replace(arbitration="command-first"))
    cells = {
        "law": "command first, 8 x 4",
        "measured": float(fast) / 1000,
        "closed form": min(bounds.bus, bounds.luns) / 1000,
    }
    yield Row(cells, {})
    service = 290 + 75_000 + 30 + 24_576
    chip = presets.mqsim_default(channels=1, chips=1, dies=1, planes=1)
    for rho in (0.3, 0.5, 0.7):
        load = generators.poisson(KEY, 500_000, rho * 1e9 / service)
        measured = (ssd.simulate(chip, load).latency.mean() - 2_496) / service
        law = closed_forms.queueing(rho)
        cells = {"law": f"M/D/1 at {rho}", "measured": float(measured), "closed form": law}
        yield Row(cells, {"within 1 %": at_most(100 * abs(measured / law - 1), 1)})
    for depth in (4, 64):
        report = ssd.simulate(device, generators.closed(KEY, 100_000, depth, read_ratio=0.7))
        measured = float(report.iops * report.mean_us * 1e-6)
        cells = {"law": f"Little at depth {depth}", "measured": measured, "closed form": float(depth)}
        yield Row(cells, {"within .5 %": at_most(100 * abs(measured / depth - 1), 0.5)})


def amplification() -> Iterator[Row]:
    """Uniform random writes on a plane of 400 blocks of 64 pages, of which 1 is kept free, filled before; 10 device's
    worth of writes, the first half discarded. The law is FIFO's, of the blocks that a victim is chosen from
    (`Ftl.ratio`); greedy collection does better than it where little is spare.
    """
    for spare in (0.07, 0.125, 0.28, 0.5):
        row = {"spare / logical": f"{spare}"}
        for victim in ("greedy", "d-choices", "fifo"):
            measurement, law, exact = _amplification(victim, spare)
            row[victim] = measurement
        row |= {"Lambert W": law, "moved = valid pages of victims": "exactly" if exact else "no"}
        goals = {"greedy within 5 %": at_most(100 * abs(row["greedy"] / law - 1), 5)}
        yield Row(row, goals | {"FIFO within 1 %": at_most(100 * abs(row["fifo"] / law - 1), 1)})


def _amplification(victim: str, spare: float) -> tuple[float, float, bool]:
    design = presets.isp_ml(
        channels=1, blocks=400, pages=64, mapping="page", op_of="logical", over_provisioning=spare, victim=victim,
        precondition="full",
    )  # fmt: skip
    state, rng = preconditioning.state_of(design), np.random.default_rng(0)
    exact = True
    for _ in range(2):
        page = rng.integers(0, design.logical_pages, 5 * design.logical_pages)
        kind = np.full(len(page), WRITE, np.int32)
        state, effect = translation.translate(state, kind, page, design.ftl, design.geometry)
        exact &= bool((effect.relocated == effect.valid).all())
    law = closed_forms.write_amplification(design.ftl.ratio(design.geometry))
    return 1 + float(effect.relocated.mean()), law, exact


def traces() -> Iterator[Row]:
    """MQSim's traces on its default device (8 x 4 x 2 x 2, 512 GiB; cache off, ideal mapping); invariants checked."""
    device = presets.mqsim_default()
    for name, count in (("tpcc-small.trace", 6999), ("wsrch-small.trace", 24_783)):
        load = generators.read_trace(data.shared_path("ssd", name), device)
        report = ssd.simulate(device, load)
        cells = {"trace": name, "requests": str(report.requests), "mean us": float(report.mean_us)}
        cells |= {"p99 us": float(report.percentile(99)), "max us": float(report.max_us)}
        served = int(((report.ended > report.issued) & (report.status == 0)).sum())
        yield Row(cells, {"every request served": at_least(served, count)})


def speed() -> Iterator[Row]:
    """Million requests a second, the best of {repeats} calls, compile apart; and a CPU second, which a busy
    machine changes less. Plain: 20,000 Poisson reads of 8 KB at 100,000/s on 8 x 4 x 1 x 1, the back end alone
    (bus grants, a time for each operation), and all of it with the host link and the status. Designs differ in
    the time of a read and run in one program. Full: random writes of 8 KB at depth 64 on a full device of 8 x 4
    x 1 x 1 with page map, greedy collection (28 % of logical pages spare) and a buffer of 1,024 pages;
    everything, planning and collection included; the first call alone makes the device steady. MQSim on the
    same kind of machine: .13 to .18 million for plain reads, about .05 million in its default cached scenarios
    (stored figures).
    """
    load = generators.poisson(KEY, 20_000, 1e5)
    device = simulation.simplify(presets.mqsim_default(dies=1, planes=1), load)
    goals = {1: 3.0, 64: 12.0, 512: 0.0, 2048: 20.0}
    with jax.enable_x64(True):
        prepared = simulation.prepare(device, load)
        stripped, depth = simulation.split_arrays(load)
        for designs, goal in goals.items():
            times = jnp.linspace(60.0, 90.0, designs) if designs > 1 else jnp.asarray(75.0)
            row = {"what": f"plain, {designs} designs"}
            for name, take in (("back end", "done"), ("all", "ended")):
                one = functools.partial(_plain, device, stripped, depth, prepared, take)
                program = jax.jit(jax.vmap(one) if designs > 1 else one)
                timed = _best(program, times)
                row[name] = designs * len(load) / timed.seconds / 1e6
                row[f"{name}, a CPU second"] = designs * len(load) / timed.cpu / 1e6
                row["s compiling"] = timed.compiling
            row_goals = {f"back end, goal {goal:g}": at_least(row["back end"], goal)} if goal else {}
            yield Row(row, row_goals)
    yield _full()


def _plain(device, load, depth, prepared, take: str, read_us):
    design = device.replace(read_us=read_us)
    result, status = simulation.run(design, load, depth, prepared.script, prepared.steps, prepared.late, record=False)
    return getattr(result, take) if take == "done" else (result.ended, status)


def _full() -> Row:
    design = presets.mqsim_default(
        dies=1, planes=1, blocks=32, pages=64, mapping="page", op_of="logical", over_provisioning=0.28,
        precondition="steady", cache_pages=1024, cache_flushes=128,
    )  # fmt: skip
    load = generators.closed(KEY, 20_000, 64, read_ratio=0.0, span=design.capacity)
    timed = _best(lambda: ssd.simulate(design, load, check=False))
    rate = len(load) / timed.seconds / 1e6
    row = {"what": "full, 1 design", "back end": "", "back end, a CPU second": "", "s compiling": timed.compiling}
    row |= {"all": rate, "all, a CPU second": len(load) / timed.cpu / 1e6}
    return Row(row, {"full, goal .25": at_least(rate, 0.25), "goal: 1": at_least(rate, 1.0)})


class Timed(NamedTuple):
    seconds: float  # the best of some calls
    cpu: float  # the least of all threads together
    compiling: float  # what the first one took more


def _best(call: Callable, *arguments) -> Timed:
    seconds, cpu = [], []
    for _ in range(REPEATS.value + 1):
        began, worked = time.perf_counter(), time.process_time()
        jax.block_until_ready(call(*arguments))
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    return Timed(min(seconds[1:]), min(cpu[1:]), seconds[0] - min(seconds[1:]))


def sweep() -> Iterator[Row]:
    """Designs of one structure (8 x 4 x 1 x 1) with read times and channel rates drawn at random, each under 20,000
    Poisson reads: means, 99th percentiles, maxima, throughput and energy; compile included.
    """
    rng = np.random.default_rng(0)
    device = presets.mqsim_default(dies=1, planes=1)
    designs = [
        device.replace(read_us=float(read), channel_mt_s=float(rate))
        for read, rate in zip(rng.uniform(20, 150, DESIGNS.value), rng.uniform(200, 1600, DESIGNS.value), strict=True)
    ]
    load = generators.poisson(KEY, 20_000, 5e4)
    began, worked = time.perf_counter(), time.process_time()
    ssd.sweep(designs, load)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    rate = len(designs) * len(load) / seconds / 1e6
    cells = {
        "designs": str(len(designs)),
        "requests each": "20000",
        "s": seconds,
        "CPU s": cpu,
        "million a second": rate,
    }
    yield Row(cells, {"10,000 designs in under 20 s": at_most(seconds * 10_000 / len(designs), 20)})


PARTS = {
    "identity": Part("Beside an event simulation", identity),
    "mqsim": Part("Beside MQSim", mqsim),
    "laws": Part("Beside closed forms", laws),
    "amplification": Part("Write amplification", amplification),
    "traces": Part("MQSim's traces", traces),
    "speed": Part("Speed", speed),
    "sweep": Part("A sweep", sweep),
}


def main(argv: list[str]) -> None:
    tables.run(PARTS, "The SSD simulator and its oracles", CHOSEN.value, OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
