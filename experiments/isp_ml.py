"""Inside an SSD the channels train together, and more of them train faster. With every rule at its best rate the rules
differ little where workers meet at each step; rare exchange ruins Downpour's sums, costs elastic averaging far less.
With one floating-point unit a channel a host is five times as fast; with many, the flash array sets the pace.

Every channel controller computes on the pages of its own channel, one page a minibatch; the cache controller is the
master. Softmax regression is trained with synchronous, Downpour and elastic-averaging SGD for several numbers of
channels and periods of exchange, each with every rate of a grid that was fixed in advance, and judged by simulated time
to a fixed accuracy, of the centre and of the workers' mean. Beside it: the same training on a host whose memory
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

from experiments.parts.isp_ml import figures as pictures
from experiments.parts.isp_ml import trainings as training
from experiments.parts.isp_ml.trainings import Curves, Pages
from experiments.parts.shared.intervals import ENOUGH, compared, standard_error
from experiments.parts.shared.settings import dataset_folder, refuse_unused
from framework import runs, ssd
from framework.core import keys
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

_COLUMNS = ("seeds", "name", "train", "test", "amplify", "channels", "rules", "periods", "rates", "looks", "epochs")
SIZES = {
    "smoke": (2, "digits", 0, 0, 2, (8,), ("sync", "downpour", "easgd"), (1, 4), (0.03, 0.1, 0.3, 1.0), 20, 3),
    "default": (
        5,
        "mnist",
        12000,
        500,
        1,
        (4, 8, 16),
        ("sync", "downpour", "easgd"),
        (1, 4, 16, 64),
        (0.01, 0.03, 0.1, 0.3, 1.0),
        30,
        1,
    ),
    "paper": (
        5,
        "mnist",
        0,
        0,
        10,
        (4, 8, 16),
        training.RULES,
        (1, 4, 16, 64),
        (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
        100,
        1,
    ),
}
WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # floating-point units of a controller


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    if preset not in SIZES:
        raise ValueError(f"isp_ml has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = dict(zip(_COLUMNS, SIZES[preset], strict=True))
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # orders of the pages; as many as the preset has
            "data": {
                "name": size["name"],  # digits, or a set of TFDS with one colour
                "dir": "",  # the TFDS folder
                "train": size["train"],  # images; 0 takes all
                "test": size["test"],
                "amplify": size["amplify"],  # times as many images, the further ones elastically distorted
            },
            "rule": config_dict.placeholder(str),  # sync, downpour, easgd, eamsgd or local; all of the study's
            "period": config_dict.placeholder(int),  # between exchanges; all of the study's
            "studied": size["rules"],
            "periods": size["periods"],
            "rates": size["rates"],  # the grid, the same for every rule
            "epochs": size["epochs"],
            "looks": size["looks"],  # at the accuracy, in a run
            "target": 0.85,  # accuracy whose time is told; fixed in advance
            "hidden": 0,  # units of an MLP; 0 is softmax regression
            "rules": {"beta": 0.9, "momentum": 0.9, "accumulate": "sum"},
            "ssd": {
                "channels": config_dict.placeholder(int),  # all of the study's
                "studied": size["channels"],
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
    )


def check_settings(config: ConfigDict) -> None:
    """Refuses settings that are out of range, or without effect."""
    names, _ = _chosen(config)
    _check(config)
    refuse_unused(config, get_config(config.preset), _unused(config, names))


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Trains by every rule, times it by the device's clock, and holds it against the host."""
    check_settings(config)
    names, counts = _chosen(config)
    sized = SIZES[config.preset][0] if config.seeds is None else config.seeds
    seeds = list(keys.seeds(config.seed, sized))
    given, originals = training.pages(config)
    training.check(config, given, counts)
    if config.data.amplify > 1:
        pictures.draw_distortion(run, config, originals)
    found = {
        (name, channels): training.curves(config, run, given, name, channels, seeds)
        for channels in counts
        for name in names
    }
    records = [record for place, each in found.items() for record in _records(config, *place, each)]
    run.save_csv("runs.csv", tuple(records[0]), [tuple(record.values()) for record in records])
    pictures.draw_accuracy(run, config, found)
    pictures.draw_times(run, records, len(seeds))
    steps = config.epochs * len(given.images) // max(counts)
    pictures.draw_periods(run, records, max(counts), steps, len(seeds))
    numbers = {"seeds": len(seeds), "pages": len(given.images), "target": config.target}
    numbers["note"] = " ".join([NOTE, *_missed(records), *_diverged(config, found)])
    numbers |= _told(records)
    numbers["ratios"] = _ratios(records, names, counts)
    numbers["host"] = _host(config, run, given, max(counts))
    numbers["page_ms"] = _widths(config, run, given)
    return numbers | compared(len(seeds), "seconds", "accuracy", "ratios")


