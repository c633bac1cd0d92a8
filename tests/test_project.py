"""The project's own files agree with each other and with the house."""

import importlib
import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest

import framework
from experiments import tour

ROOT = Path(__file__).resolve().parents[1]
API = json.loads((Path(__file__).parent / "public_api.json").read_text())
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS_OF_THE_TESTS = {"pytest", "pytest-xdist", "hypothesis", "import-linter"}


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_the_wheel_needs_what_requirements_txt_names_less_the_tools_of_the_tests():
    wanted = {line for line in requirements() if name(line) not in TOOLS_OF_THE_TESTS}
    assert set(PYPROJECT["project"]["dependencies"]) == wanted


@pytest.mark.parametrize("line", requirements())
def test_every_requirement_has_an_upper_bound_and_a_tested_version(line):
    assert re.search(r",<\d", line)
    for constraints in sorted((ROOT / "constraints").glob("python*.txt")):
        assert re.search(rf"^{name(line)}==", constraints.read_text().lower().replace("_", "-"), re.MULTILINE)


@pytest.mark.parametrize("room", framework.ROOMS)
def test_the_public_names_are_those_that_are_pinned(room):
    """A change of the interface is a change of tests/public_api.json too."""
    module = importlib.import_module(f"framework.{room}")
    assert sorted(module.__all__) == sorted(API[room])


def public_functions():
    for room in framework.ROOMS:
        module = importlib.import_module(f"framework.{room}")
        for attribute in module.__all__:
            found = getattr(module, attribute)
            members = vars(found) if inspect.ismodule(found) else {attribute: found}
            for label, member in members.items():
                if (
                    callable(member)
                    and not label.startswith("_")
                    and not label.isupper()  # a constant
                    and getattr(member, "__module__", "").startswith("framework")
                ):
                    yield pytest.param(member, id=f"{room}.{label}")


@pytest.mark.parametrize("function", list(public_functions()))
def test_every_public_name_has_a_docstring_of_its_own(function):
    text = inspect.cleandoc(function.__doc__ or "")
    assert len(text) > 15
    assert not text.startswith(f"{function.__name__}(")


def test_every_experiment_is_in_the_tour():
    files = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert files == {system.__name__.rpartition(".")[2] for system in tour.SYSTEMS} | {"tour"}


@pytest.mark.parametrize("experiment", [*tour.SYSTEMS, tour])
@pytest.mark.parametrize("preset", ["smoke", "default", "paper"])
def test_every_experiment_has_its_presets_and_its_docstring(experiment, preset):
    config = experiment.get_config(preset)
    assert (config.preset, config.seed) == (preset, 0)
    assert "python launch.py" in experiment.__doc__
    assert experiment.EXPECTED.keys() <= {"smoke", "default", "paper"}
    with pytest.raises(ValueError, match="take one of smoke, default, paper"):
        experiment.get_config("tiny")


def test_files_are_short_and_tests_are_many():
    code = {
        path: path.read_text().count("\n")
        for folder in ("framework", "experiments")
        for path in (ROOT / folder).rglob("*.py")
    }
    tests = sum(path.read_text().count("\n") for path in (ROOT / "tests").rglob("*.py"))
    assert max(code.values()) <= 350
    assert tests >= 0.6 * sum(code.values())


def test_nothing_is_loaded_that_could_execute_code():
    sources = [path for folder in ("framework", "experiments") for path in (ROOT / folder).rglob("*.py")]
    for path in [*sources, ROOT / "launch.py"]:
        assert not re.search(r"\bpickle\b|allow_pickle=True|\beval\(|\bexec\(|jnp\.empty\(", path.read_text()), path


def test_the_map_names_every_room_and_file():
    """WORKSPACE.md is a true map: each module of the framework, each experiment, and nothing that is not there."""
    text = (ROOT / "WORKSPACE.md").read_text()
    modules = [path for path in (ROOT / "framework").rglob("*.py") if path.name != "__init__.py"]
    for path in [*modules, *(ROOT / "experiments").glob("[!_]*.py")]:
        assert f"`{path.name}`" in text, path
    for mentioned in re.findall(r"`(\w+\.py)`", text):
        assert any(ROOT.rglob(mentioned)), mentioned
