"""Fixtures for the tests of all experiments: the smoke preset of a file, and checks that hold for any."""

import pytest
from PIL import Image

from framework import runs
from framework.runs import experiment as runs_experiment
from framework.runs.reporting import report


@pytest.fixture
def experiment(request, pytestconfig) -> str:
    """The flag of the smoke preset of the experiment that the test file is named after."""
    name = request.path.stem.removeprefix("test_")
    return f"--config={pytestconfig.rootpath / 'experiments' / name}.py:smoke"


@pytest.fixture
def stays(launch, tmp_path):
    """Launches a complete run in `run` once more: nothing is computed, no file changes."""

    def check(*flags: str) -> None:
        files = lambda: {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        before = files()
        code, output, errors = launch(*flags, "--workdir=run")
        assert code == 0, errors
        assert "complete already" in output
        assert files() == before

    return check


@pytest.fixture
def figure_of(tmp_path):
    """A run to draw into, and the caption of a figure drawn there."""

    def caption(name: str) -> str:
        with Image.open(tmp_path / "drawn" / "figures" / f"{name}.png") as picture:
            return picture.info[report.CAPTION]

    return runs.Run(tmp_path / "drawn"), caption


@pytest.fixture
def refuses(tmp_path):
    """Runs an experiment with a setting that it must refuse with these words, and leave nothing behind."""

    def check(experiment, config, what: str) -> None:
        with pytest.raises((ValueError, OSError)) as caught:
            runs.execute(experiment, config, tmp_path / "run")
        assert what in runs_experiment.one_line(caught.value)
        assert not (tmp_path / "run").exists()

    return check
