"""A hidden layer that sends bursts brings a converted network to its accuracy in fewer time steps than one that sends
at a rate; trained by surrogate gradient the same neuron has no advantage over a LIF at equal synaptic operations.

A DNN is trained and converted with every pair of an input code (real, rate, phase) and a hidden code (rate, phase,
burst): accuracy over time, latency, spikes, energy, intervals and burst lengths. A second DNN with clipped activations
(QCFS) is converted for few steps. Then spiking MLPs are trained directly, with LIF and with burst neurons.

    python launch.py --config=experiments/burst_coding.py:smoke            30 s on 2 CPU cores: scikit-learn's digits
    python launch.py --config=experiments/burst_coding.py                  20 minutes: MNIST
    python launch.py --config=experiments/burst_coding.py:vgg              hours: a small VGG on JPEG CIFAR-10
    python launch.py --config=experiments/burst_coding.py:paper            VGG-16 on CIFAR-10, for a GPU
        [--config.data.name=cifar100, or my.npz]

Thresholds, scales and steps stand in the config before any test image is seen: burst 1/8, rate and phase 1, the largest
99.9th percentile of a layer's neurons as its scale. Latency: the first step from which on the accuracy stays within
`target` of the DNN's; where it is never reached, one step more than were simulated. `paper` is built after the program
of the paper's authors; the paper's own tables were not at hand, and no number here is compared with them.

Reference: Park et al., "Fast and efficient information transmission with burst spikes in deep spiking neural networks",
DAC 2019, arXiv 1809.03142. Training burst neurons by surrogate gradient is this project's own.
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict, config_dict
from tqdm import tqdm

from experiments.parts.burst_coding import figures as pictures
from experiments.parts.burst_coding import networks
from experiments.parts.burst_coding.networks import Curve, Sets
from experiments.parts.shared.intervals import (
    ENOUGH,
    compared,
    difference,
    standard_error,
)
from experiments.parts.shared.settings import dataset_folder, refuse_unused, require_files
from framework import runs
from framework.core import keys
from framework.runs import files
from framework.snn.conversion import activation, fidelity, simulation
from framework.snn.meters import activity, energy, rasters
from framework.snn.neurons import coding

# Mean and twice its standard deviation: over 4 runs of smoke, over the 5 seeds of one default run.
EXPECTED = {
    "smoke": {
        "dnn.accuracy": (0.915, 0.02),
        "qcfs.loss.rate at 16": (0.005, 0.02),
        "qcfs.loss.burst at 16": (0.006, 0.02),
        "trained.accuracy.lif at 8": (0.841, 0.023),
        "trained.accuracy.burst at 8": (0.83, 0.02),
        "trained.difference_at_equal_synops.at 8": (-0.011, 0.02),
    },
    "default": {
        "dnn.accuracy": (0.996, 0.003),
        "latency.real-rate": (26.0, 14.0),
        "latency.real-phase": (9.2, 5.5),
        "latency.real-burst": (6.0, 4.1),
        "latency.phase-phase": (9.2, 6.6),
        "latency.phase-burst": (20.8, 11.0),
        "qcfs.loss.rate at 16": (0.001, 0.003),
        "qcfs.loss.burst at 16": (0.004, 0.003),
        "trained.accuracy.lif at 2": (0.949, 0.006),
        "trained.accuracy.lif at 8": (0.949, 0.006),
        "trained.accuracy.burst at 2": (0.942, 0.006),
        "trained.accuracy.burst at 8": (0.948, 0.005),
        "trained.gain_at_equal_synops.at 2": (-0.008, 0.008),
        "trained.gain_at_equal_synops.at 8": (-0.001, 0.008),
    },
}

PAIRS = tuple(f"{before}-{behind}" for before in ("real", "rate", "phase") for behind in ("rate", "phase", "burst"))
REFERENCE = "real-rate"  # whose energy is 1
TRAINS = {"intervals": rasters.intervals(12), "bursts": rasters.bursts(5)}
SHOWN = ("latency", "spikes", "energy_truenorth", "energy_spinnaker")  # of a pair's record
WATCHED = ("real-rate", "real-phase", "real-burst")  # whose spike trains are looked at
CHIPS = {"truenorth": energy.TRUENORTH, "spinnaker": energy.SPINNAKER}
LOOKS = (8, 16, 32, 64, 128, 256)  # steps at which the accuracy is told
_TRAINING = ("epochs", "batch", "rate", "decay", "flip")
_TRAINED = ("train", "epochs", "batch", "hidden")
_SIZES = ("seeds", "name", "train", "test", "network", "steps", "target", "training", "trained")
SIZES = {
    "smoke": (1, "digits", 0, 250, "digits", 32, 0.01, (30, 50, 1e-2, 0.0, False), (0, 10, 50, (64,))),
    "default": (5, "mnist", 0, 500, "cnn", 160, 2e-3, (4, 100, 2e-3, 1e-4, False), (8000, 8, 100, (128, 128))),
    "paper": (1, "cifar10", 0, 10000, "vgg16", 1200, 1e-3, (200, 100, 1e-3, 1e-4, True), (0, 20, 100, (512, 512))),
    "vgg": (
        1,
        "cifar10_jpeg",
        0,
        1000,
        "vgg_small",
        256,
        1e-3,
        (12, 100, 2e-3, 1e-4, True),
        (8000, 8, 100, (128, 128)),
    ),
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default`, `paper` or `vgg`."""
    if preset not in SIZES:
        raise ValueError(f"burst_coding has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = dict(zip(_SIZES, SIZES[preset], strict=True))
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # networks to train; as many as the preset has
            "data": {
                "name": size["name"],  # digits, or a set of TFDS
                "dir": "",  # the TFDS folder
                "train": size["train"],  # images; 0 takes all
                "test": size["test"],
            },
            "network": size["network"],  # one of digits, cnn, vgg_small, vgg16
            "training": dict(zip(_TRAINING, size["training"], strict=True)),
            "levels": 8,  # stairs of the QCFS source; 0 leaves it out
            "pairs": PAIRS,
            "steps": size["steps"],  # simulated
            "target": size["target"],  # what a latency may lose of the DNN's accuracy
            "codes": {"rate": 1.0, "phase": 1.0, "burst": 0.125, "period": 8, "start": 0.0},  # thresholds
            "scale": "neuron",
            "percentile": 99.9,
            "trained": {
                **dict(zip(_TRAINED, size["trained"], strict=True)),
                "steps": (2, 4, 8),  # T of the spiking networks
                "rate": 1e-3,
                "decay": 0.9,
                "threshold": 1.0,
                "cap": 8.0,  # largest gain of a burst
            },
        }
    )


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and a folder that is not there."""
    refuse_unused(config, get_config(config.preset), _unused(config))
    require_files(config, "data.dir")


def _unused(config: ConfigDict) -> dict[str, str]:
    """The settings that this config leaves without effect, each with the reason."""
    found = dataset_folder(config.data.name)
    if config.scale == "max":
        found["percentile"] = "scale=max takes the largest activation"
    hidden = {name.partition("-")[2] for name in config.pairs} | ({"burst"} if config.levels else set())
    for code in {"rate", "phase", "burst"} - hidden:
        found[f"codes.{code}"] = f"no pair has the code {code} in hidden layers"
    if not any("phase" in name for name in config.pairs):
        found["codes.period"] = "no pair has the code phase"
    return found


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Trains, converts, simulates; writes numbers, tables and figures."""
    check_settings(config)
    pairs = {name: _codes(config, name) for name in config.pairs}
    if not pairs:
        raise ValueError(f"pairs must name at least one of {', '.join(coding.PAIRS)}")
    units, clipped = networks.units(config), _clipped_codes(config)
    given = networks.sets(config)
    networks.check(config, given)
    layers = networks.layers_of(config, given.train.classes)
    count = dict(zip(_SIZES, SIZES[config.preset], strict=True))["seeds"] if config.seeds is None else config.seeds
    if config.levels < 0:
        raise ValueError(f"levels must be at least 1 stair, or 0 to leave the clipped source out, got {config.levels}")
    seeds = list(keys.seeds(config.seed, count))
    relu = activation.relu()
    trainer = networks.classifier(config, given, layers, relu)
    curves: dict[str, list[Curve]] = {name: [] for name in pairs}
    accuracy = []
    for seed in seeds:
        params, right = networks.trained(config, run, given, layers, trainer, seed, relu, f"dnn-{seed}")
        accuracy.append(right)
        for name in tqdm(pairs, desc=f"simulate, seed {seed}", unit="pair", disable=None, leave=False):
            curves[name].append(_simulated(config, run, given, layers, params, pairs[name], f"{name}-{seed}", seed))
        if seed == seeds[0]:
            _looked_into(config, run, given, layers, params)
    numbers = {"seeds": len(seeds), "steps": config.steps, "note": _note(given)}
    numbers |= {"dnn": {"accuracy": float(np.mean(accuracy))}}
    numbers |= _conversion_numbers(config, accuracy, curves)
    records = numbers["pairs"]
    run.save_csv("pairs.csv", tuple(records[0]), [tuple(record.values()) for record in records])
    pictures.draw_curves(run, accuracy, curves)
    if config.levels:
        numbers["qcfs"] = _clipped(config, run, given, layers, clipped, seeds)
    numbers["trained"] = _trained_directly(config, run, given, units, seeds)
    pictures.draw_bars(run, numbers)
    return numbers | compared(len(seeds), *SHOWN, "qcfs.loss", "trained")


