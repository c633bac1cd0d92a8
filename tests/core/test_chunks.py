import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import advance, chunks


def step(state, matrix):
    x, key = state
    key, draw = jax.random.split(key)
    x = jnp.tanh(matrix @ x) + 0.1 * jax.random.normal(draw, x.shape)
    return (x, key), {"norm": jnp.linalg.norm(x)}


@pytest.fixture
def start():
    return jnp.arange(5.0), jax.random.key(0)


@pytest.fixture
def matrix():
    return jax.random.normal(jax.random.key(1), (5, 5))


@pytest.mark.slow
@pytest.mark.parametrize(("chunk", "done"), [(7, 0), (1, 0), (100, 0), (7, 5)])
def test_chunks_equal_one_call_bit_for_bit(start, matrix, chunk, done):
    (whole, _), metrics = advance(step, start, matrix, 20 - done)
    pieces = list(chunks(step, start, matrix, 20, chunk, done))
    assert pieces[-1][0] == 20
    np.testing.assert_array_equal(pieces[-1][1][0], whole)
    np.testing.assert_array_equal(jnp.concatenate([piece[2]["norm"] for piece in pieces]), metrics["norm"])


def test_a_run_taken_up_in_the_middle_ends_its_chunks_where_a_whole_run_does(start, matrix):
    assert [done for done, *_ in chunks(step, start, matrix, 20, 6, done=8)] == [12, 18, 20]


def test_new_data_compile_nothing(start, matrix):
    counted = chex.assert_max_traces(step, n=1)
    advance(counted, start, matrix, 4)
    advance(counted, start, 2 * matrix, 4)


@pytest.mark.parametrize(
    ("chunk", "done", "what"),
    [
        (0, 0, "chunk must be a whole number of at least 1, got 0"),
        (2.5, 0, "chunk must be a whole number of at least 1, got 2.5"),
        (3, 21, "between 0 and 20"),
    ],
)
def test_impossible_chunks_are_refused(start, matrix, chunk, done, what):
    with pytest.raises(ValueError, match=what):
        next(chunks(step, start, matrix, 20, chunk, done))


@pytest.mark.parametrize("length", [0, 2.5])
def test_no_step_and_half_a_step_are_refused(start, matrix, length):
    with pytest.raises(ValueError, match="length must be a whole number of at least 1"):
        advance(step, start, matrix, length)
