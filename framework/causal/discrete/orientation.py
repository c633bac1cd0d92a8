"""The directions that the data leave open: chosen by what is believed, and told apart from those that the data compel.

A Gaussian likelihood with free noise variances is the same for every DAG of a Markov equivalence class, so among them
only knowledge can choose. `orient` builds the member that goes along with it, from the sinks upwards as Dor and Tarsi
extend a partially directed graph: a node may come last if no compelled edge leaves it and every open neighbour of it is
adjacent to all its other neighbours, since then no new v-structure arises.

Reference: Dor and Tarsi, "A simple algorithm to construct a consistent extension of a partially oriented graph", UCLA
R-185 (1992); Meek, arXiv 1302.4972.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.causal.discrete import equivalence

DIRECTIONS = ("none", "compelled", "knowledge", "prior", "assumed", "open")
NONE, COMPELLED, KNOWLEDGE, PRIOR, ASSUMED, OPEN = np.arange(len(DIRECTIONS), dtype=np.int8)
_ROUNDING = 1e-9  # preferences that differ by less are equal


class Preferences(NamedTuple):
    """What decides between the members of a class, the first before the second before the third."""

    fixed: jax.Array  # [d, d] bool, edges that hard constraints force if they stand at all
    gain: jax.Array  # [d, d], what i -> j is worth over j -> i; at most one of the two is above 0
    rank: jax.Array  # [d] int32, each node's place in the order that decides where nothing else does


def compelled_by_data(graph: jax.Array, suspect: jax.Array) -> jax.Array:
    """The edges whose direction follows from v-structures that the data alone made, `[d, d]` bool.

    Args:
      graph: `[d, d]` bool, a DAG.
      suspect: edges whose direction something else than the data may have chosen, `[d, d]` bool; a v-structure with one
        of them is no evidence.

    Reference: Meek, arXiv 1302.4972.
    """
    graph = jnp.asarray(graph, bool)
    free, apart = graph & ~suspect, equivalence.not_adjacent(graph)
    return equivalence.closure(free & graphs.compose(apart, free), graph)


def directions(graph: jax.Array, compelled: jax.Array, fixed: jax.Array, gain: jax.Array, assumed: bool) -> jax.Array:
    """What each edge owes its direction to, the first that applies: `[d, d]` int8, an index into `DIRECTIONS`.

        compelled    the data: every graph with the same likelihood has it
        knowledge    hard constraints, and what follows from them
        prior        beliefs, and what follows from them
        assumed      the model's assumption, such as equal noise variances; nothing is compelled then, since colliders
                     may rest on it too
        open         nothing: the reverse explains data, knowledge and prior as well

    Args:
      graph: `[d, d]` bool, a DAG.
      compelled: directions that the data compel, `[d, d]` bool.
      fixed: edges that hard constraints allow in no other direction, `[d, d]` bool.
      gain: what beliefs are worth for i -> j over j -> i, `[d, d]`.
      assumed: whether the model tells apart what the equivalence class leaves open.

    Reference: Meek, arXiv 1302.4972, for background knowledge.
    """
    graph = jnp.asarray(graph, bool)
    # every v-structure has a cause: the assumption, or the data, a constraint or, where neither edge is fixed, a belief
    structures = equivalence.v_structures(graph)
    if assumed:
        compelled, structures = jnp.zeros_like(graph), jnp.zeros_like(graph)
    compelled &= graph
    constrained = graph & fixed
    partner = graphs.compose(equivalence.not_adjacent(graph), constrained)
    known = equivalence.closure(compelled | constrained | (structures & partner), graph)
    believed = equivalence.closure(known | structures | (graph & (gain > 0)), graph)
    rest = ASSUMED if assumed else OPEN
    labels = jnp.where(believed, PRIOR, rest)
    labels = jnp.where(known, KNOWLEDGE, labels)
    labels = jnp.where(compelled, COMPELLED, labels)
    return jnp.where(graph, labels, NONE)


def orient(graph: jax.Array, preferences: Preferences) -> jax.Array:
    """The member of a DAG's Markov equivalence class that agrees best with preferences.

    Any set of preferences that some member satisfies is satisfied; where they contradict each other, the sink that
    violates least is taken at each step.

    Args:
      graph: `[d, d]` bool, a DAG.
      preferences: see `Preferences`; what `fixed` asks for must hold in some member.

    Returns:
      `[d, d]` bool, a DAG with the same adjacencies and v-structures.

    Reference: Dor and Tarsi (1992).
    """
    graph, size = jnp.asarray(graph, bool), len(graph)
    compelled = equivalence.compelled_edges(graph)
    adjacent, undecided = graph | graph.T, (graph & ~compelled) | (graph & ~compelled).T

    strange = ~(adjacent | np.eye(size, dtype=bool))

    def remove_sink(carry: tuple[jax.Array, jax.Array, jax.Array], _) -> tuple[tuple, None]:
        left, strangers, oriented = carry
        present = adjacent & left & left[:, None]
        neighbours = undecided & present
        possible = left & ~jnp.any(compelled & present, axis=1) & ~jnp.any(neighbours & (strangers > 0), axis=1)
        broken = jnp.sum(neighbours & preferences.fixed, axis=1)
        lost = jnp.sum(jnp.where(neighbours, jnp.maximum(preferences.gain, 0), 0), axis=1)
        for cost in (broken, lost, -preferences.rank):
            least = jnp.min(jnp.where(possible, cost, cost.max()))
            possible &= cost <= least + _ROUNDING * jnp.maximum(jnp.abs(least), 1)
        sink = possible & (jnp.cumsum(possible) == 1)
        node = graphs.position(sink)
        strangers -= present[:, node][:, None] & strange[node]
        return (left & ~sink, strangers, oriented | (present & sink)), None

    # entry (x, y): how many neighbours of x, other than y, are not adjacent to y
    strangers = (adjacent.astype(jnp.float32) @ strange.astype(jnp.float32)).astype(jnp.int32)
    start = jnp.ones(size, bool), strangers, jnp.zeros_like(graph)
    return jax.lax.scan(remove_sink, start, length=size)[0][-1]