def _codes(config: ConfigDict, name: str) -> tuple[coding.Neuron, coding.Neuron]:
    """The codes of a pair, with the thresholds of the config."""
    before, _, behind = name.partition("-")
    settings = config.codes
    of_phase = {"period": settings.period}
    hidden = {"threshold": settings.get(behind, 1.0), "start": settings.start} | (of_phase if behind == "phase" else {})
    return coding.pair(name, of_phase if before == "phase" else None, hidden)


def _simulated(config, run: runs.Run, given: Sets, layers, params, codes, name: str, seed: int, **options) -> Curve:
    """A curve; taken from its file where a killed run left one."""
    path = run.path / "curves" / f"{name}.json"
    if path.exists():
        return Curve(**files.read_object(path, "remove it, and the same command makes it anew"))
    options = {"scale": config.scale, "percentile": config.percentile} | options
    spiking = networks.converted(given, layers, params, codes, **options)
    key = keys.named(jax.random.key(seed), "simulation")
    found = networks.curve(spiking, given.test, config.steps, key)
    files.write_json(run.file(f"curves/{name}.json"), found._asdict())
    return found


def _latency(config: ConfigDict, accuracy: float, curve: Curve, lasting: bool = True) -> int:
    return int(activity.latency(np.array(curve.accuracy), accuracy - config.target, lasting))


