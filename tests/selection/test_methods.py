import jax
import numpy as np
import pytest

from framework import selection
from framework.selection import METHODS, Traits

COUNT, CLASSES = 40, 3
SCORES = ("entropy", "margin", "least_confidence", "el2n", "grand", "aum")


@pytest.fixture(scope="module")
def traits():
    rng = np.random.default_rng(0)
    scores = {name: rng.gamma(1.0, size=COUNT).astype(np.float32) + 1e-6 for name in SCORES}
    labels = rng.permutation(np.arange(COUNT) % CLASSES)
    return Traits(labels, **scores, forgetting=rng.integers(0, 5, COUNT), features=rng.normal(size=(COUNT, 4)))


def test_there_are_at_least_fifteen_methods():
    assert len(METHODS) >= 15
    assert {"random", "P1", "P2", "P3", "k_center", "herding", "moderate", "coverage_centric"} <= METHODS.keys()


KINDS = ("random", "P1", "k_center")  # one of each way to choose; the others are slow tests
EVERY = [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_method_is_exact_in_size_and_over_seeds_the_same_as_alone(name, traits):
    seeds = jax.random.split(jax.random.key(0), 3)
    sizes = (0, 12, COUNT)
    choose = lambda key: [selection.choose(name, key, size, traits) for size in sizes]
    swept = jax.jit(jax.vmap(choose))(seeds)
    for size, chosen in zip(sizes, swept, strict=True):
        assert chosen.shape == (3, size)
        assert all(len(set(row)) == size for row in np.asarray(chosen).tolist())
    assert set(np.asarray(swept[-1]).ravel()) == set(range(COUNT))
    np.testing.assert_array_equal(jax.jit(choose)(seeds[1])[1], swept[1][1])


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_balanced_method_takes_each_class_alike(name, traits):
    chosen = np.asarray(jax.jit(lambda key: selection.choose(name, key, 12, traits, True))(jax.random.key(1)))
    assert len(set(chosen.tolist())) == 12
    np.testing.assert_array_equal(np.bincount(traits.labels[chosen]), [4, 4, 4])


def test_scores_take_their_hardest_points(traits):
    hardest = {"margin": -1, "aum": -1, "el2n": 1, "grand": 1, "least_confidence": 1, "forgetting": 1}
    for name, sign in hardest.items():
        chosen = selection.choose(name, jax.random.key(0), 5, traits)
        worth = sign * getattr(traits, name)
        np.testing.assert_array_equal(np.sort(worth[np.asarray(chosen)]), np.sort(worth)[-5:])


def test_a_ranking_comes_in_random_order(traits):
    one, other = (selection.choose("entropy_top", jax.random.key(seed), 30, traits).tolist() for seed in (0, 1))
    ranked = selection.largest(traits.entropy, 30).tolist()
    assert sorted(one) == sorted(other) == sorted(ranked)
    assert one != other
    assert ranked not in (one, other)


def test_centres_begin_at_a_point_that_the_key_draws(traits):
    first = [int(selection.choose("k_center", key, 1, traits)[0]) for key in jax.random.split(jax.random.key(0), 6)]
    assert len(set(first)) > 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("P1", {"bin_width": 3.0}),
        ("mixture", {"beta": 0.1}),
        ("coverage_centric", {"cut": 0.6}),
        ("coverage_centric", {"strata": 2}),
        ("facility_location", {"candidates": 1}),
    ],
)
def test_a_method_takes_its_options(name, options, traits):
    usual, other = (
        selection.choose(name, jax.random.key(0), 12, traits, options=selection.Options(**each))
        for each in ({}, options)
    )
    assert set(usual.tolist()) != set(other.tolist())


def test_options_are_those_of_the_methods_themselves(traits):
    options = selection.Options(beta=0.25)
    chosen = selection.choose("mixture", jax.random.key(0), 8, traits, options=options)
    assert set(chosen.tolist()) == set(selection.mixture(traits.entropy, 8, 0.25).tolist())


def test_what_is_missing_is_said(traits):
    with pytest.raises(ValueError, match="must be one of random, P1"):
        selection.choose("best", jax.random.key(0), 5, traits)
    with pytest.raises(ValueError, match="needs the entropy of each point"):
        selection.choose("P1", jax.random.key(0), 5, Traits(traits.labels))
    with pytest.raises(ValueError, match="40 labels, but 3 entries of aum"):
        selection.choose("P1", jax.random.key(0), 5, traits._replace(aum=np.ones(3)))
    with pytest.raises(ValueError, match=r"labels must be one a point, \[N\], got shape \(40, 1\)"):
        selection.choose("random", jax.random.key(0), 5, traits._replace(labels=traits.labels[:, None]))
    with pytest.raises(ValueError, match="needs the entropy as it is"):
        jax.jit(lambda e: selection.choose("P1", jax.random.key(0), 5, traits._replace(entropy=e)))(traits.entropy)


def test_points_of_equal_scores_come_from_all_classes_alike():
    """Few points were ever forgotten, and the labels stand in the order of folders."""
    labels, forgetting = np.repeat(np.arange(4), 10), np.zeros(40, int)
    forgetting[:2] = 1
    keys = jax.random.split(jax.random.key(0), 1000)
    traits = Traits(labels, forgetting=forgetting, el2n=-forgetting.astype(float))
    chosen = np.asarray(jax.vmap(lambda key: selection.choose("forgetting", key, 6, traits))(keys))
    assert all({0, 1} <= set(row) for row in chosen.tolist())
    share = np.bincount(chosen.ravel(), minlength=40)[2:] / len(keys)  # 4 of 38 points
    assert abs(share - 4 / 38).max() < 5 * np.sqrt(4 / 38 * 34 / 38 / len(keys))
    # of the 38 hardest, which are equal, 8 are cut off: the two others are left at any rate
    cut = selection.Options(cut=0.2)
    left = lambda key: selection.choose("coverage_centric", key, 32, traits, options=cut)
    share = np.bincount(np.asarray(jax.vmap(left)(keys)).ravel(), minlength=40) / len(keys)
    np.testing.assert_array_equal(share[:2], 1)
    assert abs(share[2:] - 30 / 38).max() < 5 * np.sqrt(30 / 38 * 8 / 38 / len(keys))
