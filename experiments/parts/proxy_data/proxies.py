"""A part of a data set in the place of the whole, as `config.proxy` says; for every search that takes images.

    --config.proxy.fraction=0.1 --config.proxy.rule=P1

A rule looks at what a small base network has learned of each image (`judged`), or at a list of entropies in a file.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from ml_collections import ConfigDict

from experiments.parts.shared.rows import of_one
from framework import data, runs, selection
from framework.core import keys
from framework.core.devices import TOGETHER
from framework.models import resnet, training
from framework.selection import Traits, difficulty, dynamics, entropy_file, histogram, uncertainty

BLOCK = 250  # images looked at at once
COMPILE = {"fast": (("xla_backend_optimization_level", 0),), "well": ()}
EARLY = 2  # epochs after which EL2N is taken; after all of them, where they are fewer


def settings(fraction: float = 1.0, batch: int = 100) -> ConfigDict:
    """What stands under `proxy` in the config of a search; a fraction of 1 takes every image.

    `batch` is of the base network's training.
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


def unused(proxy: ConfigDict) -> dict[str, str]:
    """The settings under `proxy` that it leaves without effect, each with the reason; for searches on one proxy."""
    if proxy.fraction == 1:
        names = ("rule", "balanced", "bin_width", "entropy", "base")
        return dict.fromkeys((f"proxy.{name}" for name in names), "proxy.fraction is 1: the search sees all images")
    method, found = selection.METHODS.get(proxy.rule), {}
    if proxy.rule not in histogram.RULES:
        found["proxy.bin_width"] = f"it is of {', '.join(histogram.RULES)}, and proxy.rule is {proxy.rule}"
    if method and method.needs != "entropy":
        found["proxy.entropy"] = f"the rule {proxy.rule} looks at no entropies"
    if method and not method.needs:
        found["proxy.base"] = f"the rule {proxy.rule} looks at nothing that a base network tells"
    elif proxy.entropy:
        found["proxy.base"] = "the file of proxy.entropy takes the place of the base network"
    return found


def check(proxy: ConfigDict) -> None:
    """Refuses what would fail only after a training."""
    if not 0 < proxy.fraction <= 1:
        raise ValueError(f"proxy.fraction must lie in (0, 1], 1 for all images; got {proxy.fraction}")
    if proxy.rule not in selection.METHODS:
        raise ValueError(f"proxy.rule must be one of {', '.join(selection.METHODS)}; got {proxy.rule!r}")
    if min(proxy.base.epochs, proxy.base.batch) < 1:
        raise ValueError(f"proxy.base needs 1 epoch and 1 image a batch, got {proxy.base.epochs}, {proxy.base.batch}")


def indices(proxy: ConfigDict, run: runs.Run, images: data.ImageSet, seed: int) -> np.ndarray:
    """The rows of the images that a search is to see, in random order; all of them where the fraction is 1.

    Raises:
      ValueError: if the config or its file of entropies does not fit the images.
    """
    check(proxy)
    count = len(images.labels)
    if proxy.fraction == 1:
        return np.arange(count)
    traits, needs = Traits(images.labels), selection.METHODS[proxy.rule].needs
    if needs == "entropy" and proxy.entropy:
        traits = traits._replace(entropy=listed(proxy.entropy, images))
    elif needs:
        traits = judged(proxy.base, run, images, seed, "base", gradients=needs == "grand")
    key = keys.named(jax.random.key(seed), "proxy")
    return chosen(proxy.rule, key, int(proxy.fraction * count), traits, proxy.balanced, proxy.bin_width)


def rows(config: ConfigDict, run: runs.Run, count: int = 0) -> np.ndarray | slice:
    """Which of the first `count` training images (0: all) of `config.data` a search sees, by `config.proxy`.

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
    return data.pooled(images, settings.side) if settings.get("side") else images


def chosen(rule: str, key, size: int, traits: Traits, balanced: bool = False, bin_width: float = 0.5) -> np.ndarray:
    """Rows by a rule's name."""
    options = selection.Options(bin_width=bin_width)
    return np.asarray(selection.select(key, rule, traits, size, balanced=balanced, options=options))


