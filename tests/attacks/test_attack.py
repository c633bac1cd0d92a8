import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import attack


def moved(keys, apply, images, labels, epsilon, way):
    return images + epsilon * (1 if way == "up" else -1) + 0 * attack.draw(keys, jax.random.normal, images)


def test_numbers_are_leaves_and_structure_is_static():
    made = attack.make(moved, "moved", {"epsilon": 0.1}, way="up")
    assert jax.tree.leaves(made) == [0.1]
    assert jax.tree.structure(made) == jax.tree.structure(attack.make(moved, "moved", {"epsilon": 0.2}, way="up"))
    assert jax.tree.structure(made) != jax.tree.structure(attack.make(moved, "moved", {"epsilon": 0.1}, way="down"))


@pytest.mark.slow
def test_one_key_is_a_key_for_each_image():
    key, images = jax.random.key(0), jnp.zeros((4, 3))
    run = jax.jit(lambda key: attacks.pgd(0.1, steps=1)(key, lambda x: x, images, jnp.zeros(4, int)))
    own = jnp.stack([jax.random.fold_in(key, i) for i in range(4)])
    np.testing.assert_array_equal(run(own), run(key))
    draws = attack.draw(own, jax.random.normal, images)
    np.testing.assert_allclose(draws[2], jax.random.normal(own[2], (3,)), rtol=1e-6)


def test_a_key_must_be_typed():
    with pytest.raises(ValueError, match="the key must be typed"):
        attacks.fgsm(0.1)(jax.random.PRNGKey(0), lambda x: x, jnp.zeros((4, 3)), jnp.zeros(4, int))
    with pytest.raises(ValueError, match=r"a random key is wanted, as .* got 0"):
        attacks.fgsm(0.1)(0, lambda x: x, jnp.zeros((4, 3)), jnp.zeros(4, int))


def test_a_number_is_checked_where_it_is_known():
    with pytest.raises(ValueError, match="moved: epsilon must be above 0, got 0"):
        attack.make(moved, "moved", {"epsilon": 0}, way="up")
    jax.jit(lambda e: attack.make(moved, "moved", {"epsilon": e}, way="up").numbers["epsilon"])(0.0)
