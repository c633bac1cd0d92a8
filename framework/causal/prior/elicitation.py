"""Elicitation of a prior: a language model is asked about every pair of columns, in several wordings.

A questionnaire is made of the columns' names and descriptions, put to anyone who answers a prompt with a text
(`endpoint.chat` is one), and its replies end in a file that `read_answers` reads and `vote` turns into knowledge. The
file keeps each reply as it came, so that a killed run takes up where it stopped and a finished one asks nobody but for
what could not be read.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import combinations, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from framework.causal.prior import replies
from framework.causal.prior.answers import CHOICES, read_answers
from framework.causal.prior.replies import LETTERS
from framework.core.files import parse_json, write_bytes

WORDINGS = (
    "One quantity is moved from outside while every other listed quantity is held fixed. A: moving {a} shifts {b}. "
    "B: moving {b} shifts {a}. C: moving either leaves the other as it is. D: it cannot be known.",
    "In a causal diagram of all the listed quantities, who is whose parent? A: {a} is a parent of {b}. "
    "B: {b} is a parent of {a}. C: neither is a parent of the other. D: it cannot be known.",
    "A simulation computes each listed quantity from its direct causes alone. A: the formula for {b} contains {a}. "
    "B: the formula for {a} contains {b}. C: neither formula contains the other quantity. D: it cannot be known.",
    "Think of the mechanism between {a} and {b} that passes through no other listed quantity. "
    "A: it leads from {a} to {b}. B: it leads from {b} to {a}. C: there is no such mechanism. D: it cannot be known.",
    "Which statement fits best? A: {a} has an influence on {b}. B: {b} has an influence on {a}. "
    "C: neither has an influence on the other.",
)

GIVE_UP_AFTER = 10  # replies of which none could be read
_EXCERPT = 120  # characters of such a reply that an error repeats

Ask = Callable[[str], str]  # prompt -> reply
Content = dict[str, Any]  # of an answer file


class Question(NamedTuple):
    """One question about one pair."""

    sample: int
    a: str  # the column that is named first
    b: str
    prompt: str
    options: tuple[str, ...]  # what its letters A, B, C and perhaps D stand for


class Questionnaire(NamedTuple):
    """All questions about the columns of one table."""

    domain: str
    context: str
    variables: dict[str, str]  # column -> description
    wordings: tuple[str, ...]  # one a sample
    questions: tuple[Question, ...]  # sample by sample


def questionnaire(
    domain: str,
    context: str,
    variables: Mapping[str, str],
    wordings: Sequence[str] = WORDINGS,
    samples: int | None = None,
    seed: int = 0,
) -> Questionnaire:
    """Asks about every unordered pair of columns, once a sample.

    Sample k takes wording k, from the first again where there are more samples. A pair's order turns round from one
    sample to the next; within a sample each column stands first as often as second, up to one, so that a model that
    likes what is named first favours no column.

    Args:
      domain: a short name of the system.
      context: a sentence on where the columns come from; the model reads it.
      variables: column -> description, which may be empty; the model reads both, of all columns.
      wordings: texts with `{a}` and `{b}` and the options "A: ", "B: ", "C: " and perhaps "D: ", which mean a -> b,
        b -> a, neither, and that it cannot be known.
      samples: how often each pair is asked about; by default once a wording.
      seed: of the order in which the names stand.

    Raises:
      ValueError: if there are less than two columns, no sample, or a wording is not of that form.
    """
    samples = len(wordings) if samples is None else samples
    if len(variables) < 2 or samples < 1 or not wordings:
        raise ValueError(
            f"a questionnaire needs two columns, a wording and a sample at least; got {len(variables)} columns, "
            f"{len(wordings)} wordings and {samples} samples"
        )
    used = tuple(wordings[sample % len(wordings)] for sample in range(samples))
    parts = [_parts(wording) for wording in used]
    opening = "\n".join([context, "", "The quantities:", *map(_listed, variables.items()), ""])
    ordered = list(_ordered_pairs(list(variables), seed))
    questions = tuple(
        _question(sample, *(pair[::-1] if sample % 2 else pair), opening, parts[sample])
        for sample in range(samples)
        for pair in ordered
    )
    return Questionnaire(domain, context, dict(variables), used, questions)


def read_reply(question: Question, reply: str) -> str | None:
    """Reads what a reply says, as one of `CHOICES`; None where it cannot be read. See `replies.read`."""
    letter = replies.read(question.options, reply, (question.a, question.b))
    return None if letter is None else CHOICES[LETTERS.index(letter)]


def remaining(asked: Questionnaire, cache: str | os.PathLike, source: str | None = None) -> list[Question]:
    """The questions that a cache does not answer, or with a reply that cannot be read; raises as `elicit` does."""
    return _unanswered(asked, _rows(asked, _cached(asked, cache, source)))


def elicit(
    asked: Questionnaire,
    ask: Ask,
    cache: str | os.PathLike | None = None,
    *,
    source: str | None = None,
    workers: int = 1,
    max_unreadable: float = 1.0,
    on_answer: Callable[[int, int], None] = lambda done, total: None,
) -> Content:
    """Asks what has not been answered yet, or was answered by a reply that cannot be read.

    Replies in the cache that could not be read when they came are read again first: nobody is asked where this version
    can read them. A reply that cannot be read counts as "unknown".

    Args:
      asked: the questionnaire.
      ask: prompt -> reply; what it raises ends the elicitation, and the answers until then are kept.
      cache: the answer file: read if it is there, written whole after every answer.
      source: who answers, in words; by default whom the cache names.
      workers: how many questions are asked at once; the result does not depend on it.
      max_unreadable: the share of all replies that may be unreadable, in [0, 1].
      on_answer: (questions answered, questions) -> None, called after every answer.

    Returns:
      The content of the answer file, as `read_answers` wants it; its rows have the `reply` and whether it was
      `unreadable`, and beside them stands how many were.

    Raises:
      ValueError: if the cache is not an answer file, or answers another questionnaire or from another source; if the
        first `GIVE_UP_AFTER` replies are all unreadable, or in the end more than `max_unreadable` of them. The replies
        are kept, and asked for again by the next call.
    """
    if not 0 <= max_unreadable <= 1:
        raise ValueError(f"max_unreadable must be a share in [0, 1], got {max_unreadable}")
    start = _cached(asked, cache, source)
    source = source or (start or {}).get("source", "a language model")
    rows = _rows(asked, start)
    waiting = _unanswered(asked, rows)
    replies_read: list[bool] = []
    write = lambda: cache is not None and write_answers(cache, _content(asked, rows, source))
    if start is not None and list(rows.values()) != start["answers"]:
        write()

    def record(question: Question, reply: str) -> ValueError | None:
        """Keeps a reply; returns an error where it is not worth going on."""
        row = rows[_key(*question[:3])] = _row(question, reply)
        replies_read.append(not row["unreadable"])
        write()
        on_answer(len(asked.questions) - len(waiting) + len(replies_read), len(asked.questions))
        if len(replies_read) == GIVE_UP_AFTER and not any(replies_read):
            return ValueError(f"none of the first {GIVE_UP_AFTER} replies could be read: {_excuse(asked, rows, cache)}")
        return None

    _ask_all(waiting, ask, workers, record)
    content = _content(asked, rows, source)
    if content["unreadable"] > max_unreadable * len(asked.questions):
        raise ValueError(
            f"{content['unreadable']} of {len(asked.questions)} replies could not be read, where a share of "
            f"{max_unreadable:g} is allowed: {_excuse(asked, rows, cache)}"
        )
    return content


def write_answers(path: str | os.PathLike, content: Content) -> None:
    """Writes an answer file; a run that takes up a killed one finds it whole or not at all."""
    write_bytes(Path(path), (json.dumps(content, indent=1) + "\n").encode())


def _ordered_pairs(names: list[str], seed: int) -> Iterator[tuple[str, str]]:
    """Each unordered pair once: the columns sit at a round table, and each comes before the half that follows it."""
    size = len(names)
    seats = np.random.default_rng(seed).permutation(size)
    for i, j in combinations(range(size), 2):
        ahead = 2 * ((seats[j] - seats[i]) % size)
        comes_first = ahead < size or (ahead == size and seats[i] < seats[j])
        yield (names[i], names[j]) if comes_first else (names[j], names[i])


def _parts(wording: str) -> list[str]:
    """A wording as its question and its options, still with `{a}` and `{b}`."""
    question, *options = re.split(r"\s([A-Z]): ", wording)
    if "".join(options[::2]) not in ("ABC", "ABCD") or not {"{a}", "{b}"} <= set(re.findall(r"\{.\}", wording)):
        raise ValueError(
            f"cannot ask {wording!r}: a wording names {{a}} and {{b}} and has the options A: B: C: and perhaps D:, in "
            "this order"
        )
    return [question, *options[1::2]]


def _listed(variable: tuple[str, str]) -> str:
    name, description = variable
    return f"- {name}: {description}" if description else f"- {name}"


def _question(sample: int, a: str, b: str, opening: str, parts: list[str]) -> Question:
    # in one go, since a column's name may itself contain {b}
    text, *options = (re.sub(r"\{([ab])\}", lambda slot: {"a": a, "b": b}[slot[1]], part) for part in parts)
    letters = LETTERS[: len(options)]
    lines = [f"{letter}: {option}" for letter, option in zip(letters, options, strict=True)]
    ending = f"Reply with one letter and nothing else: {', '.join(letters[:-1])} or {letters[-1]}."
    return Question(sample, a, b, "\n".join([opening, text, *lines, "", ending]), tuple(options))


def _key(sample: Any, a: str, b: str) -> tuple[str, str, str]:
    """By which an answer finds its question; whatever stands in a file can be a sample."""
    return str(sample), a, b


def _row(question: Question, reply: str) -> dict[str, Any]:
    said = read_reply(question, reply)
    answer = {"sample": question.sample, "a": question.a, "b": question.b, "answer": said or "unknown"}
    return {**answer, "reply": reply, "unreadable": said is None}


def _excuse(asked: Questionnaire, rows: Mapping[Any, dict[str, Any]], cache: str | os.PathLike | None) -> str:
    """What an unreadable reply looks like, and what can be done."""
    first = next(q for q in asked.questions if rows.get(_key(*q[:3]), {}).get("unreadable"))
    reply = " ".join(str(rows[_key(*first[:3])].get("reply", "")).split())
    kept = f" They are kept in {cache};" if cache is not None else ""
    said = repr(reply[:_EXCERPT]) if reply else "an empty text, as of a model that was cut short while thinking"
    return f"one is {said}.{kept} launched again, their questions are asked again; another model may answer as asked"


def _rows(asked: Questionnaire, content: Content | None) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The answers of a file by their questions; replies that could not be read when they came are read again."""
    rows = {_key(row.get("sample"), row["a"], row["b"]): row for row in (content or {}).get("answers", [])}
    for question in asked.questions:
        row = rows.get(_key(*question[:3]), {})
        if row.get("unreadable") and isinstance(row.get("reply"), str):
            rows[_key(*question[:3])] = _row(question, row["reply"])
    return rows


