"""Warnings about a table and its prior, shown in the terminal as Python warnings and in the report as a note."""

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from framework import causal, data
from framework.causal import inputs
from framework.causal.prior import answers as causal_answers
from framework.causal.prior.answers import CHOICES
from framework.causal.synthetic import bif


def read_table(path: str, learner: causal.Config) -> tuple[data.Table, list[str]]:
    """Reads a table that the learner can take, and lists the assumptions of the learner that it seems to break.

    Args:
      path: the file.
      learner: the settings of the fit.

    Returns:
      The table, and a warning for each assumption.

    Raises:
      ValueError: if the learner cannot take the table.
    """
    table = data.read_table(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", causal.AssumptionWarning)
        try:
            inputs.check(table.values, None, learner, table.names)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return table, [f"{Path(path).name}: {warning.message}" for warning in caught]


def network_warnings(network: bif.BayesianNetwork) -> list[str]:
    """Warns that a linear learner reads a network's states as amounts, in the order in which the file lists them."""
    several = [name for name, states in zip(network.names, network.states, strict=True) if len(states) > 2]
    if not several:
        return []
    listed = ", ".join(several[:6]) + (f" and {len(several) - 6} more" if len(several) > 6 else "")
    return [
        f"{len(several)} of {len(network.names)} variables of the network have more than two states ({listed}): they "
        "are read as the amounts 0, 1, 2 and so on in the order of the file; nominal states have none, and then edges "
        "are missed"
    ]


def answer_warnings(answers: causal_answers.Answers, path: Path) -> list[str]:
    """Warns of recorded answers that make a weak prior or an empty one."""
    unreadable, total = count_unreadable(path)
    messages = []
    if unreadable:
        messages.append(f"{unreadable} of {total} replies of the language model could not be read and count as unknown")
    if len(answers.choices) == 0 or (answers.choices == CHOICES.index("unknown")).all():
        messages.append("no answer claims anything: the prior is empty, and the graph comes from the data alone")
    return messages


def count_unreadable(path: Path) -> tuple[int, int]:
    """Counts the replies of a valid answer file that could not be read, and all replies."""
    rows = json.loads(path.read_bytes())["answers"]
    return sum(bool(row.get("unreadable")) for row in rows), len(rows)


@contextmanager
def record_warnings(messages: list[str]) -> Iterator[None]:
    """Appends the texts of all warnings of a block to `messages`, and issues the warnings again when the block ends."""
    with ExitStack() as after, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        after.callback(lambda: _issue_again(caught, messages))
        yield


def _issue_again(caught: Iterable[warnings.WarningMessage], messages: list[str]) -> None:
    for warning in caught:
        messages.append(str(warning.message))
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def warn(messages: Iterable[str]) -> None:
    """Issues warnings in the name of the experiment, without a line of its source."""
    for message in messages:
        warnings.warn_explicit(message, causal.AssumptionWarning, "causal_prior", 0)


def compose_note(text: str, messages: Iterable[str]) -> str:
    """A note of a report: the warnings as paragraphs, then the text."""
    return join_paragraphs(*(f"Warning: {message}." for message in messages), text)


def join_paragraphs(*parts: str) -> str:
    """Joins the parts that are not empty, as paragraphs."""
    return "\n\n".join(part for part in parts if part)
