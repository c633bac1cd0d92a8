"""Prior knowledge of a graph: beliefs in edges and paths, required and forbidden edges, tiers."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs
from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Key

KINDS = ("required", "forbidden")
COLUMNS = ("source", "target", "kind")  # of a table of hard knowledge
_BELIEFS = ("edges", "confidence", "ancestors", "ancestor_confidence")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knowledge:
    """Soft beliefs about edges and about paths, and hard knowledge that a fit never goes against.

    A pytree, so that a batch of priors can be vmapped; the names are static. Matrices are `[d, d]` with entry (i, j)
    for i -> j, and their diagonals are not read. Where names are given, `required`, `forbidden` and `ancestors` may be
    lists of pairs of names instead, and each tier a list of names; without names a tier lists positions. `edges` is
    always a matrix.

    A belief that comes without confidence is trusted everywhere; ancestors that come as pairs are beliefs of 1, and
    nothing is known of other pairs.

    Raises:
      ValueError: if an entry lies outside of [0, 1], the shapes are not square and equal, the names do not fit, pairs
        or tiers are of another form (a dict, a DataFrame, pairs of positions, a tier that is one text), or the hard
        knowledge contradicts itself: an edge both required and forbidden (by a tier, for one), or a cycle of required
        edges. Traced arrays are taken as they are.

    Example:
      >>> from framework import causal
      >>> known = causal.Knowledge(names=("rain", "wet"), required=[("rain", "wet")])
      >>> known.required.tolist()
      [[False, True], [False, False]]
      >>> causal.Knowledge(names=("rain", "wet"), required=[("rain", "wet")], tiers=[["wet"], ["rain"]])
      Traceback (most recent call last):
      ...
      ValueError: knowledge contradicts itself: rain -> wet is both required and forbidden
    """

    edges: Any = None  # K, [d, d] in [0, 1]: the belief in an edge i -> j
    confidence: Any = None  # C, [d, d] in [0, 1]: 0 where nothing is known
    names: tuple[str, ...] | None = dataclasses.field(default=None, metadata={"static": True})  # of the columns
    required: Any = None  # [d, d] bool: edges that stand
    forbidden: Any = None  # [d, d] bool: edges that do not
    ancestors: Any = None  # [d, d] in [0, 1]: the belief in a directed path from i to j, of any length
    ancestor_confidence: Any = None  # [d, d] in [0, 1]
    tiers: dataclasses.InitVar[Sequence[Sequence] | None] = None  # no column is caused by one of a later tier

    def __post_init__(self, tiers):
        for name in (*_BELIEFS, *KINDS):
            _check_form(name, getattr(self, name))
        if not all(_concrete(leaf) for leaf in self._leaves()):
            return
        if self.names is not None:
            object.__setattr__(self, "names", tuple(self.names))
        self._take_pairs()
        self._take_beliefs()
        size = self.size
        for name in KINDS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _truths(name, getattr(self, name)))
        if tiers is not None:
            forbidden = np.zeros((size, size), bool) if self.forbidden is None else self.forbidden
            object.__setattr__(self, "forbidden", forbidden | _against(tiers, self.names, size))
        self._check(size)

    @property
    def size(self) -> int:
        """d, the number of columns."""
        leaves = self._leaves()
        if not leaves and self.names is None:
            raise ValueError("knowledge of nothing: give it a matrix, or names and tiers or pairs")
        if leaves and np.ndim(leaves[0]) < 2:
            raise ValueError(f"knowledge is of matrices [d, d], got one of shape {np.shape(leaves[0])}")
        return np.shape(leaves[0])[-1] if leaves else len(self.names)

    def align(self, names: Sequence[str]) -> "Knowledge":
        """The same knowledge with its columns in the order of `names`.

        Raises:
          ValueError: if the two do not name the same columns.
        """
        if self.names is None or self.names == tuple(names):
            return dataclasses.replace(self, names=tuple(names))
        if set(self.names) < set(names):
            lacking = ", ".join(name for name in names if name not in self.names)
            raise ValueError(f"knowledge must name every column of the data, in any order; it lacks {lacking}")
        if set(self.names) != set(names):
            unknown, missing = sorted(set(self.names) - set(names)), sorted(set(names) - set(self.names))
            raise ValueError(
                f"knowledge is of other columns than the data: it has {', '.join(unknown) or 'no other'} that the data "
                f"lack, and lacks {', '.join(missing) or 'none'}"
            )
        order = np.array([self.names.index(name) for name in names])
        aligned = jax.tree.map(lambda matrix: matrix[..., order, :][..., order], self)
        return dataclasses.replace(aligned, names=tuple(names))

    def _leaves(self) -> list:
        return [value for name in (*_BELIEFS, *KINDS) if (value := getattr(self, name)) is not None]

    def _take_pairs(self) -> None:
        """Turns lists of pairs of names into matrices."""
        for name in (*KINDS, "ancestors"):
            pairs = getattr(self, name)
            if not isinstance(pairs, list | tuple | set) or not all(_is_name_pair(pair) for pair in pairs):
                continue
            if self.names is None:
                raise ValueError(f"knowledge: {name} as pairs of names needs the names of all columns")
            matrix = graphs.from_edges(sorted(pairs), self.names)
            object.__setattr__(self, name, matrix)
            if name == "ancestors" and self.ancestor_confidence is None:
                object.__setattr__(self, "ancestor_confidence", matrix)

    def _take_beliefs(self) -> None:
        """Beliefs as float64, trusted everywhere where no confidence came with them."""
        for belief, confidence in (_BELIEFS[:2], _BELIEFS[2:]):
            value, trust = getattr(self, belief), getattr(self, confidence)
            if value is None and trust is not None:
                raise ValueError(f"knowledge: {confidence} without {belief}")
            if value is not None:
                object.__setattr__(self, belief, np.asarray(value, np.float64))
                trust = np.ones(np.shape(value)) if trust is None else np.asarray(trust, np.float64)
                object.__setattr__(self, confidence, trust)

    def _check(self, size: int) -> None:
        if self.names is not None and len(self.names) != size:
            raise ValueError(f"knowledge of {size} columns has {len(self.names)} names")
        if self.names is not None and len(set(self.names)) != size:
            raise ValueError(f"knowledge: a name stands twice among the columns {', '.join(self.names)}")
        for name in (*_BELIEFS, *KINDS):
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim < 2 or value.shape[-2:] != (size, size):
                raise ValueError(f"knowledge: {name} must be [d, d] of {size} columns, got {value.shape}")
            if name in _BELIEFS and not np.all((value >= 0) & (value <= 1)):
                raise ValueError(f"knowledge: {name} must lie in [0, 1], got {value.min():.3g} to {value.max():.3g}")
        if self.required is not None:
            forbidden = np.zeros_like(self.required) if self.forbidden is None else self.forbidden
            names = self.names or tuple(f"column {j}" for j in range(size))
            flat = (matrix.reshape(-1, size, size) for matrix in np.broadcast_arrays(self.required, forbidden))
            for must, must_not in zip(*flat, strict=True):
                _check_hard(must, must_not, names)


def from_rows(rows: Iterable[Mapping[str, str]], names: Sequence[str]) -> Knowledge:
    """Builds hard knowledge from the rows of a table with the columns source, target and kind.

    Every row says its kind, `required` or `forbidden` (capitals do not matter). None is assumed where it is missing: a
    forbidden edge would become a required one.

    Raises:
      ValueError: for a row that lacks one of the three or has anything else, another kind, an unknown column, an edge
        given twice, or knowledge that contradicts itself.
    """
    kinds: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for row in rows:
        if set(row) != set(COLUMNS):
            raise ValueError(f"a row of hard knowledge has {', '.join(COLUMNS)}, got {', '.join(map(str, row))}")
        kind = row["kind"].casefold()
        if kind not in kinds:
            raise ValueError(
                f"edge {row['source']} -> {row['target']}: kind must be one of {', '.join(KINDS)}, got {row['kind']!r}"
            )
        kinds[kind].append((row["source"], row["target"]))
    return Knowledge(names=tuple(names), **{kind: graphs.from_edges(pairs, names) for kind, pairs in kinds.items()})


def hard(knowledge: Knowledge | None, size: int) -> tuple[jax.Array, jax.Array]:
    """Where an edge may stand, and which edges must: `[d, d]` bool each.

    Not allowed are forbidden edges, and those that would close a cycle with required ones.
    """
    nothing = jnp.zeros((size, size), bool)
    required, forbidden = nothing, nothing
    if knowledge is not None:
        required = nothing if knowledge.required is None else jnp.asarray(knowledge.required, bool)
        forbidden = nothing if knowledge.forbidden is None else jnp.asarray(knowledge.forbidden, bool)
    return ~(jnp.eye(size, dtype=bool) | forbidden | graphs.reachability(required).T), required


def alone(knowledge: Knowledge) -> jax.Array:
    """The graph that knowledge claims without any data, `[d, d]` bool: edges more likely than not, made acyclic.

    Where claims contradict each other in a cycle, the one of least K C goes. Hard knowledge is kept to.
    """
    allowed, required = hard(knowledge, knowledge.size)
    claims = jnp.zeros(required.shape)
    if knowledge.edges is not None:
        claims = jnp.where(jnp.asarray(knowledge.edges) > 0.5, knowledge.edges * knowledge.confidence, 0.0)
    return _without_cycles(jnp.where(allowed, claims, 0) + required, required) != 0


_without_cycles = jax.jit(graphs.break_cycles)  # once for all columns' names


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
    keys.check(key)
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


def _concrete(value: Any) -> bool:
    """Whether a leaf holds numbers; under a transformation it is a tracer, or a placeholder of JAX's."""
    return isinstance(value, np.ndarray | list | tuple | set | jax.Array) and not is_traced(value)


