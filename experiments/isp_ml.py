"""Inside an SSD the channels train together, and more of them train faster. With every rule at its best rate the rules
differ little where workers meet at each step; rare exchange ruins Downpour's sums, costs elastic averaging far less.
With one floating-point unit a channel a host is five times as fast; with many, the flash array sets the pace.

Every channel controller computes on the pages of its own channel, one page a minibatch; the cache controller is the
master. Softmax regression is trained with synchronous, Downpour and elastic-averaging SGD for several numbers of
channels and periods of exchange, each with every rate of a grid that was fixed in advance, and compared by simulated
time to a fixed accuracy, of the centre and of the workers' mean. In addition: the same training on a host whose memory
shrinks, floating-point units of growing width, and energy.

    python launch.py --config=experiments/isp_ml.py:smoke            35 s of processor time: scikit-learn's digits
    python launch.py --config=experiments/isp_ml.py                  2 minutes: MNIST
    python launch.py --config=experiments/isp_ml.py:paper            MNIST amplified ten times
    python launch.py --config=experiments/isp_ml.py --config.rule=easgd --config.ssd.channels=16 --config.period=4

A setting without effect is refused. Where the target is not reached by all seeds, or a rate makes training diverge, the
note says of which.

`EXPECTED` holds the numbers to expect, with their spread over seeds. Of the paper only the abstract was at hand: what
others report of it is named as reported and unverified, and every other parameter of the device is this project's own.

Reference: Choe et al., "Near-data processing for differentiable machine learning models", arXiv 1610.02273.
"""

from typing import Any

import numpy as np
from ml_collections import ConfigDict, config_dict

from experiments.parts.isp_ml import figures
from experiments.parts.isp_ml import trainings as training
from experiments.parts.isp_ml.trainings import Curves, Pages
from experiments.parts.shared.intervals import ENOUGH, mark_comparisons, standard_error
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.shared.settings import dataset_folder, require_effect
from framework import runs, ssd
from framework.core import checks, keys
from framework.core.precision import x64
from framework.ssd.isp import controllers, in_host

# Mean and twice the standard error over the seeds of one run.
EXPECTED = {
    "smoke": {
        "accuracy.sync x8 every 1": (0.874, 0.02),
        "accuracy.downpour x8 every 1": (0.881, 0.02),
        "accuracy.easgd x8 every 1": (0.875, 0.02),
        "accuracy.easgd x8 every 4": (0.872, 0.02),
        "seconds.sync x8 every 1": (0.0067, 0.0015),
        "seconds.downpour x8 every 1": (0.0065, 0.0015),
    },
    "default": {
        "seconds.sync x4 every 1": (0.079, 0.022),
        "seconds.sync x16 every 1": (0.0365, 0.004),
        "seconds.downpour x16 every 1": (0.040, 0.003),
        "seconds.easgd x4 every 1": (0.068, 0.014),
        "seconds.easgd x16 every 1": (0.0335, 0.005),
        "seconds.easgd x16 every 16": (0.056, 0.004),
        "seconds.downpour x16 every 4": (0.198, 0.076),
        "accuracy.sync x16 every 1": (0.908, 0.01),
        "accuracy.easgd x16 every 1": (0.900, 0.01),
    },
}

