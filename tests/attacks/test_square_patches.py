import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.attacks import norms, square_patches

SHAPE = (9, 7)
KEYS = jax.random.split(jax.random.key(0), 300)
IMAGES = jnp.full((300, *SHAPE, 2), 0.5)


@pytest.mark.slow
def test_a_mask_is_a_square_at_its_corner():
    corners = jnp.array([[0, 0], [3, 4], [5, 2]])
    for mask, (row, column) in zip(square_patches.square_mask(SHAPE, corners, 3), corners, strict=True):
        expected = np.zeros(SHAPE, bool)
        expected[row : row + 3, column : column + 3] = True
        np.testing.assert_array_equal(mask, expected)


def test_corners_never_reach_the_last_row_as_in_the_reference():
    numbers = jnp.array([[0.0, 0.0], [0.9999, 0.9999]])
    assert square_patches.random_corners(numbers, SHAPE, 3).tolist() == [[0, 0], [5, 3]]


def test_stripes_are_columns_of_both_signs():
    delta = jax.jit(square_patches.add_stripes)(KEYS, IMAGES, 0.1) - IMAGES
    np.testing.assert_allclose(abs(delta), 0.1, atol=1e-6)
    np.testing.assert_array_equal(delta, jnp.broadcast_to(delta[:, :1], delta.shape))
    assert 0.4 < (delta > 0).mean() < 0.6


@pytest.mark.slow
def test_a_square_moves_to_the_edge_of_the_ball():
    start = square_patches.add_stripes(KEYS, IMAGES, 0.1)
    x = jax.jit(square_patches.flip_square)(KEYS, start, IMAGES, 0.1, 3)
    np.testing.assert_allclose(abs(x - IMAGES), 0.1, atol=1e-6)
    for i in range(20):
        rows, columns, _ = np.nonzero(x[i] != start[i])
        assert np.ptp(rows) < 3
        assert np.ptp(columns) < 3


@pytest.mark.parametrize("side", [3, 4, 5, 9])
def test_a_bump_is_two_pyramids_of_opposite_signs(side):
    bump = square_patches.bump(side)
    np.testing.assert_allclose((bump**2).sum(), 1)
    assert (bump[: side // 2] > 0).all()
    assert (bump[side // 2 :] < 0).all()
    halves = [np.sqrt((half**2).sum()) for half in (bump[: side // 2], bump[side // 2 :])]
    np.testing.assert_allclose(halves, 0.5**0.5)


@pytest.mark.slow
def test_a_bump_is_placed_whole_and_transposed():
    canvas = square_patches.bumps(SHAPE, np.array([3, 5, 3]))
    corners = jnp.array([[6, 4], [0, 0], [2, 3]])
    images = square_patches._bump_at(canvas, corners, jnp.int32(3), jnp.array([False, True, False]), SHAPE)
    for image, (row, column), bump in zip(
        images, corners, [square_patches.bump(3), square_patches.bump(3).T, square_patches.bump(3)], strict=True
    ):
        np.testing.assert_allclose(image[row : row + 3, column : column + 3], bump, atol=1e-6)
        np.testing.assert_allclose((image**2).sum(), 1, rtol=1e-5)


def test_five_bumps_stand_in_the_middle():
    """Nine rows: tiles of one pixel from row and column 2 on, as in the reference program."""
    delta = jax.jit(square_patches.add_bumps)(KEYS[:3], IMAGES[:3], 0.2) - IMAGES[:3]
    expected = np.zeros(SHAPE, bool)
    expected[2:, 2:] = True
    for image in delta:
        np.testing.assert_array_equal((image != 0).all(-1), expected)
        np.testing.assert_array_equal((image != 0).any(-1), expected)


@pytest.mark.slow
def test_moving_mass_keeps_the_norm_and_changes_two_squares():
    ball = norms.get("l2")
    start = jax.jit(square_patches.add_bumps)(KEYS, IMAGES, 0.2)
    np.testing.assert_allclose(ball.magnitude(start - IMAGES), 0.2, rtol=1e-5)
    move = jax.jit(
        lambda x: square_patches.move_mass(
            KEYS, x, IMAGES, 0.2, jnp.int32(3), square_patches.bumps(SHAPE, np.array([3]))
        )
    )
    end = move(start)
    np.testing.assert_allclose(ball.magnitude(end - IMAGES), 0.2, rtol=1e-5)
    before, after = (np.asarray(x - IMAGES) for x in (start, end))
    same = abs(before - after).max(-1) < 2e-3  # up to the rescaling of what the tiles did not fill
    assert (same.sum((1, 2)) >= 63 - 18).mean() > 0.9
