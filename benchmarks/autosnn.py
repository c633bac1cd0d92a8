"""AutoSNN: how exact, fast and good the search is, on scikit-learn's digits.

    python benchmarks/autosnn.py --output=benchmarks/results/autosnn.md

    parameters   the published network and the hand-made ones
    scores       all 3,125 networks by shared beginnings, and one by one
    search       evolution and random search against the exact table, over lambda
    tau          supernet scores compared with those of networks trained from scratch
    digits       the published cell on the test images
    mnist        the same on MNIST, three epochs
    step         a training step vs SpikingJelly (pip install torch==2.13.0; pip install --no-deps spikingjelly)

The supernet of the middle parts is trained first. The docstring of a part stands under its table. For one thread a side
in `step`: `NPROC=1 OMP_NUM_THREADS=1 python benchmarks/autosnn.py --parts=step`.
"""

import functools
import math
import os
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
from tables import Part, Row, at_least, at_most

from framework import data
from framework.core.chunked_scan import advance
from framework.nas import autosnn
from framework.nas.autosnn import enumeration, evolution, training
from framework.nas.autosnn.baselines import BASELINES

CHOSEN = flags.DEFINE_list("parts", ["parameters", "scores", "search", "tau", "digits", "mnist"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
SUPERNET = flags.DEFINE_integer("supernet_steps", 2300, "scores, search, tau: steps of the supernet's training")
NETWORK = flags.DEFINE_integer("network_steps", 230, "tau: steps of each network's training")
REPEATS = flags.DEFINE_integer("repeats", 20, "step: timed steps of each program")
NETWORKS = flags.DEFINE_integer("networks", 30, "tau: networks")

CHANNELS, STEPS, BATCH, RATE, PIECE = 8, 4, 48, 1e-2, 46
PUBLISHED = [4, 4, 0, 3, 4]
LAMBDAS = (0.0, -0.08, -0.16, -0.24)
KEYS = 10  # searches


class Setup(NamedTuple):
    space: autosnn.Space
    trainer: training.Trainer
    train: tuple[jax.Array, jax.Array]
    validation: tuple[jax.Array, jax.Array]
    test: tuple[jax.Array, jax.Array]


@functools.cache
def load_setup() -> Setup:
    """Digits of the training writers, the last fifth held back; those of other writers for the test."""
    part = lambda split, kept: (
        jnp.float32(data.digits(split).images[kept] / 16),
        jnp.asarray(data.digits(split).labels[kept]),
    )
    space = autosnn.search_space(CHANNELS, (8, 8, 1), dynamics=autosnn.Dynamics(STEPS))
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=RATE)  # one program for trainings of any length
    trainer = training.supernet_trainer(space, autosnn.Config(1, BATCH), optimizer)
    everything = slice(None)
    return Setup(space, trainer, part("train", slice(1149)), part("train", slice(1149, None)), part("test", everything))


def train_supernet(key: jax.Array, steps: int, pinned: Any = None) -> autosnn.Supernet:
    """The supernet, or one network in it, by Adam whose rate falls along a cosine."""
    setup = load_setup()
    state = setup.trainer.init(key, len(setup.train[1]), pinned)
    for done in range(0, steps, PIECE):
        rate = RATE * (1 + math.cos(math.pi * done / steps)) / 2
        state.inner.optimizer.hyperparams["learning_rate"] = jnp.float32(rate)
        state, _ = advance(setup.trainer.step, state, setup.train, PIECE)
    return training.supernet(state, setup.space)


@functools.cache
def supernet() -> autosnn.Supernet:
    return jax.block_until_ready(train_supernet(jax.random.key(0), SUPERNET.value // PIECE * PIECE))


@functools.cache
def table() -> tuple[autosnn.Scores, float]:
    """The exact scores, and the seconds of making them, compilation included."""
    trained_supernet = supernet()
    return time_call(lambda: jax.block_until_ready(autosnn.enumerate(trained_supernet, *load_setup().validation)))


def parameters() -> Iterator[Row]:
    """Numbers learned at 32 x 32 x 3 and ten classes: kernels, two a channel of each norm, one a layer of neurons. The
    published counts of the hand-made networks are in millions, to two decimals.
    """
    published = {16: 417_626, 32: 1_462_954, 64: 5_436_746, 128: 20_916_874}
    for channels, expected in published.items():
        count = autosnn.build_network(autosnn.search_space(channels), PUBLISHED).parameters()
        state = "met" if count == expected else f"missed: {count}"
        yield Row({"network": f"AutoSNN, C = {channels}", "parameters": f"{count:,}"}, {"exact": state})
    for name, make in BASELINES.items():
        for channels in (16, 32, 64):
            yield Row({"network": f"{name}, C = {channels}", "parameters": f"{make(channels).parameters():,}"}, {})


def scores() -> Iterator[Row]:
    """All 3,125 networks of C = 8, T = 4 on the 288 held-back digits with the weights of one supernet: by shared
    beginnings in one call, and one after another by the one program that serves every architecture ({sample} drawn
    architectures). Seconds of the second call of each, and of the first, which compiles. Bits: how many of the drawn
    architectures have the same accuracy and spikes by both ways.
    """
    trained_supernet = supernet()
    setup = load_setup()
    exact, first = table()
    seconds = time_call(lambda: jax.block_until_ready(autosnn.enumerate(trained_supernet, *setup.validation)))[1]
    drawn = np.random.default_rng(0).choice(setup.space.size, SAMPLE, replace=False)
    alone = lambda i: autosnn.evaluate(trained_supernet, setup.space.architecture(int(i)), *setup.validation)
    _, compiling = time_call(lambda: jax.block_until_ready(alone(drawn[0])))
    start = time.perf_counter()
    singles = [jax.block_until_ready(alone(i)) for i in drawn]
    seconds_each = (time.perf_counter() - start) / SAMPLE
    same = sum(
        bool(single.accuracy == exact.accuracy[i] and single.spikes == exact.spikes[i])
        for i, single in zip(drawn, singles, strict=True)
    )
    rate = setup.space.size / seconds
    cells = {"way": "shared beginnings", "networks a second": rate, "s for all": seconds, "s with compiling": first}
    goals = {
        "all in at most 300 s": at_most(first, 300),
        "at least 3 times as many a second": at_least(rate * seconds_each, 3),
        "bits": f"{same} of {SAMPLE} equal",
        "programs for all architectures": str(enumeration._evaluate._cache_size()),
    }
    yield Row(cells, goals)
    cells = {"way": "one by one", "networks a second": 1 / seconds_each, "s for all": seconds_each * setup.space.size}
    yield Row(cells | {"s with compiling": compiling}, {})


SAMPLE = 100


def search() -> Iterator[Row]:
    """Evolution and random search of 400 evaluations each from ten keys, against the exact table of the part above.
    `found`: means over the keys of what evolution ends with. Regret: 1 - fitness / the best of all. Spikes and accuracy
    are the supernet's on the held-back images; the reference is its mean.
    """
    trained_supernet = supernet()
    exact, _ = table()
    space, reference = load_setup().space, max(float(trained_supernet.spikes), 1.0)
    keys = jax.random.split(jax.random.key(1), KEYS)
    before, plain = math.inf, None
    for lambda_ in LAMBDAS:
        worth = np.asarray(autosnn.fitness(*exact, lambda_, reference))
        ends = {}
        for algorithm in evolution.ALGORITHMS:
            settings = autosnn.SearchConfig(algorithm)
            one = lambda key, settings=settings, lambda_=lambda_: autosnn.search(
                key, space, autosnn.from_table(space, exact), lambda_, reference, settings
            )
            ends[algorithm] = jax.jit(jax.vmap(one))(keys)
        evolved, drawn = (np.asarray(result.fitness) for result in ends.values())
        accuracy, spikes = (float(np.mean(values)) for values in (ends["evolution"].accuracy, ends["evolution"].spikes))
        plain = accuracy if plain is None else plain
        cells = {"lambda": f"{lambda_:g}", "accuracy found": accuracy, "spikes found": f"{spikes:.1f}"}
        best = int(np.argmax(worth))
        cells |= {"best of all": f"{float(exact.accuracy[best]):.4f}, {float(exact.spikes[best]):.0f}"}
        regrets = {"regret": evolved, "random's": drawn}
        cells |= {name: f"{np.mean(1 - regret / worth.max()):.5f}" for name, regret in regrets.items()}
        goals = {
            "top 1 % in at least 9 of 10": at_least(int((evolved >= np.quantile(worth, 0.99)).sum()), 9),
            "beats random in at least 8": at_least(int((evolved > drawn).sum()), 8),
            "ties with random": str(int((evolved == drawn).sum())),
            "spikes do not rise": at_most(spikes, before) if before < math.inf else "",
        }
        if lambda_ == -0.08:
            goals["accuracy lost, at most .01"] = at_most(plain - accuracy, 0.01)
        else:
            goals["accuracy lost, at most .01"] = ""
        yield Row(cells, goals)
        before = spikes


def tau() -> Iterator[Row]:
    """{networks} architectures drawn at random, each trained from fresh weights for {network_steps} steps by the
    supernet's own program with all slots pinned, and scored on the held-back digits; Kendall's tau-b between these
    scores and the supernet's, with the 95 % interval of 2,000 bootstrap samples of the architectures.
    """
    from scipy.stats import kendalltau

    exact, _ = table()
    setup = load_setup()
    drawn = np.random.default_rng(2).choice(setup.space.size, NETWORKS.value, replace=False)
    pairs = []
    for index, i in enumerate(drawn):
        architecture = setup.space.architecture(int(i))
        net = train_supernet(jax.random.fold_in(jax.random.key(3), index), NETWORK.value // PIECE * PIECE, architecture)
        alone = autosnn.evaluate(net, architecture, *setup.validation)
        pairs.append((exact.accuracy[i], alone.accuracy, exact.spikes[i], alone.spikes))
        print(f"{index + 1}: {np.asarray(architecture)} {pairs[-1][0]:.3f} {pairs[-1][1]:.3f}", flush=True)
    pairs = np.array(pairs, float).T
    random = np.random.default_rng(4)
    for name, (shared, alone) in {"accuracy": pairs[:2], "spikes": pairs[2:]}.items():
        correlation = kendalltau(shared, alone).statistic
        samples = random.integers(0, len(drawn), (2000, len(drawn)))
        low, high = np.nanquantile([kendalltau(shared[s], alone[s]).statistic for s in samples], [0.025, 0.975])
        cells = {"score": name, "tau": correlation, "95 % interval": f"{low:.2f} .. {high:.2f}"}
        cells |= {"mean of the supernet": float(shared.mean()), "from scratch": float(alone.mean())}
        yield Row(cells, {"goal: at least .4": at_least(correlation, 0.4)} if name == "accuracy" else {})


def digits() -> Iterator[Row]:
    """The published cell with C = 8, T = 8 from fresh weights on all 1,437 training digits, forty epochs of batches of
    48, the loss and optimiser of the middle parts; test digits, by other writers, after the last step; three seeds.
    """
    space = autosnn.search_space(CHANNELS, (8, 8, 1), dynamics=autosnn.Dynamics(8))
    train, test = (
        tuple(map(jnp.asarray, (np.float32(part.images / part.maximum), part.labels)))
        for part in map(data.digits, ("train", "test"))
    )
    ends = [from_scratch(jax.random.key(seed), space, train, test, autosnn.Config(40, BATCH)) for seed in range(3)]
    yield from_scratch_row(ends, 0.97)


def mnist() -> Iterator[Row]:
    """The published cell with C = 4, T = 4 on all 60,000 training images for three epochs of batches of 64, as above;
    test images after the last step.
    """
    sets = [data.images("mnist", split) for split in ("train", "test")]
    train, test = ((jnp.float32(part.images) / part.maximum, jnp.asarray(part.labels)) for part in sets)
    space = autosnn.search_space(4, train[0].shape[1:], dynamics=autosnn.Dynamics(4))
    yield from_scratch_row([from_scratch(jax.random.key(0), space, train, test, autosnn.Config(3, 64))], 0.985)


class Ended(NamedTuple):
    """Test results of a network that is trained from new weights."""

    accuracy: float
    spikes: float
    seconds: float  # of the training, compiling included


@functools.cache
def trainer_of(net: autosnn.Network, config: autosnn.Config, steps: int) -> training.Trainer:
    return training.network_trainer(net, config, optax.adam(optax.cosine_decay_schedule(RATE, steps)))


def from_scratch(key: jax.Array, space: autosnn.Space, train: Any, test: Any, config: autosnn.Config) -> Ended:
    net, steps = autosnn.build_network(space, PUBLISHED), config.steps(len(train[1]))
    trainer = trainer_of(net, config, steps)
    state, began = trainer.init(key, len(train[1])), time.perf_counter()
    for _ in range(config.epochs):
        state, metrics = advance(trainer.step, state, train, steps // config.epochs)
        print(f"{float(metrics['accuracy'].mean()):.4f} after {time.perf_counter() - began:.0f} s", flush=True)
    seconds, tree = time.perf_counter() - began, state.inner.params
    answer = jax.jit(lambda images: net.apply(tree["params"], tree["state"], images)[0])
    ends = [answer(test[0][at : at + 500]) for at in range(0, len(test[1]), 500)]
    right = np.concatenate([end.votes.argmax(-1) for end in ends]) == test[1]
    spikes = np.concatenate([end.spikes.sum(-1) for end in ends])
    return Ended(float(right.mean()), float(spikes.mean()), seconds)


def from_scratch_row(ends: list[Ended], published: float) -> Row:
    accuracy = statistics.mean(end.accuracy for end in ends)
    cells = {"network": "SRB5, SRB5 skip, SRB3 SRB5", "accuracy": f"{accuracy:.4f}"}
    cells |= {"of each seed": ", ".join(f"{end.accuracy:.4f}" for end in ends)}
    cells |= {"spikes": statistics.mean(end.spikes for end in ends), "s": ends[0].seconds}
    return Row(cells, {f"at least {published:g}": at_least(accuracy, published)})


def step() -> Iterator[Row]:
    """The published cell with C = 16, T = 8 on one batch of 16 images of 32 x 32 x 3: forward, backward through time
    and Adam, the same weights on both sides; medians of {repeats} steps taken in turns. Norms see each step apart, as
    in the authors' program, or all steps at once, SpikingJelly's fastest way. Losses are those before the first and
    before the last step.
    """
    import autosnn_peers
    import torch

    threads = int(os.environ.get("NPROC", os.cpu_count()))
    torch.set_num_threads(threads)
    random = np.random.default_rng(0)
    images, labels = random.random((16, 32, 32, 3), np.float32), random.integers(0, 10, 16)
    programs = {}
    for statistics_ in ("step", "time"):
        net = autosnn.build_network(autosnn.search_space(dynamics=autosnn.Dynamics(statistics=statistics_)), PUBLISHED)
        programs["ours", statistics_] = our_step(net, images, labels)
        params = net.init(jax.random.key(0))[0]
        programs["SpikingJelly", statistics_] = autosnn_peers.trainer(net, params, images, labels, 1e-3)
    first = {name: time_call(program) for name, program in programs.items()}
    turns = [{name: time_call(program) for name, program in programs.items()} for _ in range(REPEATS.value)]
    median = {name: statistics.median(turn[name][1] for turn in turns) for name in programs}
    for name, norms in programs:
        cells = {"program": name, "norms over": norms, "threads": str(threads), "s": median[name, norms]}
        cells["s of the first"] = first[name, norms][1]
        cells |= {"loss before": f"{first[name, norms][0]:.5f}", "last": f"{turns[-1][name, norms][0]:.5f}"}
        times = median["SpikingJelly", norms] / median[name, norms]
        yield Row(cells, {"at least as fast as SpikingJelly": at_least(times, 1)} if name == "ours" else {})


def our_step(net: autosnn.Network, images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """As `autosnn_peers.trainer`."""
    adam = optax.adam(1e-3)
    params, running = net.init(jax.random.key(0))
    state = {"params": params, "running": running, "adam": adam.init(params)}

    @jax.jit
    def update(state):
        def loss(params):
            outputs, running = net.apply(params, state["running"], jnp.asarray(images), train=True)
            return training.squared_error(outputs, jnp.asarray(labels)), running

        (value, running), slope = jax.value_and_grad(loss, has_aux=True)(state["params"])
        change, moments = adam.update(slope, state["adam"])
        return {"params": optax.apply_updates(state["params"], change), "running": running, "adam": moments}, value

    def step() -> float:
        new_state, value = update(state)
        state.update(new_state)
        return float(value)

    return step


PARTS = {
    "parameters": Part("Parameters", parameters),
    "scores": Part("All networks, scored exactly", scores),
    "search": Part("Searches against the exact table", search),
    "tau": Part("Supernet scores and scores from scratch", tau),
    "digits": Part("Digits", digits),
    "mnist": Part("MNIST", mnist),
    "step": Part("Training step", step, ("torch", "spikingjelly")),
}


def main(argv: list[str]) -> None:
    tables.run(PARTS, "The search for spiking networks", CHOSEN.value, OUTPUT.value, sample=SAMPLE)


if __name__ == "__main__":
    app.run(main)
