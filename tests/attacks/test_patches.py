import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.attacks import norms, patches

SHAPE = (9, 7)
KEYS = jax.random.split(jax.random.key(0), 300)
IMAGES = jnp.full((300, *SHAPE, 2), 0.5)


@pytest.mark.slow
def test_a_window_is_where_its_corner_says():
    corners = jnp.array([[0, 0], [3, 4], [5, 2]])
    for mask, (row, column) in zip(patches.window(SHAPE, corners, 3), corners, strict=True):
        expected = np.zeros(SHAPE, bool)
        expected[row : row + 3, column : column + 3] = True
        np.testing.assert_array_equal(mask, expected)


def test_corners_never_reach_the_last_place_as_in_the_reference():
    numbers = jnp.array([[0.0, 0.0], [0.9999, 0.9999]])
    assert patches.corner(numbers, SHAPE, 3).tolist() == [[0, 0], [5, 3]]


def test_stripes_are_columns_of_both_signs():
    delta = jax.jit(patches.stripes)(KEYS, IMAGES, 0.1) - IMAGES
    np.testing.assert_allclose(abs(delta), 0.1, atol=1e-6)
    np.testing.assert_array_equal(delta, jnp.broadcast_to(delta[:, :1], delta.shape))
    assert 0.4 < (delta > 0).mean() < 0.6


@pytest.mark.slow
def test_a_signed_square_moves_one_window_to_the_edge_of_the_ball():
    start = patches.stripes(KEYS, IMAGES, 0.1)
    found = jax.jit(patches.signed_square)(KEYS, start, IMAGES, 0.1, 3)
    np.testing.assert_allclose(abs(found - IMAGES), 0.1, atol=1e-6)
    for i in range(20):
        rows, columns, _ = np.nonzero(found[i] != start[i])
        assert np.ptp(rows) < 3
        assert np.ptp(columns) < 3


@pytest.mark.parametrize("side", [3, 4, 5, 9])
def test_a_bump_is_two_pyramids_of_opposite_signs(side):
    bump = patches.bump(side)
    np.testing.assert_allclose((bump**2).sum(), 1)
    assert (bump[: side // 2] > 0).all()
    assert (bump[side // 2 :] < 0).all()
    halves = [np.sqrt((half**2).sum()) for half in (bump[: side // 2], bump[side // 2 :])]
    np.testing.assert_allclose(halves, 0.5**0.5)


@pytest.mark.slow
def test_a_bump_is_placed_whole_and_turned():
    canvas = patches.bumps(SHAPE, np.array([3, 5, 3]))
    at = jnp.array([[6, 4], [0, 0], [2, 3]])
    placed = patches._placed(canvas, at, jnp.int32(3), jnp.array([False, True, False]), SHAPE)
    for each, (row, column), bump in zip(
        placed, at, [patches.bump(3), patches.bump(3).T, patches.bump(3)], strict=True
    ):
        np.testing.assert_allclose(each[row : row + 3, column : column + 3], bump, atol=1e-6)
        np.testing.assert_allclose((each**2).sum(), 1, rtol=1e-5)


def test_tiles_begin_where_five_of_them_stand_in_the_middle():
    """Nine rows: tiles of one pixel from row and column 2 on, as in the reference program."""
    delta = jax.jit(patches.tiles)(KEYS[:3], IMAGES[:3], 0.2) - IMAGES[:3]
    expected = np.zeros(SHAPE, bool)
    expected[2:, 2:] = True
    for each in delta:
        np.testing.assert_array_equal((each != 0).all(-1), expected)
        np.testing.assert_array_equal((each != 0).any(-1), expected)


@pytest.mark.slow
def test_moved_mass_keeps_the_length_and_changes_two_windows():
    ball = norms.named("l2")
    start = jax.jit(patches.tiles)(KEYS, IMAGES, 0.2)
    np.testing.assert_allclose(ball.size(start - IMAGES), 0.2, rtol=1e-5)
    move = jax.jit(
        lambda x: patches.moved_mass(KEYS, x, IMAGES, 0.2, jnp.int32(3), patches.bumps(SHAPE, np.array([3])))
    )
    found = move(start)
    np.testing.assert_allclose(ball.size(found - IMAGES), 0.2, rtol=1e-5)
    before, after = (np.asarray(x - IMAGES) for x in (start, found))
    same = abs(before - after).max(-1) < 2e-3  # up to the rescaling of what the tiles did not fill
    assert (same.sum((1, 2)) >= 63 - 18).mean() > 0.9
