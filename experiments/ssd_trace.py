"""An SSD's throughput hangs on who has the channel first: where waiting data go before commands, as in MQSim, full
chips move in convoys, and a device ends far fewer reads a second than where commands go first.

A load, recorded or synthetic, is served by a simulated device, to the nanosecond of an event simulation: latencies,
their distribution, who held which bus when. Then closed loads of random reads at several queue depths under both orders
of the bus, next to what closed forms allow; Poisson loads of several rates; and a sweep over designs, with those that
none beats in cost and latency.

    python launch.py --config=experiments/ssd_trace.py:smoke        half a minute on 2 CPU cores: a small device
    python launch.py --config=experiments/ssd_trace.py              a minute: MQSim's device and one of its traces
        [--config.load.trace=FILE --config.load.format=msr --config.load.wrap=true]
        [--config.load.trace=FILE --config.load.replay=closed --config.load.queue_depth=32]
        [--config.load.kind=poisson --config.load.rate=100000 --config.load.requests=60000 --config.load.read_ratio=0.7]
        [--config.device=enterprise_tlc --config.design.channels=8 --config.requests_csv=true]
    python launch.py --config=experiments/ssd_trace.py:paper        the stream of training data of ISP-ML's device

A field of `design` that is not given is the device's own. A trace that is given is served, under any preset; a
setting without effect on what is done is refused. The limits of the numbers stand below them on the terminal, and in
the report: an ideal mapping collects no garbage, an open load may be beyond the device's capacity, pages may still lie
in its cache. Under `paper` the device of arXiv 1610.02273 reads 60,000 pages of training data in order; the paper's
numbers were not at hand, and none is compared with.

Reference: Tavakkol et al., "MQSim", FAST 2018; Choe et al., arXiv 1610.02273.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict, config_dict
from tqdm import tqdm

from experiments.parts.shared.intervals import ENOUGH, mark_comparisons, standard_error
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.ssd_trace import figures
from experiments.parts.ssd_trace.presets import check, design_of, loads_of
from framework import data, runs, ssd
from framework.core import extremes, keys
from framework.core.precision import x64
from framework.ssd.engine import closed_forms, timeline
from framework.ssd.workload import generators

# smoke: means over 2 seeds and a little more than their differences. default: one run; the trace is the same in every
# one, the other spreads are estimates.
EXPECTED: dict = {
    "smoke": {
        "mean_us": (132.4, 6.0),
        "depth.command_first_ratio": (1.52, 0.15),
        "depth.of_convoy_bound": (0.9, 0.05),
    },
    "default": {
        "mean_us": (4615.0, 1.0),
        "p99_us": (30625.0, 1.0),
        "depth.command_first_ratio": (1.68, 0.05),
        "depth.of_convoy_bound": (0.966, 0.01),
        "rate.mean_us at 50000": (117.2, 1.5),
        "rate.mean_us at 100000": (148.0, 3.0),
    },
}

BUS = ("data-first", "command-first")
SMALL = {"channels": 4, "chips": 4, "dies": 1, "planes": 1, "blocks": 64, "pages": 64}
PRESETS = {  # seeds: synthetic loads, whose numbers are averaged
    "smoke": {
        "seeds": 1,
        **{f"design.{name}": value for name, value in SMALL.items()},
        "load.kind": "poisson",
        "load.trace": "",
        "load.requests": 2000,
        "load.rate": 4e4,
        "load.span_mib": 64.0,
        "depths": (1, 8, 64),
        "depth_requests": 1000,
        "rates": (1e4, 4e4, 7e4),
        "sweep": 64,
        "sweep_requests": 1000,
    },
    "default": {"seeds": 1},
    "paper": {
        "seeds": 1,
        "device": "isp_ml",
        "design.channels": 16,
        "load.kind": "closed",
        "load.trace": "",
        "load.requests": 60_000,
        "load.rate": 0.0,
        "load.pattern": "sequential",
        "depths": (16, 64, 256),
        "rates": (),
        "sweep": 0,
        "sweep_requests": 0,
    },
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "device": "mqsim_default",  # one of ssd.presets.NAMES
        "design": _design_fields(),  # those that differ from the device's
        "load": {
            "kind": "trace",  # trace, poisson or closed
            "trace": str(data.shared_path("ssd", "tpcc-small.trace")),
            "format": "mqsim",  # or msr, blkparse
            "time_unit": config_dict.placeholder(str),  # of a trace: ns, us, ms or s; the format's own
            "device": config_dict.placeholder(str),  # of a trace: its requests alone; all as one
            "sort": False,  # a trace whose requests do not stand in order of arrival
            "replay": "open",  # of a trace: at its own times, or closed, queue_depth requests in flight
            "wrap": False,  # addresses past the end of the device, taken modulo its capacity
            "requests": 0,  # of a trace: the first ones; 0 for all
            "rate": 1e5,  # a second, of poisson
            "queue_depth": 64,  # of closed, and of a closed replay
            "read_ratio": 1.0,
            "size_kib": 8.0,
            "pattern": "uniform",  # or zipf, hot-cold
            "span_mib": 1024.0,  # the range of addresses, from 0 on
        },
        "requests_csv": False,  # one row a request
        "depths": (1, 4, 16, 64, 256, 512),  # queue depths of random reads
        "depth_requests": 20_000,
        "rates": (2.5e4, 5e4, 7.5e4, 1e5, 1.25e5, 1.5e5),  # of Poisson loads
        "sweep": 10_000,  # designs
        "sweep_requests": 5000,
    }
    return build_config("ssd_trace", settings, PRESETS, preset)


def _design_fields() -> dict[str, Any]:
    """All fields of a design, as placeholders of their type."""
    fields = {}
    for name, value in ssd.Design().fields().items():
        kind = float if name.endswith("_us") or name in ("channel_mt_s", "host_gb_s") else type(value)
        fields[name] = config_dict.placeholder(kind)
    return fields


def check_settings(config: ConfigDict) -> None:
    """Refuses settings that are out of range, or without effect."""
    check(config, get_config(config.preset), design_of(config))


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Serves the load, then the further loads; writes numbers, tables and figures."""
    with x64():
        return _run(config, run)


