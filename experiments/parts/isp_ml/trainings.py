"""Training of the in-storage experiment: every period, learning rate and seed of a rule in one program."""

import itertools
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict
from tqdm import tqdm

from framework import (
    data,
    runs,
    sgd,
    ssd,
)
from framework.core import keys
from framework.core.devices import DATA_PARALLEL
from framework.sgd import placement
from framework.sgd import rule as sgd_rule
from framework.sgd.rule import gather, mean
from framework.ssd.device import presets
from framework.ssd.isp import controllers, training

SAMPLES = 10  # images a page: 8 KB over 784 pixels and a label of a byte each
RULES = ("sync", "downpour", "easgd", "eamsgd", "local")
SEEN = ("centre", "worker_mean")


class Pages(NamedTuple):
    """Images by page, as bytes, and what accuracy is measured on."""

    images: jax.Array  # [pages, samples, features] uint8
    labels: jax.Array  # [pages, samples] int32
    test_images: jax.Array  # [test, features] float32
    test_labels: jax.Array  # [test] int32
    maximum: int


class Curves(NamedTuple):
    """Accuracy over simulated time, of one rule on one number of channels."""

    time: dict[int, np.ndarray]  # period -> [looks] seconds
    accuracy: dict[str, np.ndarray]  # of the centre and of the workers' mean: [periods, rates, seeds, looks]
    diverged: np.ndarray  # [periods, rates, seeds] bool: no finite numbers at the end, an accuracy of 0
    joules: dict[int, float]  # period -> for the whole run


def pages(config: ConfigDict) -> tuple[Pages, data.ImageSet]:
    """The pages of the experiment, amplified, and the images before that."""
    train = data.images(config.data.name, "train", config.data.dir or None)
    test = data.images(config.data.name, "test", config.data.dir or None, config.data.test)
    if train.images.shape[-1] != 1:
        raise ValueError(f"data.name must be a set of images of one colour, but {train} has {train.images.shape[-1]}")
    count = config.data.train or len(train.labels)
    if not SAMPLES <= count <= len(train.labels):
        raise ValueError(f"data.train must be 0 (all) or {SAMPLES} to {len(train.labels)} images, got {count}")
    originals = data.first(train, count)
    key = keys.derive(jax.random.key(config.seed), "distortion")
    scale = originals.images.shape[1] / 28
    images = data.amplify(key, originals.images[..., 0], config.data.amplify, 34 * scale**2, 4 * scale)
    labels = np.tile(originals.labels, config.data.amplify)
    whole = len(images) // SAMPLES * SAMPLES
    order = np.asarray(jax.random.permutation(keys.derive(jax.random.key(config.seed), "pages"), len(images)))[:whole]
    shape = (whole // SAMPLES, SAMPLES, -1)
    return Pages(
        jnp.asarray(images[order].reshape(shape)),
        jnp.asarray(labels[order].reshape(shape[:2])),
        jnp.asarray(test.images.reshape(len(test.labels), -1) / np.float32(train.maximum)),
        jnp.asarray(test.labels),
        train.maximum,
    ), originals


def check(config: ConfigDict, image_pages: Pages, counts: tuple[int, ...]) -> None:
    """Refuses what would fail only after the first training."""
    for channels in counts:
        controllers.check(design(config, channels), processors(config))
        training.check_pages(design(config, channels), image_pages.images, SAMPLES * (image_pages.images.shape[-1] + 1))
        training.share(design(config, channels), image_pages.labels)


def make_rule(name: str, workers: int, rate: Any, period: Any, settings: ConfigDict) -> sgd.Rule:
    """A rule by its name; `alpha` is beta / workers."""
    step, alpha = optax.sgd(rate), settings.beta / workers
    if name == "sync":
        return sgd.synchronous(step)
    if name == "downpour":
        return sgd.downpour(step, period, settings.accumulate)
    if name == "local":
        return sgd.local(step, period)
    momentum = settings.momentum if name == "eamsgd" else 0.0
    return sgd.elastic(step, alpha, period, momentum=momentum, synchronous=False)


def start(config: ConfigDict, features: int, classes: int) -> dict[str, jax.Array]:
    """Parameters of softmax regression, all zero; of an MLP where hidden units are asked for."""
    sizes = (features, *([config.hidden] if config.hidden else []), classes)
    key, params = keys.derive(jax.random.key(config.seed), "weights"), {}
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        scale = np.sqrt(2 / fan_in) if config.hidden else 0.0
        params[f"w{i}"] = scale * jax.random.normal(jax.random.fold_in(key, i), (fan_in, fan_out))
        params[f"b{i}"] = jnp.zeros(fan_out)
    return params


def logits(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Logits `[batch, classes]` of images `[batch, features]`."""
    layers = len(params) // 2
    for i in range(layers):
        x = x @ params[f"w{i}"] + params[f"b{i}"]
        x = jax.nn.relu(x) if i < layers - 1 else x
    return x


def loss(params: dict[str, jax.Array], page: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Cross-entropy of a page, (floats `[samples, features]`, labels `[samples]`)."""
    x, labels = page
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), labels).mean()


