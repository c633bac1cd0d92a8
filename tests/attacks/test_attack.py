import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import attacks
from framework.attacks import attack


def shift(keys, apply, images, labels, epsilon, direction):
    return images + epsilon * (1 if direction == "up" else -1) + 0 * attack.draw(keys, jax.random.normal, images)


def test_numbers_are_leaves_and_structure_is_static():
    example = attack.make(shift, "shift", {"epsilon": 0.1}, direction="up")
    assert jax.tree.leaves(example) == [0.1]
    assert jax.tree.structure(example) == jax.tree.structure(
        attack.make(shift, "shift", {"epsilon": 0.2}, direction="up")
    )
    assert jax.tree.structure(example) != jax.tree.structure(
        attack.make(shift, "shift", {"epsilon": 0.1}, direction="down")
    )


@pytest.mark.slow
def test_one_key_is_split_into_a_key_per_image():
    key, images = jax.random.key(0), jnp.zeros((4, 3))
    run = jax.jit(lambda key: attacks.pgd(0.1, steps=1)(key, lambda x: x, images, jnp.zeros(4, int)))
    image_keys = jnp.stack([jax.random.fold_in(key, i) for i in range(4)])
    np.testing.assert_array_equal(run(image_keys), run(key))
    draws = attack.draw(image_keys, jax.random.normal, images)
    np.testing.assert_allclose(draws[2], jax.random.normal(image_keys[2], (3,)), rtol=1e-6)


def test_a_key_must_be_typed():
    with pytest.raises(ValueError, match="the key must be typed"):
        attacks.fgsm(0.1)(jax.random.PRNGKey(0), lambda x: x, jnp.zeros((4, 3)), jnp.zeros(4, int))
    with pytest.raises(ValueError, match=r"a random key is wanted, as .* got 0"):
        attacks.fgsm(0.1)(0, lambda x: x, jnp.zeros((4, 3)), jnp.zeros(4, int))


def test_a_concrete_number_is_checked():
    with pytest.raises(ValueError, match="shift: epsilon must be above 0, got 0"):
        attack.make(shift, "shift", {"epsilon": 0}, direction="up")
    jax.jit(lambda e: attack.make(shift, "shift", {"epsilon": e}, direction="up").numbers["epsilon"])(0.0)
