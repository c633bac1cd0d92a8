"""The images of the study of proxy data: read, pooled, judged by a base network, made ready for networks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments import _proxies as proxies
from experiments._proxy_ranks import Part
from framework import data, runs, selection
from framework.selection import Traits, entropy_file


class Prepared(NamedTuple):
    """A data set, and what a base network has learned of its training images."""

    train: data.ImageSet
    test: data.ImageSet
    traits: Traits


def prepared(config: ConfigDict, run: runs.Run, name: str) -> Prepared:
    """A set's first images, pooled, and their traits; the entropies also as a file by the set's own indices."""
    kept = {"train": config.data.images, "test": max(config.ranks.test, config.search.test)}
    whole, test = (_first(name, split, count, config.data.dir) for split, count in kept.items())
    train = pooled(whole, config.data.side)
    needed = {selection.METHODS[rule].needs for rule in config.search.rules}
    traits = proxies.judged(
        config.proxy.base, run, train, config.seed, f"base-{name}", "grand" in needed, proxies.COMPILE[config.compile]
    )
    rows = zip(entropy_file.indices_of(train.ids).tolist(), traits.entropy.tolist(), train.labels.tolist(), strict=True)
    run.save_csv(f"entropy-{name}.csv", ("index", "entropy", "class"), sorted(rows))
    return Prepared(whole, test, traits)


def _first(name: str, split: str, count: int, directory: str) -> data.ImageSet:
    """The first images of a split, no others read where TFDS has it; 0 takes all."""
    part = split if name == "digits" or not count else f"{split}[:{count}]"
    return _cut(data.images(name, part, directory or None), count)


def _cut(images: data.ImageSet, count: int) -> data.ImageSet:
    if not 0 <= count <= len(images.labels):
        raise ValueError(f"{images.name} ({images.split}) has {len(images.labels):,} images, {count:,} are asked for")
    kept = slice(count or None)
    return images._replace(images=images.images[kept], labels=images.labels[kept], ids=images.ids[kept])


def pooled(images: data.ImageSet, side: int) -> data.ImageSet:
    """Images of `side` x `side`: zeros around them up to the next multiple of it, then means over squares."""
    count, height, width, channels = images.images.shape
    factor = -(-max(height, width) // side)
    down, across = factor * side - height, factor * side - width
    pads = ((0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    blocks = np.pad(images.images, pads).reshape(count, side, factor, side, factor, channels)
    return images._replace(images=blocks.mean((2, 4)).round().astype(np.uint8))


def parts(given: Prepared, settings: ConfigDict) -> tuple[Part, Part, Traits]:
    """Training and test images as networks take them, and the traits of the former."""
    train = pooled(_cut(given.train, settings.count), settings.side)
    test = pooled(_cut(given.test, settings.test), settings.side)
    prepare = proxies.preparation(train)
    traits = jax.tree.map(lambda leaf: leaf[: len(train.labels)], given.traits)
    return *((prepare(each.images), jnp.asarray(each.labels)) for each in (train, test)), traits
