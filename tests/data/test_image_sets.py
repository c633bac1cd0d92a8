import numpy as np
import pytest
import tensorflow_datasets as tfds

from framework import data


def test_digits_are_the_real_ones_with_an_exact_scale():
    digits = data.digits()
    assert digits.images.shape == (1797, 8, 8, 1)
    assert (digits.images.min(), digits.images.max(), digits.maximum, digits.classes) == (0, 16, 16, 10)
    np.testing.assert_array_equal(digits.labels[:10], range(10))
    assert "1,797 images of 8x8x1, 10 classes" in str(digits)


def test_digits_train_and_test_make_up_the_whole():
    train, test = data.digits("train"), data.digits("test")
    np.testing.assert_array_equal(np.concatenate([train.images, test.images]), data.digits().images)
    assert not set(train.ids) & set(test.ids)


def test_digits_have_no_other_split():
    with pytest.raises(ValueError, match="take one of all, train, test"):
        data.images("digits", "validation")


@pytest.mark.slow
def test_mnist_is_read_whole_and_exact(shared):
    mnist = data.images("mnist", "test", shared("tfds"))
    assert mnist.images.shape == (10000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(mnist.labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    assert mnist.images.mean() == pytest.approx(33.791224, abs=1e-6)
    assert mnist.source == "TFDS mnist/3.0.1"


def test_a_slice_keeps_the_positions_of_its_records(shared):
    part = data.images("mnist", "train[10:13]+test[:2]", shared("tfds"))
    assert list(part.ids) == ["train/00010", "train/00011", "train/00012", "test/00000", "test/00001"]
    whole = data.images("mnist", "test[:2]", shared("tfds"))
    np.testing.assert_array_equal(part.images[3:], whole.images)


def test_a_sets_own_ids_are_kept(shared):
    part = data.images("cifar10_jpeg", "train[:3]", shared("tfds"))
    assert part.images.shape == (3, 32, 32, 3)
    assert list(part.ids[:2]) == ["train_16399", "train_01680"]


def test_a_missing_set_says_which_command_prepares_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no data set 'svhn' .* data.prepare\('svhn'"):
        data.images("svhn", "train", tmp_path)


def test_a_half_prepared_set_says_so(tmp_path):
    folder = tmp_path / "mnist" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="holds no finished version of 'mnist'"):
        data.images("mnist", "train", tmp_path)


def test_an_unknown_split_is_refused(shared):
    with pytest.raises(ValueError, match=r"Unknown split 'validation'.*'train', 'test'"):
        data.images("mnist", "validation", shared("tfds"))


def test_the_first_images_are_those_of_the_whole_set(shared):
    digits = data.images("digits", "test", count=7)
    np.testing.assert_array_equal(digits.images, data.digits("test").images[:7])
    assert list(digits.ids) == list(data.first(data.digits("test"), 7).ids)
    few, whole = (data.images("mnist", split, shared("tfds"), count) for split, count in (("test", 3), ("test[:5]", 0)))
    np.testing.assert_array_equal(few.images, whole.images[:3])
    assert list(few.ids) == ["test/00000", "test/00001", "test/00002"]
    with pytest.raises(ValueError, match=r"digits \(test\) has 360 images, 361 are asked for; 0 takes all"):
        data.images("digits", "test", count=361)
    with pytest.raises(ValueError, match=r"mnist \(test\[:5\]\) has 5 images, -1 are asked for"):
        data.images("mnist", "test[:5]", shared("tfds"), -1)


def test_images_are_pooled_with_zeros_around_them():
    images = data.digits("test")
    small = data.pool(images, 4).images
    np.testing.assert_array_equal(small, images.images.reshape(-1, 4, 2, 4, 2, 1).mean((2, 4)).round())
    wide = data.pool(images, 12).images
    np.testing.assert_array_equal(wide[:, 2:10, 2:10], images.images)
    assert wide.sum() == images.images.sum()
    with pytest.raises(ValueError, match="a side of at least 1, got 0"):
        data.pool(images, 0)


class Grid(tfds.core.GeneratorBasedBuilder):
    """A tiny set without images, which TFDS prepares without TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "grid": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for i in range(4):
            yield i, {"grid": np.full(2, i, np.float32), "label": i % 2}


def test_a_set_is_prepared_once_and_found_from_then_on(tmp_path, extra):
    extra("importlib_resources")
    folder = data.prepare("grid", tmp_path)
    assert any(folder.glob("*.array_record*"))
    with pytest.raises(ValueError, match="grid has no feature 'image' of kind Image"):
        data.images("grid", "train", tmp_path)


def test_preparing_without_the_extra_says_what_to_install(tmp_path, monkeypatch):
    class Builder:
        def download_and_prepare(self):
            raise ImportError("No module named 'tensorflow'")

    monkeypatch.setattr(tfds, "builder", lambda name, **_: Builder())
    with pytest.raises(ModuleNotFoundError, match=r"preparing mnist needs TensorFlow.*\[prepare\]"):
        data.prepare("mnist", tmp_path)
