import jax.numpy as jnp

from framework.core.precision import is_x64_enabled, x64


def test_a_block_computes_in_64_bits_and_restores_the_switch():
    before = is_x64_enabled()
    with x64():
        assert is_x64_enabled()
        assert jnp.ones(1).dtype == jnp.float64
    assert is_x64_enabled() == before


def test_a_decorated_function_computes_in_64_bits_at_each_call():
    @x64()
    def dtype():
        return jnp.arange(2).dtype

    assert [dtype(), dtype()] == [jnp.int64, jnp.int64]
