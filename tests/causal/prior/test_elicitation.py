import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.causal.prior import elicitation
from framework.causal.prior.answers import CHOICES, read_answers, vote

ROOT = Path(__file__).resolve().parents[2]
CIRCUIT = {"voltage": "voltage of the source", "resistance": "of the wire", "current": "through it", "power": ""}
EDGES = {("voltage", "current"), ("resistance", "current"), ("current", "power"), ("resistance", "power")}


def circuit(**changes):
    arguments = {"domain": "circuit", "context": "A physics laboratory.", "variables": CIRCUIT} | changes
    return elicitation.questionnaire(**arguments)


def truthful(asked):
    """Someone who knows the circuit, and answers prompts only."""
    letters = {
        question.prompt: "A" if (question.a, question.b) in EDGES else "B" if (question.b, question.a) in EDGES else "C"
        for question in asked.questions
    }
    return letters.__getitem__


def scripted(replies):
    """Gives replies by the prompt, so that the order of asking does not matter."""
    return lambda prompt: replies[sum(prompt.encode()) % len(replies)]


def counted(ask, fail_at=None, error=KeyboardInterrupt):
    """Notes every prompt, and fails like a kill at one of them."""
    prompts = []

    def noting(prompt):
        prompts.append(prompt)
        if len(prompts) == fail_at:
            raise error
        return ask(prompt)

    return noting, prompts


columns = st.integers(2, 9).map(lambda size: {f"x{i}": "" for i in range(size)})


@given(columns, st.integers(1, 7), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_every_unordered_pair_is_asked_once_a_sample(variables, samples, seed):
    asked = circuit(variables=variables, samples=samples, seed=seed)
    times = Counter((question.sample, frozenset((question.a, question.b))) for question in asked.questions)
    expected = {(sample, frozenset(pair)) for sample in range(samples) for pair in combinations(variables, 2)}
    assert times == Counter(expected)


@given(columns, st.integers(1, 7), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_each_column_stands_first_as_often_as_second_up_to_one(variables, samples, seed):
    asked = circuit(variables=variables, samples=samples, seed=seed)
    for name in variables:
        for sample in range(samples):
            about = [question for question in asked.questions if question.sample == sample]
            surplus = sum(question.a == name for question in about) - sum(question.b == name for question in about)
            assert abs(surplus) <= 1


def test_pair_order_alternates_and_the_seed_decides_the_first():
    order = {(q.sample, frozenset((q.a, q.b))): (q.a, q.b) for q in circuit().questions}
    for (sample, pair), named in order.items():
        assert named == order.get((sample + 1, pair), named[::-1])[::-1]
    assert len({tuple((q.a, q.b) for q in circuit(seed=seed).questions) for seed in range(10)}) > 5
    assert circuit(seed=3) == circuit(seed=3)


def test_a_prompt_tells_all_that_is_known_and_offers_its_letters():
    asked = circuit()
    for question in asked.questions:
        for words in ("A physics laboratory.", "- voltage: voltage of the source", "- power\n"):
            assert words in question.prompt
        assert f"A: {question.options[0]}\nB: {question.options[1]}\n" in question.prompt
        assert "{" not in question.prompt
    offered = Counter(len(question.options) for question in asked.questions)
    assert offered == {4: 4 * 6, 3: 6}
    assert ["cannot be known" in q.prompt for q in asked.questions] == [len(q.options) == 4 for q in asked.questions]


def test_each_wording_names_a_as_the_cause_under_a_and_b_under_b():
    """Turned round, a question offers the same statements with A and B exchanged."""
    turned = {(q.sample % 5, q.a, q.b): q for q in circuit(samples=10).questions}
    assert len(turned) == 2 * 5 * 6
    for (sample, a, b), question in turned.items():
        other = turned[sample, b, a].options
        assert (other[1], other[0], *other[2:]) == question.options


def test_names_like_slots_or_options_are_shown_verbatim():
    asked = circuit(variables={"{b}": "", "x A: y": ""}, wordings=elicitation.WORDINGS[-1:])
    assert set(asked.questions[0].options[:2]) == {
        "{b} has an influence on x A: y.",
        "x A: y has an influence on {b}.",
    }


def test_more_samples_than_wordings_begin_with_the_first_again():
    asked = circuit(samples=7)
    assert asked.wordings == elicitation.WORDINGS + elicitation.WORDINGS[:2]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"variables": {"alone": ""}}, "got 1 columns"),
        ({"samples": 0}, "and 0 samples"),
        ({"wordings": ()}, "0 wordings"),
        ({"wordings": ("Is it {a} or {b}?",)}, "has the options A: B: C:"),
        ({"wordings": ("Say. A: {a} moves {b}. C: none. B: {b} moves {a}.",)}, "in this order"),
        ({"wordings": ("Say. A: this. B: that. C: {a} and {c}.",)}, "names {a} and {b}"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes, what):
    with pytest.raises(ValueError, match=re.escape(what)):
        circuit(**changes)


