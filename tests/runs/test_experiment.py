import sys
import types

import pytest
from ml_collections import ConfigDict

from experiments import causal_prior
from framework import runs
from framework.runs import experiment as runs_experiment
from framework.runs.experiment import fingerprints
from framework.runs.reporting import report


def study(**changes):
    """A toy experiment as a module."""

    def main(config, run):
        calls.append(config.seed)
        return {"double": 2 * config.factor + config.seed}

    calls = []
    get_config = lambda preset="smoke": ConfigDict({"preset": preset, "seed": 0, "seeds": 1, "factor": 3})
    module = types.ModuleType("experiments.doubling", "Doubling doubles,\nalways.\n\nMore.")
    module.__dict__.update(
        {"EXPECTED": {"smoke": {"double": (6, 1)}}, "get_config": get_config, "main": main}, **changes
    )
    module.calls = calls
    return module


def test_a_run_ends_with_a_report_and_a_result(tmp_path):
    outcome = runs.execute(study(), study().get_config(), tmp_path)
    assert (outcome.result, outcome.ran) == ({"double": 6}, True)
    page = (tmp_path / "report.html").read_text()
    assert "Doubling doubles, always." in page
    assert "as expected" in page
    assert "double" in runs_experiment.summary(outcome)


def test_a_complete_run_is_read_and_not_repeated(tmp_path):
    experiment = study()
    first = runs.execute(experiment, experiment.get_config(), tmp_path)
    second = runs.execute(experiment, experiment.get_config(), tmp_path)
    assert second == first._replace(ran=False)
    assert len(experiment.calls) == 1
    assert "nothing was run" in runs_experiment.summary(second)


@pytest.mark.parametrize(("change", "expected"), [({"seed": 1}, True), ({"factor": 4}, False), ({"seeds": 2}, False)])
def test_numbers_are_expected_of_a_preset_whatever_its_seed(tmp_path, change, expected):
    experiment = study()
    config = experiment.get_config()
    config.update(change)
    assert bool(runs.execute(experiment, config, tmp_path).sections[0].expected) == expected


def test_a_result_that_is_not_finite_leaves_nothing(tmp_path):
    experiment = study(main=lambda config, run: {"double": float("nan")})
    with pytest.raises(ValueError, match="the number double is nan"):
        runs.execute(experiment, experiment.get_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_foreign_file_replaces_no_module(tmp_path):
    (tmp_path / "types.py").write_text(
        '"""Mine."""\nimport dataclasses\n@dataclasses.dataclass\nclass A:\n    b: "int"\n'
    )
    experiment = runs_experiment.load(tmp_path / "types.py", tmp_path / "project")
    assert runs_experiment.list_experiments([experiment]) == "types  Mine."
    assert sys.modules["types"] is types


def test_experiments_are_listed_by_name_and_claim():
    assert runs_experiment.list_experiments([study()]).split(maxsplit=1) == ["doubling", "Doubling doubles, always."]


@pytest.mark.parametrize("width", [24, 30, 37])
def test_a_listing_keeps_to_its_width_and_ends_between_words(width):
    whole, line = runs_experiment.list_experiments([study()]), runs_experiment.list_experiments([study()], width)
    assert len(line) <= width
    assert line == whole or (line.endswith(" ...") and whole.startswith(line[:-4] + " "))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n lines"), "two lines"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), "No such file or directory: x.csv"),
        (FileNotFoundError("no data set"), "no data set"),
        (KeyError("'dat'\nDid you mean \"data\"?"), "there is no setting 'dat' there: Did you mean \"data\"?"),
        (ValueError("flag: bad\n\nTraceback (most recent call last):\n  File\nValueError: no preset x"), "no preset x"),
        (ValueError(), "ValueError"),
        (KeyError("\"'dat'\\nDid you mean x?\""), "there is no setting 'dat' there: Did you mean x?"),
        (ValueError("'tour' is not a flag"), "'tour' is not a flag"),
    ],
)
def test_an_error_is_told_on_one_line(error, line):
    assert runs_experiment.one_line(error) == line


def test_a_changed_input_file_is_a_changed_config(tmp_path):
    experiment = study()
    config = experiment.get_config()
    with config.unlocked():
        config.data = ConfigDict({"csv": str(tmp_path / "table.csv")})
    (tmp_path / "table.csv").write_text("x\n1\n")
    runs.execute(experiment, config, tmp_path / "run")
    (tmp_path / "table.csv").write_text("x\n2\n")
    with pytest.raises(ValueError, match=r"files\.data\.csv was '[0-9a-f]{64}' and is now"):
        runs.execute(experiment, config, tmp_path / "run")


def test_a_changed_file_in_an_input_folder_is_a_changed_config(tmp_path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "a.json").write_text("1")
    settings = {"answers": {"dir": str(tmp_path / "answers")}}
    before = fingerprints(settings)
    assert fingerprints(settings) == before
    (tmp_path / "answers" / "a.json").write_text("2")
    assert fingerprints(settings) != before


def test_an_overridden_preset_is_checked_before_writing(tmp_path):
    experiment = study(get_config=causal_prior.get_config)
    config = causal_prior.get_config("smoke")
    config.preset = "bogus"
    with pytest.raises(ValueError, match="no preset 'bogus'"):
        runs.execute(experiment, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_notes_are_printed_on_the_terminal(tmp_path):
    section = report.Section("toy", "A claim.", {"loss": 0.5}, {}, (), "The first\nnote.")
    plain = section._replace(title="other", note="")
    shown = runs_experiment.summary(runs.Outcome(tmp_path, {}, [section, plain], ran=True))
    assert shown.splitlines()[-3:] == ["toy: The first note.", "", f"report: {tmp_path / 'report.html'}"]
    assert "other:" not in shown