def cost(config: ConfigDict, image_pages: Pages) -> controllers.MinibatchCost:
    """The cost of a page: by the formula for softmax regression, counted in the program for an MLP."""
    features, classes = image_pages.images.shape[-1], int(image_pages.labels.max()) + 1
    if not config.hidden:
        return controllers.softmax_regression(features, classes, SAMPLES)
    page = jnp.zeros((SAMPLES, features)), jnp.zeros(SAMPLES, jnp.int32)
    return controllers.work(loss, start(config, features, classes), page)


def design(config: ConfigDict, channels: int) -> ssd.Design:
    """The device with a number of channels."""
    return presets.isp_ml(channels=channels, read_us=config.ssd.read_us, channel_mt_s=config.ssd.channel_mt_s)


def processors(config: ConfigDict) -> controllers.Controllers:
    """Its controllers."""
    names = ("clock_mhz", "width", "bus_gb_s", "parameter_bytes", "buffer_bytes")
    return controllers.Controllers(**{name: config.ssd[name] for name in names})


def periods(config: ConfigDict, name: str) -> tuple[int, ...]:
    """Local steps between two exchanges, of the config; always 1 for synchronous SGD."""
    counts = tuple(config.periods) if config.period is None else (config.period,)
    return (1,) if name == "sync" else counts


