"""Images of the experiment on proxy data: read, pooled, with traits by a base network, and normalised."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments.parts.proxy_data import proxies
from experiments.parts.proxy_data.ranks import Part
from framework import data, runs, selection
from framework.selection import Traits, entropy_file


class Prepared(NamedTuple):
    """A data set, and what a base network has learned of its training images."""

    train: data.ImageSet
    test: data.ImageSet
    traits: Traits


def prepare(config: ConfigDict, run: runs.Run, name: str) -> Prepared:
    """A set's first images, pooled, and their traits; the entropies also as a file by the set's own indices."""
    counts = {"train": config.data.images, "test": max(config.ranks.test, config.search.test)}
    whole, test = (data.images(name, split, config.data.dir or None, count) for split, count in counts.items())
    train = data.pool(whole, config.data.side)
    needed = {selection.METHODS[rule].needs for rule in config.search.rules}
    traits = proxies.measure_traits(
        config.proxy.base,
        run,
        train,
        config.seed,
        f"base-{whole.name}",
        "grand" in needed,
        proxies.COMPILE[config.compile],
    )
    rows = zip(
        entropy_file.parse_indices(train.ids).tolist(), traits.entropy.tolist(), train.labels.tolist(), strict=True
    )
    run.save_csv(f"entropy-{whole.name}.csv", ("index", "entropy", "class"), sorted(rows))
    return Prepared(whole, test, traits)


def parts(image_set: Prepared, settings: ConfigDict) -> tuple[Part, Part, Traits]:
    """Training and test images as networks take them, and the traits of the former."""
    train, test = (
        data.pool(data.first(images, count), settings.side)
        for images, count in ((image_set.train, settings.count), (image_set.test, settings.test))
    )
    prepare = proxies.preparation(train)
    traits = jax.tree.map(lambda leaf: leaf[: len(train.labels)], image_set.traits)
    return *((prepare(part.images), jnp.asarray(part.labels)) for part in (train, test)), traits
