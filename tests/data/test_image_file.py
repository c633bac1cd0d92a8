import numpy as np
import pytest

from framework import data
from framework.data import image_file

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(9) % 3
GOOD = {"train_images": PIXELS[:6], "train_labels": LABELS[:6], "test_images": PIXELS[6:], "test_labels": LABELS[6:]}


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        path = tmp_path / "own.npz"
        np.savez(path, **{name: array for name, array in (GOOD | arrays).items() if array is not None})
        return str(path)

    return save


def test_own_images_come_back_as_a_set(saved):
    train, test = (data.images(saved(), split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.images, PIXELS[:6])
    np.testing.assert_array_equal(test.labels, LABELS[6:])
    assert (train.name, train.split, train.classes, train.maximum) == ("own", "train", 3, 255)
    assert test.ids.tolist() == ["test/00000", "test/00001", "test/00002"]
    assert data.images(saved(), "train", count=2).images.shape == (2, 6, 5, 3)
    assert "own.npz" in str(train)


def test_floats_become_levels_and_a_missing_axis_is_one_channel(saved):
    grey = np.linspace(0, 1, 9 * 30, dtype=np.float64).reshape(9, 6, 5)
    result = data.images(saved(train_images=grey[:6], test_images=grey[6:]), "test")
    assert result.images.shape == (3, 6, 5, 1)
    assert abs(result.images[..., 0] / result.maximum - grey[6:]).max() <= 0.5 / 255 + 1e-12


def test_keras_names_and_columns_of_labels_are_taken(saved):
    none = dict.fromkeys(GOOD)
    path = saved(
        **none,
        x_train=PIXELS[:6],
        y_train=LABELS[:6, None],
        x_test=PIXELS[6:],
        y_test=LABELS[6:, None].astype(np.uint8),
    )
    np.testing.assert_array_equal(data.images(path, "train").labels, LABELS[:6])


def test_another_full_intensity_is_said(saved):
    dark = PIXELS // 16
    with pytest.raises(ValueError, match="reach 15 of 255 only: store their full intensity as the number maximum"):
        data.images(saved(train_images=dark[:6], test_images=dark[6:]), "train")
    result = data.images(saved(train_images=dark[:6], test_images=dark[6:], maximum=15), "train")
    assert result.maximum == 15
    np.testing.assert_array_equal(result.images, dark[:6])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"train_images": None},
            "must hold train_images and train_labels, holds test_images, test_labels, train_labels",
        ),
        ({"weights": np.ones(3)}, "holds the array 'weights', which nothing reads"),
        ({"train_images": PIXELS[:6].astype(int)}, "train_images must be uint8 or floats in .0, 1., got int64"),
        ({"train_images": PIXELS[:6] / 1.0}, "must lie in .0, 1., they span 0 to 255"),
        ({"train_images": np.full((6, 6, 5, 3), np.nan)}, "must lie in .0, 1., they span nan to nan"),
        ({"train_images": PIXELS[:6] / 255}, "train and test must both be uint8 or both floats"),
        ({"train_images": np.moveaxis(PIXELS[:6], -1, 1)}, "channels first. Move them by np.moveaxis"),
        ({"train_images": PIXELS[0, 0]}, r"must be \[N, H, W, C\] or \[N, H, W\], got the shape \(5, 3\)"),
        ({"train_images": PIXELS[:6, :5]}, "train and test differ in height, width or channels"),
        ({"train_labels": LABELS[:5]}, r"train_labels must be \[6\], one an image, got the shape \(5,\)"),
        ({"train_labels": np.eye(3)[LABELS[:6]]}, "of one-hot rows take labels.argmax"),
        ({"train_labels": LABELS[:6] / 1.0}, "must be integers from 0 to k - 1, got float64"),
        ({"train_labels": LABELS[:6] - 1}, "must be 0 to k - 1, got -1 to 1"),
        ({"train_labels": LABELS[:6] + 1, "test_labels": LABELS[6:] + 1}, "the greatest is 3, none is 0"),
        ({"train_labels": 0 * LABELS[:6], "test_labels": 0 * LABELS[6:]}, "at least 2 classes"),
        ({"maximum": 256}, "maximum, the full intensity, must be one integer from 1 to 255, got 256"),
        ({"maximum": 100}, "reach 255, above the maximum of 100"),
    ],
)
def test_what_is_no_set_of_images_gets_one_clear_line(saved, changed, message):
    path = saved(**changed)
    with pytest.raises(ValueError, match=message) as error:
        data.images(path, "train")
    assert str(error.value).startswith(path)
    assert "\n" not in str(error.value)


def test_what_is_no_file_of_images_gets_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cats").mkdir()
    (tmp_path / "notes.txt").write_text("no images")
    (tmp_path / "broken.npz").write_bytes(b"PK no more")
    lines = {
        str(tmp_path / "absent.npz"): (
            FileNotFoundError,
            "no file .*absent.npz: own images are read from an .npz file",
        ),
        "./absent.npz": (FileNotFoundError, "no file ./absent.npz"),
        "absent.npz": (FileNotFoundError, "no file absent.npz"),
        str(tmp_path / "cats"): (ValueError, "is a folder; folders of images are not read yet"),
        "./cats": (ValueError, "is a folder"),
        "notes.txt": (ValueError, "notes.txt is no .npz file"),
        "broken.npz": (ValueError, "broken.npz: not an .npz file"),
        "/": (ValueError, "is a folder"),
        "mn*st": (ValueError, "'mn.st' is no name of a data set"),
        "": (ValueError, "'' is no name of a data set"),
    }
    for name, (kind, message) in lines.items():
        with pytest.raises(kind, match=message) as error:
            data.images(name, "train")
        assert "\n" not in str(error.value)


def test_a_folder_of_the_name_of_a_set_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    assert not any(image_file.is_path(name) for name in ("mnist", "mnist:3.0.1", "mnist_corrupted/zigzag", "cifar10"))


def test_only_train_and_test_are_there(saved):
    with pytest.raises(ValueError, match="has no split 'validation': a file of images has train and test"):
        data.images(saved(), "validation")
