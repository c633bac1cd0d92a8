import json
import math

import numpy as np
import pytest

from framework import causal


def write(path, rows, **fields):
    answers = [{"sample": i, "a": a, "b": b, "answer": said} for i, (a, b, said) in enumerate(rows)]
    content = {"domain": "test", "variables": {"x": "an x", "y": "a y", "z": "a z"}, "answers": answers} | fields
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def file(tmp_path):
    return lambda rows, **fields: write(tmp_path / "answers.json", rows, **fields)


def test_votes_become_shares_and_confidence(file):
    """Five wordings: x -> y four times, once the other way round asked, and one "none"."""
    said = [("x", "y", "a->b")] * 3 + [("y", "x", "b->a"), ("x", "y", "none")]
    prior = causal.vote(causal.read_answers(file(said)))
    x, y, z = (prior.names.index(name) for name in "xyz")
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert prior.edges[x, y] == pytest.approx(0.8)
    assert prior.edges[y, x] == 0
    assert prior.confidence[x, y] == prior.confidence[y, x] == pytest.approx(1 - entropy / math.log(3))
    assert prior.confidence[x, z] == prior.edges[x, z] == 0


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        (["a->b", "a->b"], 1),
        (["none", "none"], 1),
        (["a->b", "b->a", "none"], 0),
        (["unknown", "unknown", "a->b"], 0),
        (["unknown"], 0),
        (["a->b", "a->b", "unknown"], 1),
    ],
)
def test_confidence_falls_with_disagreement_and_where_unknown_wins(file, said, confidence):
    prior = causal.vote(causal.read_answers(file([("x", "y", answer) for answer in said])))
    assert prior.confidence[0, 1] == pytest.approx(confidence, abs=1e-12)


def test_the_recorded_answers_about_sachs_are_those_of_a_plain_count(shared):
    path = shared("priors", "sachs.json")
    prior = causal.vote(causal.read_answers(path))
    rows = json.loads(path.read_text())["answers"]
    for i, first in enumerate(prior.names):
        for j, second in enumerate(prior.names):
            about = [r for r in rows if {r["a"], r["b"]} == {first, second}]
            forward = [r for r in about if r["answer"] == ("a->b" if r["a"] == first else "b->a")]
            if i != j:
                assert prior.edges[i, j] == pytest.approx(len(forward) / len(about))


def test_columns_may_stand_in_any_order(file):
    assert causal.read_answers(file([]), ["z", "x", "y"]).names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("rows", "fields", "what"),
    [
        ([("x", "y", "maybe")], {}, "cannot read the answer 'maybe'"),
        ([("x", "w", "none")], {}, "about 'x' and 'w'"),
        ([("x", "x", "none")], {}, "about 'x' and 'x'"),
        ([], {"answers": [{"a": "x"}]}, "not an answer file"),
        ([], {"answers": 3}, "not an answer file"),
        ([], {"variables": [1, 2]}, "must be the names of columns, each once"),
        ([], {"variables": ["x", "x"]}, "must be the names of columns, each once"),
        ([], {"variables": "xyz"}, "must be the names of columns, each once"),
        ([], {"variables": {}}, "must be the names of columns, each once"),
    ],
)
def test_a_bad_answer_file_is_refused(file, rows, fields, what):
    with pytest.raises(ValueError, match=what):
        causal.read_answers(file(rows, **fields))


def test_answers_about_other_columns_are_refused(file):
    with pytest.raises(ValueError, match=r"about other columns \(x, y, z\) than the data \(x, y\)"):
        causal.read_answers(file([]), ["x", "y"])


def test_a_file_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text('{"domain": \n oops')
    with pytest.raises(ValueError, match="line 2: not JSON"):
        causal.read_answers(path)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match="not an answer file"):
        causal.read_answers(path)


def test_all_recorded_answers_can_be_read(shared):
    files = sorted(shared("priors").glob("*.json"))
    assert len(files) == 24
    for path in files:
        prior = causal.vote(causal.read_answers(path))
        assert np.all(prior.edges + prior.edges.T <= 1 + 1e-12)
