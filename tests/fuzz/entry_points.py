"""Calls of the public functions with small sound arguments, room by room, and how an argument is spoilt.

A room's calls are made by a function, which imports the room. A call is a name, a function and its arguments by name.
"""

import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal.learn import problems


class Call(NamedTuple):
    """A function with arguments that are sound."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]


def spoilt(value: Any) -> Iterator[tuple[str, Any]]:
    """What may stand in the place of an argument, each with a word for it."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        yield from (("a seed", 3), ("floats", np.ones(2)), ("no key", None))
        yield ("other axes", jax.random.split(value.ravel()[0], 3) if value.ndim != 1 else value[0])
        return
    if isinstance(value, np.ndarray | jax.Array) and value.ndim:
        yield from _arrays(np.asarray(value))
        return
    if isinstance(value, bool) or value is None or callable(value):
        return
    if isinstance(value, int):
        yield from (("-1", -1), ("0", 0), ("a half", value + 0.5))
    elif isinstance(value, float):
        yield from (("NaN", float("nan")), ("infinity", float("inf")), ("-1", -1.0))
    elif isinstance(value, str):
        yield ("nonsense", "nonsense")


def _arrays(value: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Other shapes, and numbers that no such array may hold."""
    yield ("nothing", value[:0])
    yield ("a row less", value[:-1])
    yield ("an axis more", value[None])
    yield ("an axis less", value[0])
    yield ("a column less", value[..., :-1])
    changed = value.copy()
    if value.dtype.kind == "f":
        for word, bad in (("NaN", np.nan), ("infinity", np.inf)):
            changed[(0,) * value.ndim] = bad
            yield (word, changed.copy())
    elif value.dtype.kind in "iu":
        for word, bad in (("-1", -1), ("a million", 1_000_000)):
            wide = value.astype(np.int32)
            wide[(0,) * value.ndim] = bad
            yield (word, wide)
        yield ("halves", value + 0.5)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


KEY = jax.random.key(0)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.int32)
IMAGES = np.random.default_rng(1).random((6, 4, 4, 1)).astype(np.float32)
WEIGHTS = random(16, 3)


def network(images: Any) -> jax.Array:
    """Logits of three classes."""
    return images.reshape(len(images), -1) @ WEIGHTS


def loss(params: Any, batch: Any) -> jax.Array:
    return jnp.mean((batch @ params) ** 2)


def core() -> list[Call]:
    from framework.core import convolutions, curvature, keys

    quadratic = lambda w: jnp.sum(w**2)
    return [
        Call("keys.named", keys.derive, {"key": KEY, "name": "noise"}),
        Call("keys.for_seeds", keys.for_seeds, {"seed": 3, "count": 2}),
        Call(
            "curvature.power_iteration",
            curvature.power_iteration,
            {"loss": quadratic, "params": random(3), "key": KEY, "iterations": 3},
        ),
        Call("curvature.hvp", curvature.hvp, {"loss": quadratic, "params": random(3), "vector": random(3)}),
        Call("convolutions.convolve", convolutions.convolve, {"x": IMAGES, "kernel": random(3, 3, 1, 2)}),
    ]


def data() -> list[Call]:
    from framework import data
    from tests.data.test_events import recorded

    events = recorded(20).events
    bytes_ = (255 * IMAGES[..., 0]).astype(np.uint8)
    return [
        Call("frames", data.frames, {"recording": events, "steps": 3, "by": "time", "size": (5, 7)}),
        Call("amplify", data.amplify, {"key": KEY, "images": bytes_, "times": 2, "strength": 3.0, "smoothness": 2.0}),
        Call("distort", data.distortion.distort, {"key": KEY, "images": IMAGES, "strength": 3.0, "smoothness": 2.0}),
        Call("digits", data.digits, {"split": "train"}),
    ]


def models() -> list[Call]:
    from framework.core import checks
    from framework.models import resnet, training

    return [
        Call(
            "training.accuracy", training.accuracy, {"logits": network, "images": IMAGES, "labels": LABELS, "batch": 3}
        ),
        Call(
            "checks.labels",
            lambda values, classes: checks.labels("labels", values, classes),
            {"values": LABELS, "classes": 3},
        ),
        Call("resnet.Config", resnet.Config, {"depth": 8, "classes": 3, "channels": 1, "width": 4}),
        Call("resnet.recipe", resnet.recipe, {"steps": 3, "learning_rate": 0.1, "weight_decay": 1e-4}),
        Call("resnet.normalise", resnet.normalise, {"images": random(2, 4, 4, 3)}),
    ]


def causal() -> list[Call]:
    from framework import causal
    from framework.causal import graphs, knowledge
    from framework.causal.discrete import equivalence
    from framework.causal.learn import moments
    from framework.causal.metrics import (
        graph_distance,
        intervention,
        ranking,
        sortability,
    )
    from framework.causal.synthetic import (
        linear,
        noise,
        nonlinear,
        physics,
        random_graphs,
        recipes,
    )

    x = random(60, 3)
    x[:, 1] += 2 * x[:, 0]
    truth = np.triu(np.ones((3, 3), bool), 1)
    other = np.eye(3, k=1, dtype=bool)
    weights = np.asarray(truth * 1.5, np.float32)
    short = causal.Config.equal_variance(stage_steps=(5, 5, 5, 5, 5))
    pair = {"true_graph": truth, "estimated_graph": other}
    prior = {"edges": truth * 0.9, "confidence": truth * 1.0, "names": ("a", "b", "c")}
    return [
        Call(
            "fit",
            lambda x, penalty, prior_weight: causal.fit(x, None, short, penalty=penalty, prior_weight=prior_weight),
            {"x": x, "penalty": 0.1, "prior_weight": 0.1},
        ),
        Call(
            "bootstrap",
            lambda key, x, resamples: causal.bootstrap(key, x, resamples, None, short),
            {"key": KEY, "x": x, "resamples": 2},
        ),
        Call("Knowledge", causal.Knowledge, prior),
        Call("Knowledge, hard", causal.Knowledge, {"required": truth.astype(float), "forbidden": np.eye(3)}),
        Call("Knowledge, paths", causal.Knowledge, {"ancestors": truth * 0.9, "ancestor_confidence": truth * 1.0}),
        Call("memory", problems.memory, {"rows": 100, "columns": 5}),
        Call("dag", causal.dag, {"weights": weights, "cut": 0.3}),
        Call(
            "objective",
            lambda penalty, mu, weights, x: causal.objective(penalty, mu)(weights, x),
            {"penalty": 0.1, "mu": 1.0, "weights": weights * 0.1, "x": x},
        ),
        Call("metrics.compare", graph_distance.compare, pair),
        Call("equivalence.cpdag", equivalence.cpdag, {"graph": truth}),
        Call("equivalence.cpdag_shd", equivalence.cpdag_shd, pair),
        Call("equivalence.skeleton_scores", equivalence.skeleton_scores, pair),
        Call("intervention.sid", intervention.sid, pair),
        Call("ranking.auprc", ranking.auprc, {"true_graph": truth, "weights": weights}),
        Call("graphs.reachability", graphs.reachability, {"graph": truth}),
        Call("graphs.break_cycles", graphs.break_cycles, {"weights": weights + weights.T}),
        Call("graphs.erdos_renyi", graphs.erdos_renyi, {"key": KEY, "nodes": 4, "degree": 1.0}),
        Call("random_graphs.scale_free", random_graphs.scale_free, {"key": KEY, "nodes": 4, "degree": 1}),
        Call("structural.edge_weights", linear.edge_weights, {"key": KEY, "graph": truth, "low": 0.5, "high": 2.0}),
        Call(
            "structural.linear",
            lambda key, weights, samples: linear.linear(key, weights, samples, noise.gaussian()),
            {"key": KEY, "weights": weights, "samples": 5},
        ),
        Call(
            "nonlinear.mlp",
            lambda key, graph, samples: nonlinear.mlp(key, graph, samples, noise.gaussian()),
            {"key": KEY, "graph": truth, "samples": 5},
        ),
        Call(
            "nonlinear.gaussian_process",
            lambda key, graph, samples: nonlinear.gaussian_process(key, graph, samples, noise.gaussian()),
            {"key": KEY, "graph": truth, "samples": 5},
        ),
        Call(
            "nonlinear.iscm",
            lambda key, weights, samples: nonlinear.iscm(key, weights, samples, noise.gaussian()),
            {"key": KEY, "weights": weights, "samples": 5},
        ),
        Call("noise.unequal_scales", noise.unequal_scales, {"key": KEY, "nodes": 3, "low": 1.0, "high": 2.0}),
        Call(
            "synthetic.draw",
            lambda key, nodes, samples: recipes.sample(key, recipes.Recipe(), nodes, samples),
            {"key": KEY, "nodes": 3, "samples": 5},
        ),
        Call(
            "synthetic.Recipe",
            recipes.Recipe,
            {"graph": "er", "degree": 2.0, "equations": "linear", "noise": "gaussian"},
        ),
        Call(
            "physics.draw",
            lambda key, samples, noise: physics.sample(key, physics.SYSTEMS["pendulum"], samples, noise),
            {"key": KEY, "samples": 5, "noise": 0.1},
        ),
        Call("sortability.varsortability", sortability.varsortability, {"x": x, "graph": truth}),
        Call("sortability.r2_sortability", sortability.r2_sortability, {"x": x, "graph": truth}),
        Call("sortability.var_sort_regress", sortability.var_sort_regress, {"x": x}),
        Call("sortability.random_sort_regress", sortability.random_sort_regress, {"key": KEY, "x": x}),
        Call("moments.covariance", moments.covariance, {"x": x, "transform": "center"}),
        Call("knowledge.imperfect", knowledge.imperfect, {"key": KEY, "graph": truth, "precision": 0.9, "recall": 0.5}),
        Call(
            "Config",
            causal.Config,
            {"transform": "center", "score": "least_squares", "penalty": 0.1, "prior_weight": 0.1, "cut": 0.3},
        ),
    ]


def sgd() -> list[Call]:
    import optax

    from framework import sgd

    rows = random(24, 3)
    rule = sgd.synchronous(optax.sgd(0.1))
    run = lambda data, params, **choices: sgd.run(rule, loss, params, data, **choices)
    return [
        Call("run", run, {"data": rows, "params": random(3), "workers": 2, "batch": 3, "steps": 1, "key": KEY}),
        Call("shard", sgd.shard, {"data": rows, "workers": 2, "batch": 3, "key": KEY}),
        Call("elastic", lambda alpha, period: sgd.elastic(optax.sgd(0.1), alpha, period), {"alpha": 0.1, "period": 2}),
        Call(
            "downpour",
            lambda period, accumulate: sgd.downpour(optax.sgd(0.1), period, accumulate),
            {"period": 2, "accumulate": "sum"},
        ),
        Call("local", lambda period: sgd.local(optax.sgd(0.1), period), {"period": 2}),
        Call("placement.devices_for", sgd.placement.devices_for, {"workers": 4, "devices": 1}),
    ]


def selection() -> list[Call]:
    from framework import selection
    from framework.selection import difficulty, dynamics, groups, ranking, sampling, strata, uncertainty

    features, scores, logits = random(6, 3), random(6), random(6, 3)
    entropy = np.exp(scores)
    traits = selection.Traits(LABELS, entropy=entropy)
    state = dynamics.init(6)
    return [
        Call("sample", selection.sample, {"key": KEY, "size": 3, "probabilities": entropy / entropy.sum()}),
        Call("sample by count", sampling.sample, {"key": KEY, "size": 3, "count": 6}),
        Call(
            "sample_many",
            selection.sample_many,
            {"keys": jax.random.split(KEY, 2), "size": 3, "probabilities": entropy / entropy.sum()},
        ),
        Call("histogram", selection.histogram.histogram, {"entropy": entropy, "bin_width": 0.5}),
        Call(
            "histogram_probabilities",
            selection.histogram_probabilities,
            {"entropy": entropy, "rule": "P1", "bin_width": 0.5},
        ),
        Call("k_center_greedy", selection.k_center_greedy, {"features": features, "size": 3, "start": 1}),
        Call("herding", selection.herding, {"features": features, "size": 3}),
        Call("facility_location", selection.facility_location, {"features": features, "size": 3, "block": 2}),
        Call("moderate", strata.moderate, {"features": features, "labels": LABELS, "size": 3, "classes": 3}),
        Call(
            "coverage_centric",
            selection.coverage_centric,
            {"key": KEY, "scores": scores, "size": 3, "cutoff_rate": 0.1, "strata": 3},
        ),
        Call("largest", ranking.largest, {"scores": scores, "size": 3}),
        Call("smallest", ranking.smallest, {"scores": scores, "size": 3}),
        Call("mixture", ranking.mixture, {"scores": scores, "size": 3, "beta": 0.8}),
        Call(
            "select",
            lambda name, key, size: selection.select(key, name, traits, size),
            {"name": "P1", "key": KEY, "size": 3},
        ),
        Call(
            "balance_classes",
            lambda labels, key, size: selection.balance_classes(lambda k, rows, s: jnp.arange(s), labels)(
                key, features, size
            ),
            {"labels": LABELS, "key": KEY, "size": 3},
        ),
        Call("equal_quotas", groups.equal_quotas, {"counts": np.array([3, 2, 1]), "size": 4}),
        Call("uncertainty.entropy", uncertainty.entropy, {"logits": logits}),
        Call("uncertainty.margin", uncertainty.margin, {"logits": logits}),
        Call("difficulty.el2n", difficulty.el2n, {"logits": logits, "labels": LABELS}),
        Call(
            "dynamics.update",
            lambda indices, logits, labels: dynamics.update(state, indices, logits, labels),
            {"indices": np.arange(6), "logits": logits, "labels": LABELS},
        ),
    ]


def attacks() -> list[Call]:
    from framework import attacks
    from framework.attacks import ensemble, losses, score

    pictures = {"key": KEY, "images": IMAGES, "labels": LABELS}
    evaluate = lambda key, images, labels, batch, epsilon: attacks.evaluate(
        key, network, images, labels, attacks.fgsm(epsilon), batch=batch
    )
    logits = random(6, 3)
    return [
        Call("evaluate", evaluate, {**pictures, "batch": 3, "epsilon": 0.1}),
        Call(
            "transfer",
            lambda key, images, labels: attacks.transfer(key, network, network, images, labels, attacks.fgsm(0.1)),
            pictures,
        ),
        Call("fgsm", attacks.fgsm, {"epsilon": 0.1, "norm": "linf"}),
        Call("pgd", attacks.pgd, {"epsilon": 0.1, "norm": "linf", "steps": 3, "step_size": 0.1, "restarts": 1}),
        Call("apgd", attacks.apgd, {"epsilon": 0.1, "norm": "linf", "steps": 3}),
        Call("apgd_targeted", attacks.apgd_targeted, {"epsilon": 0.1, "norm": "l2", "targets": 2, "steps": 3}),
        Call("fab_targeted", attacks.fab_targeted, {"epsilon": 0.1, "norm": "l2", "targets": 2, "steps": 3}),
        Call("square", attacks.square, {"epsilon": 0.1, "norm": "linf", "queries": 5}),
        Call("standard", ensemble.standard, {"epsilon": 0.1, "norm": "linf", "classes": 3}),
        Call("harmonic_robustness", score.harmonic_robustness, {"clean": 0.9, "robust": 0.5}),
        Call("losses.cross_entropy", losses.cross_entropy, {"logits": logits, "labels": LABELS}),
        Call("losses.dlr", losses.dlr, {"logits": logits, "labels": LABELS}),
        Call("losses.is_correct", losses.is_correct, {"logits": logits, "labels": LABELS}),
    ]


def snn() -> list[Call]:
    from framework import snn
    from framework.snn import architectures
    from framework.snn import layers as layer
    from framework.snn.conversion import activation
    from framework.snn.meters import activity, energy, rasters
    from framework.snn.neurons import (
        coding,
        models,
        surrogate,
        ttfs,
    )

    layers = (layer.flatten(), layer.dense(4), layer.dense(3))
    params = snn.init(KEY, layers, (4, 4, 1))
    spiking = snn.convert(layers, params, IMAGES, input_code=coding.real(), hidden_code=coding.rate())
    source = snn.TrainedNetwork(snn.init(KEY, layers, (4, 4, 1), models.lif()), layers, (4, 4, 1), models.lif(), 3)
    spikes = (random(5, 2, 4) > 0).astype(np.float32)
    return [
        Call(
            "convert",
            lambda images: (
                snn.convert(layers, params, images, input_code=coding.real(), hidden_code=coding.rate()).scales
            ),
            {"images": IMAGES},
        ),
        Call("run", lambda images, steps: snn.simulate(spiking, images, steps), {"images": IMAGES, "steps": 3}),
        Call("predict", lambda images, steps: snn.predict(spiking, images, steps), {"images": IMAGES, "steps": 3}),
        Call(
            "predict, trained", lambda images, steps: snn.predict(source, images, steps), {"images": IMAGES, "steps": 3}
        ),
        Call("forward", lambda images: snn.forward(layers, params, images)[0], {"images": IMAGES}),
        Call(
            "unroll",
            lambda images, steps: snn.unroll(layers, source.params, images, source.unit, steps)[0],
            {"images": IMAGES, "steps": 3},
        ),
        Call("init", snn.init, {"key": KEY, "layers": layers, "shape": (4, 4, 1)}),
        Call("neuron.lif", models.lif, {"decay": 0.9, "threshold": 1.0}),
        Call("neuron.plif", models.plif, {"tau": 2.0, "threshold": 1.0}),
        Call("neuron.integrate_and_fire", models.integrate_and_fire, {"threshold": 1.0}),
        Call("neuron.adaptive_lif", models.adaptive_lif, {"decay": 0.9, "threshold": 1.0}),
        Call("neuron.synaptic_lif", models.synaptic_lif, {"decay": 0.9, "threshold": 1.0}),
        Call("neuron.leaky_integrator", models.leaky_integrator, {"decay": 0.9}),
        Call("coding.rate", coding.rate, {"threshold": 1.0}),
        Call("coding.phase", coding.phase, {"period": 8, "threshold": 1.0}),
        Call("coding.burst", coding.burst, {"beta": 2.0, "threshold": 0.125, "cap": 2.0}),
        Call("coding.multispike", coding.multispike, {"levels": 5, "threshold": 1.0}),
        Call("coding.ttfs", coding.ttfs, {"window": 8, "tau": 2.0, "threshold": 1.0}),
        Call("coding.burst_isi", coding.burst_isi, {"spikes": 5, "shortest": 1, "longest": 4}),
        Call("coding.make", coding.make, {"name": "rate"}),
        Call("coding.pair", coding.pair, {"name": "rate-rate"}),
        *(Call(f"surrogate.{name}", getattr(surrogate, name), {option: 2.0}) for name, option in SURROGATES.items()),
        Call("layer.conv", layer.conv, {"features": 3, "kernel": 3, "strides": 1, "padding": "SAME"}),
        Call("layer.dense", layer.dense, {"features": 3}),
        Call("layer.pool", layer.pool, {"kind": "max", "window": 2}),
        Call("layer.norm", layer.norm, {"momentum": 0.9, "epsilon": 1e-5, "over": "time"}),
        Call("architectures.cnn", architectures.cnn, {"classes": 3, "kernel": 5, "padding": "VALID", "pool": "max"}),
        Call("meters.accuracy_over_time", activity.accuracy_over_time, {"logits": random(5, 6, 3), "labels": LABELS}),
        Call("meters.latency", activity.latency, {"accuracy": np.linspace(0, 1, 5, dtype=np.float32), "target": 0.5}),
        Call("meters.density", activity.density, {"spikes": spikes.sum((1, 2)), "neurons": 4, "steps": 5}),
        Call("rasters.intervals", rasters.intervals, {"longest": 3}),
        Call("rasters.bursts", rasters.bursts, {"longest": 3}),
        Call("rasters.raster", rasters.raster, {"steps": 3}),
        Call("rasters.measure", lambda payloads: rasters.measure(rasters.intervals(3), payloads), {"payloads": spikes}),
        Call("rasters.word_entropy", rasters.word_entropy, {"payloads": spikes, "length": 2}),
        Call(
            "energy.arithmetic_energy", energy.arithmetic_energy, {"operations": 10.0, "analog_macs": 1.0, "repeats": 1}
        ),
        Call("energy.sram_energy", energy.sram_energy, {"size": 1000.0}),
        Call("energy.memory_energy", energy.memory_energy, {"operations": 10.0, "updates": 1.0}),
        Call("ttfs.latency", ttfs.latency, {"layers": 3, "window": 8}),
        Call("activation.qcfs", activation.qcfs, {"levels": 8, "ceiling": 4.0}),
    ]


SURROGATES = {
    "arctan": "alpha",
    "fast_sigmoid": "slope",
    "superspike": "slope",
    "triangular": "width",
    "boxcar": "width",
    "sigmoid": "slope",
    "erf": "alpha",
}


def ssd() -> list[Call]:
    from framework import ssd
    from framework.ssd.device import presets
    from framework.ssd.engine import closed_forms
    from framework.ssd.isp import in_host, training
    from framework.ssd.workload import generators

    small = {"channels": 1, "chips": 1, "blocks": 8, "pages": 8}
    design = presets.isp_ml(**small)
    requests = generators.poisson(KEY, 8, 1000.0, span=design.capacity)

    def simulate(arrival: Any, offset: Any, size: Any, kind: Any) -> Any:
        return ssd.simulate(design, ssd.Load(arrival, offset, size, kind)).ended

    columns = {name: np.asarray(getattr(requests, name)) for name in ("arrival", "offset", "size", "kind")}
    choices = {"key": KEY, "requests": 8, "span": design.capacity}
    return [
        Call("simulate", simulate, columns),
        Call("load.poisson", generators.poisson, {**choices, "rate": 1000.0}),
        Call("load.closed", generators.closed, {**choices, "queue_depth": 2}),
        Call("load.closed_replay", generators.closed_replay, {"load": requests, "queue_depth": 2}),
        Call(
            "isp.check_pages",
            training.check_pages,
            {"design": design, "pages": np.zeros((4, 10, 3), np.float32), "stored_bytes": 30},
        ),
        Call("presets.isp_ml", presets.isp_ml, small),
        Call("Geometry", ssd.Geometry, {**small, "page_bytes": 8192, "striping": "CWDP"}),
        Call("Timing", ssd.Timing, {"read_us": 75.0, "program_us": 750.0, "erase_us": 3800.0}),
        Call(
            "Timing of a design",
            presets.isp_ml,
            {"read_us": 75.0, "program_us": 750.0, "erase_us": 3800.0, "channel_mt_s": 333.0},
        ),
        Call(
            "Ftl",
            ssd.Ftl,
            {"mapping": "ideal", "over_provisioning": 0.07, "victim": "greedy", "choices": 10, "reserve": 1},
        ),
        Call(
            "Policy",
            ssd.Policy,
            {"arbitration": "data-first", "die_mode": "overlap", "scheduling": "fifo", "suspend": "none"},
        ),
        Call("Cache", ssd.Cache, {"pages": 4, "flushes": 2}),
        Call("closed_forms.queueing", closed_forms.queueing, {"load": 0.5}),
        Call("closed_forms.write_amplification", closed_forms.write_amplification, {"ratio": 1.2}),
        Call(
            "in_host.misses", in_host.misses, {"accesses": np.array([0, 1, 0, 2]), "memory_pages": 2, "policy": "lru"}
        ),
        Call("in_host.expected_time", in_host.expected_time, {"total": 3.0, "io": 1.0, "simulated_io": 2.0}),
        Call(
            "in_host.replay",
            lambda pages, queue_depth: in_host.replay(design, pages, queue_depth),
            {"pages": np.array([0, 1, 2]), "queue_depth": 2},
        ),
    ]


def nas() -> list[Call]:
    from framework.nas import (
        advrush,
        autosnn,
        darts,
        nasbench201,
        rank_fidelity,
    )
    from framework.nas.advrush import landscape
    from framework.nas.darts import augmentation

    space = autosnn.search_space(channels=2, image=(8, 8, 1), macro="short", dynamics=autosnn.Dynamics(steps=2))
    alphas = darts.Alphas(*random(2, 14, 8))
    ranks = random(3, 6)
    return [
        Call("autosnn.space", autosnn.search_space, {"channels": 2, "classes": 3, "macro": "SNN_1", "stem": "plain"}),
        Call(
            "autosnn.network",
            lambda architecture: autosnn.build_network(space, architecture),
            {"architecture": np.array([0, 1, 2])},
        ),
        Call("space.architecture", space.architecture, {"index": 3}),
        Call("space.index", space.index, {"architecture": np.array([0, 1, 2])}),
        Call("autosnn.Dynamics", autosnn.Dynamics, {"steps": 2, "neuron": "plif", "tau": 2.0, "statistics": "step"}),
        Call(
            "autosnn.fitness", autosnn.fitness, {"accuracy": 0.9, "spikes": 100.0, "lambda_": -0.08, "reference": 50.0}
        ),
        Call(
            "darts.derive_genotype",
            lambda normal, reduce: darts.derive_genotype(darts.Alphas(normal, reduce)),
            alphas._asdict(),
        ),
        Call("darts.Supernet", darts.Supernet, {"channels": 2, "cells": 2, "classes": 3}),
        Call("darts.Config", darts.Config, {"epochs": 1, "batch": 2, "order": 1, "rate": 0.1}),
        Call("advrush.Regulariser", advrush.Regulariser, {"gamma": 0.01, "h": 1.5, "warmup": 5, "scale": 1.0}),
        Call("augmentation.cutout", augmentation.cutout, {"key": KEY, "images": IMAGES, "size": 2}),
        Call(
            "augmentation.shifted_and_mirrored",
            augmentation.shift_and_flip,
            {"key": KEY, "images": IMAGES, "reach": 1},
        ),
        Call("rank_fidelity.kendall", rank_fidelity.kendall, {"x": ranks[0], "y": ranks[1]}),
        Call(
            "rank_fidelity.bootstrap",
            rank_fidelity.bootstrap,
            {"key": KEY, "rankings": ranks, "truth": ranks[0], "draws": 5},
        ),
        Call("nasbench201.to_text", nasbench201.to_text, {"architecture": np.arange(6) % 5}),
        Call("nasbench201.Config", nasbench201.Config, {"channels": 2, "cells": 1, "classes": 3, "inputs": 1}),
        Call(
            "landscape.top_eigenvalues",
            lambda key, images, labels: landscape.top_eigenvalues(key, lambda x, y: jnp.sum(x**2), images, labels),
            {"key": KEY, "images": IMAGES, "labels": LABELS},
        ),
    ]


def runs() -> list[Call]:
    from framework import runs

    return [
        Call("require_memory", runs.require_memory, {"needed": 10, "what": "a study"}),
        Call("paced", lambda per_minute: runs.rate_limit(lambda: 0, per_minute), {"per_minute": 10.0}),
    ]


ROOMS = {item.__name__: item for item in (core, data, models, causal, sgd, selection, attacks, snn, ssd, nas, runs)}


def outcome(call: Call, argument: str, bad: Any) -> str:
    """`accepted`, `refused` by this project, `refused by a library`, or `NaN` where the sound call gives none."""
    try:
        result = jax.block_until_ready(call.function(**call.arguments | {argument: bad}))
    except (ValueError, TypeError, AssertionError, IndexError, ZeroDivisionError, OverflowError) as error:
        file = traceback.extract_tb(error.__traceback__)[-1].filename
        local = not isinstance(error, IndexError | ZeroDivisionError | OverflowError)
        return "refused" if local and ("framework" in file or "chex" in file) else "refused by a library"
    return "NaN" if holds_nan(result) else "accepted"


def holds_nan(tree: Any) -> bool:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, np.ndarray | jax.Array | float)]
    floats = [leaf for leaf in leaves if jnp.issubdtype(getattr(leaf, "dtype", np.float64), jnp.floating)]
    return any(np.isnan(np.asarray(leaf)).any() for leaf in floats)
