"""The images of the study of AutoSNN: what trains the supernet, what judges candidates, what tests the end."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from framework import data

ENDINGS = (".bin", ".dat", ".aedat4")


class Part(NamedTuple):
    images: np.ndarray  # [N, h, w, c] floats in [0, 1], or recordings [N, T, h, w, 2], events a pixel
    labels: np.ndarray  # [N] int32


class Sets(NamedTuple):
    train: Part
    validation: Part  # the last images of the training split
    test: Part
    classes: int
    note: str = ""  # what readers warned of


def sets(config: ConfigDict) -> Sets:
    """The images that the config names.

    Raises:
      ValueError, OSError: if there are none, or too few for the three parts.
    """
    if not 0 < config.data.validation < 1:
        raise ValueError(f"data.validation must be a share between 0 and 1, got {config.data.validation}")
    if config.data.events:
        return _recorded(config)
    whole, test = (data.images(config.data.name, split, config.data.dir or None) for split in ("train", "test"))
    count = _count(config.data.train, len(whole.labels), "train")
    held = _held_back(config, count)
    part = lambda of, kept: Part(np.float32(of.images[kept]) / of.maximum, of.labels[kept])
    kept = slice(_count(config.data.test, len(test.labels), "test"))
    return Sets(part(whole, slice(held)), part(whole, slice(held, count)), part(test, kept), whole.classes)


def _recorded(config: ConfigDict) -> Sets:
    """Recordings of event cameras: a folder a class, every fifth recording for the test."""
    folder = Path(config.data.events)
    if config.data.train or config.data.test:
        raise ValueError("data.train and data.test count images: of data.events all recordings are taken, leave both 0")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    found = [(path, c) for c, name in enumerate(classes) for path in _recordings(folder / name)]
    if len(classes) < 2:
        raise ValueError(f"{folder} must hold a folder a class, at least 2, with recordings ({', '.join(ENDINGS)})")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = [_frames(path, config.space.steps) for path, _ in found]
    note = "; ".join(str(each.message) for each in caught)
    if note:
        warnings.warn(note, stacklevel=2)
    if len({each.shape for each in frames}) > 1:
        raise ValueError(f"recordings in {folder} have several sizes: {sorted({each.shape[1:3] for each in frames})}")
    order = np.random.default_rng(0).permutation(len(found))
    images = np.stack(frames).astype(np.float32)[order]
    labels = np.array([c for _, c in found], np.int32)[order]
    rest, test = np.arange(len(order)) % 5 != 0, np.arange(len(order)) % 5 == 0
    held = _held_back(config, int(rest.sum()))
    part = lambda kept: Part(images[kept], labels[kept])
    return Sets(part(np.flatnonzero(rest)[:held]), part(np.flatnonzero(rest)[held:]), part(test), len(classes), note)


def _recordings(folder: Path) -> list[Path]:
    """The files of a class, all of which must be recordings; hidden ones are passed over."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if other := [path for path in found if path.suffix.lower() not in ENDINGS]:
        raise ValueError(f"{other[0]} is no recording ({', '.join(ENDINGS)}): take it out of {folder}, or convert it")
    if not found:
        raise ValueError(f"{folder} holds no recordings ({', '.join(ENDINGS)})")
    return found


def _frames(path: Path, steps: int) -> np.ndarray:
    recording = data.read_events(path)
    try:
        return data.frames(recording, steps)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _count(wanted: int, there: int, what: str) -> int:
    if not 0 <= wanted <= there:
        raise ValueError(f"data.{what} must be 0 (all) or 1 to {there} images, got {wanted}")
    return wanted or there


def _held_back(config: ConfigDict, count: int) -> int:
    """How many of the training images come before those that judge candidates."""
    held = count - round(config.data.validation * count)
    if not 0 < held < count:
        raise ValueError(f"{count} images do not divide into training and validation by {config.data.validation}")
    return held
