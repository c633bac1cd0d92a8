"""Labelled image sets: the embedded digits, sets of TensorFlow Datasets, read without TensorFlow, and files."""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framework.data import image_file
from framework.data.shared import shared_path

_BLOCK = 2048  # records decoded at a time


class ImageSet(NamedTuple):
    """One split of an image set as plain arrays, with a small description."""

    images: np.ndarray  # [count, height, width, channels] uint8, 0 to `maximum`
    labels: np.ndarray  # [count] int32, 0 to `classes` - 1
    ids: np.ndarray  # [count] str: the set's own name of each image, the same in every order of reading
    name: str
    split: str
    classes: int
    maximum: int  # the value of full intensity: images / maximum lies in [0, 1]
    source: str  # where it comes from, in one line

    def __str__(self) -> str:
        count, height, width, channels = self.images.shape
        size = f"{count:,} images of {height}x{width}x{channels}"
        return f"{self.name} ({self.split}): {size}, {self.classes} classes, from {self.source}"


def digits(split: str = "all") -> ImageSet:
    """The 1,797 real 8x8 handwritten digits that scikit-learn carries.

    Args:
      split: `all`; or `train` (the first 1,437) or `test` (the last 360, by other writers).

    Raises:
      ValueError: for another split.

    Example:
      >>> from framework import data
      >>> train = data.digits("train")
      >>> train.images.shape, train.labels[:4].tolist(), train.maximum
      ((1437, 8, 8, 1), [0, 1, 2, 3], 16)

    Reference: Kaynak (1995), the UCI "Optical Recognition of Handwritten Digits" test set.
    """
    splits = {"all": slice(None), "train": slice(None, 1437), "test": slice(1437, None)}
    if split not in splits:
        raise ValueError(f"digits has no split {split!r}: take one of {', '.join(splits)}")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    chosen = splits[split]
    ids = np.array([f"{i:04d}" for i in range(len(labels))])
    images = pixels.reshape(-1, 8, 8, 1).astype(np.uint8)
    return ImageSet(
        images[chosen], labels[chosen].astype(np.int32), ids[chosen], "digits", split, 10, 16, "scikit-learn"
    )


def images(name: str, split: str = "train", directory: str | os.PathLike | None = None, count: int = 0) -> ImageSet:
    """An image set by name: `digits`, a labelled set of TFDS that was prepared once, or an `.npz` file of your own.

    Args:
      name: a TFDS name (`mnist`, `cifar10`, ...), prepared as array_record or parquet; `digits`; or the path of an
        `.npz` file, whose arrays `image_file.read` describes.
      split: a split of the set, slices included (`train`, `test[:100]`).
      directory: the TFDS folder that holds it; by default `$TFDS_DATA_DIR`, then the shared data.
      count: how many of its first images, none else being read; 0 takes all.

    Returns:
      The images of the split, decoded, in the order of the files. The ids are the set's feature `id`, or else the split
      and the position in it, such as `train/00017`.

    Raises:
      FileNotFoundError: if the set is not there; says which command prepares it.
      ValueError: if the split is unknown, has fewer images, or the set holds no labelled images of one size; for a file
        that is not as `image_file.read` describes it, a folder, or a name that no set can have.
    """
    if name == "digits":
        return first(digits(split), count)
    if image_file.is_path(name):
        return first(_of_file(name, split), count)
    if not re.fullmatch(r"\w[\w:./+-]*", name):
        raise ValueError(f"{name!r} is no name of a data set: take digits, a set of TFDS, or the path of an .npz file")
    directory = Path(directory or os.environ.get("TFDS_DATA_DIR") or shared_path("tfds")).expanduser()
    builder = _builder(name, directory)
    shape = _image_shape(builder, name)
    source = builder.as_data_source(split=split, decoders={"image": _by_pillow()})
    count = _count(count, len(source), name, split)
    pixels, labels = np.zeros((count, *shape), np.uint8), np.zeros(count, np.int32)
    ids = _positions(builder, split)[:count]
    for start in range(0, count, _BLOCK):
        block = range(start, min(start + _BLOCK, count))
        for position, record in zip(block, source.__getitems__(list(block)), strict=True):
            pixels[position], labels[position] = record["image"], record["label"]
            if "id" in record:
                ids[position] = record["id"].decode()
    classes = builder.info.features["label"].num_classes
    return ImageSet(pixels, labels, np.array(ids), name, split, classes, 255, f"TFDS {builder.info.full_name}")


