"""Which tests a command line of pytest runs, and in how many processes: on a small project with the same options."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import os
import pytest

def test_fast():
    print(os.environ.get("SAYING"))

@pytest.mark.slow
def test_slow():
    assert not os.environ.get("FAILING")

@pytest.mark.long
def test_long():
    pass
"""
EVERY = {"fast", "slow", "long"}


def run(*arguments: str, folder: Path, **variables: str) -> tuple[int, str]:
    """Exit code and output of pytest, without what the pytest around it left in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | variables
    command = [sys.executable, "-m", "pytest", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, input="", check=False, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path):
    """Two files of a fast, a slow and a long test, under the options of this project: what is run, and how."""
    (tmp_path / "tests" / "sub").mkdir(parents=True)
    for file in ("test_a.py", "sub/test_b.py"):
        (tmp_path / "tests" / file).write_text(TESTS)
    shutil.copy(ROOT / "tests" / "command_line.py", tmp_path / "tests" / "conftest.py")
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
    (tmp_path / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{text}")
    return lambda *arguments, **variables: run(*arguments, folder=tmp_path, **variables)


def passed(output: str) -> set[str]:
    """The tests that `-rp` says have passed: `a.fast` stands for `test_fast` of `test_a.py`."""
    return {f"{file}.{test}" for file, test in re.findall(r"PASSED \S*test_(\w)\.py::test_(\w+)", output)}


def source(file: str, *tests: str) -> set[str]:
    return {f"{file}.{test}" for test in tests}


FAST = source("a", "fast") | source("b", "fast")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected", "workers"),
    [
        ((), FAST, 2),
        (("tests/sub",), source("b", "fast"), 2),
        (("tests/test_a.py",), source("a", *EVERY), 0),
        (("tests/sub/test_b.py::test_long",), source("b", "long"), 0),
        (("tests/sub", "tests/test_a.py"), source("a", *EVERY) | source("b", "fast"), 0),
        (("tests/test_a.py", "-n", "2"), source("a", *EVERY), 2),
        (("tests/test_a.py", "-m", "slow"), source("a", "slow"), 0),
        (("tests/test_a.py", "-m", "not slow and not long"), source("a", "fast"), 0),
        (("-m", "not long"), source("a", "fast", "slow") | source("b", "fast", "slow"), 2),
        (("-m", "", "-n", "1"), source("a", *EVERY) | source("b", *EVERY), 1),
        (("-k", "fast or slow", "-n0"), FAST, 0),
        (("-p", "no:xdist"), FAST, 0),
        (("-s",), FAST, 0),
        (("--pdb",), FAST, 0),
        (("--stepwise",), FAST, 0),
    ],
)
def test_a_named_file_runs_whole(project, arguments, expected, workers):
    """Two processes where neither a terminal nor a debugger has to reach the tests."""
    code, output = project("-rp", *arguments)
    assert (code, passed(output)) == (0, expected), output
    assert re.findall(r"created: (\d)/", output) == ([str(workers)] if workers else [])


def test_what_a_test_prints_is_seen_under_s(project):
    assert "it is said" not in project("tests/sub", SAYING="it is said")[1]
    assert "it is said" in project("tests/sub", "-s", SAYING="it is said")[1]


def test_the_debugger_opens_where_a_test_fails(project):
    _, output = project("--pdb", "tests/test_a.py", FAILING="1")
    assert "(Pdb)" in output
    assert re.search(r"test_a\.py\(\d+\)test_slow\(\)", output)


def test_what_failed_is_run_again_though_it_is_slow(project):
    code, output = project("tests/test_a.py", FAILING="1")
    assert code == 1, output
    code, output = project("--lf", "-rp")
    assert (code, passed(output)) == (0, source("a", "slow")), output
    code, output = project("--lf", "-rp")
    assert (code, passed(output)) == (0, source("a", "fast") | source("b", "fast")), output


def test_where_only_slow_tests_match_it_is_said_how_they_are_run(project):
    for arguments in (("-k", "slow"), ("-k", "slow", "-p", "no:xdist")):
        code, output = project(*arguments)
        assert code == pytest.ExitCode.NO_TESTS_COLLECTED
        assert "slow and long tests were left out: name their file, or add -m 'slow or long'" in output
    code, output = project("-k", "slow", "-m", "slow or long", "-rp")
    assert (code, passed(output)) == (0, source("a", "slow") | source("b", "slow")), output


def test_a_named_file_without_fast_tests_is_collected():
    code, output = run("tests/ssd/test_simulation.py", "--collect-only", "-q", folder=ROOT)
    assert code == 0, output
    assert "tests/ssd/test_simulation.py::" in output
