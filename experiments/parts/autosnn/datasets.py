"""Images of the experiment on AutoSNN, for training the supernet, for validation and for the test."""

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
        return _read_recordings(config)
    whole, test = (data.images(config.data.name, split, config.data.dir or None) for split in ("train", "test"))
    count = _count(config.data.train, len(whole.labels), "train")
    held = _count_validation(config, count)
    part = lambda image_set, rows: Part(np.float32(image_set.images[rows]) / image_set.maximum, image_set.labels[rows])
    rows = slice(_count(config.data.test, len(test.labels), "test"))
    return Sets(part(whole, slice(held)), part(whole, slice(held, count)), part(test, rows), whole.classes)


def _read_recordings(config: ConfigDict) -> Sets:
    """Recordings of event cameras: a folder a class, every fifth recording for the test."""
    folder = Path(config.data.events)
    if config.data.train or config.data.test:
        raise ValueError("data.train and data.test count images: of data.events all recordings are taken, leave both 0")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(path, c) for c, name in enumerate(classes) for path in _recordings(folder / name)]
    if len(classes) < 2:
        raise ValueError(f"{folder} must hold a folder a class, at least 2, with recordings ({', '.join(ENDINGS)})")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = [_frames(path, config.space.steps) for path, _ in files]
    note = "; ".join(str(warning.message) for warning in caught)
    if note:
        warnings.warn(note, stacklevel=2)
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"recordings in {folder} have several sizes: {sorted({frame.shape[1:3] for frame in frames})}")
    order = np.random.default_rng(0).permutation(len(files))
    images = np.stack(frames).astype(np.float32)[order]
    labels = np.array([c for _, c in files], np.int32)[order]
    rest, test = np.arange(len(order)) % 5 != 0, np.arange(len(order)) % 5 == 0
    held = _count_validation(config, int(rest.sum()))
    part = lambda rows: Part(images[rows], labels[rows])
    return Sets(part(np.flatnonzero(rest)[:held]), part(np.flatnonzero(rest)[held:]), part(test), len(classes), note)


def _recordings(folder: Path) -> list[Path]:
    """The files of a class, all of which must be recordings; hidden ones are passed over."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if other := [path for path in paths if path.suffix.lower() not in ENDINGS]:
        raise ValueError(f"{other[0]} is no recording ({', '.join(ENDINGS)}): take it out of {folder}, or convert it")
    if not paths:
        raise ValueError(f"{folder} holds no recordings ({', '.join(ENDINGS)})")
    return paths


def _frames(path: Path, steps: int) -> np.ndarray:
    recording = data.read_events(path)
    try:
        return data.frames(recording, steps)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _count(count: int, there: int, what: str) -> int:
    if not 0 <= count <= there:
        raise ValueError(f"data.{what} must be 0 (all) or 1 to {there} images, got {count}")
    return count or there


def _count_validation(config: ConfigDict, count: int) -> int:
    """Counts the training images, which come before those for the validation of candidates."""
    held = count - round(config.data.validation * count)
    if not 0 < held < count:
        raise ValueError(f"{count} images do not divide into training and validation by {config.data.validation}")
    return held