def curves(config: ConfigDict, run: runs.Run, image_pages: Pages, name: str, channels: int, seeds: list[int]) -> Curves:
    """All periods, rates and seeds of a rule, learned in one program and timed by the device's clock.

    Equal workers take turns in their order, so that events in the order of the clock are rounds.
    """
    all_periods = periods(config, name)
    pages_per_channel = len(image_pages.images) // channels
    rounds = pages_per_channel * config.epochs
    per_look = max(rounds // config.looks, 1)
    looks = rounds // per_look
    settings = list(itertools.product(all_periods, config.rates))
    fixed = {
        "pages": image_pages._replace(maximum=jnp.float32(image_pages.maximum)),
        "period": jnp.array([period for period, _ in settings], jnp.int32),
        "rate": jnp.array([rate for _, rate in settings], jnp.float32),
        "order": jnp.stack([_order(seed, channels, pages_per_channel, config.epochs) for seed in seeds], axis=1),
    }
    devices = placement.devices_for(channels)
    if devices > 1:
        tqdm.write(f"{name}: {channels} workers on {devices} devices", file=sys.stderr)
    params = start(config, image_pages.images.shape[-1], int(image_pages.labels.max()) + 1)
    first = make_rule(name, channels, 0.1, 1, config.rules).init(params, channels)
    cases = len(seeds), len(settings)
    masters = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*cases, *leaf.shape)), first.master)
    copied = lambda leaf: jnp.broadcast_to(leaf[:, None, None], (channels, *cases, *leaf.shape[1:]))
    history = jnp.zeros((looks, len(SEEN), *cases))
    initial = masters, jax.tree.map(copied, first.workers), jnp.zeros((), jnp.int32), history
    phase = f"{name}-{channels}"
    arms = [f"every {period} at {rate:g}" for period, rate in settings]

    def rows(done: int, metrics: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        prefix = {"step": done * per_look, "phase": phase}
        return [
            prefix | {"arm": arm, "period": period, "rate": rate, "seed": seed, "accuracy": float(np.nan_to_num(value))}
            for arm, (period, rate), accuracies in zip(arms, settings, metrics["centre"][-1].T, strict=True)
            for seed, value in zip(seeds, accuracies, strict=True)
        ]

    step = _look(name, channels, per_look, config.rules, devices)
    split = DATA_PARALLEL if devices == jax.device_count() else None
    final = runs.run_steps(run, phase, step, initial, fixed, looks, max(looks // 8, 1), rows, split=split)
    shape = (len(SEEN), len(all_periods), len(config.rates), len(seeds), looks)
    history = np.asarray(final[-1]).transpose(1, 3, 2, 0).reshape(shape)
    time, joules = {}, {}
    for period in all_periods:
        time[period], joules[period] = _clock(config, image_pages, name, channels, period, looks, per_look)
    diverged = np.isnan(history[..., -1]).any(0)
    return Curves(time, dict(zip(SEEN, np.nan_to_num(history), strict=True)), diverged, joules)


def _look(name: str, channels: int, rounds: int, settings: ConfigDict, devices: int):
    """Rounds of training up to the next evaluation, of all settings at once; the workers are spread over devices.

    All settings of a seed read the same pages, which makes their products one.
    """

    def on_device(shared, worker_args, axis):
        masters, number, fixed = shared
        image_pages = fixed["pages"]

        def one(
            master: sgd_rule.Master, workers: sgd_rule.Worker, order: jax.Array, period: jax.Array, rate: jax.Array
        ):
            rule = make_rule(name, channels, rate, period, settings)

            def round_(state: sgd.State, round_number: jax.Array) -> tuple[sgd.State, None]:
                chosen = order[:, number * rounds + round_number]
                page = image_pages.images[chosen] / image_pages.maximum, image_pages.labels[chosen]
                return rule.step(state, loss, page, axis), None

            state, _ = jax.lax.scan(round_, sgd.State(master, workers), jnp.arange(rounds))
            both = state.centre, mean(gather(state.workers.params, axis))
            return state.master, state.workers, jnp.stack([_accuracy(params, image_pages) for params in both])

        of_seed = jax.vmap(one, in_axes=(0, 1, None, 0, 0), out_axes=(0, 1, 1))
        every = jax.vmap(of_seed, in_axes=(0, 1, 1, None, None), out_axes=(0, 1, 1))
        masters, workers, accuracy = every(masters, *worker_args, fixed["period"], fixed["rate"])
        return (masters, accuracy), (workers, worker_args[1])

    def advance(carry, fixed):
        masters, workers, number, history = carry
        order, fixed = fixed["order"], {name: leaf for name, leaf in fixed.items() if name != "order"}
        spread = placement.place_workers(on_device, devices, "shard_map")
        (masters, accuracy), (workers, _) = spread((masters, number, fixed), (workers, order))
        return (masters, workers, number + 1, history.at[number].set(accuracy)), dict(zip(SEEN, accuracy, strict=True))

    return advance


def _accuracy(params: dict[str, jax.Array], image_pages: Pages) -> jax.Array:
    """Share of test images that are right; NaN where the logits are no finite numbers."""
    outputs = logits(params, image_pages.test_images)
    return jnp.where(jnp.isfinite(outputs).all(), (outputs.argmax(-1) == image_pages.test_labels).mean(), jnp.nan)


def _order(seed: int, channels: int, count: int, epochs: int) -> jax.Array:
    """`[channels, rounds]`: the page of each channel and round; page p lies on channel p mod channels."""
    key = keys.derive(jax.random.key(seed), "order")
    orders = [jax.random.permutation(jax.random.fold_in(key, epoch), count) for epoch in range(epochs)]
    return jnp.concatenate(orders) * channels + jnp.arange(channels)[:, None]


def _clock(config: ConfigDict, image_pages: Pages, name: str, channels: int, period: int, looks: int, per_look: int):
    """Seconds at the evaluations, and joules in total."""
    device, units, work = design(config, channels), processors(config), cost(config, image_pages)
    rule = make_rule(name, channels, 0.1, period, config.rules)
    turns = 1 if rule.event is None else channels
    rounds = looks * per_look
    planned = training.schedule(device, units, work, rule, rounds * turns)
    if rule.event is not None and (planned.worker.reshape(rounds, channels) != np.arange(channels)).any():
        raise ValueError(f"{name} on {channels} channels: workers do not take turns in their order")
    time = planned.time[per_look * turns - 1 :: per_look * turns]
    return time * 1e-9, training.energy(device, units, work, rounds * channels, int(time[-1]))
