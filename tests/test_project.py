"""The project's files agree with each other and with the architecture."""

import importlib
import inspect
import json
import re
import tomllib
from pathlib import Path

import grimp
import networkx
import pytest

import framework
from docs import map as module_map
from experiments import tour

ROOT = Path(__file__).resolve().parents[1]
API = json.loads((Path(__file__).parent / "public_api.json").read_text())
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS_OF_THE_TESTS = {"pytest", "pytest-xdist", "hypothesis", "import-linter", "beartype"}


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_the_wheel_requires_what_requirements_txt_lists():
    required = {line for line in requirements() if name(line) not in TOOLS_OF_THE_TESTS}
    assert set(PYPROJECT["project"]["dependencies"]) == required


@pytest.mark.parametrize("line", requirements())
def test_requirements_have_a_bound_and_a_tested_version(line):
    assert re.search(r",<\d", line)
    for constraints in sorted((ROOT / "constraints").glob("python*.txt")):
        assert re.search(rf"^{name(line)}==", constraints.read_text().lower().replace("_", "-"), re.MULTILINE)


@pytest.mark.parametrize("package", framework.PACKAGES)
def test_public_names_are_pinned(package):
    """A change of the interface is a change of tests/public_api.json too."""
    module = importlib.import_module(f"framework.{package}")
    assert sorted(module.__all__) == sorted(API[package])
    hidden = [name for name in module.__all__ if importlib.util.find_spec(f"framework.{package}.{name}")]
    assert not hidden  # a function or type never hides a module
    assert not any(inspect.ismodule(getattr(module, name)) for name in module.__all__)


def public_functions():
    for package in framework.PACKAGES:
        module = importlib.import_module(f"framework.{package}")
        for name in module.__all__:
            if inspect.isfunction(getattr(module, name)) or inspect.isclass(getattr(module, name)):
                yield pytest.param(getattr(module, name), id=f"{package}.{name}")


def test_the_public_api_can_be_held_in_the_head():
    assert sum(map(len, API.values())) <= 130


@pytest.mark.parametrize("function", list(public_functions()))
def test_every_public_name_has_a_docstring_of_its_own(function):
    text = inspect.cleandoc(function.__doc__ or "")
    assert len(text) > 15
    assert not text.startswith(f"{function.__name__}(")


def test_every_experiment_is_in_the_tour():
    files = {path.stem for path in (ROOT / "experiments").glob("*.py")} - {"__init__"}
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


def test_the_table_of_modules_is_fresh():
    text = (ROOT / "WORKSPACE.md").read_text()
    assert text == module_map.with_table(text), "run: python -m docs.map"


def test_the_page_on_architecture_is_short_and_names_what_exists():
    text = (ROOT / "WORKSPACE.md").read_text().partition(module_map.BEGIN)[0]
    assert len(text.split()) <= 650
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert any((folder / name).exists() for folder in (ROOT, ROOT / "framework")), name


def test_no_modules_import_each_other_in_a_circle():
    graph = networkx.DiGraph()
    imports = grimp.build_graph("framework", "experiments")
    for module in imports.modules:
        graph.add_edges_from((module, other) for other in imports.find_modules_directly_imported_by(module))
    assert graph.number_of_edges() > 500
    assert networkx.is_directed_acyclic_graph(graph)


def test_packages_are_at_most_three_deep():
    folders = {path.parent.relative_to(ROOT).parts for path in (ROOT / "framework").rglob("*.py")}
    assert max(map(len, folders)) <= 3
