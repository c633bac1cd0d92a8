"""SGD of many workers: how fast it is, alone and on the clock of a device, on MNIST.

    pip install torch==2.13.0  # for `epoch`
    python benchmarks/sgd.py --output=benchmarks/results/sgd.md

    together   a step of 16 workers compared with 16 steps of one
    epoch      a pass of softmax regression compared with PyTorch
    designs    10,000 devices, each to its time-to-accuracy, and their Pareto front
    grid       the grid of the experiment on all images: rules, channels, periods, rates, seeds

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tables
from absl import app, flags
from problems import time_call
from tables import Part, Row, at_least, at_most

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import isp_ml
from framework import data, runs, sgd
from framework.core import extremes
from framework.core.types import Params
from framework.ssd.device import presets
from framework.ssd.isp import clock, controllers

CHOSEN = flags.DEFINE_list("parts", ["together", "epoch", "designs", "grid"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
REPEATS = flags.DEFINE_integer("repeats", 11, "together, epoch: timed runs of each program, taken in turns")
DESIGNS = flags.DEFINE_integer("designs", 10_000, "designs: devices")

WORKERS, PAGE, TARGET = 16, 10, 0.85
CHANNELS, CHIPS = (2, 4, 8, 16), (1, 2, 4)
WAYS = (("sync", 1), ("easgd", 1), ("easgd", 4))  # rule and period


def images(split: str, count: int | None = None) -> tuple[jax.Array, jax.Array]:
    """MNIST as rows of floats in [0, 1], and labels."""
    image_set = data.images("mnist", split)
    rows = image_set.images[:count].reshape(-1, 784) / np.float32(image_set.maximum)
    return jnp.asarray(rows), jnp.asarray(image_set.labels[:count])


def start(features: int = 784) -> Params:
    return {"w": jnp.zeros((features, 10)), "b": jnp.zeros(10)}


def logits(params: Params, x: jax.Array) -> jax.Array:
    return x @ params["w"] + params["b"]


def loss(params: Params, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    x, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), labels).mean()


def in_turns(programs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each, after one call that does not count."""
    for program in programs.values():
        time_call(program)
    turns = [{name: time_call(program)[1] for name, program in programs.items()} for _ in range(REPEATS.value)]
    return {name: statistics.median(turn[name] for turn in turns) for name in programs}


def together() -> Iterator[Row]:
    """A hundred steps of {workers} workers on {page} images each, softmax regression on digits (64 features) and on
    MNIST (784): all workers in one call; each worker by a call of its own, one after another; and one after another
    within one program. Medians of {repeats} runs.
    """
    small = data.digits("train")
    sets = {"digits": (np.resize(small.images.reshape(-1, 64), (100 * WORKERS * PAGE, 64)), small.labels)}
    sets["MNIST"] = images("train", 100 * WORKERS * PAGE)
    for name, (x, labels) in sets.items():
        x, labels = jnp.float32(x), jnp.asarray(np.resize(labels, len(x)))
        batches = x.reshape(100, WORKERS, PAGE, -1), labels.reshape(100, WORKERS, PAGE)
        rules = {"sync": sgd.synchronous(optax.sgd(0.1)), "easgd": sgd.elastic(optax.sgd(0.1), 0.9 / WORKERS)}
        seconds = in_turns(programs_of(rules, batches))
        for rule in rules:
            cells = {"images, rule": f"{name}, {rule}", "ms a step": 10 * seconds[rule]}
            cells |= {f"ms in turn, {way}": 10 * seconds[way] for way in ("calls", "one program")}
            goals = {"at least 3 times as fast as 16 calls": at_least(seconds["calls"] / seconds[rule], 3)}
            yield Row(cells, goals | {"times one program": f"{seconds['one program'] / seconds[rule]:.2f}"})


