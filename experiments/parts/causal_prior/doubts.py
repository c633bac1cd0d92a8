"""Doubts about a table and about its prior, said in the terminal as Python warnings and in the report as a note."""

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from framework import causal, data
from framework.causal import inputs
from framework.causal.prior.answers import CHOICES
from framework.causal.synthetic import bif


def read(path: str, learner: causal.Config) -> tuple[data.Table, list[str]]:
    """A table that the learner can take, and the assumptions of the learner that it seems to break."""
    table = data.read_table(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", causal.AssumptionWarning)
        try:
            inputs.check(table.values, None, learner, table.names)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return table, [f"{Path(path).name}: {warning.message}" for warning in caught]


def doubts_of_states(network: bif.BayesianNetwork) -> list[str]:
    """What a linear learner makes of a network's states: amounts in the order in which the file lists them."""
    several = [name for name, states in zip(network.names, network.states, strict=True) if len(states) > 2]
    if not several:
        return []
    listed = ", ".join(several[:6]) + (f" and {len(several) - 6} more" if len(several) > 6 else "")
    return [
        f"{len(several)} of {len(network.names)} variables of the network have more than two states ({listed}): they "
        "are read as the amounts 0, 1, 2 and so on in the order of the file; nominal states have none, and then edges "
        "are missed"
    ]


def doubts_of_answers(answers: causal.Answers, path: Path) -> list[str]:
    """What makes a prior of recorded answers one of little or nothing."""
    unreadable, total = unreadable_replies(path)
    said = []
    if unreadable:
        said.append(f"{unreadable} of {total} replies of the language model could not be read and count as unknown")
    if len(answers.choices) == 0 or (answers.choices == CHOICES.index("unknown")).all():
        said.append("no answer claims anything: the prior is empty, and whatever is learned comes of the data alone")
    return said


def unreadable_replies(path: Path) -> tuple[int, int]:
    """How many replies of an answer file could not be read, and how many there are; the file has been checked."""
    rows = json.loads(path.read_bytes())["answers"]
    return sum(bool(row.get("unreadable")) for row in rows), len(rows)


@contextmanager
def overhear(doubts: list[str]) -> Iterator[None]:
    """Notes the words of all warnings of a block in `doubts`, and gives the warnings when it ends, however it does."""
    with ExitStack() as after, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        after.callback(lambda: _give_again(caught, doubts))
        yield


def _give_again(caught: Iterable[warnings.WarningMessage], doubts: list[str]) -> None:
    for warning in caught:
        doubts.append(str(warning.message))
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def say(doubts: Iterable[str]) -> None:
    """Says doubts in the terminal, as warnings of the experiment, without a line of its source."""
    for doubt in doubts:
        warnings.warn_explicit(doubt, causal.AssumptionWarning, "causal_prior", 0)


def note(words: str, doubts: Iterable[str]) -> str:
    """A note of a report: doubts as paragraphs, before its own words."""
    return paragraphs(*(f"Warning: {doubt}." for doubt in doubts), words)


def paragraphs(*parts: str) -> str:
    """Those parts of a text that say anything, as paragraphs."""
    return "\n\n".join(part for part in parts if part)
