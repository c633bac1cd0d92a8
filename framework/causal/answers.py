"""Recorded answers of a language model to pairwise causal questions, and the vote that makes a prior of them."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framework.causal.knowledge import Knowledge

CHOICES = ("a->b", "b->a", "none", "unknown")
_FORWARD, _BACKWARD, _NONE, _UNKNOWN = range(4)


class Answers(NamedTuple):
    """A file of answers: who was asked about what, and what was said."""

    domain: str
    names: tuple[str, ...]  # the columns asked about
    pairs: np.ndarray  # [answers, 2] int: columns a and b of each question
    choices: np.ndarray  # [answers] int: index into `CHOICES`
    caveat: str  # what the file itself warns of


def read_answers(path: str | os.PathLike, names: Sequence[str] | None = None) -> Answers:
    """Reads a JSON file with the fields `domain`, `variables` and `answers` (rows `sample, a, b, answer`).

    Args:
      path: the file.
      names: the columns of the data, if they are to be those that the answers are about, in any order.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not JSON of that form, an answer is not one of `CHOICES` or is about an unknown column, or
        the columns are not `names`.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        domain, variables, rows = content["domain"], content["variables"], content["answers"]
        columns = tuple(variables) if isinstance(variables, dict | list) else ()
        questions = [(row["a"], row["b"], row["answer"]) for row in rows]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
    except (KeyError, TypeError) as error:
        wanted = "fields domain, variables and answers, with rows of sample, a, b and answer"
        raise ValueError(f"{path}: not an answer file ({error}); wanted are the {wanted}") from None
    if (
        len(set(map(str, columns))) != len(columns)
        or not all(isinstance(column, str) for column in columns)
        or not columns
    ):
        raise ValueError(f"{path}: not an answer file; its variables must be the names of columns, each once")
    if names is not None and set(columns) != set(names):
        raise ValueError(
            f"{path}: the answers are about other columns ({', '.join(columns)}) than the data ({', '.join(names)})"
        )
    for a, b, choice in questions:
        if choice not in CHOICES or a not in columns or b not in columns or a == b:
            raise ValueError(
                f"{path}: cannot read the answer {choice!r} about {a!r} and {b!r}; wanted is one of "
                f"{', '.join(CHOICES)} about two of {', '.join(columns)}"
            )
    pairs = np.array([[columns.index(a), columns.index(b)] for a, b, _ in questions], int).reshape(-1, 2)
    choices = np.array([CHOICES.index(choice) for *_, choice in questions], int)
    return Answers(domain, columns, pairs, choices, str(content.get("caveat", "")))


def vote(answers: Answers) -> Knowledge:
    """A prior by vote: of the m answers about a pair, K_ij is the share that says i -> j.

    The confidence is C = 1 - H / log 3, with H the entropy of the answers over {i -> j, j -> i, none}; it is 0 where
    "unknown" was said most often, or where the pair was never asked about.
    """
    size = len(answers.names)
    counts = np.zeros((size, size, len(CHOICES)))
    first, second = answers.pairs[:, 0], answers.pairs[:, 1]
    mirrored = np.array([_BACKWARD, _FORWARD, _NONE, _UNKNOWN])[answers.choices]
    np.add.at(counts, (first, second, answers.choices), 1)
    np.add.at(counts, (second, first, mirrored), 1)
    asked, known = counts.sum(-1), counts[..., :_UNKNOWN]
    shares = known / np.maximum(known.sum(-1, keepdims=True), 1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=-1)
    decided = (known.sum(-1) > 0) & (counts[..., _UNKNOWN] <= known.max(-1))
    confidence = np.where(decided, np.clip(1 - entropy / np.log(3), 0, 1), 0)
    return Knowledge(counts[..., _FORWARD] / np.maximum(asked, 1), confidence, answers.names)
