"""Elicitation of a prior: asks a language model about every pair of columns, in several wordings.

Any function from a prompt to a reply answers the questionnaire, such as `endpoint.chat`. The file of replies, which
`read_answers` reads, keeps each reply verbatim: an interrupted run resumes where it stopped.
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
from framework.causal.prior.wordings import WORDINGS
from framework.core.files import parse_json, write_bytes

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
    """Builds the questions about every unordered pair of columns, one question a pair and sample.

    Sample k takes wording k; the wordings repeat if there are more samples. The order of a pair is reversed from one
    sample to the next. Within a sample each column is named first as often as second, up to a difference of one, so
    that a model with a preference for the first name favours no column.

    Args:
      domain: a short name of the system.
      context: a sentence on where the columns come from; the model reads it.
      variables: column -> description, which may be empty; the model reads both, of all columns.
      wordings: texts with `{a}` and `{b}` and the options "A: ", "B: ", "C: " and perhaps "D: ", which mean a -> b,
        b -> a, neither, and that it cannot be known.
      samples: questions about each pair; by default the number of wordings.
      seed: of the order in which the names are shown.

    Returns:
      A `Questionnaire` with `samples * d * (d - 1) / 2` questions for d columns.

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
    opening = "\n".join([context, "", "The quantities:", *map(_bullet, variables.items()), ""])
    pairs = list(_pairs_in_order(list(variables), seed))
    questions = tuple(
        _question(sample, *(pair[::-1] if sample % 2 else pair), opening, parts[sample])
        for sample in range(samples)
        for pair in pairs
    )
    return Questionnaire(domain, context, dict(variables), used, questions)


def read_reply(question: Question, reply: str) -> str | None:
    """Reads a reply as one of `CHOICES`.

    Args:
      question: the question that was asked.
      reply: the text of the reply.

    Returns:
      One of `CHOICES`, or None if the reply cannot be read; see `replies.read`.
    """
    letter = replies.read(question.options, reply, (question.a, question.b))
    return None if letter is None else CHOICES[LETTERS.index(letter)]


def remaining_questions(
    questionnaire: Questionnaire, cache: str | os.PathLike, source: str | None = None
) -> list[Question]:
    """Lists the questions that have no readable reply in a cache.

    Args:
      questionnaire: all questions.
      cache: path of the answer file, which need not exist.
      source: who answers, in words; by default the source that the cache names.

    Returns:
      The questions that `elicit` would ask, in their order.

    Raises:
      ValueError: if the cache is not an answer file, or answers another questionnaire or comes from another source.
    """
    return _open_questions(questionnaire, _rows(questionnaire, _read_cache(questionnaire, cache, source)))


def elicit(
    questionnaire: Questionnaire,
    ask: Ask,
    cache: str | os.PathLike | None = None,
    *,
    source: str | None = None,
    workers: int = 1,
    max_unreadable: float = 1.0,
    on_answer: Callable[[int, int], None] = lambda done, total: None,
) -> Content:
    """Asks the questions that have no readable reply yet.

    Unreadable replies in the cache are parsed again first; questions whose replies this version can read are not asked
    again. A reply that cannot be read counts as "unknown".

    Args:
      questionnaire: the questions to ask.
      ask: prompt -> reply; an exception in it ends the elicitation, and earlier answers are kept.
      cache: path of the answer file; read if it exists, rewritten after every answer.
      source: who answers, in words; by default the source that the cache names.
      workers: number of concurrent questions; the result does not depend on it.
      max_unreadable: the largest allowed share of unreadable replies, in [0, 1].
      on_answer: (questions answered, questions) -> None, called after every answer.

    Returns:
      The content of the answer file, in the form that `read_answers` reads. Each row also has the `reply` and the flag
      `unreadable`; the field `unreadable` of the file is their number.

    Raises:
      ValueError: if the cache is not an answer file, or answers another questionnaire or from another source; if the
        first `GIVE_UP_AFTER` replies are all unreadable, or in the end more than `max_unreadable` of them. The replies
        are kept, and asked for again by the next call.
    """
    if not 0 <= max_unreadable <= 1:
        raise ValueError(f"max_unreadable must be a share in [0, 1], got {max_unreadable}")
    start = _read_cache(questionnaire, cache, source)
    source = source or (start or {}).get("source", "a language model")
    rows = _rows(questionnaire, start)
    waiting = _open_questions(questionnaire, rows)
    replies_read: list[bool] = []
    write = lambda: cache is not None and write_answers(cache, _content(questionnaire, rows, source))
    if start is not None and list(rows.values()) != start["answers"]:
        write()

    def record(question: Question, reply: str) -> ValueError | None:
        """Stores a reply; returns an error if no reply so far could be read."""
        row = rows[_key(*question[:3])] = _row(question, reply)
        replies_read.append(not row["unreadable"])
        write()
        on_answer(len(questionnaire.questions) - len(waiting) + len(replies_read), len(questionnaire.questions))
        if len(replies_read) == GIVE_UP_AFTER and not any(replies_read):
            excerpt = _describe_unreadable(questionnaire, rows, cache)
            return ValueError(f"none of the first {GIVE_UP_AFTER} replies could be read: {excerpt}")
        return None

    _ask_all(waiting, ask, workers, record)
    content = _content(questionnaire, rows, source)
    if content["unreadable"] > max_unreadable * len(questionnaire.questions):
        raise ValueError(
            f"{content['unreadable']} of {len(questionnaire.questions)} replies could not be read, where a share of "
            f"{max_unreadable:g} is allowed: {_describe_unreadable(questionnaire, rows, cache)}"
        )
    return content


