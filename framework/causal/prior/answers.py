"""Recorded answers of a language model to pairwise causal questions, and a prior by their vote.

The files in `priors/` come with the package; they need neither a model nor a network.
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framework.causal.knowledge import Knowledge
from framework.core.files import parse_json

CHOICES = ("a->b", "b->a", "none", "unknown")
FIELDS = ("domain", "context", "variables", "wordings", "source", "caveat", "unreadable", "answers")  # of a file
ROW_FIELDS = ("sample", "a", "b", "answer", "reply", "unreadable")  # of each answer in it
_PRIORS = Path(__file__).parents[1] / "priors"
_MOST = 2**31  # samples
_FORWARD, _BACKWARD, _NONE, _UNKNOWN = range(4)


class Answers(NamedTuple):
    """The content of an answer file."""

    domain: str
    names: tuple[str, ...]  # the columns asked about
    pairs: np.ndarray  # [answers, 2] int: columns a and b of each question
    choices: np.ndarray  # [answers] int: index into `CHOICES`
    samples: np.ndarray  # [answers] int: the questionnaire that each belongs to, from 0 on
    wordings: tuple[str, ...]  # of the question, one a sample; empty where the file has none
    caveat: str  # what the file itself warns of


def domains() -> tuple[str, ...]:
    """Lists the domains of the answers that come with the package: `pendulum`, `pendulum__anonymous`, `sachs` etc."""
    return tuple(sorted(path.stem for path in _PRIORS.glob("*.json")))


def answer_file(domain: str) -> Path:
    """Returns the path of a domain's answer file in the package.

    Args:
      domain: one of `domains`.

    Returns:
      The path.

    Raises:
      ValueError: if the domain is not one of `domains`.
    """
    if domain not in domains():
        raise ValueError(f"no answers about {domain!r} come with the package: take one of {', '.join(domains())}")
    return _PRIORS / f"{domain}.json"


def read_answers(path: str | os.PathLike, names: Sequence[str] | None = None) -> Answers:
    """Reads a JSON file with the fields `domain`, `variables` and `answers` (rows `sample, a, b, answer`).

    The fields `wordings` (sample k takes the k-th) and `caveat` are optional. `elicitation.elicit` adds `context`,
    `source` and `unreadable` to the file, and `reply` and `unreadable` to each row. Any other field is refused: it
    could qualify an answer (a probability, a retraction) and would be lost.

    Args:
      path: the file.
      names: the columns of the data in any order, to check that the answers are about them.

    Returns:
      The `Answers`, in the order of the file.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not JSON of that form, has a field that is none of these, an answer is not one of `CHOICES`,
        is about an unknown column or of a sample that has no wording, a pair is answered twice in a sample, or the
        columns are not `names`.
    """
    domain, columns, wordings, rows, caveat = _parts(path)
    if names is not None and set(columns) != set(names):
        raise ValueError(
            f"{path}: the answers are about other columns ({', '.join(columns)}) than the data ({', '.join(names)})"
        )
    questions = set()
    for a, b, choice, sample in rows:
        if choice not in CHOICES or a not in columns or b not in columns or a == b or not _is_sample(sample, wordings):
            count = f"from 0 to {len(wordings) - 1}, as many as there are wordings" if wordings else "from 0 on"
            raise ValueError(
                f"{path}: cannot read the answer {choice!r} about {a!r} and {b!r} in sample {sample!r}; wanted is one "
                f"of {', '.join(CHOICES)} about two of {', '.join(columns)}, with samples numbered {count}"
            )
        if (question := (sample, *sorted((a, b)))) in questions:
            raise ValueError(f"{path}: the question about {a!r} and {b!r} in sample {sample} is answered twice")
        questions.add(question)
    return Answers(
        domain=domain,
        names=columns,
        pairs=np.array([[columns.index(a), columns.index(b)] for a, b, *_ in rows], int).reshape(-1, 2),
        choices=np.array([CHOICES.index(choice) for _, _, choice, _ in rows], int),
        samples=np.array([sample for *_, sample in rows], int),
        wordings=wordings,
        caveat=caveat,
    )


def select(answers: Answers, *, samples: Sequence[int] | None = None, unknown: bool = True) -> Answers:
    """Selects answers by sample and by choice.

    Args:
      answers: all of them.
      samples: the samples to keep; by default all.
      unknown: False drops the answers "unknown", so that a vote counts committed answers only.

    Returns:
      The selected answers, in their order.

    Raises:
      ValueError: if a selected sample has no answers.
    """
    kept = np.ones(len(answers.samples), bool)
    if samples is not None:
        present = np.unique(answers.samples)
        for sample in samples:
            if sample not in present:
                available = ", ".join(map(str, present)) or "none"
                raise ValueError(f"no answers about {answers.domain} in sample {sample!r}: the samples are {available}")
        kept &= np.isin(answers.samples, list(samples))
    if not unknown:
        kept &= answers.choices != _UNKNOWN
    return answers._replace(pairs=answers.pairs[kept], choices=answers.choices[kept], samples=answers.samples[kept])


def vote(answers: Answers) -> Knowledge:
    """Computes a prior by vote: of the m answers about a pair, K_ij is the share for i -> j.

    The confidence is C = 1 - H / log 3, with H the entropy of the answers over {i -> j, j -> i, none}. It is 0 if
    "unknown" is the most frequent answer, or if there is no question about the pair.

    Args:
      answers: the answers to count.

    Returns:
      Knowledge with beliefs K and confidence C, `[d, d]`.
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


