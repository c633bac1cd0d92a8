"""Launches through the command line: the promises that a user sees."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.runs import event_files

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
TOY = (Path(__file__).parent / "toy.py").read_text()


@pytest.fixture
def toy(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    return folder / "toy.py"


def wait_for(path: Path, lines: int, process) -> None:
    """Until a file has so many lines."""
    for _ in range(600):
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} never had {lines} lines")


@pytest.mark.long
def test_the_smoke_study_runs_and_its_directory_is_whole(launch, tmp_path):
    code, output, errors = launch(f"--config={EXPERIMENTS / 'causal_prior.py'}:smoke", "--workdir=run")
    assert code == 0, errors
    assert "shd.prior" in output
    assert "as expected" in output
    run = tmp_path / "run"
    names = {p.name for p in run.iterdir()}
    assert {
        "config.json",
        "meta.json",
        "metrics.jsonl",
        "result.json",
        "report.html",
        "graph.csv",
        "graph.png",
    } <= names
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {row["seed"] for row in rows} == set(range(10))
    assert {"step", "seed", "objective"} <= set(rows[0])


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_files(toy, start, launch, tmp_path, extra):
    extra("tensorboardX", "logs")
    assert launch(f"--config={toy}", "--workdir=whole", "--config.pause=0.0")[0] == 0
    for rows in (2, 9, 21, 27):
        process = start(f"--config={toy}", "--workdir=killed", "--tensorboard")
        wait_for(tmp_path / "killed" / "metrics.jsonl", rows, process)
        process.kill()
        process.communicate()
        assert not (tmp_path / "killed" / "result.json").exists()
    assert launch(f"--config={toy}", "--workdir=killed", "--resume=must", "--tensorboard")[0] == 0
    for name in ("result.json", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    events = event_files.read(tmp_path / "killed" / "tensorboard")
    assert events == event_files.expected(tmp_path / "killed" / "metrics.jsonl")
    assert set(events) == {"walk/seed-0", "again/seed-0"}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "what"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_stop_signal_leaves_a_resumable_directory(toy, start, launch, tmp_path, number, what):
    process = start(f"--config={toy}", "--workdir=run")
    wait_for(tmp_path / "run" / "metrics.jsonl", 3, process)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 128 + number
    assert errors.strip() == f"{what}; the same command takes the run up where it stopped"
    assert launch(f"--config={toy}", "--workdir=run")[0] == 0


@pytest.mark.slow
def test_a_directory_in_use_is_refused(toy, start, refused, tmp_path):
    process = start(f"--config={toy}", "--workdir=run", "--config.pause=0.5")
    wait_for(tmp_path / "run" / "metrics.jsonl", 1, process)
    process.send_signal(signal.SIGSTOP)
    assert "run is in use by another run" in refused(f"--config={toy}", "--workdir=run", "--config.pause=0.5")
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_complete_run_is_shown_and_not_repeated(toy, launch, refused, tmp_path):
    first = launch(f"--config={toy}", "--workdir=run", "--config.pause=0.0")[1]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")}
    second = launch(f"--config={toy}", "--workdir=run", "--config.pause=0.0")[1]
    assert second.splitlines()[:4] == first.splitlines()[:4]
    assert "nothing was run" in second
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")} == before
    assert "--resume=never" in refused(f"--config={toy}", "--workdir=run", "--config.pause=0.0", "--resume=never")
    assert "pause was 0.0 and is now 1.0" in refused(f"--config={toy}", "--workdir=run", "--config.pause=1.0")


@pytest.mark.slow
def test_runs_are_compared(toy, launch, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        flags = (f"--workdir={name}", f"--config.seed={seed}", "--seeds=3", "--config.pause=0.0")
        assert launch(f"--config={toy}", *flags)[0] == 0
    code, output, _ = launch("--compare=a,b", "--workdir=both")
    assert code == 0
    assert ["seeds", "3", "3"] in [line.split() for line in output.splitlines()]
    assert (tmp_path / "both" / "comparison.png").exists()


@pytest.mark.slow
def test_a_killed_sweep_ends_with_the_table_of_a_whole_one(toy, start, launch, tmp_path):
    flags = (f"--config={toy}", "--sweep=config.seed=range(3)", "--sweep=config.pause=[0.05]")
    process = start(*flags, "--workdir=killed")
    wait_for(tmp_path / "killed" / "seed=1,pause=0.05" / "metrics.jsonl", 3, process)
    process.kill()
    process.communicate()
    assert launch(*flags, "--workdir=killed", "--resume=must")[0] == 0
    assert launch(*flags, "--workdir=whole")[0] == 0
    assert (tmp_path / "killed" / "sweep.csv").read_bytes() == (tmp_path / "whole" / "sweep.csv").read_bytes()
    assert launch(f"--config={toy}", "--config.seed=2", "--config.pause=0.05", "--workdir=single")[0] == 0
    for name in ("result.json", "metrics.jsonl"):
        single = (tmp_path / "single" / name).read_bytes()
        assert (tmp_path / "killed" / "seed=2,pause=0.05" / name).read_bytes() == single


@pytest.mark.slow
def test_experiments_are_listed_a_line_each(launch):
    code, output, _ = launch("--list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == [
        "advrush",
        "autosnn",
        "burst_coding",
        "causal_answers",
        "causal_prior",
        "causal_table",
        "isp_ml",
        "proxy_data",
        "ssd_trace",
        "tour",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--bogus=1"], "Unknown command line flag 'bogus'"),
        (["--config.causal_prior.data.rows=5"], "there is no setting 'rows' there"),
        (["--config.causal_prior.data.node=5"], 'Did you mean "nodes" instead of "node"'),
        (["--config.causal_priors.data.nodes=5"], 'Did you mean "causal_prior"'),
        (["--config.causal_prior.data.nodes=many"], "invalid literal for int()"),
        (["--config=nowhere.py"], "no experiment file nowhere.py; python launch.py --list names the project's own"),
        (["--resume=perhaps"], "should be one of <auto|never|must>"),
        (["--seeds=0"], "--seeds=0"),
        (["tour"], "'tour' is not a flag"),
        (["--compare=a"], "at least 2 run directories"),
        (["--compare=a,b"], "a holds no complete run"),
        (["--compare=a,./a"], "different run directories"),
        (["--resume=must"], "holds no run to take up"),
        (["--jax_platforms=bogus"], "JAX has no such device"),
        (["--config", "no where.py"], "no experiment file no where.py"),
        (["--config="], "no experiment file"),
        (["--sweep=config.sed=[1]"], "config.sed is no setting; did you mean config.seed"),
        (["--executor=ray"], "a sweep wants a grid"),
        (["--ray_address=auto"], "--ray_address and --ray_gpus are for --executor=ray"),
        (["--sweep=config.seed=[1]", "--tensorboard"], "--tensorboard is for one run"),
        (["--list", "--seeds=2"], "--list and --compare run nothing"),
        (["--list", "--workdir=x"], "--list only names the experiments: leave out --compare and --workdir"),
        (["--compare=a,b", "--distributed"], "--list and --compare run nothing"),
        (["--compare=a,b", "--config.seed=1"], "run no experiment: leave out --config and its settings"),
        (["--sweep=config.seed=[1]", "--config.seed=2"], "--config.seed has no effect: --sweep sets config.seed"),
        (["--sweep=config.seeds=[1]", "--seeds=2"], "--seeds has no effect: --sweep sets config.seeds"),
    ],
)
def test_bad_flags_are_refused_on_one_line(refused, flags, what):
    assert what in refused(*flags)


@pytest.mark.slow
def test_event_files_without_their_package_are_refused(toy, refused, launch_environment, tmp_path, monkeypatch):
    (tmp_path / "tensorboardX.py").write_text("raise ModuleNotFoundError")
    monkeypatch.setitem(launch_environment, "PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(launch_environment, "PYTHONDONTWRITEBYTECODE", "1")
    assert "pip install '.[logs]'" in refused(f"--config={toy}", "--workdir=run", "--tensorboard")


@pytest.mark.slow
def test_a_path_with_a_space_and_a_dataclass_in_the_file_will_do(toy, launch, tmp_path):
    other = tmp_path / "sp ace" / "my=toy.py"
    other.parent.mkdir()
    future = '"""Adds."""\nfrom __future__ import annotations\nimport dataclasses\n'
    other.write_text(future + "@dataclasses.dataclass\nclass A:\n    b: int\n" + TOY)
    assert launch(f"--config={other}", "--workdir=run", "--config.pause=0.0")[0] == 0


@pytest.mark.slow
def test_an_unknown_preset_is_refused(refused):
    assert "no preset 'tiny': take one of smoke, default, paper" in refused(f"--config={EXPERIMENTS / 'tour.py'}:tiny")


@pytest.mark.slow
def test_a_missing_image_set_names_the_prepare_command(toy, refused, tmp_path):
    toy.write_text(
        TOY.replace(
            "def main(config, run):",
            f"""def main(config, run):
    from framework import data
    data.images("svhn", "train", "{tmp_path}")""",
        )
    )
    assert "data.prepare('svhn'" in refused(f"--config={toy}", "--workdir=run")


@pytest.mark.slow
def test_a_fault_of_the_program_is_no_error_line(toy, launch):
    toy.write_text(TOY.replace('return {"sum"', 'return 1 / 0, {"sum"'))
    code, _, errors = launch(f"--config={toy}", "--workdir=run", "--config.pause=0.0")
    assert code == 1
    assert "ZeroDivisionError" in errors
