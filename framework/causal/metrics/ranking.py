"""Area under the precision-recall curve of edge weights, which needs no threshold."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs


@jax.jit
def auprc(true_graph: jax.Array, weights: jax.Array) -> jax.Array:
    """Computes the area under the precision-recall curve of |W| off the diagonal, as average precision.

    Over the distinct values of |W| from the largest on, with R_n and P_n recall and precision of all entries that are
    at least as large as the n-th:

        AP = sum_n (R_n - R_(n-1)) P_n

    Entries of equal size, the zeros among them, are taken together.

    Args:
      true_graph: `[d, d]` bool.
      weights: `[d, d]`; signs do not matter.

    Returns:
      `[]`, in [0, 1], of the weights' type; 0 if the true graph has no edge.
    """
    graphs.require_square(true_graph=true_graph, weights=weights)
    weights = jnp.asarray(weights)
    off_diagonal = ~np.eye(weights.shape[-1], dtype=bool)
    sizes = -jnp.abs(weights[off_diagonal])
    edges = jnp.asarray(true_graph, bool)[off_diagonal].astype(jnp.int32)
    sizes, edges = jax.lax.sort((sizes, edges), num_keys=1)
    counts = jnp.searchsorted(sizes, sizes, side="right")  # entries at least as large as each one
    hits = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(edges, dtype=jnp.int32)])[counts]
    precision = hits.astype(jnp.result_type(weights, float)) / jnp.maximum(counts, 1)
    return jnp.sum(edges * precision) / jnp.maximum(edges.sum(), 1)
