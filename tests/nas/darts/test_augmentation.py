import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas.darts import augmentation

IMAGES = np.random.default_rng(0).uniform(0.1, 1, (40, 8, 6, 2)).astype(np.float32)


@pytest.mark.slow
def test_each_image_is_a_shift_of_itself_or_of_its_mirror_image():
    updated = np.asarray(augmentation.shift_and_flip(jax.random.key(0), IMAGES, 2))
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    mirrored = 0
    for image, wide in zip(updated, padded, strict=True):
        shifts = [wide[i : i + 8, j : j + 6] for i in range(5) for j in range(5)]
        plain = any(np.array_equal(image, shift) for shift in shifts)
        turned = any(np.array_equal(image, shift[:, ::-1]) for shift in shifts)
        assert plain != turned
        mirrored += turned
    assert 8 < mirrored < 32


@pytest.mark.slow
def test_a_square_is_cut_out_of_each_image():
    cut = np.asarray(augmentation.cutout(jax.random.key(0), jnp.asarray(IMAGES), 4))
    holes = (cut == 0).all(-1)
    assert np.array_equal(cut[~holes], IMAGES[~holes])
    for hole in holes:
        rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
        assert hole.sum() == len(rows) * len(columns)  # a rectangle
        assert 2 <= len(rows) <= 4
        assert 2 <= len(columns) <= 4
    assert holes.sum((1, 2)).max() == 16
