import jax.numpy as jnp
import numpy as np
import pytest

from framework.attacks import inputs

IMAGES = np.full((3, 2, 2, 1), 0.5, np.float32)
LABELS = np.array([0, 1, 2])
HIGH, MISSING = IMAGES.copy(), IMAGES.copy()
HIGH[1, 0, 0, 0] = 1.5
MISSING[2, 1, 1, 0] = np.nan


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (HIGH, LABELS, r"images must lie in \[0, 1\] before any normalisation, image 1 spans 0.5 to 1.5"),
        (MISSING, LABELS, r"images must lie in \[0, 1\] before any normalisation, image 2"),
        ((255 * IMAGES).astype(np.uint8), LABELS, r"images must be floats in \[0, 1\], got uint8"),
        (IMAGES, LABELS[:2], r"labels \[N\], got shapes \(3, 2, 2, 1\) and \(2,\)"),
        (IMAGES[:0], LABELS[:0], "images must be"),
        (IMAGES, LABELS.astype(float), "labels must be integers, got float64"),
    ],
)
def test_invalid_images_and_labels_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        inputs.as_arrays(images, labels, 2)


def test_a_batch_has_at_least_one_image():
    with pytest.raises(ValueError, match="batch must be a whole number of at least 1, got 0"):
        inputs.as_arrays(IMAGES, LABELS, 0)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((3, 2)), LABELS, "labels must lie in 0 to 1, image 2 has 2"),
        (np.zeros((3, 4)), np.array([0, -1, 2]), "labels must lie in 0 to 3, image 1 has -1"),
        (np.zeros((3, 4, 1)), LABELS, r"the network must give logits \[3, classes\], got the shape \(3, 4, 1\)"),
        (np.zeros((3, 1)), np.zeros(3, int), "the network gives one logit an image"),
        (np.array([[0, 1, 2.0], [0, np.nan, 1], [0, 1, 2]]), LABELS, "the network gives NaN on the clean image 1"),
    ],
)
def test_invalid_logits_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        inputs.check_logits(logits, labels)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_half_precision_becomes_single(dtype):
    images, _ = inputs.as_arrays(IMAGES.astype(dtype), LABELS, 2)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, IMAGES)
    assert inputs.as_arrays(IMAGES.astype(np.float64), LABELS, 2)[0].dtype == np.float64
