"""An SSD's throughput hangs on who has the channel first: where waiting data go before commands, as in MQSim, full
chips move in convoys, and a device ends far fewer reads a second than where commands go first.

A load, recorded or made, is served by a simulated device, to the nanosecond of an event simulation: latencies, their
distribution, who held which bus when. Then closed loads of random reads at several queue depths under both orders of
the bus, beside what closed forms allow; Poisson loads of several rates; and a sweep over designs, with those that none
beats in cost and latency.

    python launch.py --config=experiments/ssd_trace.py:smoke        half a minute on 2 CPU cores: a small device
    python launch.py --config=experiments/ssd_trace.py              a minute: MQSim's device and one of its traces
        [--config.load.trace=FILE --config.load.format=msr --config.load.wrap=true]
        [--config.load.kind=poisson --config.load.rate=100000 --config.load.requests=60000 --config.load.read_ratio=0.7]
        [--config.device=enterprise_tlc --config.design.channels=8 --config.requests_csv=true]
    python launch.py --config=experiments/ssd_trace.py:paper        the stream of training data of ISP-ML's device

A field of `design` that is not given is the device's own. Under `paper` the device of arXiv 1610.02273 reads 60,000
pages of training data in order; the paper's numbers were not at hand, and none is compared with.

Reference: Tavakkol et al., "MQSim", FAST 2018; Choe et al., arXiv 1610.02273.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict, config_dict
from tqdm import tqdm

from experiments import _ssd_figures as pictures
from experiments._spread import ENOUGH, compared, standard_error
from framework import data, runs, ssd
from framework.core import extremes, keys

# smoke: means over 2 seeds and a little more than their differences. default: one run; the trace is the same in every
# one, the other spreads are estimates.
EXPECTED: dict = {
    "smoke": {
        "mean_us": (132.4, 6.0),
        "depth.command_first_ratio": (1.52, 0.15),
        "depth.of_convoy_bound": (0.9, 0.05),
    },
    "default": {
        "mean_us": (9398.0, 1.0),
        "p99_us": (29948.0, 1.0),
        "depth.command_first_ratio": (1.68, 0.05),
        "depth.of_convoy_bound": (0.966, 0.01),
        "rate.mean_us at 50000": (117.2, 1.5),
        "rate.mean_us at 100000": (148.0, 3.0),
    },
}

BUS = ("data-first", "command-first")
KINDS = ("trace", "poisson", "closed")
_SIZES = (
    "device",
    "design",
    "kind",
    "requests",
    "rate",
    "depths",
    "depth_requests",
    "rates",
    "sweep",
    "sweep_requests",
)
SMALL = {"channels": 4, "chips": 4, "dies": 1, "planes": 1, "blocks": 64, "pages": 64}
SIZES = {
    "smoke": ("mqsim_default", SMALL, "poisson", 2000, 4e4, (1, 8, 64), 1000, (1e4, 4e4, 7e4), 64, 1000),
    "default": (
        "mqsim_default",
        {},
        "trace",
        0,
        1e5,
        (1, 4, 16, 64, 256, 512),
        20_000,
        (2.5e4, 5e4, 7.5e4, 1e5, 1.25e5, 1.5e5),
        10_000,
        5000,
    ),
    "paper": ("isp_ml", {"channels": 16}, "closed", 60_000, 0.0, (16, 64, 256), 20_000, (), 0, 0),
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    if preset not in SIZES:
        raise ValueError(f"ssd_trace has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = dict(zip(_SIZES, SIZES[preset], strict=True))
    trace = str(data.shared_path("ssd", "tpcc-small.trace")) if size["kind"] == "trace" else ""
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # made loads; their numbers are averaged
            "device": size["device"],  # one of ssd.presets.NAMES
            "design": _fields(size["design"]),  # what differs from it
            "load": {
                "kind": size["kind"],  # trace, poisson or closed
                "trace": trace,
                "format": "mqsim",  # or msr, blkparse
                "wrap": False,  # addresses past the end of the device, taken modulo its capacity
                "requests": size["requests"],  # of a trace: the first so many; 0 for all
                "rate": size["rate"],  # a second, of poisson
                "queue_depth": 64,  # of closed
                "read_ratio": 1.0,
                "size_kib": 8.0,
                "pattern": "sequential" if preset == "paper" else "uniform",  # or zipf, hot-cold
                "span_mib": 64.0 if preset == "smoke" else 1024.0,  # that is asked for, from the beginning on
            },
            "requests_csv": False,  # one row a request
            "depths": size["depths"],  # queue depths of random reads
            "depth_requests": size["depth_requests"],
            "rates": size["rates"],  # of Poisson loads
            "sweep": size["sweep"],  # designs
            "sweep_requests": size["sweep_requests"],
        }
    )


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """All fields of a design, those not given as placeholders of their type."""
    fields = {}
    for name, value in ssd.Design().fields().items():
        kind = float if name.endswith("_us") or name in ("channel_mt_s", "host_gb_s") else type(value)
        fields[name] = given.get(name, config_dict.placeholder(kind))
    return fields


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Serves the load, then the loads beside it; writes numbers, tables and figures."""
    with jax.enable_x64(True):
        return _study(config, run)


