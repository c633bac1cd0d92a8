import contextlib
import json
import warnings

import numpy as np
import pytest

from experiments.parts.causal_prior import assumptions
from framework import causal
from framework.causal.synthetic import bif
from tests.causal.synthetic.test_bif import WET

WALKS = np.random.default_rng(0).normal(size=(200, 3)).cumsum(axis=0)
ROWS = np.random.default_rng(0).normal(size=(60, 3))
RAIN = "network rain { }\nvariable rain { type discrete [ 3 ] { none, some, much }; }\n" + (
    "variable wet { type discrete [ 2 ] { no, yes }; }\nprobability ( rain ) { table 0.5, 0.3, 0.2; }\n"
    "probability ( wet | rain ) { (none) 0.9, 0.1; (some) 0.3, 0.7; (much) 0.1, 0.9; }\n"
)


@pytest.fixture
def written(tmp_path):
    def write(values, name="table.csv"):
        np.savetxt(tmp_path / name, values, delimiter=",", header="x,y,z", comments="")
        return tmp_path / name

    return write


def test_a_table_comes_with_warnings_that_name_its_file(written):
    table, messages = assumptions.read_table(str(written(WALKS)), causal.Config())
    assert table.names == ("x", "y", "z")
    assert [message.startswith("table.csv: the rows are not in random order") for message in messages] == [True]
    assert assumptions.read_table(str(written(ROWS)), causal.Config())[1] == []


def test_a_table_that_cannot_be_learned_is_refused_by_path(written):
    path = written(np.stack([ROWS[:, 0], ROWS[:, 1], 12 * ROWS[:, 0]], axis=1))
    with pytest.raises(ValueError, match=r"table\.csv: z is a copy of x: z = 12 x\."):
        assumptions.read_table(str(path), causal.Config())


def test_warnings_are_issued_and_noted():
    with pytest.warns(causal.AssumptionWarning, match="the") as caught:
        assumptions.warn(["the first", "the second"])
    assert [str(warning.message) for warning in caught] == ["the first", "the second"]
    note = assumptions.compose_note("Words.", ["the first", "the second"])
    assert note == "Warning: the first.\n\nWarning: the second.\n\nWords."
    assert assumptions.compose_note("", []) == ""


def warn_oddly(messages, fails):
    with assumptions.record_warnings(messages):
        warnings.warn("odd", UserWarning, stacklevel=1)
        if fails:
            raise LookupError


@pytest.mark.parametrize("fails", [False, True])
def test_recorded_warnings_are_issued_again_after_any_end(fails):
    messages = []
    with pytest.warns(UserWarning, match="odd") as caught, contextlib.suppress(LookupError):
        warn_oddly(messages, fails)
    assert messages == [str(warning.message) for warning in caught] == ["odd"]


def network(tmp_path, text):
    (tmp_path / "net.bif").write_text(text)
    return bif.read_network(tmp_path / "net.bif")


def test_a_warning_names_variables_of_many_states(tmp_path):
    (message,) = assumptions.network_warnings(network(tmp_path, RAIN))
    assert message.startswith("1 of 2 variables of the network have more than two states (rain): ")
    two = RAIN.replace("[ 3 ] { none, some, much }", "[ 2 ] { none, much }").replace("0.5, 0.3, 0.2", "0.5, 0.5")
    assert assumptions.network_warnings(network(tmp_path, two.replace("(some) 0.3, 0.7; ", ""))) == []
    assert isinstance(assumptions.network_warnings(network(tmp_path, WET)), list)


def answers(tmp_path, *rows):
    path = tmp_path / "answers.json"
    listed = [
        {"sample": i, "a": "x", "b": "y", "answer": answer, "unreadable": bad} for i, (answer, bad) in enumerate(rows)
    ]
    path.write_text(json.dumps({"domain": "d", "variables": ["x", "y", "z"], "answers": listed}))
    return causal.read_answers(path), path


@pytest.mark.parametrize(
    ("rows", "counts", "what"),
    [
        ([("a->b", False), ("none", False)], (0, 2), []),
        ([("a->b", False), ("unknown", True)], (1, 2), ["1 of 2 replies"]),
        ([("unknown", False), ("unknown", True)], (1, 2), ["1 of 2 replies", "no answer claims anything"]),
        ([], (0, 0), ["no answer claims anything"]),
    ],
)
def test_unreadable_replies_and_empty_priors_are_warned_of(tmp_path, rows, counts, what):
    recorded, path = answers(tmp_path, *rows)
    assert assumptions.count_unreadable(path) == counts
    messages = assumptions.answer_warnings(recorded, path)
    assert [message.startswith(begin) for message, begin in zip(messages, what, strict=True)] == [True] * len(what)