def _conversion_numbers(config: ConfigDict, accuracy: list[float], curves: dict[str, list[Curve]]) -> dict[str, Any]:
    """Means over the seeds: a record a pair, and the main columns of it by pair."""
    records = [_record(config, name, accuracy, found) for name, found in curves.items()]
    reference = next((record for record in records if record["pair"] == REFERENCE), None)
    for record in records if reference else []:
        for chip, shares in CHIPS.items():
            against = (reference["spikes"], reference["latency"])
            record[f"energy_{chip}"] = float(
                energy.relative_energy(record["spikes"], record["latency"], *against, shares)
            )
    shown = {column: {record["pair"]: record[column] for record in records} for column in SHOWN if column in records[0]}
    return shown | {"pairs": records}


def _record(config: ConfigDict, name: str, accuracy: list[float], found: list[Curve]) -> dict[str, Any]:
    """One pair: what it loses in the end, its latency by both definitions, and what it has spent until then."""
    lasting = [_latency(config, *each) for each in zip(accuracy, found, strict=True)]
    first = [_latency(config, *each, lasting=False) for each in zip(accuracy, found, strict=True)]
    until = lambda column: [
        getattr(each, column)[min(steps, config.steps) - 1] for each, steps in zip(found, lasting, strict=True)
    ]
    losses = [right - each.accuracy[-1] for right, each in zip(accuracy, found, strict=True)]
    means = {"loss": losses, "latency": lasting, "latency_first": first}
    means |= {column: until(column) for column in ("spikes", "input_spikes", "synops")}
    means |= {f"accuracy at {t}": [each.accuracy[t - 1] for each in found] for t in LOOKS if t <= config.steps}
    return {"pair": name} | {column: float(np.mean(values)) for column, values in means.items()}


