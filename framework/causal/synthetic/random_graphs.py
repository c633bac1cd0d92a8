"""Random scale-free graphs, in which a few hubs have most of the edges."""

import numbers
from functools import partial

import jax
import jax.numpy as jnp

from framework.core import keys
from framework.core.types import Key


def scale_free(key: Key, nodes: int, degree: int) -> jax.Array:
    """A random DAG by preferential attachment: SF4 is degree 4, four edges from each new node to older ones.

    Node k = 0, 1, .. joins min(k, degree) different older nodes, drawn one after another with probability proportional
    to 1 + in-degree, so that the graph has sum_k min(k, degree) edges, less than degree * nodes. Edges lead from the
    new node to the old; then the nodes are put in a random order. Its hubs are common effects, not common causes.

    Args:
      key: a typed key.
      nodes: d, at least 1.
      degree: m, edges a new node, at least 0.

    Returns:
      `[nodes, nodes]` bool.

    Raises:
      ValueError: if `nodes` is less than 1 or `degree` is negative, or one is no whole number.

    Reference: Barabasi and Albert, Science 286 (1999), in the directed form of igraph that arXiv 1803.01422 draws from.
    """
    keys.check(key, nodes=nodes)
    if not isinstance(degree, numbers.Integral) or degree < 0:
        raise ValueError(f"degree must be a whole number of edges a new node, at least 0, got {degree!r}")
    return _scale_free(key, nodes, degree)


@partial(jax.jit, static_argnames=("nodes", "degree"))
def _scale_free(key: Key, nodes: int, degree: int) -> jax.Array:
    attach_key, order_key = jax.random.split(key)

    def attach(in_degree: jax.Array, arrival: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        new, gumbel = arrival
        older = jnp.arange(nodes) < new
        # the largest of log weight + Gumbel are a draw without replacement
        score = jnp.where(older, jnp.log1p(in_degree) + gumbel, -jnp.inf)
        chosen = jax.lax.top_k(score, min(degree, nodes))[1]
        targets = jnp.zeros(nodes, bool).at[chosen].set(True) & older
        return in_degree + targets, targets

    draws = jax.random.gumbel(attach_key, (nodes, nodes))
    grown = jax.lax.scan(attach, jnp.zeros(nodes, draws.dtype), (jnp.arange(nodes), draws))[1]
    order = jax.random.permutation(order_key, nodes)
    return grown[order][:, order]