def _run(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    preset = get_config(config.preset)
    design = design_of(config)
    check_settings(config)
    loads, notes = loads_of(config, preset, design, _seeds(config))
    reports = [ssd.simulate(design, load) for load in tqdm(loads, desc="load", disable=None, leave=False)]
    numbers = _numbers(reports) | {"requests": reports[0].requests}
    notes = [_device(config, design), *notes, *dict.fromkeys(note for report in reports for note in report.notes)]
    if len(reports) >= ENOUGH and "mean_us" in numbers:
        numbers["mean_us_error"] = standard_error([report.mean_us for report in reports])
    schedule = ssd.schedule(design, loads[0])
    busy = ssd.busy(schedule, design)
    elapsed = float(reports[0].elapsed)
    numbers["busy"] = {"bus": float(busy.bus.mean() / elapsed), "flash": float(busy.luns.mean() / elapsed)}
    run.save_csv("busy.csv", ("channel", "bus", *_lanes(design)), _busy_rows(busy, elapsed))
    if config.requests_csv:
        _save_requests(run, loads[0], reports[0])
    figures.draw_latency(run, reports[0])
    figures.draw_schedule(run, design, schedule)
    if config.depths:
        numbers["depth"] = _depths(config, run, design)
    if config.rates:
        numbers["rate"], beyond = _rates(config, run, design)
        notes += [
            f"Poisson loads beyond the device's capacity, whose latencies grow with their length: {beyond}"
        ] * bool(beyond)
    if config.sweep:
        numbers["sweep"] = _sweep(config, run, design)
        notes += ["The designs of the sweep, which serve reads alone, have an ideal mapping"] * (
            design.ftl.mapping != "ideal"
        )
    numbers |= {"seeds": len(reports), "note": ". ".join(note.removesuffix(".") for note in notes) + "."}
    return numbers | mark_comparisons(1, *(name for name in ("depth", "rate") if name in numbers))


def _seeds(config: ConfigDict) -> range:
    return keys.seeds(config.seed, count_seeds(config, PRESETS))


def _numbers(reports: list[ssd.Report]) -> dict[str, Any]:
    """Means over the loads; of each kind apart where there are several."""
    summaries = [_summarize(report) for report in reports]
    numbers: dict[str, Any] = {name: float(np.mean([summary[name] for summary in summaries])) for name in summaries[0]}
    kinds = {name: kind for name, kind in reports[0].by_kind.items() if kind.requests}
    for name in kinds if len(kinds) > 1 or "trims" in kinds else ():
        whole = [report.by_kind[name] for report in reports]
        mean = {
            key: float(np.mean([getattr(kind, key) for kind in whole]))
            for key in ("requests", "mean_us", "max_us", "iops")
        }
        numbers[name] = mean
    return numbers


def _summarize(report: ssd.Report) -> dict[str, float]:
    """The numbers of a report; those of reads and writes only where there are some."""
    numbers = {"mean_us": report.mean_us}
    numbers |= {f"p{percent}_us": report.percentile(percent) for percent in (50, 95, 99)}
    numbers |= {"max_us": report.max_us, "iops": report.iops, "bandwidth_mb_s": report.bandwidth / 1e6}
    numbers |= {
        "write_amplification": report.write_amplification,
        "erases": report.erased,
        "energy_j": report.energy.total,
        "overloaded": report.overloaded,
    }
    pages = {"pages_written": report.written, "pages_flushed": report.flushed_pages, "pages_in_cache": report.cached}
    numbers |= pages if report.written else {}
    if report.written and not report.flushed_pages:
        del numbers["write_amplification"]  # nothing was programmed
    return {name: value for name, value in numbers.items() if not np.isnan(value)}


def _device(config: ConfigDict, design: ssd.Design) -> str:
    policy = design.policy
    return (
        f"{config.device} (channels x chips x dies x planes): {design.geometry}, bus {policy.arbitration}, dies "
        f"{policy.die_mode}, queues {policy.scheduling}"
    )


def _lanes(design: ssd.Design) -> list[str]:
    return [f"{'die' if design.policy.die_mode == 'overlap' else 'chip'} {lun}" for lun in range(design.luns)]


def _busy_rows(busy: timeline.Busy, elapsed: float) -> list[tuple]:
    """Shares of the time."""
    return [
        (channel, bus / elapsed, *(luns / elapsed))
        for channel, (bus, luns) in enumerate(zip(busy.bus, busy.luns, strict=True))
    ]


def _save_requests(run: runs.Run, load: ssd.Load, report: ssd.Report) -> None:
    kinds = np.array(["read", "write", "trim"])[np.asarray(load.kind)]
    columns = report.issued, report.ended, report.latency, kinds, load.offset, load.size
    header = ("issued_ns", "ended_ns", "latency_ns", "kind", "offset", "size")
    run.save_csv("requests.csv", header, zip(*columns, strict=True))


def _random_reads(config: ConfigDict, design: ssd.Design, name: str) -> tuple[Any, dict[str, Any]]:
    """Key and choices of random reads of a page."""
    page = design.geometry.page_bytes
    span = min(round(config.load.span_mib * 2**20), design.capacity) // page * page
    return keys.derive(jax.random.key(config.seed), name), {"size": page, "span": span}


def _depths(config: ConfigDict, run: runs.Run, design: ssd.Design) -> dict[str, Any]:
    """Closed loads of random reads under both orders of the bus."""
    key, choices = _random_reads(config, design, "depths")
    reports: dict[str, list[ssd.Report]] = {bus: [] for bus in BUS}
    jobs = [(bus, depth) for bus in BUS for depth in config.depths]
    for bus, depth in tqdm(jobs, desc="queue depths", disable=None, leave=False):
        load = generators.closed(key, config.depth_requests, depth, **choices)
        reports[bus].append(ssd.simulate(design.replace(arbitration=bus), load))
    bounds = closed_forms.read_bounds(design)
    shown = {"convoy": bounds.convoy, "bus and chips": min(bounds.bus, bounds.luns), "host link": bounds.host}
    figures.draw_depths(run, config.depths, reports, shown)
    numbers: dict[str, Any] = {
        f"iops {bus}": {f"at {depth}": float(r.iops) for depth, r in zip(config.depths, reports[bus], strict=True)}
        for bus in BUS
    }
    last = {bus: reports[-1].iops for bus, reports in reports.items()}
    numbers["command_first_ratio"] = float(last["command-first"] / last["data-first"])
    numbers["of_convoy_bound"] = float(last["data-first"] / bounds.convoy)
    return numbers


def _rates(config: ConfigDict, run: runs.Run, design: ssd.Design) -> tuple[dict[str, Any], str]:
    """Open loads of random reads, and which of them are beyond capacity."""
    key, choices = _random_reads(config, design, "rates")
    loads = [generators.poisson(key, config.depth_requests, rate, **choices) for rate in config.rates]
    reports = [ssd.simulate(design, load) for load in tqdm(loads, desc="rates", disable=None, leave=False)]
    figures.draw_rates(run, config.rates, reports)
    pairs = list(zip(config.rates, reports, strict=True))
    beyond = ", ".join(f"{rate:g}/s" for rate, report in pairs if report.overloaded)
    return {f"mean_us at {rate:g}": float(report.mean_us) for rate, report in pairs}, beyond


def _sweep(config: ConfigDict, run: runs.Run, design: ssd.Design) -> dict[str, Any]:
    """Sweeps designs of several structures and random timings under one load, and marks the best ones."""
    designs = draw_designs(design, config.sweep, config.seed)
    key, choices = _random_reads(config, min(designs, key=lambda design: design.capacity), "sweep")
    rate = 0.2 * closed_forms.read_bounds(design).luns
    load = generators.poisson(key, config.sweep_requests, rate, **choices)
    summary = ssd.sweep(designs, load)
    cost = np.array([_cost(design) for design in designs])
    best = extremes.front(np.stack([cost, summary.mean_us], axis=1))
    groups = np.array([design.geometry.channels for design in designs])
    figures.draw_sweep(run, cost, summary, best, groups)
    header = ("channels", "chips", "read_us", "channel_mt_s", "cost", *summary._fields, "best")
    rows = (
        (
            g.channels,
            g.chips,
            t.read_us,
            t.channel_mt_s,
            cost[i],
            *(column[i] for column in summary),
            int(i in best),
        )
        for i, (g, t) in enumerate((design.geometry, design.timing) for design in designs)
    )
    run.save_csv("sweep.csv", header, rows)
    numbers = {"designs": len(designs), "best": len(best), "least_mean_us": float(summary.mean_us.min())}
    return numbers | {"beyond_capacity": int(summary.overloaded.sum())}


def draw_designs(design: ssd.Design, count: int, seed: int) -> list[ssd.Design]:
    """Draws designs around one: half, once and twice its channels, random read times and channel rates.

    Their mapping is ideal: they serve reads alone, and thousands of page maps cannot be simulated side by side.
    """
    rng = np.random.default_rng(seed)
    structures = [
        design.replace(
            channels=max(round(design.geometry.channels * factor), 1),
            arbitration="command-first",
            mapping="ideal",
            precondition="none",
        )
        for factor in (0.5, 1, 2)
    ]
    reads, rates = rng.uniform(20, 150, count), rng.uniform(200, 1600, count)
    return [
        dataclasses.replace(
            structures[i % 3], timing=design.timing._replace(read_us=float(reads[i]), channel_mt_s=float(rates[i]))
        )
        for i in range(count)
    ]


def _cost(design: ssd.Design) -> float:
    """The cost of a design: flash units times channel rate in GT/s over the read time in units of 75 us."""
    units = design.geometry.channels * design.luns
    return units * (design.timing.channel_mt_s / 1000) / (design.timing.read_us / 75)