def _check_form(name: str, value: Any) -> None:
    """Raises ValueError for knowledge in a form that would be read as something else, or not at all."""
    pairs = list(value) if isinstance(value, list | tuple | set) else []
    if isinstance(value, dict) or hasattr(value, "columns"):
        raise ValueError(
            f"knowledge: {name} must be a matrix [d, d] in the order of the names, got a {type(value).__name__}"
        )
    if name not in (*KINDS, "ancestors") and pairs and all(_is_name_pair(pair) for pair in pairs):
        raise ValueError(
            f"knowledge: {name} must be a matrix [d, d] of numbers in [0, 1], entry (i, j) for i -> j; pairs of names "
            "are taken by required, forbidden and ancestors"
        )
    twos = bool(pairs) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
    rows = len(pairs) == 2 and all(np.isscalar(entry) and entry in (0, 1) for pair in pairs for entry in pair)
    if twos and not rows and not all(map(_is_name_pair, pairs)):
        raise ValueError(f"knowledge: {name} must be pairs of names or a matrix [d, d], got pairs such as {pairs[0]}")


def _truths(name: str, matrix: Any) -> np.ndarray:
    """A matrix of True and False, 1 and 0."""
    values = np.asarray(matrix)
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(f"knowledge: {name} must be True or False, 1 or 0, in every entry; NaN is neither")
    return values.astype(bool)


