"""Structural intervention distance between an estimated graph and the true one."""

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs


@jax.jit
def sid(true_graph: jax.Array, estimated_graph: jax.Array) -> jax.Array:
    """Computes the structural intervention distance: the number of wrong effects of one column on another.

    An ordered pair (i, j) counts where adjusting for Z, the estimate's parents of i, does not give the true graph's
    p(x_j | do(x_i)). Where j is itself in Z, the estimate says that i has no effect on j; that is wrong if j descends
    from i. Else Z is wrong if

        a node other than i on a directed path from i to j is in Z or has a descendant in Z, or
        Z leaves open a path from i to j that is not directed.

    Open paths are found from all i at once, by a fixed point over the nodes and the way in which they are reached.

    Args:
      true_graph: `[d, d]` bool, a DAG.
      estimated_graph: `[d, d]` bool, a DAG.

    Returns:
      `[]` int32, from 0 to d (d - 1). Not symmetric, and 0 wherever the estimate is a supergraph of the truth.

    Reference: Peters and Buehlmann, arXiv 1306.1043, definition 6 and condition (*).
    """
    graphs.require_square(true_graph=true_graph, estimated_graph=estimated_graph)
    true, estimated = jnp.asarray(true_graph, bool), jnp.asarray(estimated_graph, bool)
    itself = np.eye(true.shape[-1], dtype=bool)
    descends = graphs.reachability(true)
    adjusted = estimated.T  # [i, z]: z is adjusted for
    upstream = graphs.compose(adjusted, (descends | itself).T)  # [i, w]: w is adjusted for or has a descendant that is
    mediated = graphs.compose(descends & upstream, descends | itself)
    wrong = jnp.where(adjusted, descends, mediated | _open_backwards(true, adjusted, upstream))
    return jnp.sum(wrong & ~itself, dtype=jnp.int32)


def _open_backwards(graph: jax.Array, adjusted: jax.Array, upstream: jax.Array) -> jax.Array:
    """True where a path that is not directed leads from i to j and is open given row i of `adjusted`, `[d, d]` bool.

    Walks stand for paths: they may visit a node again, but not i. The two differ only for a walk i -> w -> .. that
    turns back at a collider above Z and then shortens to a directed path from i through w to j, and such a j is
    refused anyway, for w has a descendant in Z.
    """
    elsewhere = ~np.eye(graph.shape[-1], dtype=bool)

    def walk(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        forward, headed, tailed, _ = carry  # [i, v]: v reached by a directed path; by another, into v; out of v
        further = (
            graph | graphs.compose(forward & ~adjusted, graph),
            graphs.compose((headed | tailed) & ~adjusted, graph) & elsewhere,
            (graph.T | graphs.compose((forward | headed) & upstream | tailed & ~adjusted, graph.T)) & elsewhere,
        )
        return *further, jnp.any(jnp.stack(further) != jnp.stack(carry[:3]))

    nowhere = jnp.zeros_like(graph)
    start = (nowhere, nowhere, nowhere, jnp.array(True))
    _, headed, tailed, _ = jax.lax.while_loop(lambda carry: carry[-1], walk, start)
    return headed | tailed
