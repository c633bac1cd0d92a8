"""Your own labelled images from an `.npz` file, one pair of arrays a split."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framework.core import files

SPLITS = ("train", "test")
_SPELLINGS = (("{split}_images", "{split}_labels"), ("x_{split}", "y_{split}"))  # this project's, keras'
_CHANNELS = 4  # at most
_DARK = 32  # uint8 images that reach no further have another full intensity
_WANTED = (
    "np.savez(path, train_images=[N, H, W, C] uint8 or floats in [0, 1], train_labels=[N] integers 0 to k - 1, "
    "test_images=..., test_labels=...)"
)


class Arrays(NamedTuple):
    """What a file holds of one split."""

    images: np.ndarray  # [N, H, W, C] uint8
    labels: np.ndarray  # [N] int32
    classes: int  # of all splits
    maximum: int  # the value of full intensity


def is_path(name: str) -> bool:
    """True for a name that can only be meant as a file or a folder, not as a set of TFDS."""
    path = Path(name).expanduser()
    if name.startswith((os.sep, ".", "~")) or path.is_file() or (os.sep in name and path.is_dir()):
        return True
    return path.suffix[1:2].isalpha()  # a set's version is of numbers


def read(name: str, split: str) -> Arrays:
    """Reads one split of a file of images.

    Args:
      name: path of an `.npz` file with `train_images`, `train_labels`, `test_images`, `test_labels` (or keras'
        `x_train`, `y_train`, `x_test`, `y_test`). Images are `[N, H, W, C]` or `[N, H, W]`, uint8 from 0 to 255 or
        floats in [0, 1], which become 256 levels; labels `[N]` integers from 0 to k - 1, each of which occurs. A number
        `maximum` says the full intensity of uint8 images, if it is another than 255.
      split: `train` or `test`.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: for a folder, another split, a file of other arrays, or arrays that are not as above.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        raise ValueError(f"{name} is a folder; folders of images are not read yet: store them by {_WANTED}")
    if not path.exists():
        raise FileNotFoundError(f"no file {name}: own images are read from an .npz file, made by {_WANTED}")
    if path.suffix != ".npz":
        raise ValueError(f"{name} is no .npz file: store the images by {_WANTED}")
    if split not in SPLITS:
        raise ValueError(f"{name} has no split {split!r}: a file of images has {' and '.join(SPLITS)}")
    try:
        arrays = files.read_arrays(path)
        return _check_arrays(arrays, split)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _check_arrays(arrays: dict[str, np.ndarray], split: str) -> Arrays:
    maximum = _maximum(arrays.pop("maximum", None))
    parts = {name: _pair(arrays, name) for name in SPLITS}
    known = {key for pair in parts.values() for key in pair}
    if unknown := sorted(set(arrays) - known):
        raise ValueError(f"holds the array {unknown[0]!r}, which nothing reads; it takes {_WANTED}")
    sets = {name: (_images(arrays, *pair, maximum), _labels(arrays, *pair)) for name, pair in parts.items()}
    shapes = {images.shape[1:] for images, _ in sets.values()}
    if len(shapes) > 1:
        raise ValueError(f"images of train and test differ in height, width or channels: {sorted(shapes)}")
    if {arrays[images].dtype.kind for images, _ in parts.values()} == {"u", "f"}:
        raise ValueError("images of train and test must both be uint8 or both floats")
    labels = np.concatenate([part for _, part in sets.values()])
    classes = int(labels.max()) + 1
    if missing := sorted(set(range(classes)) - set(labels.tolist())):
        raise ValueError(f"labels must be 0 to k - 1, each in use: the greatest is {classes - 1}, none is {missing[0]}")
    if classes < 2:
        raise ValueError("labels must name at least 2 classes, all are 0")
    images, labels = sets[split]
    return Arrays(images, labels, classes, maximum)


def _maximum(value: np.ndarray | None) -> int:
    if value is None:
        return 255
    if value.shape != () or value.dtype.kind not in "iu" or not 1 <= value <= 255:
        raise ValueError(f"maximum, the full intensity, must be one integer from 1 to 255, got {value.tolist()}")
    return int(value)


def _pair(arrays: dict[str, np.ndarray], split: str) -> tuple[str, str]:
    """The names of a split's images and labels."""
    for spelling in _SPELLINGS:
        pair = tuple(key.format(split=split) for key in spelling)
        if all(key in arrays for key in pair):
            return pair
    there = ", ".join(sorted(arrays)) or "nothing"
    raise ValueError(f"must hold {split}_images and {split}_labels, holds {there}; make it by {_WANTED}")


def _images(arrays: dict[str, np.ndarray], key: str, _: str, maximum: int) -> np.ndarray:
    images = arrays[key]
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"{key} must be [N, H, W, C] or [N, H, W], got the shape {arrays[key].shape}")
    if images.shape[-1] > _CHANNELS:
        first = ", with the channels first? Move them by np.moveaxis(images, 1, -1)"
        hint = first if images.shape[1] <= _CHANNELS else ""
        raise ValueError(f"{key} must have 1 to {_CHANNELS} channels last, got the shape {images.shape}{hint}")
    if images.dtype.kind == "f":
        return _levels(images, key, maximum)
    if images.dtype != np.uint8:
        raise ValueError(f"{key} must be uint8 or floats in [0, 1], got {images.dtype}")
    if images.max() > maximum:
        raise ValueError(f"{key} reach {images.max()}, above the maximum of {maximum}")
    if maximum == 255 and images.max() < _DARK:
        raise ValueError(f"{key} reach {images.max()} of 255 only: store their full intensity as the number maximum")
    return images


def _levels(images: np.ndarray, key: str, maximum: int) -> np.ndarray:
    """Floats in [0, 1] as whole numbers from 0 to 255."""
    if maximum != 255:
        raise ValueError("maximum is of uint8 images; floats lie in [0, 1]")
    if not (images >= 0).all() or not (images <= 1).all():  # NaN is neither
        raise ValueError(f"{key} are floats and must lie in [0, 1], they span {images.min():g} to {images.max():g}")
    return np.round(255 * images).astype(np.uint8)


def _labels(arrays: dict[str, np.ndarray], images_key: str, key: str) -> np.ndarray:
    labels, count = arrays[key], len(arrays[images_key])
    if labels.shape == (count, 1):  # keras' sets
        labels = labels[:, 0]
    if labels.shape != (count,):
        hint = ": of one-hot rows take labels.argmax(-1)" if labels.ndim == 2 else ""
        raise ValueError(f"{key} must be [{count}], one an image, got the shape {labels.shape}{hint}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{key} must be integers from 0 to k - 1, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= 2**31 - 1:
        raise ValueError(f"{key} must be 0 to k - 1, got {labels.min()} to {labels.max()}")
    return labels.astype(np.int32)