def _study(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    design = design_of(config)
    _check(config)
    loads = [load_of(config, design, seed) for seed in _seeds(config)]
    reports = [ssd.simulate(design, load) for load in tqdm(loads, desc="load", disable=None, leave=False)]
    numbers = {name: float(np.mean([_numbers(report)[name] for report in reports])) for name in _numbers(reports[0])}
    numbers |= {"requests": reports[0].requests, "note": _note(config, design, loads[0])}
    if len(reports) >= ENOUGH:
        numbers["mean_us_error"] = standard_error([report.mean_us for report in reports])
    schedule = ssd.schedule(design, loads[0])
    busy = ssd.busy(schedule, design)
    elapsed = float(reports[0].elapsed)
    numbers["busy"] = {"bus": float(busy.bus.mean() / elapsed), "flash": float(busy.lanes.mean() / elapsed)}
    run.save_csv("busy.csv", ("channel", "bus", *_lanes(design)), _busy_rows(busy, elapsed))
    if config.requests_csv:
        _save_requests(run, loads[0], reports[0])
    pictures.draw_latency(run, reports[0])
    pictures.draw_schedule(run, design, schedule)
    if config.depths:
        numbers["depth"] = _depths(config, run, design)
    if config.rates:
        numbers["rate"] = _rates(config, run, design)
    if config.sweep:
        numbers["sweep"] = _sweep(config, run, design)
    return numbers | {"seeds": len(reports)} | compared(1, *(name for name in ("depth", "rate") if name in numbers))


def design_of(config: ConfigDict) -> ssd.Design:
    """The device, with the fields that are given."""
    if config.device not in ssd.presets.NAMES:
        raise ValueError(f"device must be one of {', '.join(ssd.presets.NAMES)}, got {config.device!r}")
    given = {name: value for name, value in config.design.items() if value is not None}
    return ssd.presets.NAMES[config.device](**given)


def load_of(config: ConfigDict, design: ssd.Design, seed: int) -> ssd.Load:
    """The load that the settings ask for."""
    settings = config.load
    if settings.kind == "trace":
        return ssd.load.read_trace(settings.trace, design, settings.format, settings.wrap, settings.requests)
    key = keys.named(jax.random.key(seed), "load")
    choices = {"read_ratio": settings.read_ratio, "size": round(settings.size_kib * 1024), "pattern": settings.pattern}
    choices["span"] = round(settings.span_mib * 2**20)
    if settings.kind == "poisson":
        load = ssd.load.poisson(key, settings.requests, settings.rate, **choices)
    else:
        load = ssd.load.closed(key, settings.requests, settings.queue_depth, **choices)
    return ssd.load.wrap(load, design.capacity) if settings.wrap else load


def _check(config: ConfigDict) -> None:
    settings = config.load
    if settings.kind not in KINDS:
        raise ValueError(f"load.kind must be one of {', '.join(KINDS)}, got {settings.kind!r}")
    if settings.kind == "trace" and not settings.trace:
        raise ValueError("load.kind=trace wants a file: --config.load.trace=FILE")
    if settings.requests < 0 or (settings.requests == 0 and settings.kind != "trace"):
        raise ValueError(f"load.requests must be at least 1, or of a trace 0 for all, got {settings.requests}")
    if settings.kind == "trace" and (config.seeds or 1) > 1:
        raise ValueError("a trace is the same for every seed: leave --seeds out, or take load.kind=poisson")
    for name in ("depth_requests", "sweep_requests"):
        used = config.depths or config.rates if name == "depth_requests" else config.sweep
        if used and config[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {config[name]}")
    if min((*config.depths, 1)) < 1 or list(config.depths) != sorted(set(config.depths)):
        raise ValueError(f"depths must be different queue depths from 1 up, in order, got {config.depths}")
    if config.rates and not min(config.rates) > 0:
        raise ValueError(f"rates must be positive, got {config.rates}")
    if config.sweep < 0:
        raise ValueError(f"sweep must be at least 1 design, or 0 for none, got {config.sweep}")


def _seeds(config: ConfigDict) -> range:
    count = 1 if config.seeds is None else config.seeds
    return keys.seeds(config.seed, count)


def _numbers(report: ssd.Report) -> dict[str, float]:
    percentiles = {f"p{percent}_us": report.percentile(percent) for percent in (50, 95, 99)}
    rest = {"max_us": report.max_us, "iops": report.iops, "bandwidth_mb_s": report.bandwidth / 1e6}
    rest |= {
        "write_amplification": report.write_amplification,
        "erases": report.erased,
        "energy_j": report.energy.total,
    }
    return {"mean_us": report.mean_us} | percentiles | rest


def _note(config: ConfigDict, design: ssd.Design, load: ssd.Load) -> str:
    policy = design.policy
    said = [f"{config.device} (channels x chips x dies x planes): {design.geometry}, bus {policy.arbitration},"]
    said.append(f"dies {policy.die_mode}.")
    if config.load.kind == "trace":
        said.append(f"The load is {Path(config.load.trace).name}.")
    if load.wrapped:
        said.append(f"{load.wrapped} of {len(load)} addresses lay past the end of the device and were wrapped.")
    if config.load.kind != "trace" and config.load.trace:
        said.append(f"The trace was not read, since load.kind is {config.load.kind}.")
    return " ".join(said)


def _lanes(design: ssd.Design) -> list[str]:
    return [f"{'die' if design.policy.die_mode == 'overlap' else 'chip'} {lane}" for lane in range(design.lanes)]


def _busy_rows(busy: ssd.Busy, elapsed: float) -> list[tuple]:
    """Shares of the time."""
    return [
        (channel, bus / elapsed, *(lanes / elapsed))
        for channel, (bus, lanes) in enumerate(zip(busy.bus, busy.lanes, strict=True))
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
    return keys.named(jax.random.key(config.seed), name), {"size": page, "span": span}


def _depths(config: ConfigDict, run: runs.Run, design: ssd.Design) -> dict[str, Any]:
    """Closed loads of random reads under both orders of the bus."""
    key, choices = _random_reads(config, design, "depths")
    found: dict[str, list[ssd.Report]] = {bus: [] for bus in BUS}
    jobs = [(bus, depth) for bus in BUS for depth in config.depths]
    for bus, depth in tqdm(jobs, desc="queue depths", disable=None, leave=False):
        load = ssd.load.closed(key, config.depth_requests, depth, **choices)
        found[bus].append(ssd.simulate(design.replace(arbitration=bus), load))
    bounds = ssd.closed_forms.read_bounds(design)
    shown = {"convoy": bounds.convoy, "bus and chips": min(bounds.bus, bounds.lanes), "host link": bounds.host}
    pictures.draw_depths(run, config.depths, found, shown)
    numbers: dict[str, Any] = {
        f"iops {bus}": {f"at {depth}": float(r.iops) for depth, r in zip(config.depths, found[bus], strict=True)}
        for bus in BUS
    }
    last = {bus: reports[-1].iops for bus, reports in found.items()}
    numbers["command_first_ratio"] = float(last["command-first"] / last["data-first"])
    numbers["of_convoy_bound"] = float(last["data-first"] / bounds.convoy)
    return numbers


def _rates(config: ConfigDict, run: runs.Run, design: ssd.Design) -> dict[str, Any]:
    """Open loads of random reads."""
    key, choices = _random_reads(config, design, "rates")
    loads = [ssd.load.poisson(key, config.depth_requests, rate, **choices) for rate in config.rates]
    reports = [ssd.simulate(design, load) for load in tqdm(loads, desc="rates", disable=None, leave=False)]
    pictures.draw_rates(run, config.rates, reports)
    return {f"mean_us at {rate:g}": float(report.mean_us) for rate, report in zip(config.rates, reports, strict=True)}


def _sweep(config: ConfigDict, run: runs.Run, design: ssd.Design) -> dict[str, Any]:
    """Designs of several structures and drawn numbers under one load; those that none beats."""
    designs = drawn(design, config.sweep, config.seed)
    key, choices = _random_reads(config, min(designs, key=lambda each: each.capacity), "sweep")
    rate = 0.2 * ssd.closed_forms.read_bounds(design).lanes
    load = ssd.load.poisson(key, config.sweep_requests, rate, **choices)
    summary = ssd.sweep(designs, load)
    cost = np.array([_cost(each) for each in designs])
    best = extremes.front(np.stack([cost, summary.mean_us], axis=1))
    groups = np.array([each.geometry.channels for each in designs])
    pictures.draw_sweep(run, cost, summary, best, groups)
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
        for i, (g, t) in enumerate((each.geometry, each.timing) for each in designs)
    )
    run.save_csv("sweep.csv", header, rows)
    return {"designs": len(designs), "best": len(best), "least_mean_us": float(summary.mean_us.min())}


def drawn(design: ssd.Design, count: int, seed: int) -> list[ssd.Design]:
    """Designs around one: half, once and twice its channels, read times and channel rates drawn at random."""
    rng = np.random.default_rng(seed)
    structures = [
        design.replace(channels=max(round(design.geometry.channels * factor), 1), arbitration="command-first")
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
    """A yardstick of this study: flash units times channel rate in GT/s over the read time in units of 75 us."""
    units = design.geometry.channels * design.lanes
    return units * (design.timing.channel_mt_s / 1000) / (design.timing.read_us / 75)