FOUR, THREE = circuit().questions[0], circuit().questions[-1]
DECORATED = [
    *("{}", " {}\n", "{}.", "{}:", "{})", "({})", "[{}]", "**{}**", "`{}`", '"{}"', "**{}.**", "_({})_"),
    *("Answer: {}", "answer {}", "**Answer:** {}", "The answer is {}.", "My final answer is: **{}**", "Option {}"),
    *("Answer:\n{}", '{{"answer": "{}"}}', '```json\n{{"answer": "({})"}}\n```', '{{"why": "B, C", "answer": "{}"}}'),
    *("{}\n\nFor it moves with the other.", "Hence the current moves.\n\nAnswer: {}", "<think>A? B?</think>\n{}"),
]


@pytest.mark.parametrize("form", DECORATED)
@pytest.mark.parametrize("question", [FOUR, THREE])
def test_a_letter_is_read_in_every_form_in_which_it_stands_alone(question, form):
    for letter, choice in zip(elicitation.LETTERS[: len(question.options)], CHOICES, strict=False):
        for said in (letter, letter.lower()):
            assert elicitation.read_reply(question, form.format(said)) == choice


@pytest.mark.parametrize("form", ["{}: {}", "({}) {}", "**{}.** {}", "Answer: {}. {}", "{} {}"])
def test_a_letter_may_be_followed_only_by_its_option_text(form):
    for letter, choice, words in zip("ABCD", CHOICES, FOUR.options, strict=True):
        assert elicitation.read_reply(FOUR, form.format(letter, words)) == choice
        assert elicitation.read_reply(FOUR, form.format(letter, words.upper().rstrip("."))) == choice
        for other in set(FOUR.options) - {words}:
            assert elicitation.read_reply(FOUR, form.format(letter, other)) is None


@pytest.mark.parametrize("form", DECORATED)
def test_a_letter_that_is_not_offered_is_unreadable(form):
    for question, letters in ((FOUR, "EFXZ"), (THREE, "DEX")):
        for letter in letters:
            assert elicitation.read_reply(question, form.format(letter)) is None


@pytest.mark.parametrize(
    "reply",
    [
        *("", " \n", "AA", "AB", "A B", "A, B", "A/B", "A or B", "A and B.", "A\nB", "A: B", "(A) (B)", "not A", "A?"),
        *(
            "Answer: A or B",
            "Answer: A\nAnswer: B",
            "A\n\nOption B would be wrong.",
            "Answerb",
            "A_1",
            "\u0391",
            "\u212b",
        ),
        *("A change moves it.", "I think that it is A", "The voltage moves the current.", "Because.\n\nA", "1"),
        *('{"answer": "A or B"}', '{"answer": ["A"]}', '{"answer": "A", "answer": "B"}', '{"reply": "A"}'),
        *('{"answer": "A"} B', "{A}", "{", "[" * 9000, "{" * 9000, "<think>A", "<think>A</think>", "a->b", "unknown"),
        "\n".join(f"{letter}: {words}" for letter, words in zip("ABCD", FOUR.options, strict=True)),
    ],
)
def test_what_does_not_name_one_letter_alone_is_unreadable(reply):
    assert elicitation.read_reply(FOUR, reply) is None