def programs_of(rules: dict[str, sgd.Rule], batches: tuple[jax.Array, jax.Array]) -> dict[str, Callable[[], Any]]:
    """The same steps by each rule at once, by calls of one worker, and by one worker in one program."""
    count, workers = batches[1].shape[:2]
    first = start(batches[0].shape[-1])
    pages = [tuple(leaf[step] for leaf in batches) for step in range(count)]
    alone = sgd.synchronous(optax.sgd(0.1))
    single = [tuple(leaf[worker : worker + 1] for leaf in page) for page in pages for worker in range(workers)]

    def call_rule(rule: sgd.Rule, workers: int, arguments: list) -> Callable[[], Any]:
        step = jax.jit(lambda state, page: rule.step(state, loss, page), donate_argnums=0)

        def run() -> Any:
            state = jax.tree.map(jnp.array, rule.init(first, workers))
            for page in arguments:
                state = step(state, page)
            return state

        return run

    one = jax.jit(lambda state, pages: jax.lax.scan(lambda s, p: (alone.step(s, loss, p), None), state, pages)[0])
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, 1, *leaf.shape[2:]), batches)
    programs = {name: call_rule(rule, workers, pages) for name, rule in rules.items()}
    programs["calls"] = call_rule(alone, 1, single)
    return programs | {"one program": lambda: one(alone.init(first, 1), flat)}


def epoch() -> Iterator[Row]:
    """One pass over 60,000 images in a random order, batches of 100, plain SGD: `sgd.run` with one worker, and PyTorch
    (`nn.Linear`, `torch.optim.SGD`) with the number of threads that serves it best. Medians of {repeats} passes.
    """
    import torch

    train = images("train")
    rule = sgd.synchronous(optax.sgd(0.1))
    run = lambda: sgd.run(rule, loss, start(), train, workers=1, batch=100, key=jax.random.key(0))
    x, labels = torch.tensor(np.array(train[0])), torch.tensor(np.array(train[1]), dtype=torch.long)

    def other(threads: int) -> float:
        torch.set_num_threads(threads)
        model = torch.nn.Linear(784, 10)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        descent = torch.optim.SGD(model.parameters(), lr=0.1)
        for rows in torch.randperm(len(x)).split(100):
            descent.zero_grad()
            value = torch.nn.functional.cross_entropy(model(x[rows]), labels[rows])
            value.backward()
            descent.step()
        with torch.no_grad():
            return float((model(x).argmax(-1) == labels).float().mean())

    counts = range(1, (os.cpu_count() or 1) + 1)
    programs = {"ours": run} | {f"PyTorch, {n} threads": lambda n=n: other(n) for n in counts}
    seconds = in_turns(programs)
    ours = float((logits(run().centre, train[0]).argmax(-1) == train[1]).mean())
    best = min((name for name in programs if name != "ours"), key=seconds.get)
    times = seconds[best] / seconds["ours"]
    yield Row({"program": "ours", "s": seconds["ours"], "accuracy": ours}, {"at least 2 times": at_least(times, 2)})
    for name in programs:
        if name != "ours":
            cells = {"program": name, "s": seconds[name], "accuracy": other(int(name.split()[1]))}
            yield Row(cells, {})


def designs() -> Iterator[Row]:
    """{designs:,} devices: 2 to 16 channels of 1 to 4 chips; array reads of 20 to 100 us, channels of 200 to 1,200 MT/s
    and 1 to 64 floating-point units a controller, drawn evenly in the logarithm. The time is that of the events until
    the centre classifies 2,000 test images at .85, by synchronous SGD or by EASGD of period 1 or 4, whichever is first
    (rate .3, alpha = .9 / channels); how many events that takes depends on rule and channels alone, when they come on
    every device's own clock. On the front is whom none beats in time, floating-point units in all and chips in all.
    Seconds are of the whole part: training, compiling, clocks, front.
    """
    began = time.perf_counter()
    train, test = images("train", 12_000), images("test", 2000)
    designs_each = DESIGNS.value // (len(CHANNELS) * len(CHIPS))
    records = []
    for channels in CHANNELS:
        needed = [rounds_to_target(rule_of(*way, channels), channels, train, test) for way in WAYS]
        for chips in CHIPS:
            times = clocks(channels, chips, designs_each, needed)
            records.append((channels, chips, needed, *times))
    costs = np.concatenate([np.stack([t, c * w, np.full(designs_each, c * k)], 1) for c, k, _, t, w in records])
    kept = np.isin(np.arange(len(costs)), extremes.front(costs))
    seconds = time.perf_counter() - began
    for index, (channels, chips, needed, times, _) in enumerate(records):
        on = kept[index * designs_each :][:designs_each]
        cells = {"channels x chips": f"{channels} x {chips}", "designs": str(designs_each)}
        cells |= {f"rounds, {name} {period}": str(n) for (name, period), n in zip(WAYS, needed, strict=True)}
        cells |= {
            "ms, least": 1e3 * times.min(),
            "median": 1e3 * float(np.median(times)),
            "on the front": str(on.sum()),
        }
        yield Row(cells, {f"{DESIGNS.value:,} in at most 120 s": at_most(seconds, 120)} if index == 0 else {})


