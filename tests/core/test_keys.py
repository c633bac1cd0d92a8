import jax
import numpy as np
import pytest

from framework.core import keys


def bits(key):
    return np.asarray(jax.random.key_data(key))


def test_a_purpose_has_the_same_key_whatever_else_is_drawn():
    key = jax.random.key(3)
    before = bits(keys.derive(key, "noise"))
    keys.derive(key, "graph")
    np.testing.assert_array_equal(bits(keys.derive(key, "noise")), before)


def test_purposes_differ():
    key = jax.random.key(3)
    names = ["noise", "graph", "weights", "prior", "bootstrap"]
    assert len({tuple(bits(keys.derive(key, name))) for name in names}) == len(names)


def test_a_batch_of_seeds_draws_what_each_seed_draws_alone():
    batch = keys.for_seeds(5, 3)
    np.testing.assert_array_equal(bits(batch), np.stack([bits(jax.random.key(seed)) for seed in (5, 6, 7)]))
    drawn = jax.vmap(lambda key: jax.random.normal(keys.derive(key, "noise"), (4,)))(batch)
    alone = [jax.random.normal(keys.derive(jax.random.key(seed), "noise"), (4,)) for seed in (5, 6, 7)]
    np.testing.assert_array_equal(drawn, np.stack(alone))


@pytest.mark.parametrize(("seed", "count"), [(-1, 1), (0, 0), (2**32 - 1, 2)])
def test_seeds_out_of_range_are_refused(seed, count):
    with pytest.raises(ValueError, match="seeds must be"):
        keys.for_seeds(seed, count)


@pytest.mark.parametrize("key", [0, None, np.zeros(2), "key"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match="a random key is wanted, as "):
        keys.derive(key, "noise")


def test_nothing_to_draw_is_refused():
    keys.check(jax.random.key(0), samples=3)
    with pytest.raises(ValueError, match="samples must be a whole number of at least 1, got 0"):
        keys.check(jax.random.key(0), samples=0)


def test_seeds_are_the_numbers_from_the_first_on_and_are_checked():
    assert list(keys.seeds(3, 2)) == [3, 4]
    for first, count in ((-1, 1), (0, 0), (2**32 - 1, 2)):
        with pytest.raises(ValueError, match=f"seeds must be at least 1 number .* got {count} from {first} on"):
            keys.seeds(first, count)
