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
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments.parts.burst_coding import figures, networks
from experiments.parts.burst_coding.networks import Curve, Sets
from experiments.parts.burst_coding.presets import PRESETS
from experiments.parts.shared.intervals import (
    ENOUGH,
    difference,
    mark_comparisons,
    standard_error,
)
from experiments.parts.shared.presets import build_config, count_seeds
from experiments.parts.shared.settings import dataset_folder, require_effect, require_files
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

PAIRS = tuple(
    f"{input_code}-{hidden_code}"
    for input_code in ("real", "rate", "phase")
    for hidden_code in ("rate", "phase", "burst")
)
REFERENCE = "real-rate"  # whose energy is 1
TRAINS = {"intervals": rasters.intervals(12), "bursts": rasters.bursts(5)}
SHOWN = ("latency", "spikes", "energy_truenorth", "energy_spinnaker")  # of a pair's record
INSPECTED = ("real-rate", "real-phase", "real-burst")  # pairs whose spike trains are measured
CHIPS = {"truenorth": energy.TRUENORTH, "spinnaker": energy.SPINNAKER}
EVALUATION_STEPS = (8, 16, 32, 64, 128, 256)  # steps at which the accuracy is measured


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default`, `paper` or `vgg`."""
    settings = {
        "data": {
            "name": "mnist",  # digits, or a set of TFDS
            "dir": "",  # the TFDS folder
            "train": 0,  # images; 0 takes all
            "test": 500,
        },
        "network": "cnn",  # one of digits, cnn, vgg_small, vgg16
        "training": {"epochs": 4, "batch": 100, "rate": 2e-3, "decay": 1e-4, "flip": False},
        "levels": 8,  # stairs of the QCFS source; 0 leaves it out
        "pairs": PAIRS,
        "steps": 160,  # simulated
        "target": 2e-3,  # the accuracy below the DNN's that a latency allows
        "codes": {"rate": 1.0, "phase": 1.0, "burst": 0.125, "period": 8, "start": 0.0},  # thresholds
        "scale": "neuron",
        "percentile": 99.9,
        "trained": {
            "train": 8000,
            "epochs": 8,
            "batch": 100,
            "hidden": (128, 128),
            "steps": (2, 4, 8),  # T of the spiking networks
            "rate": 1e-3,
            "decay": 0.9,
            "threshold": 1.0,
            "cap": 8.0,  # largest gain of a burst
        },
    }
    return build_config("burst_coding", settings, PRESETS, preset)


def check_settings(config: ConfigDict) -> None:
    """Refuses settings without effect, and a folder that is not there."""
    require_effect(config, get_config(config.preset), _find_unused_settings(config))
    require_files(config, "data.dir")


def _find_unused_settings(config: ConfigDict) -> dict[str, str]:
    """The settings that have no effect in this config, with the reasons."""
    reasons = dataset_folder(config.data.name)
    if config.scale == "max":
        reasons["percentile"] = "scale=max takes the largest activation"
    hidden = {name.partition("-")[2] for name in config.pairs} | ({"burst"} if config.levels else set())
    for code in {"rate", "phase", "burst"} - hidden:
        reasons[f"codes.{code}"] = f"no pair has the code {code} in hidden layers"
    if not any("phase" in name for name in config.pairs):
        reasons["codes.period"] = "no pair has the code phase"
    return reasons


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Trains, converts, simulates; writes numbers, tables and figures."""
    check_settings(config)
    pairs = {name: _codes(config, name) for name in config.pairs}
    if not pairs:
        raise ValueError(f"pairs must name at least one of {', '.join(coding.PAIRS)}")
    units, clipped = networks.units(config), _qcfs_codes(config)
    sets = networks.sets(config)
    networks.check(config, sets)
    layers = networks.layers_of(config, sets.train.classes)
    count = count_seeds(config, PRESETS)
    if config.levels < 0:
        raise ValueError(f"levels must be at least 1 stair, or 0 to leave the clipped source out, got {config.levels}")
    seeds = list(keys.seeds(config.seed, count))
    relu = activation.relu()
    trainer = networks.classifier(config, sets, layers, relu)
    curves: dict[str, list[Curve]] = {name: [] for name in pairs}
    accuracy = []
    for seed in seeds:
        params, right = networks.train(config, run, sets, layers, trainer, seed, relu, f"dnn-{seed}")
        accuracy.append(right)
        for name in tqdm(pairs, desc=f"simulate, seed {seed}", unit="pair", disable=None, leave=False):
            curves[name].append(_simulate(config, run, sets, layers, params, pairs[name], f"{name}-{seed}", seed))
        if seed == seeds[0]:
            _inspect(config, run, sets, layers, params)
    numbers = {"seeds": len(seeds), "steps": config.steps, "note": _note(sets)}
    numbers |= {"dnn": {"accuracy": float(np.mean(accuracy))}}
    numbers |= _conversion_numbers(config, accuracy, curves)
    records = numbers["pairs"]
    run.save_csv("pairs.csv", tuple(records[0]), [tuple(record.values()) for record in records])
    figures.draw_curves(run, accuracy, curves)
    if config.levels:
        numbers["qcfs"] = _convert_qcfs(config, run, sets, layers, clipped, seeds)
    numbers["trained"] = _train_directly(config, run, sets, units, seeds)
    figures.draw_bars(run, numbers)
    return numbers | mark_comparisons(len(seeds), *SHOWN, "qcfs.loss", "trained")


def _codes(config: ConfigDict, name: str) -> tuple[coding.Neuron, coding.Neuron]:
    """The codes of a pair, with the thresholds of the config."""
    input_code, _, hidden_code = name.partition("-")
    settings = config.codes
    of_phase = {"period": settings.period}
    hidden = {"threshold": settings.get(hidden_code, 1.0), "start": settings.start} | (
        of_phase if hidden_code == "phase" else {}
    )
    return coding.pair(name, of_phase if input_code == "phase" else None, hidden)


def _simulate(config, run: runs.Run, sets: Sets, layers, params, codes, name: str, seed: int, **options) -> Curve:
    """Simulates a converted network, or reads the curve from the file of a killed run."""
    path = run.path / "curves" / f"{name}.json"
    if path.exists():
        return Curve(**files.read_object(path, "remove it, and the same command makes it again"))
    options = {"scale": config.scale, "percentile": config.percentile} | options
    spiking = networks.convert(sets, layers, params, codes, **options)
    key = keys.derive(jax.random.key(seed), "simulation")
    curve = networks.curve(spiking, sets.test, config.steps, key)
    files.write_json(run.file(f"curves/{name}.json"), curve._asdict())
    return curve


def _latency(config: ConfigDict, accuracy: float, curve: Curve, lasting: bool = True) -> int:
    return int(activity.latency(np.array(curve.accuracy), accuracy - config.target, lasting))


def _conversion_numbers(config: ConfigDict, accuracy: list[float], curves: dict[str, list[Curve]]) -> dict[str, Any]:
    """Means over the seeds: a record a pair, and the main columns of it by pair."""
    records = [_record(config, name, accuracy, pair_curves) for name, pair_curves in curves.items()]
    reference = next((record for record in records if record["pair"] == REFERENCE), None)
    for record in records if reference else []:
        for chip, shares in CHIPS.items():
            against = (reference["spikes"], reference["latency"])
            record[f"energy_{chip}"] = float(
                energy.relative_energy(record["spikes"], record["latency"], *against, shares)
            )
    shown = {column: {record["pair"]: record[column] for record in records} for column in SHOWN if column in records[0]}
    return shown | {"pairs": records}


def _record(config: ConfigDict, name: str, accuracy: list[float], curves: list[Curve]) -> dict[str, Any]:
    """One pair: what it loses in the end, its latency by both definitions, and what it has spent until then."""
    lasting = [_latency(config, *pair) for pair in zip(accuracy, curves, strict=True)]
    first = [_latency(config, *pair, lasting=False) for pair in zip(accuracy, curves, strict=True)]
    until = lambda column: [
        getattr(curve, column)[min(steps, config.steps) - 1] for curve, steps in zip(curves, lasting, strict=True)
    ]
    losses = [right - curve.accuracy[-1] for right, curve in zip(accuracy, curves, strict=True)]
    means = {"loss": losses, "latency": lasting, "latency_first": first}
    means |= {column: until(column) for column in ("spikes", "input_spikes", "synops")}
    means |= {
        f"accuracy at {t}": [curve.accuracy[t - 1] for curve in curves] for t in EVALUATION_STEPS if t <= config.steps
    }
    return {"pair": name} | {column: float(np.mean(values)) for column, values in means.items()}


def _inspect(config: ConfigDict, run: runs.Run, sets: Sets, layers, params) -> None:
    """Measures the errors of conversions of one network by layer, and the statistics of their spike trains."""
    images = networks.unit_interval(sets.test.images[: networks.BATCH // 5], sets.test.maximum)
    rows, trains = [], {}
    for name in (name for name in INSPECTED if name in config.pairs):
        codes = _codes(config, name)
        spiking = networks.convert(sets, layers, params, codes, scale=config.scale, percentile=config.percentile)
        rows += [(name, *error) for error in fidelity.layer_errors(spiking, layers, params, images, config.steps)]
        meters = simulation.simulate_with_meter(spiking, images, config.steps, meter=rasters.combine(TRAINS))[1]
        trains[name] = {kind: _pool(layer[kind] for layer in meters) for kind in TRAINS}
    run.save_csv("layers.csv", ("pair", *fidelity.LayerError._fields), rows)
    figures.draw_trains(run, trains)


def _pool(histograms: Iterable[jax.Array]) -> np.ndarray:
    """Histograms of all layers as one, in shares."""
    counts = np.sum([np.asarray(histogram) for histogram in histograms], axis=0)
    return counts / max(counts.sum(), 1)


def _qcfs_codes(config: ConfigDict) -> dict[str, coding.Neuron]:
    """Rate and burst from half the threshold."""
    return {"rate": coding.rate(start=0.5), "burst": coding.burst(threshold=config.codes.burst, start=0.5)}


def _convert_qcfs(config: ConfigDict, run: runs.Run, sets: Sets, layers, codes, seeds: list[int]) -> dict[str, Any]:
    """Trains and converts networks with clipped activations (QCFS), for few steps."""
    unit = activation.qcfs(config.levels)
    trainer = networks.classifier(config, sets, layers, unit)
    losses: dict[str, list[float]] = {}
    accuracy = []
    for seed in seeds:
        params, right = networks.train(config, run, sets, layers, trainer, seed, unit, f"qcfs-{seed}")
        accuracy.append(right)
        for name, code in codes.items():
            options = {"scale": "ceiling", "activation": unit}
            pair = (coding.real(), code)
            curve = _simulate(config, run, sets, layers, params, pair, f"qcfs-{name}-{seed}", seed, **options)
            for steps in (steps for steps in EVALUATION_STEPS if steps <= min(config.steps, 64)):
                losses.setdefault(f"{name} at {steps}", []).append(right - curve.accuracy[steps - 1])
    return {
        "accuracy": float(np.mean(accuracy)),
        "loss": {name: float(np.mean(values)) for name, values in losses.items()},
    }


def _train_directly(config: ConfigDict, run: runs.Run, sets: Sets, units, seeds: list[int]) -> dict[str, Any]:
    """LIF and burst neurons by surrogate gradient: accuracy, synaptic operations, the difference at equal operations.

    With seeds enough the difference goes by `gain`.
    """
    measured: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
    for name, unit in units.items():
        for steps in config.trained.steps:
            result = networks.train_by_surrogate(config, run, sets, unit, steps, f"{name}-{steps}", seeds)
            measured.setdefault(name, {})[steps] = result
    numbers: dict[str, Any] = {
        kind: {
            f"{name} at {steps}": float(results[steps][i].mean())
            for name, results in measured.items()
            for steps in results
        }
        for i, kind in enumerate(("accuracy", "synops"))
    }
    if len(seeds) >= ENOUGH:
        numbers["accuracy_error"] = {
            f"{name} at {steps}": standard_error(results[steps][0])
            for name, results in measured.items()
            for steps in results
        }
    numbers[f"{difference(len(seeds))}_at_equal_synops"] = {
        f"at {steps}": _difference_at_equal_synops(measured["lif"], *measured["burst"][steps])
        for steps in config.trained.steps
    }
    figures.draw_direct_training(run, measured)
    return numbers


def _difference_at_equal_synops(
    lif: dict[int, tuple[np.ndarray, np.ndarray]], accuracy: np.ndarray, synops: np.ndarray
) -> float:
    """Accuracy of burst neurons above the line through the LIF networks at equal operations; constant outside it."""
    points = sorted((result[1].mean(), result[0].mean()) for result in lif.values())
    return float(accuracy.mean() - np.interp(synops.mean(), *zip(*points, strict=True)))


def _note(sets: Sets) -> str:
    note = f"Test images: {len(sets.test.labels)} of {sets.test}."
    return note + " JPEG CIFAR-10 is lossy: not comparable with CIFAR-10." if "jpeg" in sets.test.name else note
