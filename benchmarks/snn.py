"""Spiking networks and their peers: same networks, weights and data, same process, one thread each, in one run.

    pip install torch==2.13.0 && pip install -e '.[bench]'
    pip install --no-deps norse==1.1.0 nirtorch==2.6 spikingjelly==2.0.0  # they ask for torchvision
    python benchmarks/snn.py --output=benchmarks/results/snn.md

    mlp          a training step of 784-512-10 over 25 steps of time, batch 128
    conv         a training step of two convolutions over 16 steps of time, batch 64
    inference    a step of time of a converted network, compared with the DNN's forward pass

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import os

# NPROC is XLA's, whose pool has a thread a core otherwise
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1")

import logging
import math
import statistics
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import snn_peers
import tables
from absl import app, flags
from problems import time_call
from snn_peers import Task, Trainer
from tables import Part, Row, at_least, at_most

from framework import snn
from framework.snn import layers as layer
from framework.snn import network, training
from framework.snn.neurons import coding, models, surrogate

CHOSEN = flags.DEFINE_list("parts", ["mlp", "conv", "inference"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
REPEATS = flags.DEFINE_integer("repeats", 20, "mlp, conv, inference: timed calls of each program, taken in turns")
PEERS = flags.DEFINE_list("peers", list(snn_peers.PEERS), "mlp, conv: compared with which")

MLP = (layer.dense(512), layer.dense(10))
CONV = (
    layer.conv(16),
    layer.pool("average"),
    layer.conv(32),
    layer.pool("average"),
    layer.flatten(),
    layer.dense(10),
)
MNIST = (
    layer.conv(12, 5, padding="VALID"),
    layer.pool("average"),
    layer.conv(64, 5, padding="VALID"),
    layer.pool("average"),
    layer.flatten(),
    layer.dense(10),
)
LIF = models.lif(decay=0.9, threshold=1.0, surrogate=surrogate.arctan(2.0))


def task(layers: tuple[layer.Layer, ...], shape: tuple[int, ...], steps: int, batch: int) -> Task:
    """Inputs that fire in a tenth of all steps, labels drawn at random."""
    rng = np.random.default_rng(0)
    inputs = (rng.random((steps, batch, *shape)) < 0.1).astype(np.float32)
    return Task(layers, snn.init(jax.random.key(0), layers, shape, LIF), inputs, rng.integers(0, 10, batch))


def ours(task: Task) -> Trainer:
    """This framework, layer by layer."""
    adam = optax.adam(1e-3)
    state = {"params": task.params, "adam": adam.init(task.params)}
    inputs, labels = jnp.asarray(task.inputs), jnp.asarray(task.labels)

    def loss(params, inputs, labels):
        outputs, _ = snn.unroll(task.layers, params, inputs, LIF)
        logits = outputs.logits[-1] / len(inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), ()

    steps = {}

    def step(parts):
        if parts not in steps:
            steps[parts] = jax.jit(snn_peers.update(adam, training.value_and_grad(loss, parts)))
        state["params"], state["adam"], value = steps[parts](state["params"], state["adam"], inputs, labels)
        return float(value)

    def spikes():
        outputs, _ = snn.unroll(task.layers, state["params"], inputs, LIF)
        return list(map(float, outputs.spikes.mean((0, 1))))

    return Trainer(step, spikes)


def matmul_rate(size: int = 2048) -> float:
    """GFLOP a second of one large product, the best of twenty."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    return 2 * size**3 / min(time_call(product, x)[1] for _ in range(20)) / 1e9


def products(layers: tuple[layer.Layer, ...], shape: tuple[int, ...]) -> list[float]:
    """Floating-point operations of each weighted layer, an image and step, forward."""
    shapes = network.input_shapes(layers, shape)
    operations = []
    for i, spec in enumerate(layers):
        if isinstance(spec, layer.Conv):
            operations.append(2 * math.prod(spec.kernel) * shapes[i][-1] * math.prod(shapes[i + 1]))
        elif isinstance(spec, layer.Dense):
            operations.append(2 * shapes[i][0] * spec.features)
    return operations


class Measured(NamedTuple):
    parts: int  # of the batch; those of the fastest way
    compiling: float
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def train(task: Task, choices: tuple[int, ...]) -> Iterator[Row]:
    """A row a program."""
    trainers = {"ours": ours(task)} | {name: snn_peers.PEERS[name](task) for name in PEERS.value}
    before, measured = {}, {}
    for name, trainer in trainers.items():
        tried = {}
        for parts in choices:
            value, first = time_call(trainer.step, parts)
            before.setdefault(name, value)
            least = min(time_call(trainer.step, parts)[1] for _ in range(5))
            tried[parts] = least, first - least
        parts = min(tried, key=tried.get)
        measured[name] = Measured(parts, tried[parts][1], [])
    after = {}
    for _ in range(REPEATS.value):
        for name, trainer in trainers.items():
            after[name], seconds = time_call(trainer.step, measured[name].parts)
            measured[name].seconds.append(seconds)
    forward = products(task.layers, task.inputs.shape[2:])
    work = (3 * sum(forward) - forward[0]) * task.inputs.shape[0] * task.inputs.shape[1] / 1e9
    rate = matmul_rate()
    floor = work / rate
    blank = dict.fromkeys(("least ms", "parts", "loss before", "after", "spikes a layer", "s compiling"), "")
    yield Row({"program": f"{work:.2g} GFLOP at {rate:.0f} a second", "ms": 1e3 * floor} | blank, {})
    for name, measurement in measured.items():
        cells = {
            "program": name,
            "ms": 1e3 * measurement.median,
            "least ms": 1e3 * min(measurement.seconds),
            "parts": str(measurement.parts),
        }
        cells |= {"loss before": f"{before[name]:.4f}", "after": f"{after[name]:.3f}"}
        cells["spikes a layer"] = ", ".join(f"{count:.0f}" for count in trainers[name].spikes())
        cells["s compiling"] = measurement.compiling if name in ("ours", "spyx") else ""
        yield Row(cells, goals(task, measured, floor) if name == "ours" else {})