def first(images: ImageSet, count: int) -> ImageSet:
    """The first images of a set.

    Args:
      images: the set.
      count: how many; 0 takes all.

    Raises:
      ValueError: if there are fewer.
    """
    kept = slice(_count(count, len(images.labels), images.name, images.split))
    return images._replace(images=images.images[kept], labels=images.labels[kept], ids=images.ids[kept])


def pool(images: ImageSet, side: int) -> ImageSet:
    """Smaller images: zeros around them up to the next multiple of `side`, then means over squares, rounded.

    Args:
      images: of any size; smaller ones only get zeros around them.
      side: of the new images, at least 1.

    Raises:
      ValueError: for a side below 1.

    Example:
      >>> from framework import data
      >>> data.pool(data.digits("test"), 4).images.shape
      (360, 4, 4, 1)
    """
    if side < 1:
        raise ValueError(f"images are pooled to a side of at least 1, got {side}")
    count, height, width, channels = images.images.shape
    factor = -(-max(height, width) // side)
    down, across = factor * side - height, factor * side - width
    pads = ((0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    blocks = np.pad(images.images, pads).reshape(count, side, factor, side, factor, channels)
    return images._replace(images=blocks.mean((2, 4)).round().astype(np.uint8))


def prepare(name: str, directory: str | os.PathLike) -> Path:
    """Downloads a TFDS set and writes it as array_record, once; TensorFlow is needed for this alone.

    Args:
      name: a TFDS name, such as `mnist`.
      directory: the TFDS folder that is to hold it.

    Returns:
      The folder of the prepared version.

    Raises:
      ModuleNotFoundError: if the set needs TensorFlow (all image sets do) and the extra `prepare` is not installed.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=directory, file_format="array_record")
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise ModuleNotFoundError(
            f"preparing {name} needs TensorFlow, which only this step does; in the checkout: pip install '.[prepare]'"
        ) from error
    return Path(builder.data_dir)


def _of_file(name: str, split: str) -> ImageSet:
    arrays = image_file.read(name, split)
    ids = np.array([f"{split}/{i:05d}" for i in range(len(arrays.labels))])
    stem = Path(name).stem
    return ImageSet(arrays.images, arrays.labels, ids, stem, split, arrays.classes, arrays.maximum, f"the file {name}")


def _count(count: int, there: int, name: str, split: str) -> int:
    if not 0 <= count <= there:
        raise ValueError(f"{name} ({split}) has {there:,} images, {count:,} are asked for; 0 takes all")
    return count or there


def _builder(name: str, directory: Path):
    """The TFDS builder of a set that is prepared in `directory`."""
    import tensorflow_datasets as tfds

    hint = "prepare it once, in the checkout: pip install '.[prepare]' && python -c \"from framework import data; "
    hint += f"data.prepare('{name}', '{directory}')\""
    if not any(directory.glob(f"{name}/**/dataset_info.json")):
        raise FileNotFoundError(f"no data set {name!r} under {directory}; {hint}")
    builder = tfds.builder(name, data_dir=directory, try_gcs=False)
    if not builder.is_prepared():
        raise FileNotFoundError(f"{directory / name} holds no finished version of {name!r}; {hint}")
    return builder


def _image_shape(builder, name: str) -> tuple[int, ...]:
    import tensorflow_datasets as tfds

    features = builder.info.features
    for key, kind in {"image": tfds.features.Image, "label": tfds.features.ClassLabel}.items():
        if key not in features or not isinstance(features[key], kind):
            raise ValueError(f"{name} has no feature {key!r} of kind {kind.__name__}, only {', '.join(features)}")
    shape = features["image"].shape
    if None in shape:
        raise ValueError(f"{name} holds images of several sizes, {shape}: only sets of one size are read")
    return shape


def _by_pillow():
    """Decodes images by Pillow on every machine; TFDS would advise everyone to install OpenCV."""
    import tensorflow_datasets as tfds

    read = lambda content, feature: feature.decode_example_np_with_pil(content, feature.shape[-1])
    return tfds.decode.make_decoder()(read)()


def _positions(builder, split: str) -> list[str]:
    """`<split>/<position>` of each record of a split, a slice or a sum of them."""
    import tensorflow_datasets as tfds

    parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits)
    return [f"{part.splitname}/{i:05d}" for part in parts for i in range(part.from_ or 0, _end(builder, part))]


def _end(builder, part) -> int:
    return builder.info.splits[part.splitname].num_examples if part.to is None else part.to
