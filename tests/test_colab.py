"""The notebooks are generated from their scripts, linked from the README, and run from top to bottom."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "colab"
SCRIPTS = sorted(FOLDER.glob("[!_]*.py"))
README = (ROOT / "README.md").read_text()
every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


@pytest.fixture
def maker(extra):
    """The module that makes the notebooks."""
    extra("jupytext", "notebooks")
    from colab import __main__

    return __main__


def cells(notebook: Path, kind: str) -> list[dict]:
    every_cell = json.loads(notebook.read_text())["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in every_cell if cell["cell_type"] == kind]


def test_there_are_at_most_five_notebooks_each_with_a_script():
    assert 1 <= len(SCRIPTS) <= 5
    assert sorted(FOLDER.glob("*.ipynb")) == [script.with_suffix(".ipynb") for script in SCRIPTS]


@every_script
def test_a_notebook_is_what_its_script_makes(script, maker):
    made = maker.notebook(script.read_text(), script.stem)
    assert script.with_suffix(".ipynb").read_text() == made, "run: python -m colab"


@every_script
def test_a_notebook_holds_no_outputs(script):
    for cell in cells(script.with_suffix(".ipynb"), "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@every_script
def test_badges_open_the_notebook_on_colab(script, maker):
    address = f"https://colab.research.google.com/github/{maker.REPOSITORY}/blob/main/colab/{script.stem}.ipynb"
    top = cells(script.with_suffix(".ipynb"), "markdown")[0]["source"]
    assert "[![Open in Colab][badge]][notebook]" in top
    assert f"[notebook]: {address}" in top.splitlines()
    assert f"]({address})" in README


@every_script
def test_the_first_cell_installs_only_a_missing_framework(script, maker):
    """The lines for a shell are commands in the notebook, and comments in the script."""
    first = cells(script.with_suffix(".ipynb"), "code")[0]["source"]
    before, condition, inside = first.partition('if importlib.util.find_spec("framework") is None:')
    assert condition
    assert "!" not in before
    assert all(line.startswith("    ") for line in inside.splitlines()[1:])
    assert f"\n    !git clone -q https://github.com/{maker.REPOSITORY} sextant\n    %cd sextant\n" in inside
    assert "\n    !pip install -q -r requirements.txt" in inside
    assert all(first == cells(other.with_suffix(".ipynb"), "code")[0]["source"] for other in SCRIPTS)
    compile(script.read_text(), script, "exec")


HIDDEN = f"""
import sys
sys.path = [path for path in sys.path if path not in ("", {str(ROOT)!r})]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
"""
RUN = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in (sys.argv[1], "import experiments, framework; print('found', framework.__file__)"):
    assert shell.run_cell(cell).success
"""


def test_the_first_cell_fetches_a_missing_framework(tmp_path, extra):
    """A session as on Colab, with stand-ins for git and pip that record their arguments."""
    extra("IPython", "notebooks")
    for name, work in (("git", f'mkdir "$4" && ln -s "{ROOT}/framework" "{ROOT}/experiments" "$4"'), ("pip", "true")):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/commands"\n{work}\n')
        tool.chmod(0o755)
    first = cells(SCRIPTS[0].with_suffix(".ipynb"), "code")[0]["source"]
    variables = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "IPYTHONDIR": str(tmp_path), "PYTHONPATH": ""}
    command = [sys.executable, "-c", HIDDEN + RUN, first]
    ran = subprocess.run(command, cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"found {tmp_path}/sextant/framework/__init__.py" in ran.stdout
    commands = (tmp_path / "commands").read_text().splitlines()
    assert [line.split()[:2] for line in commands] == [["git", "clone"], ["pip", "install"]]
    assert commands[1] == "pip install -q -r requirements.txt jax"


def test_the_address_of_the_repository_has_one_place(maker, monkeypatch):
    monkeypatch.setattr(maker, "REPOSITORY", "someone/elsewhere")
    for text in (README, *(script.read_text() for script in SCRIPTS)):
        changed = maker.add_links(text)
        assert maker.add_links(changed) == changed != text
        repositories = re.findall(r"(?:google\.com/github|git clone -q https://github\.com)/([\w.-]+/[\w.-]+)", changed)
        assert set(repositories) == {"someone/elsewhere"}


@pytest.fixture
def jupyter(tmp_path, launch_environment, extra):
    """The variables of a Jupyter whose one kernel is this Python, and which leaves nothing behind."""
    extra("nbmake", "notebooks")
    kernel = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    (tmp_path / "kernels" / "python3").mkdir(parents=True)
    described = json.dumps(kernel | {"display_name": "Python 3", "language": "python"})
    (tmp_path / "kernels" / "python3" / "kernel.json").write_text(described)
    folders = ("JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    variables = dict.fromkeys(folders, str(tmp_path)) | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }
    return {name: value for name, value in (launch_environment | variables).items() if not name.startswith("PYTEST_")}


@pytest.mark.slow
@every_script
def test_a_notebook_runs_and_shows_figures_without_a_warning(script, jupyter, tmp_path):
    notebook = tmp_path / "colab" / f"{script.stem}.ipynb"
    notebook.parent.mkdir()
    notebook.write_text(script.with_suffix(".ipynb").read_text())
    options = ["--nbmake", "--nbmake-timeout=600", "--overwrite", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={notebook.parent}", str(notebook)]
    ran = subprocess.run(command, cwd=notebook.parent, env=jupyter, capture_output=True, text=True, timeout=900)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    outputs = [output for cell in cells(notebook, "code") for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
