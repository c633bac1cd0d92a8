"""What the README tells a newcomer to type works."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.nas import autosnn

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def snippets(section: str) -> list[str]:
    text = re.search(rf"^## {section}\n(.*?)(?=^## )", README, re.DOTALL | re.MULTILINE)[1]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(section: str) -> dict:
    names = {}
    for code in snippets(section):
        exec(code, names)
    return names


EDGES = ((0, 1), (1, 3), (2, 3))  # clouds - rain -> wet <- sprinkler


@pytest.mark.slow
def test_the_code_of_the_readme_finds_the_graph_and_classes(capsys):
    names = run("As a library")
    assert {frozenset(edge) for edge in np.argwhere(names["result"].graph).tolist()} == set(map(frozenset, EDGES))
    output = capsys.readouterr().out
    assert output.count("compelled") >= 2
    assert "open" in output
    assert "target='rain', direction='knowledge'" in output
    assert float(output.splitlines()[-1]) >= 0.9
    assert names["many"].graph.shape == (2, 4, 4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::framework.attacks.GradientMaskingWarning")
def test_systems_work_together_as_the_readme_says():
    names = run("Systems put together")
    assert names["x"].shape == (144, 8, 8, 1)
    assert set(names["y"].tolist()) == set(range(10))
    assert (names["logits"](names["trained"], names["images"]).argmax(-1) == names["labels"]).mean() > 0.9
    assert {*names["cells"].normal, *names["cells"].reduce}

    images, labels = names["images"][:20], names["labels"][:20]
    spiking, robust, broken = names["spiking"], names["robust"], ~names["robust"]
    assert (spiking(names["images_adv"]).argmax(-1) != labels)[broken].all()
    assert (spiking(images).argmax(-1) == labels)[robust].all()
    assert np.abs(names["images_adv"] - images).max() <= 0.02 + 1e-6
    plain, flat = (curvature(names["space"], names[name], images, labels) for name in ("supernet", "smooth"))
    assert flat < 0.5 * plain
    judged = names["judged"].accuracy
    assert judged["clean"] >= 0.9 > judged["fgsm"] >= judged["square"]

    costs = names["costs"]
    assert costs.energy_nj == pytest.approx((0.9 * costs.synops + 4.6 * costs.macs) / 1e3, rel=0.05)
    assert 0 < names["seconds"] < 10
    assert {tuple(edge) for edge in np.argwhere(names["graph"])} == {(0, 1), (0, 2), (1, 2)}
    assert names["graphs"].shape == (64, 3, 3)
    assert (names["graphs"] == names["graph"]).all((1, 2)).mean() > 0.9


def curvature(space, supernet, images, labels) -> float:
    """The change of a network's input gradient between an image and a shifted one, summed over images."""
    net, weights = autosnn.build_network(space, [1] * space.slots), autosnn.inherit(supernet, [1] * space.slots)
    gradient = jax.grad(lambda x: 20 * autosnn.squared_error(net.apply(*weights, x)[0], labels))
    return float(jnp.square(gradient(images + 0.05) - gradient(images)).sum())


def test_what_puts_systems_together_is_short_and_public():
    for code in snippets("Systems put together")[1:]:
        assert len(code.splitlines()) < 12
        assert not re.search(r"\b_\w|\._", code), code


@pytest.mark.parametrize("document", ["README.md", "WORKSPACE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_and_pictures_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
        assert target.startswith("https://") or (ROOT / target.partition("#")[0]).exists(), target


def test_the_two_commands_stand_first():
    first = re.search(r"```sh\n(.*?)```", README, re.DOTALL)[1].splitlines()
    commands = [line.partition("#")[0].strip() for line in first]
    assert commands == [
        "pip install -r requirements.txt && python launch.py",
        "pip install -r requirements.txt && python -m pytest",
    ]


def test_the_tested_versions_are_those_of_the_constraints():
    rows = re.findall(r"\| (3\.\d+) \| ([\d.]+) \| ([\d.]+) \|", README)
    assert rows
    for python, version, flax in rows:
        constraints = (ROOT / "constraints" / f"python{python}.txt").read_text()
        assert f"\njax=={version}\n" in constraints
        assert f"\nflax=={flax}\n" in constraints
