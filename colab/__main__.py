"""Makes the notebooks from the scripts next to them: `python -m colab`, after any change of a script.

Cells get their ids by number, so that a notebook changes only where its script does. Where the repository lies stands
in pyproject.toml, `[tool.sextant]`, and comes from there into scripts, notebooks and the README.
"""

import re
import tomllib
from pathlib import Path

import jupytext
import nbformat

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
SCRIPTS = sorted(FOLDER.glob("[!_]*.py"))
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["sextant"]["repository"]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_ADDRESS = re.compile(r"((?:research\.google\.com/github|git clone -q https://github\.com)/)[\w.-]+/[\w.-]+")


def add_links(text: str) -> str:
    """A text whose badges and clones lead to the repository."""
    return _ADDRESS.sub(rf"\g<1>{REPOSITORY}", text)


def notebook(script: str, name: str) -> str:
    """The notebook of a percent script, without outputs."""
    made = jupytext.reads(add_links(script), "py:percent")
    for number, cell in enumerate(made.cells):
        cell.id = f"{name}-{number}"
    made.metadata = nbformat.from_dict(METADATA)
    return nbformat.writes(made) + "\n"


def main() -> None:
    """Writes every notebook, and the address where it stands."""
    for path in (*SCRIPTS, ROOT / "README.md"):
        path.write_text(add_links(path.read_text()))
    for path in SCRIPTS:
        path.with_suffix(".ipynb").write_text(notebook(path.read_text(), path.stem))


if __name__ == "__main__":
    main()