def goals(task: Task, measured: dict[str, Measured], floor: float) -> dict[str, str]:
    mine = measured["ours"].median
    torch = [measurement.median for name, measurement in measured.items() if name not in ("ours", "spyx")]
    cells = {"times the products alone": f"{mine / floor:.2f}"}
    if torch:
        least = 1.3 if task.layers is MLP else 1.0
        cells[f"at least {least} times the fastest of PyTorch's programs"] = at_least(min(torch) / mine, least)
    if task.layers is CONV and torch:
        cells["goal: 1.5 times"] = at_least(min(torch) / mine, 1.5)
    if "spyx" in measured:
        cells["at least as fast as spyx"] = at_least(measured["spyx"].median / mine, 1.0)
    return cells


def mlp() -> Iterator[Row]:
    """Forward, backward through time and Adam for 784-512-10 over 25 steps of time, batch 128; medians of {repeats}
    steps a program, taken in turns. The first row is the time of the matrix products alone, at the rate of the best
    product of two 2,048 square matrices: no program can be faster. `PyTorch` is the neuron written by hand. The losses
    are those before the first and before the last step; snnTorch, norse and spyx have neurons of their own, see
    `snn_peers.py`.
    """
    yield from train(task(MLP, (784,), 25, 128), (1, 4))


def conv() -> Iterator[Row]:
    """As the first table, for 3 x 3 convolutions to 16 and 32 channels on 28 x 28 x 1, average pooling by 2 after each,
    and a dense layer to 10; 16 steps of time, batch 64. `parts`: each program takes the batch in as many parts, one
    after another, as serve it best of 1, 8 and 64, with the same gradient.
    """
    yield from train(task(CONV, (28, 28, 1), 16, 64), (1, 8, 64))


def inference() -> Iterator[Row]:
    """A converted 12c5-2s-64c5-2s-10 with random weights on 128 images of 28 x 28, 64 steps of time: medians of
    {repeats} calls of `snn.simulate`, divided by the steps, and of the DNN's forward pass, in turns. What the input
    brings is computed once (real), or once a step of its period (phase, 8).
    """
    rng = np.random.default_rng(0)
    images = rng.random((128, 28, 28, 1), np.float32)
    params = snn.init(jax.random.key(0), MNIST, images.shape[1:])
    forward = jax.jit(lambda params, images: snn.forward(MNIST, params, images)[0])
    pairs = ("real-rate", "real-phase", "real-burst", "phase-rate", "phase-phase", "phase-burst")
    steps = 64
    runs = {"DNN": partial(forward, params, images)}
    for pair in pairs:
        input_code, hidden_code = coding.pair(pair)
        spiking = snn.convert(MNIST, params, images, input_code=input_code, hidden_code=hidden_code)
        runs[pair] = partial(snn.simulate, spiking, images, steps)
    first = {name: time_call(run)[1] for name, run in runs.items()}
    seconds = {name: [] for name in runs}
    for _ in range(REPEATS.value):
        for name, run in runs.items():
            seconds[name].append(time_call(run)[1])
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name in pairs:
        spikes = runs[name]().spikes.mean((0, 1))
        times = median[name] / steps / median["DNN"]
        cells = {"input-hidden": name, "ms a step": 1e3 * median[name] / steps, "ms DNN": 1e3 * median["DNN"]}
        least = min(seconds[name]) / steps / min(seconds["DNN"])
        cells |= {
            "times": times,
            "times, by the least": least,
            "spikes a layer and step": ", ".join(f"{count:.0f}" for count in spikes),
        }
        cells["s compiling"] = first[name] - median[name]
        yield Row(cells, {"a step at most 1.3 times the DNN's forward pass": at_most(times, 1.3)})


TORCH = ("torch", "snntorch", "spikingjelly", "norse", "spyx", "flax")
PARTS = {
    "mlp": Part("Training step, dense", mlp, TORCH),
    "conv": Part("Training step, convolutional", conv, TORCH),
    "inference": Part("A step of a converted network", inference),
}


def main(argv: list[str]) -> None:
    if "mlp" in CHOSEN.value or "conv" in CHOSEN.value:
        import torch

        torch.set_num_threads(1)
    logging.disable(logging.INFO)
    tables.run(PARTS, "Spiking networks and their peers", CHOSEN.value, OUTPUT.value, ", one thread each side")


if __name__ == "__main__":
    app.run(main)
