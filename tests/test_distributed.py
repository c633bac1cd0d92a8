"""Runs of several processes through the command line, over gloo; what they end with is what one process ends with."""

import json
import numbers
import time
from pathlib import Path

import pytest

from tests import campaign, numerics

pytestmark = pytest.mark.slow

QUICK = ("causal_prior",)


def assert_same_numbers(path: Path, other: Path) -> None:
    result, expected = (numerics.leaves(json.loads((item / "result.json").read_text())) for item in (path, other))
    assert result.keys() == expected.keys()
    for index, value in expected.items():
        if isinstance(value, numbers.Number):
            assert result[index] == pytest.approx(value, rel=1e-6, abs=1e-6), index
        else:
            assert result[index] == value, index


def ended(processes) -> list[tuple[int, str, str]]:
    """(exit code, stdout, stderr) of each, without what the libraries below JAX say on the way."""
    spoken = [process.communicate(timeout=900) for process in processes]
    said = lambda text: "\n".join(line for line in text.splitlines() if not line.startswith("[Gloo]"))
    return [(process.returncode, *map(said, item)) for process, item in zip(processes, spoken, strict=True)]


@pytest.mark.parametrize(
    "experiment", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in campaign.SMALL]
)
def test_two_processes_end_with_what_one_ends_with(experiment, start_two, launch, tmp_path):
    workdirs = tuple((f"--workdir={tmp_path / name}",) for name in ("first", "second"))
    (code, output, errors), (other, silence, _) = ended(
        start_two(*numerics.flags(experiment), "--jax_num_cpu_devices=1", per_process=workdirs)
    )
    assert (code, other) == (0, 0), errors
    assert "report.html" in output
    assert not silence
    assert not (tmp_path / "second").exists()
    code, _, errors = launch(*numerics.flags(experiment), "--jax_num_cpu_devices=2", f"--workdir={tmp_path / 'alone'}")
    assert code == 0, errors
    assert_same_numbers(tmp_path / "first", tmp_path / "alone")


@pytest.fixture
def begun(start_two, tmp_path):
    """Two processes at work on `cut`, which has a first checkpoint."""
    processes = start_two(*numerics.flags("causal_prior"), f"--workdir={tmp_path / 'cut'}", "--jax_num_cpu_devices=1")
    while not any((tmp_path / "cut" / "checkpoints").glob("*/[1-9]*")):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    return processes


def test_killed_a_run_goes_on_with_another_number_of_devices(begun, launch, tmp_path):
    for process in begun:
        process.kill()
    ended(begun)
    assert not (tmp_path / "cut" / "result.json").exists()
    code, _, errors = launch(
        *numerics.flags("causal_prior"), f"--workdir={tmp_path / 'cut'}", "--jax_num_cpu_devices=3", "--resume=must"
    )
    assert code == 0, errors
    whole = (*numerics.flags("causal_prior"), "--jax_num_cpu_devices=1", f"--workdir={tmp_path / 'whole'}")
    assert launch(*whole)[0] == 0
    assert_same_numbers(tmp_path / "cut", tmp_path / "whole")
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_where_another_process_ends_one_line_says_so(begun):
    begun[1].kill()
    (code, _, errors), _ = ended(begun)
    assert code == 2
    assert errors.splitlines()[-1].startswith("error: the work with the other processes broke off"), errors


def rows(path: Path) -> list[tuple]:
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [(row["phase"], row["step"], row["arm"], row["seed"]) for row in map(json.loads, lines)]


def test_what_the_first_process_refuses_all_refuse(start_two, tmp_path):
    (tmp_path / "other.txt").write_text("not a run")
    processes = start_two(*numerics.flags("causal_prior"), f"--workdir={tmp_path}", "--jax_num_cpu_devices=1")
    for code, _, errors in ended(processes):
        assert code == 2
        assert "holds other files" in errors.splitlines()[-1], errors
        assert errors.splitlines()[-1].startswith("error: ")


def test_an_unreachable_coordinator_is_one_line(refused, free_port):
    begun = time.monotonic()
    where = f"localhost:{free_port}"
    line = refused("--distributed", f"--coordinator_address={where}", "--num_processes=2", "--process_id=1")
    assert f"process 1 of 2 has not met all others at {where}" in line
    assert time.monotonic() - begun < 75  # with what the start of Python takes on a busy machine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num_processes=2"], "are for --distributed"),
        (["--distributed", "--sweep=config.seed=[0,1]"], "--executor=ray spreads a sweep over machines"),
        (["--distributed"], "give --coordinator_address, --num_processes and --process_id"),
        (
            ["--distributed", "--coordinator_address=localhost:1", "--num_processes=2", "--process_id=2"],
            "process_id must be 0 to 1, got 2",
        ),
    ],
)
def test_flags_that_make_no_run_of_several_processes_are_refused(refused, arguments, message):
    assert message in refused(*arguments)
