"""The inner step of each system compared with the least that the machine could take for it.

    python benchmarks/floors.py --output=benchmarks/results/floors.md

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tables
from absl import app, flags
from problems import time_call
from tables import Part, Row

from framework import selection, sgd, snn
from framework.attacks import losses
from framework.causal.learn import acyclicity
from framework.models import resnet, training
from framework.nas import autosnn, darts
from framework.nas.autosnn import training as spiking_training
from framework.snn import layers
from framework.snn.neurons import models

CHOSEN = flags.DEFINE_list("parts", ["steps"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
REPEATS = flags.DEFINE_integer("repeats", 11, "timed calls of each program")

RNG = np.random.default_rng(0)
SPIKING = (layers.conv(32), layers.pool(), layers.conv(64), layers.pool(), layers.flatten(), layers.dense(10))


class Step(NamedTuple):
    """A program without loops, so that the compiler's count of its operations is whole."""

    function: Callable[..., Any]
    arguments: tuple
    operations: float | None = None  # of floating point, where the compiler cannot see them


def images(count: int, *shape: int) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(RNG.random((count, *shape)), jnp.float32), jnp.asarray(RNG.integers(0, 10, count))


def log_det() -> Step:
    weights = jnp.asarray(RNG.normal(size=(10, 100, 100)) / 100)
    return Step(jax.vmap(acyclicity.log_det), (weights,), operations=10 * 2 * 100**3)


def spiking() -> Step:
    neuron, (x, labels) = models.lif(), images(64, 28, 28, 1)
    params = snn.init(jax.random.key(0), SPIKING, (28, 28, 1), neuron)
    inputs = jnp.broadcast_to(x, (4, *x.shape))

    def loss(params):
        logits = snn.unroll(SPIKING, params, inputs, neuron)[0].logits[-1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    return Step(jax.value_and_grad(loss), (params,))


def spiking_supernet() -> Step:
    space, examples = autosnn.search_space(8, (8, 8, 1)), images(192, 8, 8, 1)
    trainer = spiking_training.supernet_trainer(space, autosnn.Config(1, 96), optax.adam(1e-3))
    return Step(trainer.step, (trainer.init(jax.random.key(0), 192), examples))


def darts_search() -> Step:
    data = darts.Data(*images(32, 32, 32, 3), *images(32, 32, 32, 3))
    searcher = darts.searcher(darts.Supernet(8, 4), darts.Config(epochs=2, batch=16))
    return Step(searcher.step, (searcher.init(jax.random.key(0), data), data))


def residual() -> Step:
    trainer = training.trainer(resnet.loss(), optax.sgd(0.1), 64)
    params = resnet.init(jax.random.key(0), resnet.Config())
    return Step(trainer.step, (trainer.init(params, 128, jax.random.key(1)), images(128, 32, 32, 3)))


def attack_step() -> Step:
    params, (x, labels) = resnet.init(jax.random.key(0), resnet.Config()), images(64, 32, 32, 3)
    loss = lambda x: losses.cross_entropy(resnet.forward(params, x)[0], labels).sum()
    return Step(jax.grad(loss), (x,))


def sampling_step() -> Step:
    chances = jnp.asarray(RNG.random(1_280_000), jnp.float32)
    return Step(lambda key, chances: selection.sample(key, 128_000, chances), (jax.random.key(0), chances))


def elastic() -> Step:
    rule, (x, labels) = sgd.elastic(optax.sgd(0.1), 0.05), images(160, 784)
    state = rule.init({"w": jnp.zeros((784, 10)), "b": jnp.zeros(10)}, 16)

    def loss(params, batch):
        logits = batch[0] @ params["w"] + params["b"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()

    return Step(
        lambda state, page: rule.step(state, loss, page), (state, (x.reshape(16, 10, 784), labels.reshape(16, 10)))
    )


STEPS = {
    "log-determinant and slope, 10 graphs of 100 columns, 64 bits": (log_det, True),
    "LIF network, 4 steps, batch 64, 28x28: loss and gradient": (spiking, False),
    "AutoSNN's supernet, 8 channels, batch 96, 8x8: training": (spiking_supernet, False),
    "DARTS, 8 channels, 4 cells, batch 16, 32x32: search": (darts_search, False),
    "ResNet-20, batch 64, 32x32: training": (residual, False),
    "ResNet-20, 64 images of 32x32: slope of an attack": (attack_step, False),
    "a tenth of 1.28 million drawn without replacement": (sampling_step, False),
    "EASGD, 16 workers, 10 images of MNIST each: a round": (elastic, False),
}


def rates() -> tuple[float, float]:
    """Operations a second of a large product, and bytes a second of a large sum; each the best of ten."""
    x, y = jnp.asarray(RNG.normal(size=(2048, 2048)), jnp.float32), jnp.zeros(2**26, jnp.float32)
    product, increment = jax.jit(lambda x: x @ x), jax.jit(lambda y: y + 1)
    best = lambda program, argument: min(time_call(program, argument)[1] for _ in range(11))
    return 2 * 2048**3 / best(product, x), 2 * y.nbytes / best(increment, y)


def steps() -> Iterator[Row]:
    """A step as its experiment takes it, compiled alone; medians of {repeats} calls. The floor is the longer of two
    times: that of its floating-point operations, as the compiler counts them, at the rate of a product of two
    matrices of 2048 x 2048; and that of reading its arguments and writing its results once, at the rate of adding 1
    to 256 MiB. Both rates, of 32 bits, are measured in the same run, and stand in the first row. What a step moves
    as compiled, between its fused parts, is not part of the floor: what stays in the caches costs little."""
    per_second, moved_per_second = rates()
    first = {"step": "the machine's rates, a second", "s compiling": "", "GFLOP": per_second / 1e9}
    yield Row(
        first
        | {"MiB in and out": moved_per_second / 2**20, "MiB as compiled": "", "floor ms": "", "ms": "", "times": ""},
        {},
    )
    for name, (build, wide) in STEPS.items():
        with jax.enable_x64(wide):
            yield measure(name, build(), per_second, moved_per_second)


def measure(name: str, step: Step, per_second: float, moved_per_second: float) -> Row:
    began = time.perf_counter()
    program = jax.jit(step.function).lower(*step.arguments).compile()
    compiling = time.perf_counter() - began
    costs, memory = program.cost_analysis(), program.memory_analysis()
    operations = step.operations or costs.get("flops", 0.0)
    least = memory.argument_size_in_bytes + memory.output_size_in_bytes
    floor = 1e3 * max(operations / per_second, least / moved_per_second)
    time_call(program, *step.arguments)
    took = 1e3 * statistics.median(time_call(program, *step.arguments)[1] for _ in range(REPEATS.value))
    cells = {"step": name, "s compiling": compiling, "GFLOP": operations / 1e9, "MiB in and out": least / 2**20}
    cells |= {"MiB as compiled": costs.get("bytes accessed", 0.0) / 2**20, "floor ms": floor, "ms": took}
    return Row(cells | {"times": took / floor}, {})


PARTS = {"steps": Part("The inner step of each system", steps)}


def main(argv: list[str]) -> None:
    tables.run(PARTS, "Floors", CHOSEN.value, OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
