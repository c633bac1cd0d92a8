"""What is believed about the edges before the data are looked at."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.core.types import Key


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knowledge:
    """Soft knowledge of edges: how likely each is thought to be, and how far that is to be trusted.

    A pytree, so that a batch of priors can be vmapped; the names are static.

    Raises:
      ValueError: if an entry lies outside of [0, 1], the shapes are not square and equal, or the names do not fit.
        Traced arrays are taken as they are.
    """

    edges: jax.Array | np.ndarray  # K, [d, d] in [0, 1]: the belief in i -> j; the diagonal is not read
    confidence: jax.Array | np.ndarray  # C, [d, d] in [0, 1]: 0 where nothing is known
    names: tuple[str, ...] | None = dataclasses.field(default=None, metadata={"static": True})  # of the columns

    def __post_init__(self):
        if not all(_concrete(value) for value in (self.edges, self.confidence)):
            return
        for field in ("edges", "confidence"):
            array = np.asarray(getattr(self, field), np.float64)
            object.__setattr__(self, field, array)
            if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape != np.shape(self.edges):
                raise ValueError(f"knowledge: {field} must be [d, d] like edges, got {array.shape}")
            if not np.all((array >= 0) & (array <= 1)):
                raise ValueError(f"knowledge: {field} must lie in [0, 1], got {array.min():.3g} to {array.max():.3g}")
        if self.names is not None and len(self.names) != self.edges.shape[-1]:
            raise ValueError(f"knowledge of {self.edges.shape[-1]} columns has {len(self.names)} names")

    def align(self, names: Sequence[str]) -> "Knowledge":
        """The same knowledge with its columns in the order of `names`.

        Raises:
          ValueError: if the two do not name the same columns.
        """
        if self.names is None or self.names == tuple(names):
            return dataclasses.replace(self, names=tuple(names))
        if set(self.names) != set(names):
            unknown, missing = sorted(set(self.names) - set(names)), sorted(set(names) - set(self.names))
            raise ValueError(
                f"knowledge is of other columns than the data: it has {', '.join(unknown) or 'no other'} that the data "
                f"lack, and lacks {', '.join(missing) or 'none'}"
            )
        order = np.array([self.names.index(name) for name in names])
        reorder = lambda m: m[..., order, :][..., order]
        return Knowledge(reorder(self.edges), reorder(self.confidence), tuple(names))


def alone(knowledge: Knowledge) -> jax.Array:
    """The graph that knowledge claims without any data: edges more likely than not, made acyclic, `[d, d]` bool.

    Where claims contradict each other in a cycle, the one of least K C goes.
    """
    claims = jnp.where(jnp.asarray(knowledge.edges) > 0.5, knowledge.edges * knowledge.confidence, 0.0)
    return graphs.break_cycles(claims) != 0


def _concrete(value) -> bool:
    """Whether a leaf holds numbers; under a transformation it is a tracer, or a placeholder of JAX's."""
    return isinstance(value, np.ndarray | list | tuple | jax.Array) and not isinstance(value, jax.core.Tracer)


def imperfect(key: Key, graph: jax.Array, precision: float, recall: float) -> Knowledge:
    """A binary prior of known quality, trusted everywhere: some of the true edges and some that are false.

    round(recall * true edges) true edges are kept; false ones are drawn among all other ordered pairs until a share of
    `precision` of all claimed edges is true.

    Args:
      key: a typed key.
      graph: the truth, `[d, d]` bool.
      precision: in (0, 1].
      recall: in [0, 1].

    Raises:
      ValueError: if a rate is out of range, or so many false edges do not exist.
    """
    if not 0 < precision <= 1 or not 0 <= recall <= 1:
        raise ValueError(f"precision must lie in (0, 1] and recall in [0, 1], got {precision} and {recall}")
    graph = np.asarray(graph, bool)
    size = len(graph)
    true_edges = np.flatnonzero(graph)
    others = np.flatnonzero(~graph & ~np.eye(size, dtype=bool))
    kept = round(recall * len(true_edges))
    wrong = round(kept * (1 - precision) / precision)
    if wrong > len(others):
        raise ValueError(f"precision {precision} at recall {recall} needs {wrong} false edges; there are {len(others)}")
    true_key, false_key = jax.random.split(key)
    claimed = np.zeros(size * size)
    claimed[np.asarray(jax.random.permutation(true_key, true_edges))[:kept]] = 1
    claimed[np.asarray(jax.random.permutation(false_key, others))[:wrong]] = 1
    return Knowledge(claimed.reshape(size, size), 1.0 - np.eye(size))
