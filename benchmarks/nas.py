"""The DARTS supernet compared with a plain PyTorch one of the same weights: same process, same threads, in one run.

    pip install torch==2.13.0
    python benchmarks/nas.py --output=benchmarks/results/nas.md

    parameters   what the published networks count, without training
    small        search steps of a supernet of 8 channels and 4 cells, batch 16, 32x32 images; what compiling takes
    full         the same of 16 channels and 8 cells, batch 16
    difference   finite difference against exact curvature, in float64 on a smooth net
    seeds        4 searches in one program against one after another

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import os

# NPROC is XLA's
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "2")

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tables
from absl import app, flags
from jax.experimental.compilation_cache import compilation_cache
from tables import Part, Row, at_least, at_most

from framework.nas import darts
from framework.nas.advrush import curvature
from framework.nas.darts import bilevel, network, supernet

CHOSEN = flags.DEFINE_list("parts", ["parameters", "small", "full", "difference", "seeds"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
REPEATS = flags.DEFINE_integer("repeats", 10, "timed calls of each program, taken in turns")

H, GAMMA, THREADS = 1.5, 0.01, 2
ADVRUSH = {
    "normal": [
        ["sep_conv_3x3", 1],
        ["sep_conv_3x3", 0],
        ["sep_conv_5x5", 0],
        ["sep_conv_3x3", 1],
        ["sep_conv_3x3", 1],
        ["sep_conv_3x3", 0],
        ["skip_connect", 0],
        ["sep_conv_3x3", 1],
    ],
    "normal_concat": [2, 3, 4, 5],
    "reduce": [
        ["sep_conv_3x3", 0],
        ["sep_conv_3x3", 1],
        ["skip_connect", 0],
        ["dil_conv_3x3", 2],
        ["skip_connect", 0],
        ["avg_pool_3x3", 1],
        ["skip_connect", 0],
        ["skip_connect", 2],
    ],
    "reduce_concat": [2, 3, 4, 5],
}


def parameters() -> Iterator[Row]:
    """Counted from shapes alone. The networks have no auxiliary head."""
    count = lambda init: supernet.parameter_count(jax.eval_shape(init, jax.random.key(0)))
    final_network = network.build_network(darts.from_json(ADVRUSH))
    counts = {
        "supernet, 16 channels, 8 cells": (count(lambda key: supernet.init(key, supernet.Supernet())), 1_930_618),
        "AdvRush's network, 36 channels, 20 cells": (count(lambda key: network.init(key, final_network)), 4_158_046),
    }
    for name, (count, known) in counts.items():
        yield Row(
            {"network": name, "parameters": f"{count:,}"},
            {"the published number": "met" if count == known else "missed"},
        )


class Program(NamedTuple):
    """One side's steps; each computes a value, the new parameters with it."""

    steps: dict[str, Callable[[], float]]
    compiling: dict[str, tuple[float, float, float]]  # wall and processor seconds, and wall seconds from the cache


def ours(net: supernet.Supernet, params, alphas, images, labels) -> Program:
    """Gradient and update, as `bilevel` takes them."""
    config = darts.Config()
    loss, still = bilevel.cross_entropy(net, True), bilevel.cross_entropy(net, False)
    optimizer, adam = bilevel._optimizer(config), bilevel._alpha_optimizer(config)

    def weights(alphas, params, state, _):
        (value, _), slope = jax.value_and_grad(loss, 1, has_aux=True)(alphas, params, images, labels)
        change, state = optimizer.update(slope, state, params)
        return optax.tree.add_scale(params, -config.rate, change), state, value

    def architecture(alphas, params, _, state, regularised=False):
        (value, (new_params, _)), slope = jax.value_and_grad(loss, has_aux=True)(alphas, params, images, labels)
        if regularised:
            summed = lambda a, x: len(x) * still(a, params, x, labels)[0]
            penalty, more = jax.value_and_grad(lambda a: curvature.penalty(summed, a, images, H))(alphas)
            value, slope = value + GAMMA * penalty, optax.tree.add_scale(slope, GAMMA, more)
        change, state = adam.update(slope, state, alphas)
        return optax.apply_updates(alphas, change), state, new_params, value

    state = alphas, params, optimizer.init(params), adam.init(alphas)
    chosen = {"weights": weights, "architecture": architecture, "regularised": partial(architecture, regularised=True)}
    steps, compiling = {}, {}
    for name, step in chosen.items():
        program, compiling[name] = compile_step(step, state)
        steps[name] = lambda program=program: float(jax.block_until_ready(program(*state))[-1])
    return Program(steps, compiling)