NOTE = (
    "Of the paper only the abstract was at hand; parameters of the device that are not marked reported are ours. "
    "Pages are read and stay where they are (ideal mapping: no garbage collection)."
)


def _chosen(config: ConfigDict) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names = tuple(config.studied) if config.rule is None else (config.rule,)
    for name in names:
        if name not in training.RULES:
            raise ValueError(f"rule must be one of {', '.join(training.RULES)}, got {name!r}")
    counts = tuple(config.ssd.studied) if config.ssd.channels is None else (config.ssd.channels,)
    if not names or not counts:
        raise ValueError(f"studied and ssd.studied must name at least 1 rule and 1 number, got {names} and {counts}")
    return names, counts


def _unused(config: ConfigDict, names: tuple[str, ...]) -> dict[str, str]:
    """Settings without effect on what is done, with why."""
    rules = f"rule is {config.rule}" if config.rule else f"the rules are {', '.join(names)}"
    found = dataset_folder(config.data.name)
    found |= {"studied": rules} if config.rule else {}
    found |= {"ssd.studied": f"ssd.channels is {config.ssd.channels}"} if config.ssd.channels is not None else {}
    found |= {"periods": f"period is {config.period}"} if config.period is not None else {}
    if set(names) == {"sync"}:
        found |= dict.fromkeys(("period", "periods"), f"{rules}, which exchanges at every step")
    needs = {"beta": {"easgd", "eamsgd"}, "momentum": {"eamsgd"}, "accumulate": {"downpour"}}
    return found | {f"rules.{name}": rules for name, by in needs.items() if not by & set(names)}


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
    if config.host.policy not in in_host.POLICIES:
        raise ValueError(f"host.policy must be one of {', '.join(in_host.POLICIES)}, got {config.host.policy!r}")
    if config.host.passes < 2:
        raise ValueError(f"host.passes must be at least 2, since the first fills the memory, got {config.host.passes}")
    if not config.host.gflops > 0 or not config.host.data_gb >= 0.01 or config.host.queue_depth < 1:
        got = f"{config.host.gflops}, {config.host.data_gb} and {config.host.queue_depth}"
        raise ValueError(f"host.gflops, data_gb, queue_depth must be above 0, at least .01 and at least 1, got {got}")


def _records(config: ConfigDict, name: str, channels: int, found: Curves) -> list[dict[str, Any]]:
    """One record a period: the best rate for each way of looking, and the time that it takes to the target."""
    records = []
    for i, (period, time) in enumerate(found.time.items()):
        record: dict[str, Any] = {"rule": name, "channels": channels, "period": period, "joules": found.joules[period]}
        for seen in training.SEEN:
            accuracy = found.accuracy[seen][i]  # [rates, seeds, looks]
            reached = _time_to(accuracy, time, config.target)
            best = int(np.argmin(reached.mean(-1)))
            record[f"rate_{seen}"] = float(config.rates[best])
            record[f"seconds_{seen}"] = float(reached[best].mean())
            if reached.shape[-1] >= ENOUGH:
                record[f"error_{seen}"] = standard_error(reached[best])
            record[f"reached_{seen}"] = float((accuracy[best] >= config.target).any(-1).mean())
            record[f"accuracy_{seen}"] = float(accuracy[:, :, -1].mean(-1).max())
        records.append(record)
    return records


