"""Which tests a command line runs, and in how many processes; loaded by `tests/conftest.py`.

- Without `-m` the tests marked `slow` or `long` are left out, but those of a file or test that the command line names,
  and those that `--lf` or `--ff` wants because they failed: they run.
- Folders, or nothing named: two processes, where pytest-xdist is installed. Files and tests that are named run in this
  process, and so does everything under `--pdb`, `--trace`, `-s` and `--stepwise`. `-n` has the last word.
"""

import os
from pathlib import Path

import pytest

DEFAULT = "not slow and not long"  # pyproject.toml's -m
LEFT_OUT = {"slow", "long"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads its options
def pytest_cmdline_main(config: pytest.Config) -> None:
    option = config.option
    option.named_files = _named_files(config)
    option.default_marks = option.markexpr == DEFAULT and not _typed(config, DEFAULT)
    if option.default_marks:
        option.markexpr = ""  # left out item by item instead
    if hasattr(config, "workerinput") or not hasattr(option, "numprocesses"):  # a worker of xdist, or no xdist
        return
    if option.numprocesses is None and not option.tx and not option.named_files and not _in_this_process(option):
        option.numprocesses = 2
    if option.numprocesses and option.dist == "no":
        option.dist = "worksteal"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is slow; the tour begins first, or it would keep one process at work and the other idle."""
    if config.option.default_marks:
        failed = _failed_before(config)
        expected = lambda item: (
            not LEFT_OUT & {mark.name for mark in item.iter_markers()}
            or str(item.path) in config.option.named_files
            or item.nodeid in failed
        )
        config.hook.pytest_deselected(items=[item for item in items if not expected(item)])
        items[:] = filter(expected, items)
    items.sort(key=lambda item: "test_tour.py" not in item.nodeid)


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and config.option.default_marks:
        terminalreporter.write_line("slow and long tests were left out: name their file, or add -m 'slow or long'")


def _named_files(config: pytest.Config) -> list[str]:
    """The files that the command line names, whole or by a test in them."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return []
    paths = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    return [str(Path(os.path.abspath(path))) for path in paths if path.is_file()]


def _typed(config: pytest.Config, expression: str) -> bool:
    """Whether the user gave these words, and not pyproject.toml."""
    return any(expression in text for text in (*config.invocation_params.args, os.environ.get("PYTEST_ADDOPTS", "")))


def _in_this_process(option) -> bool:
    """Whether a terminal or a debugger has to reach the tests, or their order counts."""
    return option.usepdb or option.trace or option.capture == "no" or getattr(option, "stepwise", False)


def _failed_before(config: pytest.Config) -> dict[str, bool]:
    cache = getattr(config, "cache", None)
    if cache is None or not (config.option.lf or config.option.failedfirst):
        return {}
    return cache.get("cache/lastfailed", {})
