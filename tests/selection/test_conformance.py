"""The contract that every selection method keeps."""

import jax
import numpy as np
import pytest

from framework import selection
from framework.selection import METHODS, Traits

FAST = ("random", "P1", "k_center")  # one of each kind of method; the others are slow tests
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]


@pytest.mark.parametrize("name", NAMES)
class TestSelectionConformance:
    @pytest.mark.slow
    def test_size_is_exact_and_vmap_over_keys_equals_a_loop(self, name, traits):
        count = len(traits.labels)
        seeds = jax.random.split(jax.random.key(0), 3)
        sizes = (0, 12, count)
        select_all_sizes = lambda key: [selection.select(key, name, traits, size) for size in sizes]
        swept = jax.jit(jax.vmap(select_all_sizes))(seeds)
        for size, selected in zip(sizes, swept, strict=True):
            assert selected.dtype == np.int32
            assert selected.shape == (3, size)
            assert all(len(set(row)) == size for row in np.asarray(selected).tolist())
        assert set(np.asarray(swept[-1]).ravel()) == set(range(count))
        np.testing.assert_array_equal(jax.jit(select_all_sizes)(seeds[1])[1], swept[1][1])

    @pytest.mark.slow
    def test_balanced_selections_take_each_class_equally(self, name, traits):
        run = jax.jit(lambda key: selection.select(key, name, traits, 12, balanced=True))
        selected = np.asarray(run(jax.random.key(1)))
        assert len(set(selected.tolist())) == 12
        np.testing.assert_array_equal(np.bincount(traits.labels[selected]), [4, 4, 4])

    def test_only_the_needed_trait_is_used(self, name, traits):
        key, needs = jax.random.key(0), METHODS[name].needs
        needed = Traits(traits.labels, **({needs: getattr(traits, needs)} if needs else {}))
        expected = selection.select(key, name, traits, 12)
        np.testing.assert_array_equal(selection.select(key, name, needed, 12), expected)
        if needs:
            with pytest.raises(ValueError, match=f"the method {name} needs the {needs}"):
                selection.select(key, name, Traits(traits.labels), 12)

    def test_sizes_out_of_range_are_refused(self, name, traits):
        count = len(traits.labels)
        for size in (-1, count + 1):
            with pytest.raises(ValueError, match="asked for"):
                selection.select(jax.random.key(0), name, traits, size)
