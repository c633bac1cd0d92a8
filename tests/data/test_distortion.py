import jax
import numpy as np
import pytest
from scipy import ndimage

from framework import data
from framework.data import distortion

DIGITS = data.digits()
IMAGES = (DIGITS.images[:6].reshape(6, 8, 8) * 15).astype(np.uint8)


def by_scipy(key, image, index, strength, smoothness):
    """The oracle: the same draws, smoothed and fetched by SciPy."""
    field = np.asarray(jax.random.uniform(jax.random.fold_in(key, index), (2, *image.shape), minval=-1, maxval=1))
    smooth = [ndimage.gaussian_filter(axis, smoothness, mode="constant", truncate=20) for axis in field]
    position = np.indices(image.shape) + strength * np.array(smooth)
    return ndimage.map_coordinates(image.astype(float), position, order=1, mode="grid-constant")


@pytest.mark.slow
@pytest.mark.parametrize(("strength", "smoothness"), [(0.0, 2.0), (6.0, 1.5), (20.0, 3.0)])
def test_equals_scipy(strength, smoothness):
    key = jax.random.key(3)
    result = distortion.distort(key, IMAGES, strength, smoothness)
    for i, image in enumerate(IMAGES):
        np.testing.assert_allclose(result[i], by_scipy(key, image, i, strength, smoothness), atol=0.02)


@pytest.mark.slow
def test_colours_move_together():
    colour = np.stack([IMAGES, IMAGES // 2], axis=-1)
    result = distortion.distort(jax.random.key(0), colour, 6.0, 2.0)
    np.testing.assert_allclose(result[..., 0], distortion.distort(jax.random.key(0), IMAGES, 6.0, 2.0), atol=1e-4)
    np.testing.assert_allclose(result[..., 1], distortion.distort(jax.random.key(0), IMAGES // 2, 6.0, 2.0), atol=1e-4)


@pytest.mark.slow
def test_the_originals_come_first_and_copies_differ():
    result = data.amplify(jax.random.key(0), IMAGES, 3, strength=6.0, smoothness=2.0)
    assert result.shape == (18, 8, 8)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[:6], IMAGES)
    assert not np.array_equal(result[6:12], result[12:])
    np.testing.assert_array_equal(result, data.amplify(jax.random.key(0), IMAGES, 3, strength=6.0, smoothness=2.0))


@pytest.mark.slow
def test_one_image_is_distorted_the_same_in_any_company():
    alone = distortion.distort(jax.random.key(0), IMAGES[:1], 6.0, 2.0)
    np.testing.assert_allclose(alone[0], distortion.distort(jax.random.key(0), IMAGES, 6.0, 2.0)[0], atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": 0}, "amplify: times must be a whole number of at least 1, got 0"),
        ({"images": IMAGES / 255}, "images must be bytes"),
        ({"images": IMAGES[:0]}, r"at least 1, got uint8 \(0, 8, 8\)"),
        ({"smoothness": 0.0}, r"smoothness above 0 and finite, got 34.0 and 0.0"),
        ({"strength": np.nan}, "strength must be finite, .* got nan and 4.0"),
        ({"key": 0}, "a random key is wanted"),
    ],
)
def test_what_cannot_be_amplified_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        data.amplify(**{"key": jax.random.key(0), "images": IMAGES, "times": 2} | changes)


def test_what_cannot_be_distorted_is_refused():
    with pytest.raises(ValueError, match=r"images must be \[N, H, W\] or \[N, H, W, C\], got \(8, 8\)"):
        distortion.distort(jax.random.key(0), IMAGES[0])
    with pytest.raises(ValueError, match="a random key is wanted"):
        distortion.distort(0, IMAGES)