def write_answers(path: str | os.PathLike, content: Content) -> None:
    """Writes an answer file atomically.

    Args:
      path: the file.
      content: what `elicit` returned.
    """
    write_bytes(Path(path), (json.dumps(content, indent=1) + "\n").encode())


def _pairs_in_order(names: list[str], seed: int) -> Iterator[tuple[str, str]]:
    """Yields each unordered pair once: on a random circle, each column is first to the half that follows it."""
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


def _bullet(variable: tuple[str, str]) -> str:
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
    """The key of a question and its answer; a file may hold any value as a sample."""
    return str(sample), a, b


def _row(question: Question, reply: str) -> dict[str, Any]:
    choice = read_reply(question, reply)
    answer = {"sample": question.sample, "a": question.a, "b": question.b, "answer": choice or "unknown"}
    return {**answer, "reply": reply, "unreadable": choice is None}


def _describe_unreadable(
    questionnaire: Questionnaire, rows: Mapping[Any, dict[str, Any]], cache: str | os.PathLike | None
) -> str:
    """An excerpt of an unreadable reply, and advice."""
    first = next(q for q in questionnaire.questions if rows.get(_key(*q[:3]), {}).get("unreadable"))
    reply = " ".join(str(rows[_key(*first[:3])].get("reply", "")).split())
    location = f" They are kept in {cache};" if cache is not None else ""
    excerpt = repr(reply[:_EXCERPT]) if reply else "an empty text, as of a model that was cut short while thinking"
    advice = "launched again, their questions are asked again; another model may answer as asked"
    return f"one is {excerpt}.{location} {advice}"


def _rows(questionnaire: Questionnaire, content: Content | None) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The answers of a file by their questions; unreadable replies are parsed again."""
    rows = {_key(row.get("sample"), row["a"], row["b"]): row for row in (content or {}).get("answers", [])}
    for question in questionnaire.questions:
        row = rows.get(_key(*question[:3]), {})
        if row.get("unreadable") and isinstance(row.get("reply"), str):
            rows[_key(*question[:3])] = _row(question, row["reply"])
    return rows


def _open_questions(questionnaire: Questionnaire, rows: Mapping[Any, dict[str, Any]]) -> list[Question]:
    return [q for q in questionnaire.questions if rows.get(_key(*q[:3]), {"unreadable": True}).get("unreadable")]


def _read_cache(questionnaire: Questionnaire, cache: str | os.PathLike | None, source: str | None) -> Content | None:
    """The content of a cache that belongs to this questionnaire; None where there is no file yet."""
    if cache is None or not Path(cache).exists():
        return None
    read_answers(cache)  # refuses what is not an answer file
    content = parse_json(Path(cache).read_bytes())
    expected_content = _content(questionnaire, {}, source or content.get("source"))
    for field in ("domain", "context", "variables", "wordings", "source"):
        # as text, since the order of the columns counts too
        actual, expected = json.dumps(content.get(field)), json.dumps(expected_content[field])
        if actual != expected:
            raise _mismatch(cache, f"its {field} is {actual[:80]}, not {expected[:80]}")
    questions = {_key(*question[:3]) for question in questionnaire.questions}
    for sample, a, b in _rows(questionnaire, content):
        if (sample, a, b) not in questions:
            raise _mismatch(cache, f"it was asked about {a} and {b} in this order in sample {sample} (another seed?)")
    return content


def _mismatch(cache: str | os.PathLike, why: str) -> ValueError:
    return ValueError(f"{cache}: answers to another questionnaire: {why}; name another file, or remove this one")


def _content(questionnaire: Questionnaire, rows: Mapping[Any, dict[str, Any]], source: str | None) -> Content:
    """The content of the answer file, with its rows in the questions' order."""
    answers = [rows[key] for question in questionnaire.questions if (key := _key(*question[:3])) in rows]
    unreadable = sum(bool(row.get("unreadable")) for row in answers)
    caveat = f"{unreadable} of {len(answers)} replies could not be read and count as unknown"
    if len(answers) < len(questionnaire.questions):
        caveat = f"incomplete: {len(answers)} of {len(questionnaire.questions)} questions are answered; {caveat}"
    return {
        "domain": questionnaire.domain,
        "context": questionnaire.context,
        "variables": questionnaire.variables,
        "wordings": list(questionnaire.wordings),
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
    """Records each reply on arrival; after a failure no question is asked, but pending replies are recorded."""
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
