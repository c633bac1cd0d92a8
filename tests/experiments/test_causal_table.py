import contextlib
import json
import warnings

import numpy as np
import pytest

from experiments import causal_prior
from experiments.parts.causal_prior import doubts as tables
from experiments.parts.causal_prior import problems
from framework import causal, runs
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


def test_a_table_comes_with_its_doubts_by_the_files_name(written):
    table, doubts = tables.read(str(written(WALKS)), causal.Config())
    assert table.names == ("x", "y", "z")
    assert [doubt.startswith("table.csv: the rows are not in random order") for doubt in doubts] == [True]
    assert tables.read(str(written(ROWS)), causal.Config())[1] == []


def test_a_table_that_cannot_be_learned_from_is_refused_by_its_path(written):
    path = written(np.stack([ROWS[:, 0], ROWS[:, 1], 12 * ROWS[:, 0]], axis=1))
    with pytest.raises(ValueError, match=r"table\.csv: z is a copy of x: z = 12 x\."):
        tables.read(str(path), causal.Config())


def test_doubts_are_said_and_noted():
    with pytest.warns(causal.AssumptionWarning, match="the") as caught:
        tables.say(["the first", "the second"])
    assert [str(warning.message) for warning in caught] == ["the first", "the second"]
    assert tables.note("Words.", ["the first", "the second"]) == "Warning: the first.\n\nWarning: the second.\n\nWords."
    assert tables.note("", []) == ""


def odd(doubts, fails):
    with tables.overhear(doubts):
        warnings.warn("odd", UserWarning, stacklevel=1)
        if fails:
            raise LookupError


@pytest.mark.parametrize("fails", [False, True])
def test_warnings_are_noted_and_given_again_whatever_happens(fails):
    doubts = []
    with pytest.warns(UserWarning, match="odd") as caught, contextlib.suppress(LookupError):
        odd(doubts, fails)
    assert doubts == [str(warning.message) for warning in caught] == ["odd"]


def network(tmp_path, text):
    (tmp_path / "net.bif").write_text(text)
    return bif.read_network(tmp_path / "net.bif")


def test_states_beyond_two_are_doubted_by_name(tmp_path):
    (doubt,) = tables.doubts_of_states(network(tmp_path, RAIN))
    assert doubt.startswith("1 of 2 variables of the network have more than two states (rain): ")
    two = RAIN.replace("[ 3 ] { none, some, much }", "[ 2 ] { none, much }").replace("0.5, 0.3, 0.2", "0.5, 0.5")
    assert tables.doubts_of_states(network(tmp_path, two.replace("(some) 0.3, 0.7; ", ""))) == []
    assert isinstance(tables.doubts_of_states(network(tmp_path, WET)), list)


def answers(tmp_path, *rows):
    path = tmp_path / "answers.json"
    listed = [
        {"sample": i, "a": "x", "b": "y", "answer": said, "unreadable": bad} for i, (said, bad) in enumerate(rows)
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
def test_unreadable_replies_and_empty_priors_are_doubted(tmp_path, rows, counts, what):
    said, path = answers(tmp_path, *rows)
    assert tables.unreadable_replies(path) == counts
    doubts = tables.doubts_of_answers(said, path)
    assert [doubt.startswith(begin) for doubt, begin in zip(doubts, what, strict=True)] == [True] * len(what)


def config_of(path, **elicit):
    config = causal_prior.get_config("smoke")
    config.data.csv, config.bootstrap = str(path), 1
    config.prior.elicit.update(elicit)
    return config


@pytest.mark.slow
def test_the_doubts_of_a_table_stand_in_its_report(written, tmp_path):
    with pytest.warns(causal.AssumptionWarning, match="not in random order"):
        outcome = runs.execute(causal_prior, config_of(written(WALKS)), tmp_path / "run")
    assert outcome.result["note"].startswith("Warning: table.csv: the rows are not in random order")
    assert "Warning: table.csv: the rows are not in random order" in (tmp_path / "run" / "report.html").read_text()
    assert str(tmp_path) not in json.dumps(outcome.result)


@pytest.fixture
def model(monkeypatch):
    """Stands in for an endpoint: notes the settings and the prompts, and says what it is told to."""
    seen = {"prompts": [], "settings": [], "say": lambda prompt: "A"}

    @contextlib.contextmanager
    def chat(**settings):
        seen["settings"].append(settings)
        yield lambda prompt: seen["prompts"].append(prompt) or seen["say"](prompt)

    monkeypatch.setattr(problems.endpoint, "chat", chat)
    return seen


@pytest.mark.slow
def test_unreadable_replies_end_a_run_and_are_asked_again_by_the_next(written, tmp_path, model):
    config = config_of(written(ROWS), model="m", base_url="http://host/v1", temperature=-1.0)
    model["say"] = lambda prompt: "Who knows?" if "formula" in prompt else "A"  # one of five wordings
    config.prior.elicit.max_unreadable = 0.1
    with pytest.raises(ValueError, match=r"3 of 15 replies could not be read, where a share of 0\.1 is allowed"):
        runs.execute(causal_prior, config, tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    assert len(model["prompts"]) == 15
    model["say"] = lambda prompt: "A"
    assert runs.execute(causal_prior, config, tmp_path / "run").result["unreadable_replies"] == 0
    assert len(model["prompts"]) == 18
    assert all("formula" in prompt for prompt in model["prompts"][15:])
    assert model["settings"] == [{"base_url": "http://host/v1", "model": "m", "temperature": None}] * 2


@pytest.mark.slow
def test_few_unreadable_replies_are_said_with_their_share(written, tmp_path, model):
    config = config_of(written(ROWS), model="m", base_url="http://host/v1")
    model["say"] = lambda prompt: "Who knows?" if "formula" in prompt else "A"
    with pytest.warns(causal.AssumptionWarning, match="3 of 15 replies of the language model could not be read"):
        outcome = runs.execute(causal_prior, config, tmp_path / "run")
    assert outcome.result["unreadable_replies"] == 0.2
    assert "unreadable_replies" in runs.summary(outcome)
    assert "3 of 15 replies of the language model could not be read" in (tmp_path / "run" / "report.html").read_text()
    assert model["settings"][0]["temperature"] == 0


@pytest.mark.parametrize("odd", [None, 3, ["a"], {"unit": "m"}])
def test_a_description_that_is_no_text_is_refused(written, tmp_path, model, odd):
    path = tmp_path / "descriptions.json"
    path.write_text(json.dumps({"x": "", "y": odd, "z": "the last"}))
    config = config_of(written(ROWS), model="m", base_url="http://host/v1", descriptions=str(path))
    with pytest.raises(ValueError, match=r"descriptions\.json: the description of y must be a text, got "):
        runs.execute(causal_prior, config, tmp_path / "run")
    assert model["prompts"] == []
