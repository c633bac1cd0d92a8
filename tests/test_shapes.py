"""The annotated shapes and types hold in every example of the docstrings."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Float, TypeCheckError, jaxtyped

from framework.core.types import Array
from tests.shapes import check_types

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_annotations_hold_in_every_example():
    result = subprocess.run(
        [sys.executable, "-m", "tests.shapes"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert int(re.search(r"^(\d+) examples", result.stdout, re.MULTILINE)[1]) >= 30


def test_a_wrong_shape_is_reported():
    @jaxtyped(typechecker=check_types)
    def product(a: Float[Array, "n d"], b: Float[Array, " d"]) -> Float[Array, " n"]:
        return a @ b

    assert product(jnp.ones((2, 3)), jnp.ones(3)).shape == (2,)
    assert jax.jit(product)(jnp.ones((2, 3)), jnp.ones(3)).shape == (2,)
    with pytest.raises(TypeCheckError):
        product(jnp.ones((2, 3)), jnp.ones(2))