def rule_of(name: str, period: int, channels: int) -> sgd.Rule:
    step = optax.sgd(0.3)
    return sgd.synchronous(step) if name == "sync" else sgd.elastic(step, 0.9 / channels, period, synchronous=False)


def rounds_to_target(rule: sgd.Rule, channels: int, train: Any, test: Any) -> int:
    """Steps of all workers until the centre is at the target, to five steps."""
    pages = jax.tree.map(lambda leaf: leaf.reshape(-1, channels, PAGE, *leaf.shape[1:]), train)
    pages = jax.tree.map(lambda leaf: leaf[: len(leaf) // 5 * 5].reshape(-1, 5, *leaf.shape[1:]), pages)

    def look(state: sgd.State, pages: Any) -> tuple[sgd.State, jax.Array]:
        state, _ = jax.lax.scan(lambda s, page: (rule.step(s, loss, page), None), state, pages)
        return state, (logits(state.centre, test[0]).argmax(-1) == test[1]).mean()

    accuracy = jax.jit(lambda pages: jax.lax.scan(look, rule.init(start(), channels), pages)[1])(pages)
    above = np.asarray(accuracy) >= TARGET
    if not above.any():
        most = float(max(accuracy))
        raise RuntimeError(f"on {channels} channels the centre never reaches {TARGET}: {most:.3f} at most")
    return 5 * (int(above.argmax()) + 1)


def clocks(channels: int, chips: int, count: int, needed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds to the target of drawn devices, by the fastest rule, and their floating-point units a channel."""
    random = np.random.default_rng([channels, chips])
    even = lambda low, high: np.exp(random.uniform(np.log(low), np.log(high), count))
    width = np.round(even(1, 64))
    with jax.enable_x64(True):
        device = lambda read, rate: presets.isp_ml(channels=channels, chips=chips, read_us=read, channel_mt_s=rate)
        drawn = [device(read, rate) for read, rate in zip(even(20, 100), even(200, 1200), strict=True)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)
        work = controllers.softmax_regression(784, 10, PAGE)
        units = lambda width: controllers.Controllers(width=width)
        durations = jax.vmap(lambda design, width: controllers.durations(design, units(width), work))(stacked, width)
        ends = []
        for (name, period), rounds in zip(WAYS, needed, strict=True):
            form, turns = (clock.rounds, 1) if name == "sync" else (clock.turns, channels)
            events = rounds * turns
            due = jnp.arange(events + 1) % period == 0
            last = lambda one, form=form, events=events, due=due: form(one, due, events, chips).time[-1]
            ends.append(np.asarray(jax.jit(jax.vmap(last))(durations)))
    return np.min(ends, axis=0) * 1e-9, width


def grid() -> Iterator[Row]:
    """`isp_ml` on all 60,000 images, two passes: synchronous SGD, Downpour and EASGD on 4, 8 and 16 channels,
    periods 1, 4, 16 and 64, six rates, five orders of the pages, thirty looks at 500 test images; one program a rule
    and number of channels. Seconds of the whole experiment, compiling and figures included.
    """
    config = isp_ml.get_config("default")
    config.data.train, config.epochs, config.rates = 0, 2, (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        outcome, seconds = time_call(lambda: runs.execute(isp_ml, config, Path(folder) / "run"))
    cases = len(outcome.result["runs"]) * len(config.rates) * outcome.result["seeds"]
    updates = cases * config.epochs * outcome.result["pages"]
    cells = {"trainings": str(cases), "gradients of a page": f"{updates:,}", "s": seconds}
    cells["gradients a second"] = f"{updates / seconds:,.0f}"
    yield Row(cells, {"at most 1,200 s": at_most(seconds, 1200)})


PARTS = {
    "together": Part("Workers at once", together),
    "epoch": Part("A pass of softmax regression", epoch, ("torch",)),
    "designs": Part("Devices to time-to-accuracy", designs),
    "grid": Part("The whole grid", grid),
}


def main(argv: list[str]) -> None:
    tables.run(PARTS, "SGD of many workers", CHOSEN.value, OUTPUT.value, workers=WORKERS, page=PAGE)


if __name__ == "__main__":
    app.run(main)
