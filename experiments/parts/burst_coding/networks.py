"""Networks of the experiment on burst coding: data, training and simulation."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from ml_collections import ConfigDict

from experiments.parts.shared.rows import batch_rows, single_rows
from framework import data, runs, snn
from framework.core import checks, devices, keys
from framework.core.devices import DATA_PARALLEL, Split
from framework.models import training
from framework.snn import architectures
from framework.snn import layers as layer
from framework.snn.conversion import normalization, simulation
from framework.snn.layers import Layer
from framework.snn.meters import activity
from framework.snn.neurons import coding, models

CHUNK = 50  # steps of training between two checkpoints
BATCH = 250  # images in a simulation
CALIBRATION = 1000  # images of the training set that scale a conversion
NETWORKS = {
    "digits": lambda classes: architectures.cnn(classes, (16, 32), 3, "SAME"),
    "cnn": architectures.cnn,
    "vgg_small": lambda classes: architectures.vgg(classes, architectures.VGG_SMALL, (128,)),
    "vgg16": architectures.vgg,
}


class Sets(NamedTuple):
    """Images as floats in [0, 1] where they are simulated, as bytes where they are trained on."""

    train: data.ImageSet
    test: data.ImageSet


class Curve(NamedTuple):
    """A conversion over time, means over the test images; `[T]`, plain lists."""

    accuracy: list[float]
    spikes: list[float]  # of hidden layers, in all steps so far
    input_spikes: list[float]  # likewise
    synops: list[float]  # likewise, those of the input included


def sets(config: ConfigDict) -> Sets:
    """The images that the config names; the first ones of each split."""
    parts = {}
    for split, count in (("train", config.data.train), ("test", config.data.test)):
        whole = data.images(config.data.name, split, config.data.dir or None)
        size = count or len(whole.labels) // BATCH * BATCH
        if not BATCH <= size <= len(whole.labels):
            raise ValueError(f"data.{split} must be 0 (all) or {BATCH} to {len(whole.labels)} images, got {count}")
        parts[split] = data.first(whole, size)
    return Sets(**parts)


def layers_of(config: ConfigDict, classes: int) -> tuple[Layer, ...]:
    checks.one_of("network", config.network, NETWORKS)
    return NETWORKS[config.network](classes)


def check(config: ConfigDict, image_sets: Sets) -> None:
    """Refuses what would fail only after the first training."""
    scales = tuple(name for name in normalization.SCALES if name != "ceiling")
    checks.one_of("scale", config.scale, scales)
    checks.in_interval("percentile", config.percentile, "(0, 100]")
    if min(config.steps, min(config.trained.steps, default=0)) < 1:
        raise ValueError(f"steps must be at least 1 step, got {config.steps} and {config.trained.steps}")
    if min(config.trained.hidden, default=0) < 1:
        raise ValueError(f"trained.hidden must be a width or more of at least 1 neuron, got {config.trained.hidden}")
    count = len(image_sets.train.labels)
    if not 0 <= config.trained.train <= count:
        raise ValueError(f"trained.train must be 0 (all) or 1 to {count} images, got {config.trained.train}")
    for name, images in (("training", count), ("trained", count_images(config, image_sets))):
        if not 1 <= config[name].batch <= images or config[name].epochs < 1:
            got = f"{config[name].batch} and {config[name].epochs}"
            raise ValueError(f"{name}: a batch must hold 1 to {images} images, for at least 1 epoch, got {got}")


def count_images(config: ConfigDict, image_sets: Sets) -> int:
    """The number of images for direct training."""
    return config.trained.train or len(image_sets.train.labels)


def unit_interval(images: Any, maximum: int) -> jax.Array:
    """Bytes as floats in [0, 1]."""
    return jnp.asarray(images, float) / maximum


def classifier(config: ConfigDict, image_sets: Sets, layers: tuple[Layer, ...], unit) -> training.Trainer:
    """The trainer of a DNN with this activation; one for all seeds, so that it is compiled once."""
    part, settings = image_sets.train, config.training

    def loss(params, images, labels, key):
        x = unit_interval(images, part.maximum)
        if settings.flip:
            x = jnp.where(jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1)), x[:, :, ::-1], x)
        logits, new_params = snn.forward(layers, params, x, unit, train=True)
        right = (logits.argmax(-1) == labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (new_params, {"accuracy": right})

    schedule = optax.cosine_decay_schedule(settings.rate, _steps(settings, len(part.labels)))
    return training.trainer(loss, optax.adamw(schedule, weight_decay=settings.decay), settings.batch)


def _steps(settings: ConfigDict, images: int) -> int:
    return settings.epochs * (images // settings.batch)


def train(
    config: ConfigDict, run: runs.Run, image_sets: Sets, layers: tuple[Layer, ...], trainer, seed: int, unit, phase
):
    """Trains a DNN by `classifier`; returns its parameters and its accuracy on the test images."""
    part, key = image_sets.train, jax.random.key(seed)
    params = snn.init(keys.derive(key, "weights"), layers, part.images.shape[1:], unit)
    state = trainer.init(params, len(part.labels), keys.derive(key, "training"))
    fixed = (jnp.asarray(part.images), jnp.asarray(part.labels))
    memory = 8 * part.images.nbytes
    rows, steps = single_rows(phase, seed), _steps(config.training, len(part.labels))
    params = runs.run_steps(
        run, phase, trainer.step, state, fixed, steps, CHUNK, rows, memory=memory, split=DATA_PARALLEL
    ).params
    logits = jax.jit(lambda images: snn.forward(layers, params, unit_interval(images, part.maximum), unit)[0])
    return params, training.accuracy(logits, image_sets.test.images, image_sets.test.labels, BATCH)


def convert(
    image_sets: Sets, layers, params, pair: tuple[coding.Neuron, coding.Neuron], **options
) -> snn.SpikingNetwork:
    calibration = unit_interval(image_sets.train.images[:CALIBRATION], image_sets.train.maximum)
    return snn.convert(layers, params, calibration, input_code=pair[0], hidden_code=pair[1], **options)


def curve(spiking: snn.SpikingNetwork, part: data.ImageSet, steps: int, key) -> Curve:
    """Accuracy, spikes and synaptic operations over time, on all images of a set."""
    count = len(part.labels)
    size = min(BATCH, count)
    fixed = devices.put((spiking, part.images, part.labels, part.maximum, key), None)
    starts = np.arange(0, count - size + 1, size)
    blocks = np.split(starts, range(jax.device_count(), len(starts), jax.device_count()))
    sums = [_curve_sums(size, steps)(block, fixed) for block in blocks]
    if count % size:
        sums.append(_curve_sums(count % size, steps)(starts[-1:] + size, fixed))
    sums = jax.tree.map(lambda *parts: sum(np.asarray(part, float).sum(0) for part in parts), *sums)
    return Curve(*(np.round(curve_sum / count, 9).tolist() for curve_sum in sums))


@functools.lru_cache(maxsize=8)
def _curve_sums(size: int, steps: int):
    """The sums of each batch that begins at one of the images in `starts`, `[batches, ...]`; a device takes a batch."""

    def batch(start, fixed):
        spiking, images, labels, maximum, key = fixed
        images, labels = (lax.dynamic_slice_in_dim(array, start, size) for array in (images, labels))
        outputs = snn.simulate(spiking, unit_interval(images, maximum), steps, jax.random.fold_in(key, start))
        return _sum_over_images(outputs, labels)

    return devices.shard_over_devices(
        lambda starts, fixed: lax.map(lambda start: batch(start, fixed), starts), in_axes=(0, None)
    )


def _sum_over_images(outputs: simulation.Outputs, labels: jax.Array) -> Curve:
    """Sums over the images, cumulative over time."""
    right = jnp.round(activity.accuracy_over_time(outputs.logits, labels) * len(labels))
    cumulate = lambda counts: jnp.cumsum(counts.sum(tuple(range(1, counts.ndim))))
    return Curve(right, cumulate(outputs.spikes), cumulate(outputs.input_spikes), cumulate(outputs.synops))


def units(config: ConfigDict) -> dict[str, Any]:
    """The neurons of the comparison of direct training; they differ only in their bursts."""
    decay, threshold = config.trained.decay, config.trained.threshold
    return {
        "lif": models.lif(decay, threshold, detach_reset=False),
        "burst": coding.burst(2.0, threshold, cap=config.trained.cap or None, leak=decay),
    }


def train_by_surrogate(
    config: ConfigDict, run: runs.Run, image_sets: Sets, unit, steps: int, phase: str, seeds: list[int]
):
    """Trains spiking MLPs by surrogate gradient; test accuracy and hidden synaptic operations, `[seeds]` each."""
    settings, part = config.trained, image_sets.train
    classes = part.classes
    layers = (layer.flatten(), *architectures.mlp(tuple(settings.hidden), classes))
    count = count_images(config, image_sets)

    def unroll(params, images):
        return snn.unroll(layers, params, unit_interval(images, part.maximum), unit, steps)[0]

    def loss(params, images, labels, key):
        logits = unroll(params, images).logits[-1] / steps
        right = (logits.argmax(-1) == labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (params, {"accuracy": right})

    trainer = training.trainer(loss, optax.adam(settings.rate), settings.batch)
    start = lambda seed: trainer.init(
        snn.init(keys.derive(jax.random.key(seed), "weights"), layers, part.images.shape[1:], unit),
        count,
        keys.derive(jax.random.key(seed), "training"),
    )
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(start, seeds))
    step = lambda states, fixed: jax.vmap(trainer.step, in_axes=(0, None))(states, fixed)
    rows = batch_rows(phase, seeds)
    fixed = (jnp.asarray(part.images[:count]), jnp.asarray(part.labels[:count]))
    params = runs.run_steps(run, phase, step, states, fixed, _steps(settings, count), CHUNK, rows, split=Split()).params
    fan = np.array([*settings.hidden[1:], classes], np.float32)

    @jax.jit
    def evaluate(params):
        outputs = unroll(params, image_sets.test.images)
        right = (outputs.logits[-1].argmax(-1) == image_sets.test.labels).mean()
        return right, (outputs.spikes.sum(0) @ fan).mean()

    results = [jax.tree.map(float, evaluate(network)) for network in _unstack(params)]
    return tuple(np.array(values) for values in zip(*results, strict=True))


def _unstack(batch: Any) -> list[Any]:
    count = len(jax.tree.leaves(batch)[0])
    return [jax.tree.map(lambda leaf, i=i: leaf[i], batch) for i in range(count)]
