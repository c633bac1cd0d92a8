import jax
import jax.numpy as jnp
import pytest

from framework.core.tracing import is_traced


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad])
def test_true_under_a_transformation(transform):
    answers = []

    def function(x):
        answers.append(is_traced({"a": 1, "b": [x]}))
        return x

    transform(function)(jnp.ones(3) if transform is jax.vmap else 1.0)
    assert answers == [True]


def test_false_of_known_values():
    assert not is_traced(1, None, "a", {"b": jnp.ones(2)})
    assert not is_traced()