ALPHABET = st.sampled_from(
    [*"ABCDEabcd .:,()[]*_\n\"'{}/-", "Answer: ", "answer", "the ", "<think>", "</think>", "```"]
)


@pytest.mark.slow
@given(st.lists(ALPHABET, max_size=12).map("".join) | st.text(max_size=30))
@settings(max_examples=400, deadline=None)
def test_whatever_is_read_names_that_letter_and_no_other_capital(reply):
    """The oracle: letters that stand apart, found by splitting the text, not by the reader's patterns."""
    choice = elicitation.read_reply(THREE, reply)
    if choice is not None:
        said = reply.rpartition("</think>")[2]
        said = said if said.strip() else reply.partition("<think>")[0]  # thoughts below the answer
        apart = re.sub(r"[^\w]|_", " ", said).split()
        letter = elicitation.LETTERS[CHOICES.index(choice)]
        assert letter in {word.upper() for word in apart}
        assert set(apart) & set("ABCD") <= {letter}


@given(
    st.lists(st.sampled_from("ABCD"), min_size=2, max_size=3, unique=True),
    st.sampled_from(["{}", "({})", "**{}**", "Answer: {}", "{}."]),
    st.sampled_from(["\n", " ", ", ", " or ", "/", "\n\n", " and not "]),
)
def test_two_letters_are_never_an_answer(letters, form, between):
    assert elicitation.read_reply(FOUR, between.join(form.format(letter) for letter in letters)) is None


def test_who_knows_the_truth_gives_the_true_graph(tmp_path):
    asked, file = circuit(), tmp_path / "answers.json"
    elicitation.elicit(asked, truthful(asked), file)
    prior = vote(read_answers(file, list(CIRCUIT)))
    true = np.array([[(a, b) in EDGES for b in prior.names] for a in prior.names])
    np.testing.assert_array_equal(prior.edges, true)
    np.testing.assert_array_equal(prior.confidence, 1 - np.eye(len(true)))


def test_the_written_file_votes_as_counted_by_hand(tmp_path):
    asked, file = circuit(), tmp_path / "new" / "answers.json"
    ask = scripted(["A", "(b)", "C.", "D", "who knows?", "Answer: A"])
    content = elicitation.elicit(asked, ask, file)
    prior = vote(read_answers(file))
    for (i, a), (j, b) in combinations(enumerate(prior.names), 2):
        about = [row for row in content["answers"] if {row["a"], row["b"]} == {a, b}]
        forward = [row for row in about if row["answer"] == ("a->b" if row["a"] == a else "b->a")]
        assert len(about) == 5
        assert prior.edges[i, j] == pytest.approx(len(forward) / 5)
    assert json.loads(file.read_text()) == content


def test_replies_are_kept_verbatim_and_unreadable_ones_counted():
    asked = circuit(wordings=elicitation.WORDINGS[:1])
    replies = iter(["A", "**b**", "either", "D", "\ud800", ""])
    content = elicitation.elicit(asked, lambda prompt: next(replies), source="a test")
    rows = content["answers"]
    assert [row["reply"] for row in rows] == ["A", "**b**", "either", "D", "\ud800", ""]
    assert [row["answer"] for row in rows] == ["a->b", "b->a", "unknown", "unknown", "unknown", "unknown"]
    assert [row["unreadable"] for row in rows] == [False, False, True, False, True, True]
    assert (content["unreadable"], content["source"]) == (3, "a test")
    assert "3 of 6 replies could not be read" in content["caveat"]


