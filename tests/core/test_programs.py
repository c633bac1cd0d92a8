import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import programs

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def network(weights, scale=1.0):
    return lambda x: jax.nn.relu(x @ weights) * scale


def same(one, other, *like):
    return programs.trace(one, *like).program is programs.trace(other, *like).program


def test_equal_computations_share_a_program_and_others_do_not():
    first, second = jnp.ones((3, 2)), 2 * jnp.ones((3, 2))
    gradient = lambda apply: jax.grad(lambda x: apply(x).sum())
    loop = lambda apply, steps=3: lambda x: jax.lax.fori_loop(0, steps, lambda _, x: x - gradient(apply)(x), x)
    assert same(loop(network(first)), loop(network(second)), X)
    assert not same(loop(network(first)), loop(network(first), 4), X)
    assert not same(network(first), network(first, 2.0), X)
    assert not same(network(first, 0.0), network(first, -0.0), X)
    assert not same(network(first), network(jnp.ones((3, 4))), X)
    assert not same(lambda x: (x, x), lambda x: [x, x], X)
    assert not same(lambda x: x, lambda x: x + 1, X)


def test_arrays_of_an_inner_jit_belong_to_the_program():
    inner = lambda weights: jax.jit(network(weights))
    assert same(inner(jnp.ones((3, 2))), inner(jnp.ones((3, 2))), X)
    assert not same(inner(jnp.ones((3, 2))), inner(jnp.zeros((3, 2))), X)
    program, constants = programs.trace(inner(jnp.zeros((3, 2))), X)
    np.testing.assert_array_equal(program(constants, X), np.zeros((4, 2)))


def test_a_program_of_another_shape_is_refused():
    program, constants = programs.trace(network(jnp.ones((3, 2))), X)
    with pytest.raises(ValueError, match="this program was traced for"):
        program(constants, X[:2])


def test_a_snapshot_stays_and_can_be_differentiated():
    held = [jnp.ones((3, 2))]
    frozen = programs.snapshot(lambda x: network(held[0])(x).sum())
    value, slope = jax.value_and_grad(frozen)(X)
    held[0] = jnp.zeros((3, 2))
    assert float(frozen(X)) == float(value)
    np.testing.assert_array_equal(jax.grad(frozen)(X), slope)
    assert float(programs.snapshot(lambda x: network(held[0])(x).sum())(X)) == 0


def test_a_function_is_read_anew_where_it_is_made_again(caplog):
    held = {"weights": jnp.ones((3, 2))}
    apply = lambda x: network(held["weights"])(x)
    make = lambda: programs.vmap_over_devices(apply, (0,))
    kept = make()
    first = np.asarray(kept(X))
    held["weights"] = 3 * jnp.ones((3, 2))
    np.testing.assert_array_equal(kept(X), first)
    with jax.log_compiles(True):
        np.testing.assert_allclose(make()(X), 3 * first, rtol=1e-6)
    assert not [item for item in caplog.messages if item.startswith("Finished XLA compilation")]


def test_under_a_transformation_it_is_the_function():
    held = [2.0]
    apply = programs.vmap_over_devices(lambda x: held[0] * x, (0,))
    np.testing.assert_array_equal(jax.vmap(apply)(X), 2 * X)
