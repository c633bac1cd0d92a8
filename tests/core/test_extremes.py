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


def test_the_pareto_front_holds_one_of_equals():
    costs = np.random.default_rng(0).integers(0, 6, (60, 3)).astype(float)
    beaten = lambda one: any((other <= one).all() and (other != one).any() for other in costs)
    rows = {tuple(one) for one in costs if not beaten(one)}
    front = extremes.front(costs)
    assert {tuple(one) for one in costs[front]} == rows
    assert len(front) == len(rows)
    assert all((costs[:i] != costs[i]).any(1).all() for i in front)  # the first of its equals
    assert (np.diff(costs[front, 0]) >= 0).all()
    assert extremes.front(np.zeros((0, 2))).tolist() == []


def test_infinite_entries_have_their_place():
    assert extremes.argmax(np.array([-np.inf, 3.0, -np.inf], np.float32)) == 1
    assert extremes.argmax(np.array([1.0, np.inf, np.inf], np.float32)) == 1
    assert extremes.argmax(np.full(4, -np.inf, np.float32)) == 0


def test_equal_entries_come_in_the_order_that_is_given():
    values = jnp.array([1.0, 3.0, 0.0, 3.0, 3.0])
    for order, expected in (([0, 1, 2, 3, 4], 1), ([4, 3, 2, 1, 0], 4), ([2, 0, 3, 1, 4], 3)):
        result = jax.jit(extremes.argmax)(values, jnp.array(order, jnp.int32))
        assert (int(result), result.dtype) == (expected, jnp.int32)
