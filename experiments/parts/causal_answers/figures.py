"""Figures of the experiment on answers of a language model."""

from collections.abc import Mapping
from typing import Any

from framework import runs
from framework.runs.reporting import figures

RATES = {"precision": "precision", "recall": "recall", "F1": "f1", "unknown": "unknown", "confidence": "confidence"}


def draw(run: runs.Run, numbers: Mapping[str, Any]) -> None:
    """The answers alone, wording by wording, and what the learner makes of them."""
    systems = f"Mean of {len(numbers['systems'])} systems"
    rates = {label: _by_names(numbers["answers"][rate]) for label, rate in RATES.items()}
    caption = (
        f"The answers alone, by the names that were shown. {systems}; the precision of no claim is left out. Unknown: "
        "the share of such answers; confidence: how far the others agree."
    )
    run.save_figure("figures/answers", figures.grouped_bars(rates, "share"), caption)
    votes = {f"wording {row['sample'] + 1}": row for row in numbers["by_wording"]}
    votes |= {"vote of all": numbers["answers"], "vote without\nunknown": numbers["committed"]}
    caption = f"F1 of the answers to each wording, and of their votes. {systems}."
    figure = figures.grouped_bars({name: _by_names(row["f1"]) for name, row in votes.items()}, "F1")
    run.save_figure("figures/wordings", figure, caption)
    caption = f"Structural Hamming distance to the truth; less is better. {systems}"
    caption += f", with the standard error over {numbers['seeds']} seeds. " if "shd_error" in numbers else ". "
    caption += "Prior: trusted as far as the data bear it out; fixed: trusted from the start; "
    caption += "prior only: without data; empty: no edge."
    figure = figures.grouped_bars(_distances(numbers), "SHD (edges a system)")
    run.save_figure("figures/shd", figure, caption, runs.no_interval(numbers["seeds"]))


def _by_names(values: Mapping[str, float | None]) -> dict[str, tuple[float, float] | None]:
    return {f"{variant} names": None if value is None else (value, 0.0) for variant, value in values.items()}


def _distances(numbers: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """Variant to arm to mean and standard error."""
    shd, error = numbers["shd"], numbers.get("shd_error", {})
    bar = lambda arm, variant: (shd[arm][variant], error.get(arm, {}).get(variant, 0.0))
    return {f"{variant} names": {arm: bar(arm, variant) for arm in shd} for variant in shd["empty"]}
