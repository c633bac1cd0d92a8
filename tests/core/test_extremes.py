import jax
import jax.numpy as jnp
import numpy as np

from framework.core import extremes


def test_the_first_of_the_greatest_is_found_under_any_precision():
    values = np.random.default_rng(0).integers(0, 5, (6, 7)).astype(np.float32)
    assert extremes.argmax(values) == values.argmax()
    swept = jax.jit(jax.vmap(extremes.argmax))(values)
    np.testing.assert_array_equal(swept, values.argmax(1))

    @jax.jit
    def inside(x):
        with jax.enable_x64(True):
            return extremes.argmax(x.astype(jnp.float64))

    assert inside(values) == values.argmax()


def test_infinite_entries_have_their_place():
    assert extremes.argmax(np.array([-np.inf, 3.0, -np.inf], np.float32)) == 1
    assert extremes.argmax(np.array([1.0, np.inf, np.inf], np.float32)) == 1
    assert extremes.argmax(np.full(4, -np.inf, np.float32)) == 0
