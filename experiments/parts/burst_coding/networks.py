"""The networks of the study of burst coding: their data, their training, their simulation."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from ml_collections import ConfigDict

from experiments.parts.shared.rows import of_one, of_several
from framework import data, runs, snn
from framework.core import devices, keys
from framework.core.devices import TOGETHER, Split
from framework.models import training
from framework.snn import architectures
from framework.snn import layers as layer
from framework.snn.conversion import normalization, simulation
from framework.snn.layers import Layer
from framework.snn.meters import activity
from framework.snn.neurons import coding, models

CHUNK = 50  # steps of training between two looks
BATCH = 250  # images simulated at once
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
        kept = count or len(whole.labels) // BATCH * BATCH
        if not BATCH <= kept <= len(whole.labels):
            raise ValueError(f"data.{split} must be 0 (all) or {BATCH} to {len(whole.labels)} images, got {count}")
        parts[split] = data.first(whole, kept)
    return Sets(**parts)


def layers_of(config: ConfigDict, classes: int) -> tuple[Layer, ...]:
    if config.network not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {config.network!r}")
    return NETWORKS[config.network](classes)


def check(config: ConfigDict, given: Sets) -> None:
    """Refuses what would fail only after the first training."""
    scales = tuple(name for name in normalization.SCALES if name != "ceiling")
    if config.scale not in scales:
        raise ValueError(f"scale must be one of {', '.join(scales)}, got {config.scale!r}")
    if not 0 < config.percentile <= 100:
        raise ValueError(f"percentile must lie in (0, 100], got {config.percentile}")
    if min(config.steps, min(config.trained.steps, default=0)) < 1:
        raise ValueError(f"steps must be at least 1 step, got {config.steps} and {config.trained.steps}")
    if min(config.trained.hidden, default=0) < 1:
        raise ValueError(f"trained.hidden must be a width or more of at least 1 neuron, got {config.trained.hidden}")
    count = len(given.train.labels)
    if not 0 <= config.trained.train <= count:
        raise ValueError(f"trained.train must be 0 (all) or 1 to {count} images, got {config.trained.train}")
    for name, images in (("training", count), ("trained", trained_images(config, given))):
        if not 1 <= config[name].batch <= images or config[name].epochs < 1:
            got = f"{config[name].batch} and {config[name].epochs}"
            raise ValueError(f"{name}: a batch must hold 1 to {images} images, for at least 1 epoch, got {got}")


def trained_images(config: ConfigDict, given: Sets) -> int:
    """How many images the directly trained networks see."""
    return config.trained.train or len(given.train.labels)


def unit_interval(images: Any, maximum: int) -> jax.Array:
    """Bytes as floats in [0, 1]."""
    return jnp.asarray(images, float) / maximum


def classifier(config: ConfigDict, given: Sets, layers: tuple[Layer, ...], unit) -> training.Trainer:
    """How a DNN with this activation is trained; one for all seeds, so that it is compiled once."""
    part, settings = given.train, config.training

    def loss(params, images, labels, key):
        x = unit_interval(images, part.maximum)
        if settings.flip:
            x = jnp.where(jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1)), x[:, :, ::-1], x)
        logits, moved = snn.forward(layers, params, x, unit, train=True)
        right = (logits.argmax(-1) == labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (moved, {"accuracy": right})

    schedule = optax.cosine_decay_schedule(settings.rate, _steps(settings, len(part.labels)))
    return training.trainer(loss, optax.adamw(schedule, weight_decay=settings.decay), settings.batch)


def _steps(settings: ConfigDict, images: int) -> int:
    return settings.epochs * (images // settings.batch)


def trained(config: ConfigDict, run: runs.Run, given: Sets, layers: tuple[Layer, ...], trainer, seed: int, unit, phase):
    """A DNN of `classifier`, and its accuracy on the test images."""
    part, key = given.train, jax.random.key(seed)
    params = snn.init(keys.named(key, "weights"), layers, part.images.shape[1:], unit)
    state = trainer.init(params, len(part.labels), keys.named(key, "training"))
    fixed = (jnp.asarray(part.images), jnp.asarray(part.labels))
    memory = 8 * part.images.nbytes
    rows, steps = of_one(phase, seed), _steps(config.training, len(part.labels))
    params = runs.drive(
        run, phase, trainer.step, state, fixed, steps, CHUNK, rows, memory=memory, split=TOGETHER
    ).params
    logits = jax.jit(lambda images: snn.forward(layers, params, unit_interval(images, part.maximum), unit)[0])
    return params, training.accuracy(logits, given.test.images, given.test.labels, BATCH)


def converted(given: Sets, layers, params, pair: tuple[coding.Neuron, coding.Neuron], **options) -> snn.SpikingNetwork:
    calibration = unit_interval(given.train.images[:CALIBRATION], given.train.maximum)
    return snn.convert(layers, params, calibration, input_code=pair[0], hidden_code=pair[1], **options)


def curve(spiking: snn.SpikingNetwork, part: data.ImageSet, steps: int, key) -> Curve:
    """Accuracy, spikes and synaptic operations over time, on all images of a set."""
    count = len(part.labels)
    size = min(BATCH, count)
    fixed = devices.place((spiking, part.images, part.labels, part.maximum, key), None)
    starts = np.arange(0, count - size + 1, size)
    blocks = np.split(starts, range(jax.device_count(), len(starts), jax.device_count()))
    seen = [_watched(size, steps)(block, fixed) for block in blocks]
    if count % size:
        seen.append(_watched(count % size, steps)(starts[-1:] + size, fixed))
    sums = jax.tree.map(lambda *parts: sum(np.asarray(each, float).sum(0) for each in parts), *seen)
    return Curve(*(np.round(each / count, 9).tolist() for each in sums))


@functools.lru_cache(maxsize=8)
def _watched(size: int, steps: int):
    """The sums of each batch that begins at one of the given images, `[batches, ...]`; a device takes a batch."""

    def batch(start, fixed):
        spiking, images, labels, maximum, key = fixed
        images, labels = (lax.dynamic_slice_in_dim(each, start, size) for each in (images, labels))
        outputs = snn.simulate(spiking, unit_interval(images, maximum), steps, jax.random.fold_in(key, start))
        return _summed(outputs, labels)

    return devices.spread(lambda starts, fixed: lax.map(lambda start: batch(start, fixed), starts), in_axes=(0, None))


def _summed(outputs: simulation.Outputs, labels: jax.Array) -> Curve:
    """Sums over the images, of what has come so far."""
    right = jnp.round(activity.accuracy_over_time(outputs.logits, labels) * len(labels))
    so_far = lambda counts: jnp.cumsum(counts.sum(tuple(range(1, counts.ndim))))
    return Curve(right, so_far(outputs.spikes), so_far(outputs.input_spikes), so_far(outputs.synops))


def units(config: ConfigDict) -> dict[str, Any]:
    """The neurons that are trained beside each other: they differ in their bursts alone."""
    decay, threshold = config.trained.decay, config.trained.threshold
    return {
        "lif": models.lif(decay, threshold, detach_reset=False),
        "burst": coding.burst(2.0, threshold, cap=config.trained.cap or None, leak=decay),
    }


def surrogate_trained(config: ConfigDict, run: runs.Run, given: Sets, unit, steps: int, phase: str, seeds: list[int]):
    """Accuracy and hidden synaptic operations of spiking MLPs on the test images, `[seeds]` each."""
    settings, part = config.trained, given.train
    classes = part.classes
    layers = (layer.flatten(), *architectures.mlp(tuple(settings.hidden), classes))
    count = trained_images(config, given)

    def applied(params, images):
        return snn.unroll(layers, params, unit_interval(images, part.maximum), unit, steps)[0]

    def loss(params, images, labels, key):
        logits = applied(params, images).logits[-1] / steps
        right = (logits.argmax(-1) == labels).mean()
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), (params, {"accuracy": right})

    trainer = training.trainer(loss, optax.adam(settings.rate), settings.batch)
    start = lambda seed: trainer.init(
        snn.init(keys.named(jax.random.key(seed), "weights"), layers, part.images.shape[1:], unit),
        count,
        keys.named(jax.random.key(seed), "training"),
    )
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(start, seeds))
    step = lambda states, fixed: jax.vmap(trainer.step, in_axes=(0, None))(states, fixed)
    rows = of_several(phase, seeds)
    fixed = (jnp.asarray(part.images[:count]), jnp.asarray(part.labels[:count]))
    params = runs.drive(run, phase, step, states, fixed, _steps(settings, count), CHUNK, rows, split=Split()).params
    fan = np.array([*settings.hidden[1:], classes], np.float32)

    @jax.jit
    def judged(params):
        outputs = applied(params, given.test.images)
        right = (outputs.logits[-1].argmax(-1) == given.test.labels).mean()
        return right, (outputs.spikes.sum(0) @ fan).mean()

    return tuple(np.array(each) for each in zip(*(jax.tree.map(float, judged(p)) for p in _apart(params)), strict=True))


def _apart(batch: Any) -> list[Any]:
    count = len(jax.tree.leaves(batch)[0])
    return [jax.tree.map(lambda leaf, i=i: leaf[i], batch) for i in range(count)]
