"""Structural Hamming distance and the rates of correct edges."""

import jax
import jax.numpy as jnp

from framework.causal import graphs

Scores = dict[str, jax.Array]


def compare(true_graph: jax.Array, estimated_graph: jax.Array) -> Scores:
    """Computes counts and rates of correct and wrong edges.

    With `reversed` the estimated edges whose direction the true graph reverses, and `extra` those between columns that
    are not adjacent in the true graph:

        shd = extra + missing + reversed          a reversal counts once
        fdr = (reversed + extra) / edges          1 - precision
        tpr = correct / true edges                recall
        fpr = (reversed + extra) / (d (d - 1) / 2 - true edges)

    A rate whose denominator is 0 is 0; precision is 1 - fdr, and 0 for an empty estimate.

    Args:
      true_graph: `[d, d]` bool, a DAG.
      estimated_graph: `[d, d]` bool; must not join two columns both ways.

    Returns:
      `shd, edges, true_edges, correct, reversed, extra, missing, fdr, tpr, fpr, precision, recall, f1`, each `[]`.

    Raises:
      ValueError: if the graphs are not `[d, d]` of one size.

    Reference: the measures of arXiv 1803.01422, as its code and DAGMA's count them.
    """
    graphs.require_square(true_graph=true_graph, estimated_graph=estimated_graph)
    true, estimated = jnp.asarray(true_graph, bool), jnp.asarray(estimated_graph, bool)
    correct = jnp.sum(true & estimated)
    reversals = jnp.sum(estimated & true.T & ~true)
    edges, true_edges = jnp.sum(estimated), jnp.sum(true)
    extra = edges - correct - reversals
    missing = true_edges - correct - reversals
    pairs = true.shape[-1] * (true.shape[-1] - 1) // 2
    precision, recall = _ratio(correct, edges), _ratio(correct, true_edges)
    return {
        "shd": extra + missing + reversals,
        "edges": edges,
        "true_edges": true_edges,
        "correct": correct,
        "reversed": reversals,
        "extra": extra,
        "missing": missing,
        "fdr": _ratio(reversals + extra, edges),
        "tpr": recall,
        "fpr": _ratio(reversals + extra, pairs - true_edges),
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * correct, edges + true_edges),
    }


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    return jnp.where(whole > 0, part / jnp.maximum(whole, 1), 0.0)
