import json
import math

import numpy as np
import pytest

from framework import causal
from framework.causal.prior import answers as causal_answers
from framework.causal.prior import answers as recorded_answers
from framework.causal.synthetic import physics


def write(path, rows, **fields):
    answers = [{"sample": i, "a": a, "b": b, "answer": said} for i, (a, b, said) in enumerate(rows)]
    content = {"domain": "test", "variables": {"x": "an x", "y": "a y", "z": "a z"}, "answers": answers} | fields
    path.write_text(json.dumps(content))
    return path


ROW = {"sample": 0, "a": "x", "b": "y", "answer": "none"}


@pytest.fixture
def file(tmp_path):
    return lambda rows, **fields: write(tmp_path / "answers.json", rows, **fields)


def test_votes_become_shares_and_confidence(file):
    """Five wordings: x -> y four times, once the other way round asked, and one "none"."""
    said = [("x", "y", "a->b")] * 3 + [("y", "x", "b->a"), ("x", "y", "none")]
    prior = causal_answers.vote(causal.read_answers(file(said)))
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
def test_confidence_falls_with_disagreement_and_unknowns(file, said, confidence):
    prior = causal_answers.vote(causal.read_answers(file([("x", "y", answer) for answer in said])))
    assert prior.confidence[0, 1] == pytest.approx(confidence, abs=1e-12)


def test_recorded_sachs_answers_equal_a_plain_count(shared):
    path = shared("priors", "sachs.json")
    prior = causal_answers.vote(causal.read_answers(path))
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
        ([("x", "y", "none")] * 2, {"wordings": ["One?"]}, "in sample 1; .* numbered from 0 to 0, as many as"),
        ([], {"wordings": "How?"}, "its wordings must be a list of texts, one a sample"),
        ([], {"wordings": [1]}, "its wordings must be a list of texts, one a sample"),
        ([], {"answers": [{"a": "x"}]}, "not an answer file"),
        ([], {"answers": 3}, "not an answer file"),
        ([], {"variables": [1, 2]}, "must be the names of columns, each once"),
        ([], {"variables": ["x", "x"]}, "must be the names of columns, each once"),
        ([], {"variables": "xyz"}, "must be the names of columns, each once"),
        ([], {"wording": ["One?"]}, r"the unknown field 'wording' \(is 'wordings' meant\?\)"),
        ([], {"model": "parrot"}, "not an answer file; it has the unknown field 'model'$"),
        ([], {"answers": [ROW | {"probability": 0.2}]}, "it has the unknown field of an answer 'probability'$"),
        ([], {"answers": [ROW | {"replies": "A"}]}, r"of an answer 'replies' \(is 'reply' meant\?\)"),
        ([], {"variables": {}}, "must be the names of columns, each once"),
    ],
)
def test_a_bad_answer_file_is_refused(file, rows, fields, what):
    with pytest.raises(ValueError, match=what):
        causal.read_answers(file(rows, **fields))


@pytest.mark.parametrize("sample", [-1, "0", 0.0, None, True, [0]])
def test_a_sample_that_is_no_number_is_refused(file, sample):
    row = {"sample": sample, "a": "x", "b": "y", "answer": "none"}
    with pytest.raises(ValueError, match=r"in sample .*; wanted is .* with samples numbered from 0 on"):
        causal.read_answers(file([], answers=[row]))


def test_a_row_without_a_sample_is_refused(file):
    with pytest.raises(ValueError, match=r"not an answer file .* rows of sample, a, b and answer"):
        causal.read_answers(file([], answers=[{"a": "x", "b": "y", "answer": "none"}]))


def test_a_file_may_lack_wordings_and_a_caveat(file):
    answers = causal.read_answers(file([("x", "y", "none")]))
    assert (answers.wordings, answers.caveat) == ((), "")


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


@pytest.mark.parametrize("domain", recorded_answers.domains())
def test_what_comes_with_the_package_can_be_read_and_voted_on(domain):
    answers = causal.read_answers(recorded_answers.answer_file(domain))
    assert sorted(set(answers.samples)) == [0, 1, 2, 3, 4]
    assert len(answers.wordings) == 5
    assert answers.caveat
    prior = causal_answers.vote(answers)
    assert np.all(prior.edges + prior.edges.T <= 1 + 1e-12)