def _unanswered(asked: Questionnaire, rows: Mapping[Any, dict[str, Any]]) -> list[Question]:
    return [q for q in asked.questions if rows.get(_key(*q[:3]), {"unreadable": True}).get("unreadable")]


def _cached(asked: Questionnaire, cache: str | os.PathLike | None, source: str | None) -> Content | None:
    """The content of a cache that belongs to this questionnaire; None where there is no file yet."""
    if cache is None or not Path(cache).exists():
        return None
    read_answers(cache)  # refuses what is not an answer file
    content = parse_json(Path(cache).read_bytes())
    wanted = _content(asked, {}, source or content.get("source"))
    for field in ("domain", "context", "variables", "wordings", "source"):
        # as text, since the order of the columns counts too
        found, expected = json.dumps(content.get(field)), json.dumps(wanted[field])
        if found != expected:
            raise _foreign(cache, f"its {field} is {found[:80]}, not {expected[:80]}")
    questions = {_key(*question[:3]) for question in asked.questions}
    for sample, a, b in _rows(asked, content):
        if (sample, a, b) not in questions:
            raise _foreign(cache, f"it was asked about {a} and {b} in this order in sample {sample} (another seed?)")
    return content


def _foreign(cache: str | os.PathLike, why: str) -> ValueError:
    return ValueError(f"{cache}: answers to another questionnaire: {why}; name another file, or remove this one")