def test_file_has_the_fields_and_wordings_of_recorded_ones(shared, tmp_path):
    recorded = json.loads(shared("priors", "ohm_joule.json").read_text())
    asked = circuit(variables=recorded["variables"], wordings=recorded["wordings"])
    content = elicitation.elicit(asked, scripted("ABC"))
    assert content.keys() == recorded.keys() | {"unreadable"}
    assert len(content["answers"]) == len(recorded["answers"])
    assert all(recorded["answers"][0].keys() < row.keys() for row in content["answers"])


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("fail_at", [1, 2, 17, 30])
def test_interrupted_elicitation_resumes_to_the_same_file(tmp_path, workers, fail_at):
    asked, replies = circuit(), scripted(["A", "B", "C", "**b**"])
    elicitation.elicit(asked, replies, tmp_path / "whole.json", source="a test")
    cut = tmp_path / "cut.json"
    with pytest.raises(KeyboardInterrupt):
        elicitation.elicit(asked, counted(replies, fail_at)[0], cut, source="a test", workers=workers)
    left = elicitation.remaining_questions(asked, cut, "a test")
    kept = len(asked.questions) - len(left)
    assert kept == fail_at - 1 if workers == 1 else fail_at - 1 <= kept < 30
    ask, prompts = counted(replies)
    elicitation.elicit(asked, ask, cut, source="a test", workers=workers)
    assert Counter(prompts) == Counter(question.prompt for question in left)
    assert cut.read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert not list(tmp_path.glob(".*"))


KILLED = """
import os, signal, sys
from framework.causal.prior import elicitation
asked = elicitation.questionnaire("circuit", "", {"u": "", "v": "", "w": ""})
def ask(prompt):
    if prompt == asked.questions[8].prompt:
        os.kill(os.getpid(), signal.SIGKILL)
    return "A"
elicitation.elicit(asked, ask, sys.argv[1])
"""


@pytest.mark.slow
def test_killed_for_real_all_answers_until_then_are_there(tmp_path):
    file = tmp_path / "answers.json"
    killed = subprocess.run([sys.executable, "-c", KILLED, file], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    asked = elicitation.questionnaire("circuit", "", {"u": "", "v": "", "w": ""})
    assert elicitation.remaining_questions(asked, file) == list(asked.questions[8:])
    assert read_answers(file).caveat.startswith("incomplete: 8 of 15 questions are answered")


def test_a_finished_file_needs_nobody_to_ask_and_stays_as_it_is(tmp_path):
    asked, file = circuit(), tmp_path / "answers.json"
    first = elicitation.elicit(asked, truthful(asked), file, source="a test")
    before = file.stat()
    ask, prompts = counted(truthful(asked))
    assert elicitation.remaining_questions(asked, file) == []
    assert elicitation.elicit(asked, ask, file) == first
    assert prompts == []
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_at_once_or_one_after_another_the_result_is_the_same():
    asked, replies = circuit(), scripted(["A", "B", "C", "D"])
    alone, heard = elicitation.elicit(asked, replies), []
    barrier = threading.Barrier(3, timeout=30)  # passed only if three are asked at once

    def together(prompt):
        barrier.wait()
        return replies(prompt)

    at_once = elicitation.elicit(asked, together, workers=3, on_answer=lambda *numbers: heard.append(numbers))
    assert at_once == alone
    assert heard == [(done + 1, 30) for done in range(30)]


def test_a_failure_keeps_pending_replies_and_asks_no_more(tmp_path):
    asked, file = circuit(), tmp_path / "answers.json"
    others, failed = threading.Event(), threading.Event()

    def ask(prompt):
        if prompt == asked.questions[0].prompt:
            assert others.wait(30)
            failed.set()
            raise ConnectionError("gone")
        others.set()
        assert failed.wait(30)
        return "A"

    with pytest.raises(ConnectionError, match="gone"):
        elicitation.elicit(asked, ask, file, workers=2)
    assert 1 <= len(read_answers(file).choices) < 29


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"domain": "wires"}, 'its domain is "circuit", not "wires"'),
        ({"context": "A shop."}, "its context is"),
        ({"variables": CIRCUIT | {"power": "dissipated"}}, "its variables is"),
        ({"variables": dict(reversed(CIRCUIT.items()))}, "its variables is"),
        ({"variables": CIRCUIT | {"heat": ""}}, "its variables is"),
        ({"wordings": elicitation.WORDINGS[:4]}, "its wordings is"),
        ({"samples": 6}, "its wordings is"),
        ({"seed": 1}, "in this order in sample"),
    ],
)
def test_a_cache_of_another_questionnaire_is_refused_unchanged(tmp_path, changes, what):
    file = tmp_path / "answers.json"
    elicitation.elicit(circuit(), scripted("A"), file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=re.escape(what)) as refusal:
        elicitation.elicit(circuit(**changes), scripted("A"), file)
    assert str(refusal.value).startswith(f"{file}: answers to another questionnaire")
    assert "\n" not in str(refusal.value)
    assert file.read_bytes() == before


