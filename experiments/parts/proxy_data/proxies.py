"""Proxy data for every search that takes images: a part of a data set in place of the whole, by `config.proxy`.

    --config.proxy.fraction=0.1 --config.proxy.rule=P1

A rule uses what a small base network has learned about each image (`measure_traits`), or a file of entropies.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from ml_collections import ConfigDict

from experiments.parts.shared.rows import single_rows
from framework import data, runs, selection
from framework.core import checks, keys
from framework.core.devices import DATA_PARALLEL
from framework.models import resnet, training
from framework.selection import Traits, difficulty, dynamics, entropy_file, histogram, uncertainty

BLOCK = 250  # images in one call
COMPILE = {"fast": (("xla_backend_optimization_level", 0),), "well": ()}
EARLY = 2  # epochs after which EL2N is taken; after all of them, where they are fewer


def settings(fraction: float = 1.0, batch: int = 100) -> ConfigDict:
    """The settings under `proxy` in the config of a search.

    Args:
      fraction: of the training images; 1 takes all.
      batch: of the base network's training.

    Returns:
      The settings.
    """
    return ConfigDict(
        {
            "fraction": fraction,  # of the training images, in (0, 1]
            "rule": "P1",  # a name of selection.METHODS
            "balanced": False,  # the same number of each class
            "bin_width": 0.5,  # decades, for P1, P2 and P3
            "entropy": "",  # a file of entropies; without one a base network makes them
            "base": {"depth": 8, "width": 8, "epochs": 5, "batch": batch, "rate": 0.05},
        }
    )


def find_unused_settings(proxy: ConfigDict) -> dict[str, str]:
    """The settings under `proxy` that have no effect for a search on one proxy, with the reasons."""
    if proxy.fraction == 1:
        names = ("rule", "balanced", "bin_width", "entropy", "base")
        return dict.fromkeys((f"proxy.{name}" for name in names), "proxy.fraction is 1: the search uses all images")
    method, reasons = selection.METHODS.get(proxy.rule), {}
    if proxy.rule not in histogram.RULES:
        reasons["proxy.bin_width"] = f"it is of {', '.join(histogram.RULES)}, and proxy.rule is {proxy.rule}"
    if method and method.needs != "entropy":
        reasons["proxy.entropy"] = f"the rule {proxy.rule} uses no entropies"
    if method and not method.needs:
        reasons["proxy.base"] = f"the rule {proxy.rule} uses no base network"
    elif proxy.entropy:
        reasons["proxy.base"] = "the file of proxy.entropy takes the place of the base network"
    return reasons


def check(proxy: ConfigDict) -> None:
    """Refuses what would fail only after a training."""
    if not 0 < proxy.fraction <= 1:
        raise ValueError(f"proxy.fraction must lie in (0, 1], 1 for all images; got {proxy.fraction}")
    checks.one_of("proxy.rule", proxy.rule, selection.METHODS)
    if min(proxy.base.epochs, proxy.base.batch) < 1:
        raise ValueError(f"proxy.base needs 1 epoch and 1 image a batch, got {proxy.base.epochs}, {proxy.base.batch}")


def indices(proxy: ConfigDict, run: runs.Run, images: data.ImageSet, seed: int) -> np.ndarray:
    """Chooses the rows of the images that a search uses, in random order; all of them if the fraction is 1.

    Raises:
      ValueError: if the config or its file of entropies does not fit the images.
    """
    check(proxy)
    count = len(images.labels)
    if proxy.fraction == 1:
        return np.arange(count)
    traits, needs = Traits(images.labels), selection.METHODS[proxy.rule].needs
    if needs == "entropy" and proxy.entropy:
        traits = traits._replace(entropy=read_entropies(proxy.entropy, images))
    elif needs:
        traits = measure_traits(proxy.base, run, images, seed, "base", gradients=needs == "grand")
    key = keys.derive(jax.random.key(seed), "proxy")
    return choose(proxy.rule, key, int(proxy.fraction * count), traits, proxy.balanced, proxy.bin_width)


def rows(config: ConfigDict, run: runs.Run, count: int = 0) -> np.ndarray | slice:
    """Chooses which of the first `count` training images (0: all) of `config.data` a search uses, by `config.proxy`.

    Raises:
      ValueError: if the config asks for what cannot be.
    """
    check(config.proxy)
    if config.proxy.fraction == 1:
        return slice(None)
    if config.data.get("events"):
        raise ValueError("proxy.fraction must be 1 for recordings of event cameras: proxies are chosen from images")
    return indices(config.proxy, run, image_set(config.data, "train", count), config.seed)


def image_set(settings: ConfigDict, split: str, count: int = 0) -> data.ImageSet:
    """The first `count` images (0: all) of a split of the set `name` in `dir`, pooled to `side` where one is given."""
    images = data.images(settings.name, split, settings.dir or None, count)
    return data.pool(images, settings.side) if settings.get("side") else images


def choose(rule: str, key, size: int, traits: Traits, balanced: bool = False, bin_width: float = 0.5) -> np.ndarray:
    """Chooses rows by the name of a rule."""
    options = selection.Options(bin_width=bin_width)
    return np.asarray(selection.select(key, rule, traits, size, balanced=balanced, options=options))


def read_entropies(path: str, images: data.ImageSet) -> np.ndarray:
    """Reads the entropy of each image from a file, by the indices of the data set."""
    rows = entropy_file.parse_indices(images.ids)
    listing = entropy_file.read_entropy_list(path)
    if rows.max() >= len(listing.entropy):
        raise ValueError(f"{path}: {len(listing.entropy):,} entropies, but an image has the index {rows.max():,}")
    if (listing.classes[rows] != images.labels).any():
        raise ValueError(f"{path}: the list of another data set: its classes are not those of {images.name}")
    return listing.entropy[rows]


class _Progress(NamedTuple):
    training: training.State
    history: dynamics.State
    el2n: jax.Array  # [N], after `EARLY` epochs
    epoch: jax.Array


def measure_traits(
    base: ConfigDict, run: runs.Run, images: data.ImageSet, seed: int, phase: str, gradients: bool = False, options=()
) -> Traits:
    """Measures all traits of the images by a small residual network that is trained on them.

    Args:
      base: the settings of the network.
      run: for checkpoints and metrics.
      images: the images.
      seed: of the training.
      phase: its name.
      gradients: measure GraNd too.
      options: of the compiler.

    Returns:
      The traits.
    """
    params, history, el2n = _train(base, run, images, seed, phase, options)
    prepare = preparation(images)
    outputs = jax.jit(lambda params, block: _outputs(params, prepare(block)))
    blocks = [outputs(params, images.images[i : i + BLOCK]) for i in range(0, len(images.labels), BLOCK)]
    logits, features = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    traits = Traits(
        labels=images.labels,
        entropy=np.asarray(uncertainty.entropy(logits)),
        margin=np.asarray(uncertainty.margin(logits)),
        least_confidence=np.asarray(uncertainty.least_confidence(logits)),
        el2n=np.asarray(el2n),
        forgetting=np.asarray(dynamics.forgetting(history)),
        aum=np.asarray(dynamics.aum(history)),
        features=features,
    )
    if not gradients:
        return traits

    def loss(params: Any, image: jax.Array, label: jax.Array) -> jax.Array:
        return -jax.nn.log_softmax(resnet.forward(params, prepare(image[None]))[0][0])[label]

    return traits._replace(
        grand=np.asarray(jax.jit(difficulty.grand, static_argnums=0)(loss, params, images.images, images.labels))
    )


def preparation(images: data.ImageSet):
    """Images to numbers of mean 0 and deviation 1 in each channel of this set."""
    pixels = images.images / images.maximum
    mean, deviation = (statistic(pixels, axis=(0, 1, 2)) for statistic in (np.mean, np.std))
    mean, deviation = (tuple(values.astype(float).tolist()) for values in (mean, deviation))
    return lambda block: resnet.normalise(block, mean, deviation, images.maximum)


def _outputs(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    features, _ = resnet.features(params, images)
    return features @ params["head"]["kernel"] + params["head"]["bias"], features


def _train(base: ConfigDict, run: runs.Run, images: data.ImageSet, seed: int, phase: str, options):
    """Trains a base network; returns it, its training dynamics, and the norms of its errors after the first epochs."""
    count, key = len(images.labels), jax.random.key(seed)
    config = resnet.Config(base.depth, images.classes, images.images.shape[-1], base.width)
    per_epoch, prepare = count // base.batch, preparation(images)
    optimizer = optax.chain(
        optax.add_decayed_weights(5e-4),
        optax.sgd(optax.cosine_decay_schedule(base.rate, base.epochs * per_epoch), momentum=0.9, nesterov=True),
    )
    trainer = training.trainer(resnet.loss(prepare=prepare), optimizer, base.batch)
    block = next(size for size in range(min(BLOCK, count), 0, -1) if count % size == 0)

    def epoch(state: _Progress, arrays: tuple[jax.Array, jax.Array]) -> tuple[_Progress, dict]:
        trained, metrics = lax.scan(lambda s, _: trainer.step(s, arrays), state.training, length=per_epoch)
        parts = arrays[0].reshape(-1, block, *arrays[0].shape[1:])
        logits = lax.map(lambda part: _outputs(trained.params, prepare(part))[0], parts).reshape(count, -1)
        history = dynamics.update(state.history, jnp.arange(count), logits, arrays[1])
        errors = jnp.where(state.epoch < EARLY, difficulty.el2n(logits, arrays[1]), state.el2n)
        return _Progress(trained, history, errors, state.epoch + 1), jax.tree.map(jnp.mean, metrics)

    params = jax.jit(resnet.init, static_argnums=1)(keys.derive(key, "weights"), config)
    trained = trainer.init(params, count, keys.derive(key, "training"))
    state = _Progress(trained, dynamics.init(count), jnp.zeros(count), jnp.zeros((), jnp.int32))
    arrays = (jnp.asarray(images.images), jnp.asarray(images.labels))
    rows = single_rows(phase, seed)
    state = runs.run_steps(run, phase, epoch, state, arrays, base.epochs, 1, rows, options=options, split=DATA_PARALLEL)
    return state.training.params, state.history, state.el2n
