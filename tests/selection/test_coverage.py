import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import selection

COUNT, SIZE = 60, 9


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(COUNT, 3))


def k_center_by_loop(z, size, start):
    selected, nearest = [start], np.full(len(z), np.inf)
    while len(selected) < size:
        nearest = np.minimum(nearest, np.linalg.norm(z - z[selected[-1]], axis=1))
        selected.append(int(nearest.argmax()))
    return selected


def herding_by_loop(z, size):
    selected, mean = [], z.mean(0)
    for step in range(1, size + 1):
        errors = np.linalg.norm(mean - (z[selected].sum(0) + z) / step, axis=1)
        errors[selected] = np.inf
        selected.append(int(errors.argmin()))
    return selected


def facility_by_matrix(z, size):
    """With the matrix of all pairs."""
    pairs = ((z[:, None] - z) ** 2).sum(-1)
    nearest, selected = np.full(len(z), 4 * ((z - z.mean(0)) ** 2).sum(1).max()), []
    for _ in range(size):
        gains = np.maximum(nearest - pairs, 0).sum(1)
        gains[selected] = -1
        selected.append(int(gains.argmax()))
        nearest = np.minimum(nearest, pairs[selected[-1]])
    return selected


def test_k_center_equals_a_plain_loop(features):
    selected = selection.k_center_greedy(features, SIZE, start=4)
    assert np.asarray(selected).tolist() == k_center_by_loop(features, SIZE, 4)
    swept = jax.jit(jax.vmap(lambda start: selection.k_center_greedy(features, SIZE, start)))(jnp.array([0, 4]))
    np.testing.assert_array_equal(swept[1], selected)
    np.testing.assert_array_equal(swept[0], k_center_by_loop(features, SIZE, 0))


def test_herding_equals_a_plain_loop(features):
    selected = selection.herding(features, SIZE)
    assert np.asarray(selected).tolist() == herding_by_loop(features, SIZE)
    np.testing.assert_array_equal(jax.jit(lambda z: selection.herding(z, SIZE))(features), selected)


def test_facility_location_equals_a_matrix_of_pairs(features):
    selected = np.asarray(selection.facility_location(features, SIZE, block=7))
    assert selected.tolist() == facility_by_matrix(features, SIZE)
    assert np.asarray(selection.facility_location(features, COUNT)).tolist() == facility_by_matrix(features, COUNT)


@pytest.mark.slow
def test_random_candidates_reach_nearly_the_greedy_value(features):
    def value(points):
        pairs = ((features[:, None] - features[np.asarray(points)]) ** 2).sum(-1)
        return 4 * ((features - features.mean(0)) ** 2).sum(1).max() * COUNT - pairs.min(1).sum()

    selected = selection.facility_location(features, SIZE, jax.random.key(0), candidates=20)
    assert value(selected) > (1 - 1 / np.e - np.exp(-20 * SIZE / COUNT)) * value(facility_by_matrix(features, SIZE))
    whole = np.asarray(selection.facility_location(features, COUNT, jax.random.key(0), candidates=1))
    assert sorted(whole) == list(range(COUNT))


@pytest.mark.parametrize(
    "method", [selection.k_center_greedy, selection.herding, lambda z, k: selection.facility_location(z, k, block=7)]
)
def test_sizes_from_zero_to_all(features, method):
    assert np.asarray(method(features, 0)).shape == (0,)
    assert sorted(np.asarray(method(features, COUNT)).tolist()) == list(range(COUNT))
    with pytest.raises(ValueError, match="0 to 60 points, as many as there are; asked for 61"):
        method(features, COUNT + 1)


def test_equal_points_are_selected_once():
    same = np.zeros((5, 2))
    for method in (selection.k_center_greedy, selection.herding, selection.facility_location):
        assert sorted(np.asarray(method(same, 5)).tolist()) == [0, 1, 2, 3, 4]


def test_bad_features_are_refused(features):
    with pytest.raises(ValueError, match=r"\[N, d\]"):
        selection.herding(features[:, 0], 2)
    with pytest.raises(ValueError, match="features of point 3 are not all finite"):
        selection.k_center_greedy(np.where(np.arange(COUNT)[:, None] == 3, np.nan, features), 2)
    with pytest.raises(ValueError, match="one of the points 0 to 59, got 60"):
        selection.k_center_greedy(features, 2, start=COUNT)
    with pytest.raises(ValueError, match=r"one of the points 0 to 59, got 0\.5"):
        selection.k_center_greedy(features, 2, start=0.5)
    with pytest.raises(ValueError, match=r"a random key is wanted, .* got None"):
        selection.facility_location(features, 2, candidates=4)
    with pytest.raises(ValueError, match="candidates must be a whole number of at least 1, got 0"):
        selection.facility_location(features, 2, jax.random.key(0), candidates=0)
    with pytest.raises(ValueError, match="block must be a whole number of at least 1, got 0"):
        selection.facility_location(features, 2, block=0)


KEYS = jax.random.split(jax.random.key(1), 2000)
TWINS = np.array([[0.0], [1.0], [1.0], [1.0], [-0.3], [-0.3], [0.2]])  # three alike, and two


@pytest.mark.parametrize(
    ("select", "size", "expected"),
    [
        # from 0 the farthest are the three at 1, then the two at -0.3
        (lambda key: selection.k_center_greedy(TWINS, 3, 0, key), 3, [1, 1 / 3, 1 / 3, 1 / 3, 0.5, 0.5, 0]),
        # around their mean the points 1 and -1, one of each twice, are equally good
        (lambda key: selection.herding(np.array([[1.0], [-1.0], [1.0], [-1.0]]), 1, key), 1, [0.25] * 4),
        (lambda key: selection.facility_location(np.array([[0.0], [0.0], [3.0], [3.0]]), 2, key), 2, [0.5] * 4),
        (lambda key: selection.facility_location(np.zeros((4, 2)), 1, key, candidates=40), 1, [0.25] * 4),
    ],
    ids=["k-center", "herding", "facility location", "with candidates"],
)
def test_ties_are_broken_uniformly_by_the_key(select, size, expected):
    selected = np.asarray(jax.lax.map(select, KEYS))
    assert selected.shape == (len(KEYS), size)
    frequency = np.bincount(selected.ravel(), minlength=len(expected)) / len(KEYS)
    expected = np.array(expected)
    slack = 5 * np.sqrt(expected * (1 - expected) / len(KEYS))
    if select.__code__.co_consts and 40 in select.__code__.co_consts:
        slack += 1 / 160  # the first free point is a candidate at any rate
    assert (abs(frequency - expected) <= slack).all(), frequency


def test_without_ties_the_key_changes_nothing(features):
    for key in KEYS[:3]:
        np.testing.assert_array_equal(
            selection.k_center_greedy(features, SIZE, 4, key), selection.k_center_greedy(features, SIZE, 4)
        )
        np.testing.assert_array_equal(selection.herding(features, SIZE, key), selection.herding(features, SIZE))
