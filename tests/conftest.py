"""Fixtures for all rooms: the shared data, and launches through the command line."""

import importlib
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from framework import data

pytest_plugins = ("tests.command_line",)
ROOT = Path(__file__).resolve().parents[1]


def lacking(reason: str) -> None:
    """Skips a test for want of something; under SEXTANT_STRICT=1 nothing may be wanting."""
    pytest.fail(reason) if os.environ.get("SEXTANT_STRICT") == "1" else pytest.skip(reason)


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Drops a file's compiled programs after it: each holds memory maps, and Linux grants a process 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def no_setting_touched():
    """Nothing of the project leaves 64-bit types switched on for what runs after it in the process."""
    yield
    assert not jax.config.jax_enable_x64


@pytest.fixture
def shared():
    """A path below the shared data."""

    def path(*parts: str) -> Path:
        result = data.shared_path(*parts)
        if not result.exists():
            lacking(f"the shared data are not on this machine: {result}")
        return result

    return path


@pytest.fixture(scope="session")
def extra():
    """Imports a package of an extra, by default of `dev`."""

    def module(name: str, source: str = "dev"):
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            lacking(f"{name} is not installed: pip install '.[{source}]'")
        return importlib.import_module(name)

    return module


@pytest.fixture(scope="session")
def launch_environment(tmp_path_factory) -> dict[str, str]:
    """The variables of a launch: a compilation cache of this test session's own, and the compiler as users have it."""
    local = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    return os.environ | local


@pytest.fixture
def start(tmp_path, launch_environment):
    """Starts `python launch.py FLAGS` in an empty directory and hands the process over."""

    def begin(*arguments: str | Path) -> subprocess.Popen:
        command = [sys.executable, str(ROOT / "launch.py"), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=tmp_path, env=launch_environment, **pipes)

    return begin


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start_two(start, free_port):
    """Starts two processes that make one run: each with its own flags `per_process` next to the shared ones."""

    def begin(
        *arguments: str | Path, per_process: tuple[tuple[str | Path, ...], ...] = ((), ())
    ) -> list[subprocess.Popen]:
        meeting = ("--distributed", f"--coordinator_address=localhost:{free_port}", "--num_processes=2")
        return [start(*arguments, *meeting, f"--process_id={number}", *per_process[number]) for number in range(2)]

    return begin


@pytest.fixture
def launch(start):
    """Runs `python launch.py FLAGS` to its end: (exit code, stdout, stderr)."""

    def finish(*arguments: str | Path) -> tuple[int, str, str]:
        process = start(*arguments)
        output, errors = process.communicate(timeout=900)
        return process.returncode, output, errors

    return finish


@pytest.fixture
def refused(launch, tmp_path):
    """Launches what must be refused: exit code 2, one line that begins with `error:`, and no directory left behind."""

    def line(*arguments: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        code, _, errors = launch(*arguments)
        assert code == 2, errors
        assert errors.startswith("error: "), errors
        assert errors.count("\n") == 1, errors
        assert sorted(tmp_path.rglob("*")) == before
        return errors

    return line
