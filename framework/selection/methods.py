"""All selection methods by name, with one signature."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from framework.core import checks, keys
from framework.core.tracing import is_traced
from framework.core.types import Array, Key
from framework.selection import coverage, facility, histogram, ranking, sampling, strata
from framework.selection.groups import Select, balance_classes


class Traits(NamedTuple):
    """Labels, scores and features of N points; None for those that are unknown. A method uses what it needs."""

    labels: Int[Array, " n"]
    entropy: Float[Array, " n"] | None = None  # nats
    margin: Float[Array, " n"] | None = None
    least_confidence: Float[Array, " n"] | None = None
    el2n: Float[Array, " n"] | None = None
    grand: Float[Array, " n"] | None = None
    forgetting: Shaped[Array, " n"] | None = None
    aum: Float[Array, " n"] | None = None
    features: Float[Array, "n d"] | None = None


class Options(NamedTuple):
    """Hyperparameters of the methods that have some."""

    bin_width: float = 0.5  # P1, P2, P3: in decades
    beta: float = 0.8  # mixture: the share of low entropies
    cutoff_rate: float = 0.1  # coverage_centric: the share of points that is removed as too hard
    strata: int = 50  # coverage_centric
    candidates: int = 200  # facility_location: points that a step evaluates


class Method(NamedTuple):
    """A selection method."""

    needs: str  # the field of `Traits` besides the labels, or ""
    select: Callable[[Key, Traits, int, Options], jax.Array]


def _rule(name: str) -> Method:
    def select(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
        return sampling.sample(key, size, histogram.histogram_probabilities(traits.entropy, name, options.bin_width))

    return Method("entropy", select)


def _end_of_ranking(trait: str, rank: Callable[[jax.Array, int, Key], jax.Array]) -> Method:
    return Method(trait, lambda key, traits, size, options: rank(getattr(traits, trait), size, _tie_key(key)))


def _tie_key(key: Key) -> Key:
    """The key that orders points of equal scores."""
    return keys.derive(key, "ties")


def _random(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    return sampling.sample(key, size, count=len(traits.labels))


def _k_center(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    start = jax.random.randint(keys.derive(key, "start"), (), 0, len(traits.labels))
    return coverage.k_center_greedy(traits.features, size, start, _tie_key(key))


def _mixture(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    return ranking.mixture(traits.entropy, size, options.beta, _tie_key(key))


def _herding(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    return coverage.herding(traits.features, size, _tie_key(key))


def _moderate(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    return strata.moderate(traits.features, traits.labels, size, key=_tie_key(key))


def _coverage_centric(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    cutoff_rate = min(options.cutoff_rate, 1 - size / max(len(traits.labels), 1))
    return strata.coverage_centric(key, traits.el2n, size, cutoff_rate, options.strata)


def _facility_location(key: Key, traits: Traits, size: int, options: Options) -> jax.Array:
    return facility.facility_location(traits.features, size, key, options.candidates)


METHODS = {
    "random": Method("", _random),
    **{name: _rule(name) for name in histogram.RULES},
    "entropy_top": _end_of_ranking("entropy", ranking.largest),
    "entropy_bottom": _end_of_ranking("entropy", ranking.smallest),
    "mixture": Method("entropy", _mixture),
    "margin": _end_of_ranking("margin", ranking.smallest),
    "least_confidence": _end_of_ranking("least_confidence", ranking.largest),
    "el2n": _end_of_ranking("el2n", ranking.largest),
    "grand": _end_of_ranking("grand", ranking.largest),
    "forgetting": _end_of_ranking("forgetting", ranking.largest),
    "aum": _end_of_ranking("aum", ranking.smallest),
    "coverage_centric": Method("el2n", _coverage_centric),
    "k_center": Method("features", _k_center),
    "herding": Method("features", _herding),
    "moderate": Method("features", _moderate),
    "facility_location": Method("features", _facility_location),
}


def select(
    key: Key, method: str, traits: Traits, size: int, *, balanced: bool = False, options: Options = Options()
) -> Int[Array, " k"]:
    """Selects points by a method's name, in random order, so that every part of the selection is a sample of it.

    Args:
      key: for the draws, for ties between equal scores, and for the order; `vmap` over keys equals a loop.
      method: one of `METHODS`, which also says what each needs, `METHODS[method].needs`. A score selects its hardest
        points.
      traits: of the N points, concrete.
      size: k, static.
      balanced: True selects the same number from each class, as far as its points suffice.
      options: hyperparameters of the methods that have some.

    Returns:
      `[k]` int32, distinct.

    Raises:
      ValueError: for another method, an invalid key, a trait that the method needs and is None, one of another length
        or traced, labels that are not `[N]`, or fewer points than requested.

    Example:
      >>> from framework import selection
      >>> traits = selection.Traits(labels=np.array([0, 0, 1, 1]), entropy=np.array([0.1, 0.2, 0.3, 0.4]))
      >>> sorted(selection.select(jax.random.key(0), "entropy_top", traits, 2).tolist())
      [2, 3]
      >>> sorted(selection.select(jax.random.key(0), "entropy_top", traits, 2, balanced=True).tolist())
      [1, 3]
    """
    checks.one_of("a method of selection", method, METHODS)
    _check_traits(method, traits)
    select_once: Select = lambda key, traits, size: METHODS[method].select(key, traits, size, options)
    if balanced:
        select_once = balance_classes(select_once, traits.labels)
    indices = select_once(keys.derive(key, "choice"), jax.tree.map(np.asarray, traits), size)
    return jax.random.permutation(keys.derive(key, "shuffle"), indices)


def _check_traits(method: str, traits: Traits) -> None:
    needs = METHODS[method].needs
    if needs and getattr(traits, needs) is None:
        raise ValueError(f"the method {method} needs the {needs} of each point, which is not given")
    if np.ndim(traits.labels) != 1:
        raise ValueError(f"the labels must be one a point, [N], got shape {np.shape(traits.labels)}")
    count = len(traits.labels)
    for trait, values in traits._asdict().items():
        if values is not None and len(values) != count:
            raise ValueError(f"there are {count:,} labels, but {len(values):,} entries of {trait}")
        if is_traced(values):
            raise ValueError(f"select needs the {trait} as concrete values: close over them, and transform keys")