PRESETS = {  # seeds: orders of the pages
    "smoke": {
        "seeds": 2,
        "data.name": "digits",
        "data.train": 0,
        "data.test": 0,
        "data.amplify": 2,
        "ssd.studied": (8,),
        "periods": (1, 4),
        "rates": (0.03, 0.1, 0.3, 1.0),
        "looks": 20,
        "epochs": 3,
    },
    "default": {"seeds": 5},
    "paper": {
        "seeds": 5,
        "data.train": 0,
        "data.test": 0,
        "data.amplify": 10,
        "studied": training.RULES,
        "rates": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
        "looks": 100,
    },
}
WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # floating-point units of a controller


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    settings = {
        "data": {
            "name": "mnist",  # digits, or a set of TFDS with one colour
            "dir": "",  # the TFDS folder
            "train": 12000,  # images; 0 takes all
            "test": 500,
            "amplify": 1,  # times as many images, the further ones elastically distorted
        },
        "rule": config_dict.placeholder(str),  # sync, downpour, easgd, eamsgd or local; by default all of `studied`
        "period": config_dict.placeholder(int),  # between exchanges; by default all of `periods`
        "studied": ("sync", "downpour", "easgd"),
        "periods": (1, 4, 16, 64),
        "rates": (0.01, 0.03, 0.1, 0.3, 1.0),  # the grid, the same for every rule
        "epochs": 1,
        "looks": 30,  # evaluations of the accuracy in a run
        "target": 0.85,  # the accuracy whose time is measured; fixed in advance
        "hidden": 0,  # units of an MLP; 0 is softmax regression
        "rules": {"beta": 0.9, "momentum": 0.9, "accumulate": "sum"},
        "ssd": {
            "channels": config_dict.placeholder(int),  # by default all of `studied`
            "studied": (4, 8, 16),
            "read_us": 75.0,  # reported, unverified
            "channel_mt_s": 1000 / 3,
            "clock_mhz": 400.0,  # reported, unverified
            "width": 1.0,
            "bus_gb_s": 1.6,
            "parameter_bytes": 4.0,
            "buffer_bytes": 16384.0,  # reported, unverified
        },
        "host": {
            "gflops": 20.0,  # what the host's processor makes of this work
            "memory_gb": (2, 4, 8, 16, 32),
            "reserved_gb": 1.0,  # by the system, out of the page cache's reach
            "data_gb": 12.0,  # stored on the device; simulated at a thousandth of it
            "policy": "lru",
            "queue_depth": 32,
            "passes": 3,
        },
    }
    return build_config("isp_ml", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses settings that are out of range, or without effect."""
    names, _ = _select(config)
    _check(config)
    require_effect(config, get_config(config.preset), _find_unused_settings(config, names))


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Trains by every rule, times it by the device's clock, and compares it with the host."""
    check_settings(config)
    names, counts = _select(config)
    seeds = list(keys.seeds(config.seed, count_seeds(config, PRESETS)))
    pages, originals = training.pages(config)
    training.check(config, pages, counts)
    if config.data.amplify > 1:
        figures.draw_distortion(run, config, originals)
    curves = {
        (name, channels): training.curves(config, run, pages, name, channels, seeds)
        for channels in counts
        for name in names
    }
    records = [record for case, case_curves in curves.items() for record in _records(config, *case, case_curves)]
    run.save_csv("runs.csv", tuple(records[0]), [tuple(record.values()) for record in records])
    figures.draw_accuracy(run, config, curves)
    figures.draw_times(run, records, len(seeds))
    steps = config.epochs * len(pages.images) // max(counts)
    figures.draw_periods(run, records, max(counts), steps, len(seeds))
    numbers = {"seeds": len(seeds), "pages": len(pages.images), "target": config.target}
    numbers["note"] = " ".join([NOTE, *_describe_misses(records), *_describe_divergence(config, curves)])
    numbers |= _summarize(records)
    numbers["ratios"] = _ratios(records, names, counts)
    numbers["host"] = _host(config, run, pages, max(counts))
    numbers["page_ms"] = _widths(config, run, pages)
    return numbers | mark_comparisons(len(seeds), "seconds", "accuracy", "ratios")


NOTE = (
    "Of the paper only the abstract was at hand; parameters of the device that are not marked reported are ours. "
    "Pages are read and stay where they are (ideal mapping: no garbage collection)."
)


def _select(config: ConfigDict) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names = tuple(config.studied) if config.rule is None else (config.rule,)
    for name in names:
        checks.one_of("rule", name, training.RULES)
    counts = tuple(config.ssd.studied) if config.ssd.channels is None else (config.ssd.channels,)
    if not names or not counts:
        raise ValueError(f"studied and ssd.studied must name at least 1 rule and 1 number, got {names} and {counts}")
    return names, counts


def _find_unused_settings(config: ConfigDict, names: tuple[str, ...]) -> dict[str, str]:
    """The settings that have no effect in this config, with the reasons."""
    rules = f"rule is {config.rule}" if config.rule else f"the rules are {', '.join(names)}"
    reasons = dataset_folder(config.data.name)
    reasons |= {"studied": rules} if config.rule else {}
    reasons |= {"ssd.studied": f"ssd.channels is {config.ssd.channels}"} if config.ssd.channels is not None else {}
    reasons |= {"periods": f"period is {config.period}"} if config.period is not None else {}
    if set(names) == {"sync"}:
        reasons |= dict.fromkeys(("period", "periods"), f"{rules}, which exchanges at every step")
    needs = {"beta": {"easgd", "eamsgd"}, "momentum": {"eamsgd"}, "accumulate": {"downpour"}}
    return reasons | {f"rules.{name}": rules for name, by in needs.items() if not by & set(names)}


def _check(config: ConfigDict) -> None:
    periods = training.periods(config, "downpour")
    if min(periods, default=0) < 1:
        raise ValueError(f"period must be at least 1 local step between exchanges, got {periods}")
    if not min(config.rates, default=0) > 0:
        raise ValueError(f"rates must be above 0, got {config.rates}")
    if not 0 < config.target < 1:
        raise ValueError(f"target must be an accuracy in (0, 1), got {config.target}")
    if min(config.epochs, config.looks, config.data.amplify) < 1:
        counts = f"{config.epochs}, {config.looks} and {config.data.amplify}"
        raise ValueError(f"epochs, looks and data.amplify must be at least 1, got {counts}")
    checks.one_of("host.policy", config.host.policy, in_host.POLICIES)
    if config.host.passes < 2:
        raise ValueError(f"host.passes must be at least 2, since the first fills the memory, got {config.host.passes}")
    if not config.host.gflops > 0 or not config.host.data_gb >= 0.01 or config.host.queue_depth < 1:
        got = f"{config.host.gflops}, {config.host.data_gb} and {config.host.queue_depth}"
        raise ValueError(f"host.gflops, data_gb, queue_depth must be above 0, at least .01 and at least 1, got {got}")


def _records(config: ConfigDict, name: str, channels: int, curves: Curves) -> list[dict[str, Any]]:
    """One record a period: the best rate for each way of looking, and the time that it takes to the target."""
    records = []
    for i, (period, time) in enumerate(curves.time.items()):
        record: dict[str, Any] = {"rule": name, "channels": channels, "period": period, "joules": curves.joules[period]}
        for view in training.SEEN:
            accuracy = curves.accuracy[view][i]  # [rates, seeds, looks]
            seconds = _time_to(accuracy, time, config.target)
            best = int(np.argmin(seconds.mean(-1)))
            record[f"rate_{view}"] = float(config.rates[best])
            record[f"seconds_{view}"] = float(seconds[best].mean())
            if seconds.shape[-1] >= ENOUGH:
                record[f"error_{view}"] = standard_error(seconds[best])
            record[f"reached_{view}"] = float((accuracy[best] >= config.target).any(-1).mean())
            record[f"accuracy_{view}"] = float(accuracy[:, :, -1].mean(-1).max())
        records.append(record)
    return records


def _time_to(accuracy: np.ndarray, time: np.ndarray, target: float) -> np.ndarray:
    """Seconds to the first evaluation at or above the target; without one, twice those of the whole run."""
    above = accuracy >= target
    return np.where(above.any(-1), time[above.argmax(-1)], 2 * time[-1])


def _summarize(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and accuracy by rule, channels and period, of the centre."""
    label = lambda record: f"{record['rule']} x{record['channels']} every {record['period']}"
    return {
        "seconds": {label(record): record["seconds_centre"] for record in records},
        "accuracy": {label(record): record["accuracy_centre"] for record in records},
        "runs": records,
    }


def _describe_misses(records: list[dict[str, Any]]) -> list[str]:
    """Describes the runs that did not reach the target, and their times."""
    runs_below = [
        f"{record['rule']} x{record['channels']} every {record['period']} ({record['reached_centre']:.0%} of seeds)"
        for record in records
        if record["reached_centre"] < 1
    ]
    intro = "Not all seeds reached the target, and twice the whole run counts for each that did not: "
    return [f"{intro}{', '.join(runs_below)}."] if runs_below else []


def _describe_divergence(config: ConfigDict, results: dict[tuple[str, int], Curves]) -> list[str]:
    """Describes the rates whose training diverged."""
    diverged = [
        f"{name} x{channels} every {period} at {rate:g} ({int(runs.sum())} of {runs.size} seeds)"
        for (name, channels), curves in results.items()
        for period, rates in zip(curves.time, curves.diverged, strict=True)
        for rate, runs in zip(config.rates, rates, strict=True)
        if runs.any()
    ]
    intro = "Training diverged to numbers that are not finite, whose accuracy counts as 0: "
    return [f"{intro}{', '.join(diverged)}."] if diverged else []


def _ratios(records: list[dict[str, Any]], names: tuple[str, ...], counts: tuple[int, ...]) -> dict[str, float]:
    """Speed ratios of a rule over synchronous SGD, and of most channels over fewest; period 1, by the centre."""
    seconds = {
        (record["rule"], record["channels"]): record["seconds_centre"]
        for record in records
        if record["period"] == min(other["period"] for other in records if other["rule"] == record["rule"])
    }
    ratios = {}
    for name in names:
        if name != "sync" and "sync" in names:
            ratios[f"{name} over sync"] = float(np.mean([seconds["sync", n] / seconds[name, n] for n in counts]))
        if len(counts) > 1:
            few, many = min(counts), max(counts)
            ratios[f"{name}, {many} over {few} channels"] = seconds[name, few] / seconds[name, many]
    return ratios


def _host(config: ConfigDict, run: runs.Run, pages: Pages, channels: int) -> dict[str, Any]:
    """Seconds of one pass on a host by its memory, reading ahead or not, and inside the device, exchanges left out."""
    settings, device = config.host, training.design(config, channels)
    work = training.cost(config, pages)
    page_bytes = device.geometry.page_bytes
    scale = 1000
    stored = int(settings.data_gb * 1e9 / page_bytes / scale)
    passes = np.tile(np.arange(stored), settings.passes)
    computing = scale * stored * work.operations / (settings.gflops * 1e9)
    seconds, ahead = {}, {}
    for memory in settings.memory_gb:
        held = int(max(memory - settings.reserved_gb, 0) * 1e9 / page_bytes / scale)
        missed = in_host.misses(passes, held, settings.policy)[stored:]  # the first pass fills the memory
        waited = scale * in_host.replay(device, passes[stored:][missed], settings.queue_depth) / (settings.passes - 1)
        seconds[f"{memory} GB"] = float(in_host.expected_time(computing, 0, waited))
        ahead[f"{memory} GB"] = float(in_host.expected_time(computing, 0, waited, overlapped=True))
    inside = scale * stored / channels * _page(device, training.processors(config), work)
    numbers = {"host": seconds, "overlapped": ahead, "device": inside}
    figures.draw_host(run, numbers, channels)
    return numbers


def _widths(config: ConfigDict, run: runs.Run, pages: Pages) -> dict[str, float]:
    """Milliseconds of a page by the floating-point units of a controller: from bound by computing to bound by flash."""
    device, work = training.design(config, 1), training.cost(config, pages)
    units = training.processors(config)
    page_ms = {str(width): 1e3 * _page(device, units._replace(width=float(width)), work) for width in WIDTHS}
    figures.draw_widths(run, page_ms)
    return page_ms


def _page(device: ssd.Design, units: controllers.Controllers, work: controllers.MinibatchCost) -> float:
    """Seconds of a page in a channel, exchanges left out."""
    with x64():
        return float(controllers.durations(device, units, work).page(device.geometry.chips)[0]) * 1e-9
