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


def test_a_resumed_run_has_the_chunks_of_a_whole_run(start, matrix):
    assert [done for done, *_ in chunks(step, start, matrix, 20, 6, done=8)] == [12, 18, 20]


def compiled(caplog):
    return [item for item in caplog.messages if item.startswith("Finished XLA compilation")]


def test_new_data_compile_nothing(start, matrix, caplog):
    advance(step, start, matrix, 4)
    other = 2 * matrix
    with jax.log_compiles(True):
        advance(step, start, other, 4)
        advance(lambda state, fixed: step(state, fixed), start, other, 4)  # another function that does the same
    assert compiled(caplog) == []


def test_a_step_is_of_what_it_holds_by_now(start, matrix, caplog):
    held = {"scale": jnp.asarray(1.0)}
    scaled = lambda state, fixed: (held["scale"] * state, {})
    assert advance(scaled, 3.0, None, 2)[0] == 3
    held["scale"] = jnp.asarray(2.0)
    assert advance(scaled, 3.0, None, 2)[0] == 12
    assert [float(state) for _, state, _ in chunks(scaled, 3.0, None, 3, 1)] == [6, 12, 24]
    held["scale"] = jnp.asarray(1.0)
    with jax.log_compiles(True):
        assert advance(scaled, 3.0, None, 2)[0] == 3
    assert compiled(caplog) == []


def test_a_step_is_read_once_by_all_chunks():
    held = {"scale": 2.0}
    result = []
    for _, state, _ in chunks(lambda state, fixed: (held["scale"] * state, {}), jnp.ones(()), None, 4, 2):
        result.append(float(state))
        held["scale"] = 7.0
    assert result == [4, 16]


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