def _content(asked: Questionnaire, rows: Mapping[Any, dict[str, Any]], source: str | None) -> Content:
    """The content of the answer file, with its rows in the questions' order."""
    answers = [rows[key] for question in asked.questions if (key := _key(*question[:3])) in rows]
    unreadable = sum(bool(row.get("unreadable")) for row in answers)
    caveat = f"{unreadable} of {len(answers)} replies could not be read and count as unknown"
    if len(answers) < len(asked.questions):
        caveat = f"incomplete: {len(answers)} of {len(asked.questions)} questions are answered; {caveat}"
    return {
        "domain": asked.domain,
        "context": asked.context,
        "variables": asked.variables,
        "wordings": list(asked.wordings),
        "source": source,
        "caveat": caveat,
        "unreadable": unreadable,
        "answers": answers,
    }


def _ask_all(
    waiting: Sequence[Question],
    ask: Ask,
    workers: int,
    record: Callable[[Question, str], ValueError | None],
) -> None:
    """Records each reply when it comes; after a failure nothing new is asked, but what was under way is kept."""
    if workers <= 1:
        for question in waiting:
            if (failure := record(question, ask(question.prompt))) is not None:
                raise failure
        return
    queue, under_way, failure = iter(waiting), {}, None
    with ThreadPoolExecutor(workers) as pool:
        while True:
            for question in islice(queue, 0 if failure else workers - len(under_way)):
                under_way[pool.submit(ask, question.prompt)] = question
            if not under_way:
                break
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                question = under_way.pop(future)
                error = future.exception() or record(question, future.result())
                failure = failure or error
    if failure is not None:
        raise failure