def test_answers_of_two_models_are_never_mixed(tmp_path):
    file = tmp_path / "answers.json"
    with pytest.raises(KeyboardInterrupt):
        elicitation.elicit(circuit(), counted(scripted("A"), 9)[0], file, source="one")
    with pytest.raises(ValueError, match='its source is "one", not "two"'):
        elicitation.elicit(circuit(), scripted("B"), file, source="two")
    assert elicitation.elicit(circuit(), scripted("B"), file)["source"] == "one"


@pytest.mark.parametrize("text", ["oops", "[]", '{"domain": "circuit"}'])
def test_a_cache_that_is_no_answer_file_is_refused(tmp_path, text):
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"answers\.json.*: not"):
        elicitation.elicit(circuit(), scripted("A"), file)


def test_a_sample_of_whatever_kind_in_a_cache_is_no_question(tmp_path):
    file = tmp_path / "answers.json"
    content = elicitation.elicit(circuit(), scripted("A"), file)
    content["answers"][3]["sample"] = [0]
    elicitation.write_answers(file, content)
    with pytest.raises(ValueError, match=r"in sample \[0\]"):
        elicitation.remaining_questions(circuit(), file)


def test_an_unwritable_file_is_kept_without_temporary_files(tmp_path, monkeypatch):
    file = tmp_path / "answers.json"
    elicitation.write_answers(file, {"old": 1})

    def full(*paths):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        elicitation.write_answers(file, {"new": 2})
    assert json.loads(file.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_knowledge_is_the_same_whichever_column_was_named_first(tmp_path):
    """Two seeds ask in other orders; who answers by the content gives the same knowledge."""
    priors = []
    for seed in (0, 1):
        asked = circuit(seed=seed)
        elicitation.elicit(asked, truthful(asked), tmp_path / f"{seed}.json")
        priors.append(vote(read_answers(tmp_path / f"{seed}.json")))
    for field in dataclasses.fields(priors[0]):
        np.testing.assert_array_equal(getattr(priors[0], field.name), getattr(priors[1], field.name))


def test_a_reply_of_nothing_but_spaces_is_read_at_once():
    """In time that grows with its length; with its square, this would take minutes."""
    question = elicitation.questionnaire("d", "c", {"a": "", "b": ""}).questions[0]
    assert elicitation.read_reply(question, "The answer is" + " " * 50_000 + "7") is None
    assert elicitation.read_reply(question, "The answer is" + " " * 50_000 + ": A") == "a->b"


def few_words(asked, every=5):
    """Answers every so many questions in a way that cannot be read."""
    mute = {question.prompt for question in asked.questions[::every]}
    return lambda prompt: "Who knows?" if prompt in mute else "A"


@pytest.mark.parametrize("workers", [1, 3])
def test_what_could_not_be_read_is_asked_again_and_nothing_else(tmp_path, workers):
    asked, file = circuit(), tmp_path / "answers.json"
    first = elicitation.elicit(asked, few_words(asked), file)
    assert first["unreadable"] == 6
    assert elicitation.remaining_questions(asked, file) == list(asked.questions[::5])
    heard = []
    ask, prompts = counted(scripted("B"))
    again = elicitation.elicit(asked, ask, file, workers=workers, on_answer=lambda *numbers: heard.append(numbers))
    assert Counter(prompts) == Counter(question.prompt for question in asked.questions[::5])
    assert heard == [(done, 30) for done in range(25, 31)]
    assert [row["answer"] for row in again["answers"]] == ["b->a" if i % 5 == 0 else "a->b" for i in range(30)]
    assert json.loads(file.read_text()) == again
    assert again["unreadable"] == 0


def test_a_reply_that_became_readable_is_not_asked_again(tmp_path):
    asked, file = circuit(), tmp_path / "answers.json"
    content = elicitation.elicit(asked, truthful(asked), file)
    letters = {"a->b": "A", "b->a": "B", "none": "C"}
    for row in content["answers"][::3]:  # as an older version left them, that could not read them
        row.update(
            {"reply": f"The answer is \\boxed{{{letters[row['answer']]}}}.", "answer": "unknown", "unreadable": True}
        )
    elicitation.write_answers(file, content | {"unreadable": 10})
    assert elicitation.remaining_questions(asked, file) == []
    ask, prompts = counted(truthful(asked))
    again = elicitation.elicit(asked, ask, file)
    assert (prompts, again["unreadable"]) == ([], 0)
    answers = read_answers(file)
    np.testing.assert_array_equal(vote(answers).edges, vote(read_answers(file)).edges)
    assert (answers.choices != CHOICES.index("unknown")).all()


def test_an_answer_that_was_corrected_by_hand_stays(tmp_path):
    asked, file = circuit(), tmp_path / "answers.json"
    content = elicitation.elicit(asked, few_words(asked), file)
    for row in content["answers"][::5]:
        row.update({"answer": "none", "unreadable": False})
    elicitation.write_answers(file, content)
    assert elicitation.remaining_questions(asked, file) == []
    assert [row["answer"] for row in elicitation.elicit(asked, scripted("A"), file)["answers"][::5]] == ["none"] * 6


@pytest.mark.parametrize("workers", [1, 4])
def test_elicitation_stops_when_no_reply_can_be_read(tmp_path, workers):
    asked, file = circuit(), tmp_path / "answers.json"
    ask, prompts = counted(scripted(["It depends\non much."]))
    with pytest.raises(
        ValueError, match="none of the first 10 replies could be read: one is 'It depends on much"
    ) as caught:
        elicitation.elicit(asked, ask, file, workers=workers)
    assert "\n" not in str(caught.value)
    assert 10 <= len(prompts) < 10 + workers
    assert len(read_answers(file).choices) == len(prompts)
    assert len(elicitation.remaining_questions(asked, file)) == 30


def test_an_empty_reply_is_called_one():
    with pytest.raises(ValueError, match="one is an empty text, as of a model that was cut short while thinking"):
        elicitation.elicit(circuit(), lambda prompt: "")


@pytest.mark.parametrize(("allowed", "passes"), [(0.1, False), (0.19, False), (0.2, True), (1.0, True)])
def test_too_many_unreadable_replies_raise_and_keep_the_answers(tmp_path, allowed, passes):
    asked, file = circuit(), tmp_path / "answers.json"
    if passes:
        assert elicitation.elicit(asked, few_words(asked), file, max_unreadable=allowed)["unreadable"] == 6
    else:
        with pytest.raises(
            ValueError, match=f"6 of 30 replies could not be read, where a share of {allowed:g} is allowed"
        ):
            elicitation.elicit(asked, few_words(asked), file, max_unreadable=allowed)
    assert len(read_answers(file).choices) == 30


def test_a_share_beyond_all_replies_is_refused():
    with pytest.raises(ValueError, match=r"max_unreadable must be a share in \[0, 1\], got 20"):
        elicitation.elicit(circuit(), scripted("A"), max_unreadable=20)
