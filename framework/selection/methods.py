"""All methods of selection by name, with one signature."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from framework.core import keys
from framework.core.tracing import is_traced
from framework.core.types import Key
from framework.selection import coverage, facility, histogram, ranking, sampling, strata
from framework.selection.groups import Choose, class_balanced


class Traits(NamedTuple):
    """What is known of N points; None where it is not. A method takes what it needs."""

    labels: jax.Array  # [N] int
    entropy: jax.Array | None = None  # [N] nats
    margin: jax.Array | None = None  # [N]
    least_confidence: jax.Array | None = None  # [N]
    el2n: jax.Array | None = None  # [N]
    grand: jax.Array | None = None  # [N]
    forgetting: jax.Array | None = None  # [N]
    aum: jax.Array | None = None  # [N]
    features: jax.Array | None = None  # [N, d]


class Options(NamedTuple):
    """The numbers of the methods that have some."""

    bin_width: float = 0.5  # P1, P2, P3: decades
    beta: float = 0.8  # mixture: the share of low entropies
    cut: float = 0.1  # coverage_centric: the share cut off as too hard
    strata: int = 50  # coverage_centric
    candidates: int = 200  # facility_location: looked at a step


class Method(NamedTuple):
    """A method of selection."""

    needs: str  # the trait beside the labels, or ""
    choose: Callable[[Key, int, Traits, Options], jax.Array]


def _rule(name: str) -> Method:
    def choose(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
        return sampling.select(key, size, histogram.histogram_probabilities(traits.entropy, name, options.bin_width))

    return Method("entropy", choose)


def _end(trait: str, rank: Callable[[jax.Array, int, Key], jax.Array]) -> Method:
    return Method(trait, lambda key, size, traits, options: rank(getattr(traits, trait), size, _ties(key)))


def _ties(key: Key) -> Key:
    """The key by which equal points are put in order."""
    return keys.named(key, "ties")


def _random(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    return sampling.select(key, size, count=len(traits.labels))


def _k_center(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    start = jax.random.randint(keys.named(key, "start"), (), 0, len(traits.labels))
    return coverage.k_center_greedy(traits.features, size, start, _ties(key))


def _mixture(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    return ranking.mixture(traits.entropy, size, options.beta, _ties(key))


def _herding(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    return coverage.herding(traits.features, size, _ties(key))


def _moderate(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    return strata.moderate(traits.features, traits.labels, size, key=_ties(key))


def _coverage_centric(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    cut = min(options.cut, 1 - size / max(len(traits.labels), 1))
    return strata.coverage_centric(key, traits.el2n, size, cut, options.strata)


def _facility(key: Key, size: int, traits: Traits, options: Options) -> jax.Array:
    return facility.facility_location(traits.features, size, key, options.candidates)


METHODS = {
    "random": Method("", _random),
    **{name: _rule(name) for name in histogram.RULES},
    "entropy_top": _end("entropy", ranking.largest),
    "entropy_bottom": _end("entropy", ranking.smallest),
    "mixture": Method(
        "entropy", lambda key, size, traits, o: ranking.mixture(traits.entropy, size, o.beta, _ties(key))
    ),
    "margin": _end("margin", ranking.smallest),
    "least_confidence": _end("least_confidence", ranking.largest),
    "el2n": _end("el2n", ranking.largest),
    "grand": _end("grand", ranking.largest),
    "forgetting": _end("forgetting", ranking.largest),
    "aum": _end("aum", ranking.smallest),
    "coverage_centric": Method("el2n", _coverage_centric),
    "k_center": Method("features", _k_center),
    "herding": Method("features", _herding),
    "moderate": Method("features", _moderate),
    "facility_location": Method("features", _facility),
}


def choose(
    name: str, key: Key, size: int, traits: Traits, balanced: bool = False, options: Options = Options()
) -> jax.Array:
    """A selection by the method's name, in random order: any part of it is as good as another.

    Args:
      name: one of `METHODS`, which also says what each needs, `METHODS[name].needs`; a score takes its hardest points.
      key: of the draws, of the choice among points of equal scores, and of the order; `vmap` over keys is as good as a
        loop.
      size: k, static.
      traits: of the N points, concrete.
      balanced: the same number of each class, as far as they reach.
      options: the numbers of the methods that have some.

    Returns:
      `[k]` int32, no two the same.

    Raises:
      ValueError: for another name, no key, a trait that the method needs and is not there, one of another length or
        hidden by a transformation, labels that are not `[N]`, or fewer points than asked for.

    Example:
      >>> from framework import selection
      >>> traits = selection.Traits(labels=np.array([0, 0, 1, 1]), entropy=np.array([0.1, 0.2, 0.3, 0.4]))
      >>> sorted(selection.choose("entropy_top", jax.random.key(0), 2, traits).tolist())
      [2, 3]
      >>> sorted(selection.choose("entropy_top", jax.random.key(0), 2, traits, balanced=True).tolist())
      [1, 3]
    """
    if name not in METHODS:
        raise ValueError(f"a method of selection must be one of {', '.join(METHODS)}; got {name!r}")
    _check(name, traits)
    method: Choose = lambda key, size, traits: METHODS[name].choose(key, size, traits, options)
    method = class_balanced(method, traits.labels) if balanced else method
    chosen = method(keys.named(key, "choice"), size, jax.tree.map(np.asarray, traits))
    return jax.random.permutation(keys.named(key, "shuffle"), chosen)


def _check(name: str, traits: Traits) -> None:
    needed = METHODS[name].needs
    if needed and getattr(traits, needed) is None:
        raise ValueError(f"the method {name} needs the {needed} of each point, which is not given")
    if np.ndim(traits.labels) != 1:
        raise ValueError(f"the labels must be one a point, [N], got shape {np.shape(traits.labels)}")
    count = len(traits.labels)
    for trait, values in traits._asdict().items():
        if values is not None and len(values) != count:
            raise ValueError(f"there are {count:,} labels, but {len(values):,} entries of {trait}")
        if is_traced(values):
            raise ValueError(f"choose needs the {trait} as it is: close over it, and transform keys")
