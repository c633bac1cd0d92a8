"""The words of a comparison over too few seeds, in the place of an interval."""

from collections.abc import Mapping
from typing import Any

from framework.runs.reporting.report import scalars

ENOUGH = 3  # seeds; the spread of fewer says next to nothing


def no_interval(seeds: int) -> str:
    """Says that a comparison over so few seeds has no interval.

    Args:
      seeds: independent repetitions behind each number that is compared.

    Returns:
      "one seed, no interval" or "two seeds, no interval"; "" of 3 seeds and more.
    """
    if seeds >= ENOUGH:
        return ""
    return f"{'two seeds' if seeds == 2 else 'one seed'}, no interval"


def qualify(claim: str, words: str) -> str:
    """The claim of an experiment as a report of a run over too few seeds states it."""
    return f"This run cannot support the claim ({words}). Claim under study: {claim}" if words else claim


def seeds_of(numbers: Mapping[str, Any], config: Mapping[str, Any]) -> int | None:
    """The fewest seeds behind the numbers of a run.

    Args:
      numbers: the scalars of its result under dotted names; `seeds`, or the `seeds` of its parts, tell.
      config: its config, whose `seeds` tells where the result does not.

    Returns:
      The number; None where nothing tells.
    """
    parts = [value for name, value in numbers.items() if name.endswith(".seeds")]
    return numbers.get("seeds") or min(parts, default=None) or config.get("seeds")


def of_run(result: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The words for a whole run next to others: those it says itself (`no_interval`), or those of its seeds."""
    if result.get("no_interval"):
        return min(result["no_interval"].values())  # "one seed" before "two seeds"
    seeds = seeds_of(scalars(result), config)
    return "" if seeds is None else no_interval(seeds)
