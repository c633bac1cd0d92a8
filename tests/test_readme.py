"""What the README tells a newcomer to type works."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_code_of_the_readme_runs_and_finds_the_graph_and_the_classes(capsys):
    names = {}
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(code, names)
    assert {tuple(edge) for edge in np.argwhere(names["result"].graph)} == {(0, 1), (0, 2), (1, 2)}
    output = capsys.readouterr().out
    assert "('x', 'y'" in output
    assert float(output.splitlines()[-1]) >= 0.9
    assert names["many"].graph.shape == (2, 3, 3)


@pytest.mark.parametrize("document", ["README.md", "WORKSPACE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_and_pictures_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_two_commands_stand_first():
    first = re.search(r"```sh\n(.*?)```", README, re.DOTALL)[1].splitlines()
    commands = [line.partition("#")[0].strip() for line in first]
    assert commands == [
        "pip install -r requirements.txt && python launch.py",
        "pip install -r requirements.txt && python -m pytest",
    ]


def test_the_tested_versions_are_those_of_the_constraints():
    for python, jax, flax in re.findall(r"\| (3\.\d+) \| ([\d.]+) \| ([\d.]+) \|", README):
        constraints = (ROOT / "constraints" / f"python{python}.txt").read_text()
        assert f"\njax=={jax}\n" in constraints
        assert f"\nflax=={flax}\n" in constraints