def _time_to(accuracy: np.ndarray, time: np.ndarray, target: float) -> np.ndarray:
    """Seconds to the first look at or above the target; where there is none, twice the whole run's."""
    above = accuracy >= target
    return np.where(above.any(-1), time[above.argmax(-1)], 2 * time[-1])


def _told(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and accuracy by rule, channels and period, of the centre."""
    label = lambda record: f"{record['rule']} x{record['channels']} every {record['period']}"
    return {
        "seconds": {label(record): record["seconds_centre"] for record in records},
        "accuracy": {label(record): record["accuracy_centre"] for record in records},
        "runs": records,
    }


def _missed(records: list[dict[str, Any]]) -> list[str]:
    """What the times of runs that did not reach the target stand for."""
    missed = [
        f"{record['rule']} x{record['channels']} every {record['period']} ({record['reached_centre']:.0%} of seeds)"
        for record in records
        if record["reached_centre"] < 1
    ]
    said = "Not all seeds reached the target, and twice the whole run counts for each that did not: "
    return [f"{said}{', '.join(missed)}."] if missed else []


def _diverged(config: ConfigDict, found: dict[tuple[str, int], Curves]) -> list[str]:
    """Which rates ended with numbers that are not finite."""
    diverged = [
        f"{name} x{channels} every {period} at {rate:g} ({int(runs.sum())} of {runs.size} seeds)"
        for (name, channels), curves in found.items()
        for period, rates in zip(curves.time, curves.diverged, strict=True)
        for rate, runs in zip(config.rates, rates, strict=True)
        if runs.any()
    ]
    said = "Training diverged to numbers that are not finite, whose accuracy counts as 0: "
    return [f"{said}{', '.join(diverged)}."] if diverged else []


def _ratios(records: list[dict[str, Any]], names: tuple[str, ...], counts: tuple[int, ...]) -> dict[str, float]:
    """How many times faster: a rule than synchronous SGD, and most channels than fewest; period 1, by the centre."""
    seconds = {
        (record["rule"], record["channels"]): record["seconds_centre"]
        for record in records
        if record["period"] == min(each["period"] for each in records if each["rule"] == record["rule"])
    }
    found = {}
    for name in names:
        if name != "sync" and "sync" in names:
            found[f"{name} over sync"] = float(np.mean([seconds["sync", n] / seconds[name, n] for n in counts]))
        if len(counts) > 1:
            few, many = min(counts), max(counts)
            found[f"{name}, {many} over {few} channels"] = seconds[name, few] / seconds[name, many]
    return found


def _host(config: ConfigDict, run: runs.Run, given: Pages, channels: int) -> dict[str, Any]:
    """Seconds of one pass on a host by its memory, reading ahead or not, and inside the device, exchanges left out."""
    settings, device = config.host, training.design(config, channels)
    work = training.cost(config, given)
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
    pictures.draw_host(run, numbers, channels)
    return numbers


def _widths(config: ConfigDict, run: runs.Run, given: Pages) -> dict[str, float]:
    """Milliseconds of a page by the floating-point units of a controller: from bound by computing to bound by flash."""
    device, work = training.design(config, 1), training.cost(config, given)
    units = training.processors(config)
    found = {str(width): 1e3 * _page(device, units._replace(width=float(width)), work) for width in WIDTHS}
    pictures.draw_widths(run, found)
    return found


def _page(device: ssd.Design, units: controllers.Controllers, work: controllers.Work) -> float:
    """Seconds of a page in a channel, exchanges left out."""
    with x64():
        return float(controllers.durations(device, units, work).page(device.geometry.chips)[0]) * 1e-9
