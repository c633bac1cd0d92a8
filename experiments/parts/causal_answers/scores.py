"""Scores of the answers of a language model, compared with the true graphs of the systems."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from framework import causal
from framework.causal.metrics import graph_distance
from framework.causal.prior import answers as causal_answers
from framework.causal.prior.answers import CHOICES, select
from framework.causal.synthetic import physics

UNKNOWN = CHOICES.index("unknown")


class Subject(NamedTuple):
    """A system, its true graph and the answers about it."""

    system: physics.System
    truth: np.ndarray  # [d, d] bool
    answers: dict[str, causal_answers.Answers]  # by the variant of its names

    def prior(self, variant: str, answers: causal_answers.Answers | None = None) -> causal.Knowledge:
        """The vote of all answers, or of some, in the order of the table's columns."""
        voted = causal_answers.vote(self.answers[variant] if answers is None else answers)
        return voted.align(physics.names(self.system, variant))


def scores(subject: Subject, variant: str, answers: causal_answers.Answers) -> dict[str, float | None]:
    """Scores some answers; the precision of no claim is None."""
    prior = subject.prior(variant, answers)
    comparison = graph_distance.compare(subject.truth, prior.edges > 0.5)
    claims = int(comparison["edges"])
    return {
        "precision": float(comparison["precision"]) if claims else None,
        "recall": float(comparison["recall"]),
        "f1": float(comparison["f1"]),
        "claims": claims,
        "unknown": float(np.mean(answers.choices == UNKNOWN)) if len(answers.choices) else 0.0,
        "confidence": float(np.mean(prior.confidence[~np.eye(len(subject.truth), dtype=bool)])),
    }


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def over_systems(subjects: list[Subject], **choice) -> dict[str, dict[str, float | None]]:
    """Measure -> variant -> mean over the systems, of the answers that `choice` selects."""
    values = {
        variant: [scores(one, variant, select(one.answers[variant], **choice)) for one in subjects]
        for variant in physics.VARIANTS
    }
    measures = values["real"][0]
    return {name: {v: mean(row[name] for row in values[v]) for v in physics.VARIANTS} for name in measures}


def numbers(subjects: list[Subject], samples: list[int]) -> dict[str, Any]:
    """The scores of all answers, of those that commit themselves, and of each wording alone."""
    return {
        "answers": over_systems(subjects),
        "committed": over_systems(subjects, unknown=False),
        "by_wording": [{"sample": sample} | over_systems(subjects, samples=[sample]) for sample in samples],
    }
