import jax
import numpy as np
import pytest

from framework import selection
from framework.selection import METHODS, Traits, ranking


def test_there_are_at_least_fifteen_methods():
    assert len(METHODS) >= 15
    assert {"random", "P1", "P2", "P3", "k_center", "herding", "moderate", "coverage_centric"} <= METHODS.keys()


def test_scores_select_their_hardest_points(traits):
    hardest = {"margin": -1, "aum": -1, "el2n": 1, "grand": 1, "least_confidence": 1, "forgetting": 1}
    for name, sign in hardest.items():
        selected = selection.select(jax.random.key(0), name, traits, 5)
        worth = sign * getattr(traits, name)
        np.testing.assert_array_equal(np.sort(worth[np.asarray(selected)]), np.sort(worth)[-5:])


def test_a_ranking_comes_in_random_order(traits):
    one, other = (selection.select(jax.random.key(seed), "entropy_top", traits, 30).tolist() for seed in (0, 1))
    ranked = ranking.largest(traits.entropy, 30).tolist()
    assert sorted(one) == sorted(other) == sorted(ranked)
    assert one != other
    assert ranked not in (one, other)


def test_centres_begin_at_a_point_that_the_key_draws(traits):
    first = [int(selection.select(key, "k_center", traits, 1)[0]) for key in jax.random.split(jax.random.key(0), 6)]
    assert len(set(first)) > 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("P1", {"bin_width": 3.0}),
        ("mixture", {"beta": 0.1}),
        ("coverage_centric", {"cutoff_rate": 0.6}),
        ("coverage_centric", {"strata": 2}),
        ("facility_location", {"candidates": 1}),
    ],
)
def test_a_method_takes_its_options(name, options, traits):
    usual, other = (
        selection.select(jax.random.key(0), name, traits, 12, options=selection.Options(**fields))
        for fields in ({}, options)
    )
    assert set(usual.tolist()) != set(other.tolist())


def test_options_are_those_of_the_methods_themselves(traits):
    options = selection.Options(beta=0.25)
    selected = selection.select(jax.random.key(0), "mixture", traits, 8, options=options)
    assert set(selected.tolist()) == set(ranking.mixture(traits.entropy, 8, 0.25).tolist())


def test_missing_and_invalid_traits_are_refused(traits):
    with pytest.raises(ValueError, match="must be one of random, P1"):
        selection.select(jax.random.key(0), "best", traits, 5)
    with pytest.raises(ValueError, match="needs the entropy of each point"):
        selection.select(jax.random.key(0), "P1", Traits(traits.labels), 5)
    with pytest.raises(ValueError, match="40 labels, but 3 entries of aum"):
        selection.select(jax.random.key(0), "P1", traits._replace(aum=np.ones(3)), 5)
    with pytest.raises(ValueError, match=r"labels must be one a point, \[N\], got shape \(40, 1\)"):
        selection.select(jax.random.key(0), "random", traits._replace(labels=traits.labels[:, None]), 5)
    with pytest.raises(ValueError, match="needs the entropy as concrete values"):
        jax.jit(lambda e: selection.select(jax.random.key(0), "P1", traits._replace(entropy=e), 5))(traits.entropy)


def test_points_of_equal_scores_come_from_all_classes():
    """Few points were ever forgotten, and the labels stand in the order of folders."""
    labels, forgetting = np.repeat(np.arange(4), 10), np.zeros(40, int)
    forgetting[:2] = 1
    keys = jax.random.split(jax.random.key(0), 1000)
    traits = Traits(labels, forgetting=forgetting, el2n=-forgetting.astype(float))
    selected = np.asarray(jax.vmap(lambda key: selection.select(key, "forgetting", traits, 6))(keys))
    assert all({0, 1} <= set(row) for row in selected.tolist())
    share = np.bincount(selected.ravel(), minlength=40)[2:] / len(keys)  # 4 of 38 points
    assert abs(share - 4 / 38).max() < 5 * np.sqrt(4 / 38 * 34 / 38 / len(keys))
    # of the 38 hardest, which are equal, 8 are cut off: the two others are left at any rate
    options = selection.Options(cutoff_rate=0.2)
    select_rest = lambda key: selection.select(key, "coverage_centric", traits, 32, options=options)
    share = np.bincount(np.asarray(jax.vmap(select_rest)(keys)).ravel(), minlength=40) / len(keys)
    np.testing.assert_array_equal(share[:2], 1)
    assert abs(share[2:] - 30 / 38).max() < 5 * np.sqrt(30 / 38 * 8 / 38 / len(keys))