def test_what_comes_with_the_package_is_what_was_recorded(shared):
    files = sorted(shared("priors").glob("*.json"))
    assert tuple(path.stem for path in files) == recorded_answers.domains()
    for path in files:
        assert recorded_answers.answer_file(path.stem).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("variant", physics.VARIANTS)
@pytest.mark.parametrize("name", physics.SYSTEMS)
def test_recorded_physics_answers_use_the_names_of_the_variant(name, variant):
    path = recorded_answers.answer_file(name if variant == "real" else f"{name}__{variant}")
    assert set(causal.read_answers(path).names) == set(physics.names(physics.SYSTEMS[name], variant))


@pytest.mark.parametrize("domain", ["nowhere", "", "../answers", "pendulum.json"])
def test_a_domain_that_does_not_come_with_the_package_is_refused(domain):
    with pytest.raises(
        ValueError, match=r"no answers about .* take one of asia, child, free_fall, free_fall__anonymous"
    ):
        recorded_answers.answer_file(domain)


SAID = [("x", "y", "a->b"), ("x", "y", "unknown"), ("y", "z", "unknown"), ("x", "z", "none")]  # samples 0 to 3


def test_the_chosen_samples_are_kept_in_their_order(file):
    answers = causal.read_answers(file(SAID))
    some = recorded_answers.select(answers, samples=[3, 0])
    np.testing.assert_array_equal(some.samples, [0, 3])
    np.testing.assert_array_equal(some.pairs, answers.pairs[[0, 3]])
    np.testing.assert_array_equal(some.choices, answers.choices[[0, 3]])
    assert some._replace(pairs=0, choices=0, samples=0) == answers._replace(pairs=0, choices=0, samples=0)


def test_vote_without_unknown_counts_committed_answers_only(file):
    answers = causal.read_answers(file(SAID))
    assert causal_answers.vote(answers).edges[0, 1] == 0.5
    prior = causal_answers.vote(recorded_answers.select(answers, unknown=False))
    assert prior.edges[0, 1] == prior.confidence[0, 1] == 1
    assert prior.confidence[1, 2] == 0  # nobody is left


def test_all_answers_are_kept_where_nothing_is_chosen(file):
    answers = causal.read_answers(file(SAID))
    for kept, original in zip(recorded_answers.select(answers), answers, strict=True):
        np.testing.assert_array_equal(kept, original)


def test_the_votes_of_the_samples_make_the_vote_of_all(file):
    """Each pair is asked once a sample: the share is the mean of what the samples say."""
    answers = causal.read_answers(recorded_answers.answer_file("projectile"))
    beliefs = [causal_answers.vote(recorded_answers.select(answers, samples=[sample])).edges for sample in range(5)]
    np.testing.assert_allclose(np.mean(beliefs, axis=0), causal_answers.vote(answers).edges)


def test_a_sample_that_nobody_answered_is_refused(file):
    with pytest.raises(ValueError, match="no answers about test in sample 7: the samples are 0, 1, 2, 3"):
        recorded_answers.select(causal.read_answers(file(SAID)), samples=[0, 7])


def test_a_question_answered_twice_is_refused_in_any_order(tmp_path):
    said = [("x", "y", "a->b"), ("y", "x", "a->b")]
    rows = [{"sample": 0, "a": a, "b": b, "answer": answer} for a, b, answer in said]
    with pytest.raises(ValueError, match="the question about 'y' and 'x' in sample 0 is answered twice"):
        causal.read_answers(write(tmp_path / "answers.json", [], answers=rows))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"domain": 3}, "its domain and its caveat must be texts"),
        ({"caveat": None}, "its domain and its caveat must be texts"),
        ({"answers": [{"sample": 2**70, "a": "x", "b": "y", "answer": "none"}]}, "cannot read the answer"),
    ],
)
def test_fields_of_another_kind_are_refused(file, fields, message):
    with pytest.raises(ValueError, match=message):
        causal.read_answers(file([], **fields))


def test_columns_named_twice_are_refused(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text('{"domain": "d", "variables": {"x": "", "y": "", "x": ""}, "answers": []}')
    with pytest.raises(ValueError, match=r"answers\.json, the field 'x' stands twice"):
        causal.read_answers(path)