def _is_name_pair(pair: Any) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(name, str) for name in pair)


def _against(tiers: Sequence[Sequence], names: tuple[str, ...] | None, size: int) -> np.ndarray:
    """The edges from a later tier into an earlier one, `[size, size]` bool; columns of no tier are free."""
    labels = tuple(range(size)) if names is None else names
    rank = np.full(size, -1)
    for index, tier in enumerate(tiers):
        if isinstance(tier, str) or not isinstance(tier, Iterable):
            raise ValueError(f"tier {index + 1} must be a list of columns, [{tier!r}], got {tier!r}")
        for column in tier:
            if column not in labels:
                raise ValueError(f"tier {index + 1} names an unknown column {column!r}; the columns are {labels}")
            if rank[labels.index(column)] >= 0:
                raise ValueError(f"column {column!r} stands in two tiers, or twice in one")
            rank[labels.index(column)] = index
    return (rank[:, None] > rank[None, :]) & (rank[None, :] >= 0)


def _check_hard(required: np.ndarray, forbidden: np.ndarray, names: Sequence[str]) -> None:
    both = np.argwhere(required & forbidden)
    if len(both):
        source, target = (names[i] for i in both[0])
        raise ValueError(f"knowledge contradicts itself: {source} -> {target} is both required and forbidden")
    cycle = graphs.find_cycle(required, names)
    if cycle:
        raise ValueError(f"knowledge contradicts itself: the required edges hold a cycle, {cycle}")