def _is_sample(sample: Any, wordings: Sequence[str]) -> bool:
    """True for a valid sample number; with wordings, for the number of one of them."""
    is_integer = isinstance(sample, int) and not isinstance(sample, bool)
    return is_integer and 0 <= sample < (len(wordings) or _MOST)


def _parts(path: str | os.PathLike) -> tuple[str, tuple[str, ...], tuple[str, ...], list[tuple], str]:
    """Domain, columns, wordings, rows (a, b, answer, sample) and caveat of a file of the right form."""
    try:
        content = parse_json(Path(path).read_bytes())
        domain, variables, wordings = content["domain"], content["variables"], content.get("wordings", [])
        rows = [(row["a"], row["b"], row["answer"], row["sample"]) for row in content["answers"]]
        unknown = _unknown_fields(content)
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None
    except (KeyError, TypeError) as error:
        expected = "fields domain, variables and answers, with rows of sample, a, b and answer"
        raise ValueError(f"{path}: not an answer file ({error}); wanted are the {expected}") from None
    if unknown:
        raise ValueError(f"{path}: not an answer file; it has {unknown}")
    columns = tuple(variables) if isinstance(variables, dict | list) else ()
    if not columns or not _texts(columns) or len(set(columns)) != len(columns):
        raise ValueError(f"{path}: not an answer file; its variables must be the names of columns, each once")
    if not isinstance(wordings, list) or not _texts(wordings):
        raise ValueError(f"{path}: not an answer file; its wordings must be a list of texts, one a sample")
    if not _texts([domain, caveat := content.get("caveat", "")]):
        raise ValueError(f"{path}: not an answer file; its domain and its caveat must be texts")
    return domain, columns, tuple(wordings), rows, caveat


def _unknown_fields(content: dict[str, Any]) -> str:
    """Describes the unknown fields of a file and of its rows; empty if there are none."""
    descriptions = []
    others = {"": set(content) - set(FIELDS), "of an answer ": {f for row in content["answers"] for f in row}}
    others["of an answer "] -= set(ROW_FIELDS)
    for prefix, names in others.items():
        for name in sorted(names):
            near = difflib.get_close_matches(name, ROW_FIELDS if prefix else FIELDS, 1)
            descriptions.append(
                f"the unknown field {prefix}{name[:80]!r}" + (f" (is {near[0]!r} meant?)" if near else "")
            )
    return " and ".join(descriptions[:5])


def _texts(values: Sequence) -> bool:
    return all(isinstance(value, str) for value in values)