def compile_step(step: Callable, arguments: tuple):
    """A compiled step, and what that took: cold, and from a cache on disk."""
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        took = []
        for _ in range(2):
            jax.clear_caches()
            start, work = time.perf_counter(), time.process_time()
            program = jax.jit(step).lower(*arguments).compile()
            took.append((time.perf_counter() - start, time.process_time() - work))
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
    return program, (*took[0], took[1][0])


def theirs(net: supernet.Supernet, params, alphas, images, labels) -> Program:
    """PyTorch: gradients of what moves alone, so that no side computes more than it needs."""
    import nas_torch
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(THREADS)
    model = nas_torch.load_params(nas_torch.Network(net), params, alphas)
    x, y = nas_torch.tensor(np.asarray(images).transpose(0, 3, 1, 2)).contiguous(), nas_torch.tensor(labels).long()
    movable, chosen = model.weights(), list(model.alphas)
    sgd = torch.optim.SGD(movable, 0.025, momentum=0.9, weight_decay=3e-4)
    adam = torch.optim.Adam(chosen, 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def take_step(optimizer, parameters, value, clip=False):
        for parameter, slope in zip(parameters, torch.autograd.grad(value, parameters, allow_unused=True), strict=True):
            parameter.grad = slope
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        return value.item()

    plain = lambda: F.cross_entropy(model(x), y)
    regularised = lambda: plain() + GAMMA * nas_torch.curvature(model, x, y, H)
    steps = {
        "weights": lambda: take_step(sgd, movable, plain(), clip=True),
        "architecture": lambda: take_step(adam, chosen, plain()),
        "regularised": lambda: take_step(adam, chosen, regularised()),
    }
    return Program(steps, {})


def both(channels: int, cells: int, compile_goal: float | None) -> Iterator[Row]:
    net = supernet.Supernet(channels, cells)
    params, alphas = supernet.init(jax.random.key(0), net), darts.init_alphas(jax.random.key(1))
    rng = np.random.default_rng(0)
    images, labels = jnp.asarray(rng.random((16, 32, 32, 3)), jnp.float32), jnp.asarray(rng.integers(0, 10, 16))
    mine, other = ours(net, params, alphas, images, labels), theirs(net, params, alphas, images, labels)
    seconds = {(side, name): [] for side in ("ours", "PyTorch") for name in mine.steps}
    work = {key: [] for key in seconds}
    first = {}
    for turn in range(REPEATS.value + 1):
        for name in mine.steps:
            for side, program in (("ours", mine), ("PyTorch", other)):
                start, busy = time.perf_counter(), time.process_time()
                value = program.steps[name]()
                if turn:  # the first warms up
                    seconds[side, name].append(time.perf_counter() - start)
                    work[side, name].append(time.process_time() - busy)
                first.setdefault((side, name), value)
    median = lambda table, *key: statistics.median(table[key])
    for name in mine.steps:
        least = {side: min(seconds[side, name]) for side in ("ours", "PyTorch")}
        cells_of = {
            "step": name,
            "ours s": median(seconds, "ours", name),
            "PyTorch s": median(seconds, "PyTorch", name),
        }
        times = cells_of["PyTorch s"] / cells_of["ours s"]
        cells_of |= {"times": times, "by the least": least["PyTorch"] / least["ours"]}
        cells_of["by processor s"] = median(work, "PyTorch", name) / median(work, "ours", name)
        wall, busy, cached = mine.compiling[name]
        cells_of |= {"s compiling": wall, "processor s": busy, "s from the cache": cached}
        cells_of["first losses"] = f"{first['ours', name]:.5f}, {first['PyTorch', name]:.5f}"
        goals = {"times PyTorch's speed": at_least(times, 2.5 if name == "regularised" else 1.5)}
        if name == "regularised":
            plain = median(seconds, "ours", "architecture")
            goals["at most 5 architecture steps"] = at_most(cells_of["ours s"] / plain, 5.0)
            goals["compiled in 60 s"] = at_most(wall, 60.0)
        if name == "architecture":
            both_of = mine.compiling["weights"][0] + wall
            goals[f"weights and architecture compiled in {compile_goal:.0f} s"] = at_most(both_of, compile_goal)
            goals["both from the cache in 10 s"] = at_most(mine.compiling["weights"][2] + cached, 10.0)
        yield Row(cells_of, goals)


def small() -> Iterator[Row]:
    """8 channels, 4 cells, batch 16, 32x32x3, float32, {threads} threads a side; medians of {repeats} steps a program,
    in turns, and the ratio of the least and of processor seconds. `regularised`: the architecture step
    with the curvature at h = 1.5. PyTorch's weights are ours, copied; the first losses are those before any step, and
    PyTorch's later ones follow its own steps."""
    yield from both(8, 4, 40.0)


def full() -> Iterator[Row]:
    """As above, 16 channels and 8 cells."""
    yield from both(16, 8, 70.0)


def difference() -> Iterator[Row]:
    """mean ||g(x + h d) - g(x)|| / h against mean ||H d||, three images of a two-layer softplus net in float64."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        one, two, images = rng.normal(size=(12, 16)), rng.normal(size=(16, 5)), rng.normal(size=(3, 2, 2, 3))

        def loss_surface(alphas, x):
            logits = jax.nn.softplus(x.reshape(len(x), -1) @ one * alphas) @ two
            return (jax.nn.logsumexp(logits, -1) - logits[:, 0]).sum()

        alphas = jnp.ones(16)
        for h in (1e-6, 1e-5, 1e-4, 1e-2, 1.5):
            penalty = lambda kind, h=h: float(curvature.penalty(loss_surface, alphas, images, h, False, kind))
            penalties = [penalty(kind) for kind in curvature.KINDS]
            error = abs(penalties[0] / penalties[1] - 1)
            goals = {"equal to .001": at_most(error, 1e-3)} if h <= 1e-4 else {}
            yield Row({"h": f"{h:g}", "relative difference": error}, goals)


def seeds() -> Iterator[Row]:
    """Steps of 4 DARTS searches (2 channels, 2 cells, batch 16, 8x8 images): one program of all by `lax.map` or `vmap`,
    against four calls of the single program; medians of {repeats}, taken in turns. The difference is the largest of any
    alpha after the timed steps."""
    net, config = darts.Supernet(2, 2, reductions=(1,)), darts.Config(epochs=50, batch=16)
    rng = np.random.default_rng(0)
    images, labels = rng.random((64, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 64)
    data = darts.Data(*map(jnp.asarray, (images, labels, images, labels)))
    searcher = darts.searcher(net, config)
    starts = [searcher.init(jax.random.key(seed), data) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
    single = jax.jit(searcher.step)
    programs = {
        "one after another": (lambda states: [single(state, data)[0] for state in states], starts),
        "lax.map": (lambda states, step=jax.jit(darts.batched_step(searcher.step)): step(states, data)[0], stacked),
        "vmap": (lambda states, step=jax.jit(darts.batched_step(searcher.step, True)): step(states, data)[0], stacked),
    }
    states, compiling, seconds = {}, {}, {name: [] for name in programs}
    for name, (step, start) in programs.items():
        begin = time.perf_counter()
        states[name] = jax.block_until_ready(step(start))
        compiling[name] = time.perf_counter() - begin
    for _ in range(REPEATS.value):
        for name, (step, _) in programs.items():
            begin = time.perf_counter()
            states[name] = jax.block_until_ready(step(states[name]))
            seconds[name].append(time.perf_counter() - begin)
    alone = jnp.stack([state.alphas.normal for state in states["one after another"]])
    apart = statistics.median(seconds["one after another"])
    for name in programs:
        row = {"4 searches": name, "s a step of all": statistics.median(seconds[name]), "s compiling": compiling[name]}
        if name == "one after another":
            yield Row(row | {"difference": ""}, {})
            continue
        apart_by = float(jnp.abs(states[name].alphas.normal - alone).max())
        goals = {"not slower": at_most(row["s a step of all"] / apart, 1.0), "equal to 1e-5": at_most(apart_by, 1e-5)}
        yield Row(row | {"difference": apart_by}, goals)


PARTS = {
    "parameters": Part("Parameters", parameters),
    "small": Part("Search steps, 8 channels and 4 cells", small, ("torch",)),
    "full": Part("Search steps, 16 channels and 8 cells", full, ("torch",)),
    "difference": Part("Finite difference and exact curvature", difference),
    "seeds": Part("Searches in one program", seeds),
}


def main(argv: list[str]) -> None:
    logging.disable(logging.INFO)
    tables.run(PARTS, "The DARTS supernet compared with PyTorch", CHOSEN.value, OUTPUT.value, threads=THREADS)


if __name__ == "__main__":
    app.run(main)