def listed(path: str, images: data.ImageSet) -> np.ndarray:
    """Entropies of a file for each of the images, joined by the data set's own indices."""
    own = entropy_file.parse_indices(images.ids)
    found = entropy_file.read_entropy_list(path)
    if own.max() >= len(found.entropy):
        raise ValueError(f"{path}: {len(found.entropy):,} entropies, but an image has the index {own.max():,}")
    if (found.classes[own] != images.labels).any():
        raise ValueError(f"{path}: the list of another data set: its classes are not those of {images.name}")
    return found.entropy[own]


class _Progress(NamedTuple):
    training: training.State
    seen: dynamics.State
    el2n: jax.Array  # [N], after `EARLY` epochs
    epoch: jax.Array


def judged(
    base: ConfigDict, run: runs.Run, images: data.ImageSet, seed: int, phase: str, gradients: bool = False, options=()
) -> Traits:
    """All traits of the images, by a small residual network that is trained on them; GraNd only where asked for.

    `options` are of the compiler.
    """
    params, seen, el2n = _trained(base, run, images, seed, phase, options)
    prepare = preparation(images)
    outputs = jax.jit(lambda params, block: _outputs(params, prepare(block)))
    blocks = [outputs(params, images.images[i : i + BLOCK]) for i in range(0, len(images.labels), BLOCK)]
    logits, features = (np.concatenate(each) for each in zip(*blocks, strict=True))
    traits = Traits(
        labels=images.labels,
        entropy=np.asarray(uncertainty.entropy(logits)),
        margin=np.asarray(uncertainty.margin(logits)),
        least_confidence=np.asarray(uncertainty.least_confidence(logits)),
        el2n=np.asarray(el2n),
        forgetting=np.asarray(dynamics.forgetting(seen)),
        aum=np.asarray(dynamics.aum(seen)),
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
    mean, deviation = (each(pixels, axis=(0, 1, 2)) for each in (np.mean, np.std))
    mean, deviation = (tuple(each.astype(float).tolist()) for each in (mean, deviation))
    return lambda block: resnet.normalise(block, mean, deviation, images.maximum)


def _outputs(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    features, _ = resnet.features(params, images)
    return features @ params["head"]["kernel"] + params["head"]["bias"], features


def _trained(base: ConfigDict, run: runs.Run, images: data.ImageSet, seed: int, phase: str, options):
    """A base network, what its epochs told of each image, and the errors' norms after the first ones."""
    count, key = len(images.labels), jax.random.key(seed)
    config = resnet.Config(base.depth, images.classes, images.images.shape[-1], base.width)
    per_epoch, prepare = count // base.batch, preparation(images)
    optimizer = optax.chain(
        optax.add_decayed_weights(5e-4),
        optax.sgd(optax.cosine_decay_schedule(base.rate, base.epochs * per_epoch), momentum=0.9, nesterov=True),
    )
    trainer = training.trainer(resnet.loss(prepare=prepare), optimizer, base.batch)
    block = next(size for size in range(min(BLOCK, count), 0, -1) if count % size == 0)

    def epoch(state: _Progress, given: tuple[jax.Array, jax.Array]) -> tuple[_Progress, dict]:
        trained, metrics = lax.scan(lambda s, _: trainer.step(s, given), state.training, length=per_epoch)
        parts = given[0].reshape(-1, block, *given[0].shape[1:])
        logits = lax.map(lambda part: _outputs(trained.params, prepare(part))[0], parts).reshape(count, -1)
        seen = dynamics.update(state.seen, jnp.arange(count), logits, given[1])
        errors = jnp.where(state.epoch < EARLY, difficulty.el2n(logits, given[1]), state.el2n)
        return _Progress(trained, seen, errors, state.epoch + 1), jax.tree.map(jnp.mean, metrics)

    params = jax.jit(resnet.init, static_argnums=1)(keys.named(key, "weights"), config)
    trained = trainer.init(params, count, keys.named(key, "training"))
    state = _Progress(trained, dynamics.init(count), jnp.zeros(count), jnp.zeros((), jnp.int32))
    given = (jnp.asarray(images.images), jnp.asarray(images.labels))
    rows = of_one(phase, seed)
    state = runs.drive(run, phase, epoch, state, given, base.epochs, 1, rows, options=options, split=TOGETHER)
    return state.training.params, state.seen, state.el2n
