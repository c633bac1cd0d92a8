"""Tells values that JAX is tracing from values whose numbers are known."""

from typing import Any

import jax


def is_traced(*trees: Any) -> bool:
    """True where any leaf of the trees is a tracer of `jit`, `vmap` or `grad`.

    Args:
      trees: any pytrees.

    Returns:
      False where the numbers of all leaves are known, so that they can be checked.

    Example:
      >>> from framework.core.tracing import is_traced
      >>> is_traced({"rate": 0.1}, [1, 2])
      False
    """
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))
