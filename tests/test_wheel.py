"""The wheel, installed outside of the checkout: complete, typed, and at work there."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("framework", "pyproject.toml", "README.md", "LICENSE")
PROGRAM = """
import jax
import numpy as np

import framework
from framework import causal, ssd
from framework.ssd.device import presets
from framework.ssd.workload import generators


def learned(table: np.ndarray) -> causal.Result:
    return causal.fit(table, config=causal.Config.standardized())


def served(requests: int) -> ssd.Report:
    load: ssd.Load = generators.closed(jax.random.key(0), requests=requests, queue_depth=1)
    return ssd.simulate(presets.mqsim_default(channels=2), load)


if __name__ == "__main__":
    x, e = np.random.default_rng(0).normal(size=(2, 200))
    print(framework.__file__)
    print(len(causal.read_answers(causal.answer_file("asia")).names))
    print(np.argwhere(learned(np.stack([x, x**3 + e], axis=1)).graph).tolist())
    print(served(20).latency.shape, bool((served(20).latency > 0).all()))
"""
MISTAKES = {  # a line -> what a type checker says of it
    "causal.fit(np.eye(3), causal.Config())": 'incompatible type "Config"; expected "Knowledge | None"',
    "ssd.simulate(presets.mqsim_default(), 5)": 'incompatible type "int"; expected "Load"',
    "causal.fit(np.eye(3)).grap": '"Result" has no attribute "grap"',
}
# what others' packages say of their own types is theirs, and takes long to read
MYPY = """
[mypy]
python_executable = {python}
cache_dir = {folder}/cache
strict = true
[mypy-jax.*,jaxlib.*,numpy.*,optax.*,chex.*,networkx.*,flax.*,matplotlib.*,sklearn.*,pandas.*]
follow_imports = skip
ignore_missing_imports = true
"""


def run(*command: str | Path, **choices) -> subprocess.CompletedProcess:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **choices)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, extra) -> Path:
    """Built from the files that belong to it, without the network."""
    for tool in ("build", "setuptools"):
        extra(tool)
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", output, source)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(output.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory) -> Path:
    """The Python of a fresh environment that holds the wheel; what it needs is this environment's."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    installed = run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    assert installed.returncode == 0, installed.stderr
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "program.py").write_text(PROGRAM)
    return python


@pytest.mark.slow
def test_the_wheel_holds_every_module_priors_and_py_typed(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if not name.partition("/")[0].endswith(".dist-info")}
    files = [path for path in (ROOT / "framework").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert held == {path.relative_to(ROOT).as_posix() for path in files}
    assert "framework/py.typed" in held
    assert any(name.startswith("framework/causal/priors/") for name in held)


@pytest.mark.slow
def test_the_installed_package_works_outside_of_the_checkout(elsewhere):
    folder = elsewhere.parents[1]
    done = run(elsewhere, "-I", "program.py", cwd=folder, env=os.environ | {"JAX_PLATFORMS": "cpu"})
    assert done.returncode == 0, done.stderr
    where, variables, graph, latencies = done.stdout.splitlines()
    assert Path(where).is_relative_to(folder)
    assert variables == "8"
    assert graph == "[[0, 1]]"
    assert latencies == "(20,) True"


@pytest.mark.slow
def test_a_type_checker_reads_the_annotations(elsewhere, extra, tmp_path):
    extra("mypy")
    (tmp_path / "mypy.ini").write_text(MYPY.format(python=elsewhere, folder=tmp_path))
    check = lambda: run(sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "program.py", cwd=tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    right = check()
    assert right.returncode == 0, right.stdout
    (tmp_path / "program.py").write_text("\n".join([PROGRAM, *MISTAKES]))
    wrong = check()
    for what in MISTAKES.values():
        assert what in wrong.stdout, wrong.stdout
    assert f"Found {len(MISTAKES)} errors" in wrong.stdout