def _looked_into(config: ConfigDict, run: runs.Run, given: Sets, layers, params) -> None:
    """Of one network: where each conversion loses, and what its spike trains look like."""
    images = networks.unit_interval(given.test.images[: networks.BATCH // 5], given.test.maximum)
    rows, trains = [], {}
    for name in (name for name in WATCHED if name in config.pairs):
        codes = _codes(config, name)
        spiking = networks.converted(given, layers, params, codes, scale=config.scale, percentile=config.percentile)
        rows += [(name, *error) for error in fidelity.layer_errors(spiking, layers, params, images, config.steps)]
        seen = simulation.simulate_with_meter(spiking, images, config.steps, meter=rasters.combine(TRAINS))[1]
        trains[name] = {kind: _pooled(layer[kind] for layer in seen) for kind in TRAINS}
    run.save_csv("layers.csv", ("pair", *fidelity.LayerError._fields), rows)
    pictures.draw_trains(run, trains)


def _pooled(histograms: Iterable[jax.Array]) -> np.ndarray:
    """Histograms of all layers as one, in shares."""
    counts = np.sum([np.asarray(each) for each in histograms], axis=0)
    return counts / max(counts.sum(), 1)


def _clipped_codes(config: ConfigDict) -> dict[str, coding.Neuron]:
    """Rate and burst from half the threshold."""
    return {"rate": coding.rate(start=0.5), "burst": coding.burst(threshold=config.codes.burst, start=0.5)}


def _clipped(config: ConfigDict, run: runs.Run, given: Sets, layers, codes, seeds: list[int]) -> dict[str, Any]:
    """A source that is trained for few steps, scaled by what it learned."""
    unit = activation.qcfs(config.levels)
    trainer = networks.classifier(config, given, layers, unit)
    losses: dict[str, list[float]] = {}
    accuracy = []
    for seed in seeds:
        params, right = networks.trained(config, run, given, layers, trainer, seed, unit, f"qcfs-{seed}")
        accuracy.append(right)
        for name, code in codes.items():
            options = {"scale": "ceiling", "activation": unit}
            pair = (coding.real(), code)
            found = _simulated(config, run, given, layers, params, pair, f"qcfs-{name}-{seed}", seed, **options)
            for steps in (steps for steps in LOOKS if steps <= min(config.steps, 64)):
                losses.setdefault(f"{name} at {steps}", []).append(right - found.accuracy[steps - 1])
    return {"accuracy": float(np.mean(accuracy)), "loss": {name: float(np.mean(each)) for name, each in losses.items()}}


def _trained_directly(config: ConfigDict, run: runs.Run, given: Sets, units, seeds: list[int]) -> dict[str, Any]:
    """LIF and burst neurons by surrogate gradient: accuracy, synaptic operations, the difference at equal operations.

    With seeds enough the difference goes by `gain`.
    """
    measured: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    for name, unit in units.items():
        for steps in config.trained.steps:
            found = networks.surrogate_trained(config, run, given, unit, steps, f"{name}-{steps}", seeds)
            measured.setdefault(name, {})[steps] = found
    numbers: dict[str, Any] = {
        kind: {f"{name} at {steps}": float(each[steps][i].mean()) for name, each in measured.items() for steps in each}
        for i, kind in enumerate(("accuracy", "synops"))
    }
    if len(seeds) >= ENOUGH:
        numbers["accuracy_error"] = {
            f"{name} at {steps}": standard_error(each[steps][0]) for name, each in measured.items() for steps in each
        }
    numbers[f"{difference(len(seeds))}_at_equal_synops"] = {
        f"at {steps}": _at_equal_synops(measured["lif"], *measured["burst"][steps]) for steps in config.trained.steps
    }
    pictures.draw_trained(run, measured)
    return numbers


def _at_equal_synops(lif: dict[int, tuple[np.ndarray, np.ndarray]], accuracy: np.ndarray, used: np.ndarray) -> float:
    """How far burst neurons are above the line through the LIF networks, at their own operations; held flat outside."""
    points = sorted((each[1].mean(), each[0].mean()) for each in lif.values())
    return float(accuracy.mean() - np.interp(used.mean(), *zip(*points, strict=True)))


def _note(given: Sets) -> str:
    note = f"Test images: {len(given.test.labels)} of {given.test}."
    return note + " JPEG CIFAR-10 is lossy: not comparable with CIFAR-10." if "jpeg" in given.test.name else note
