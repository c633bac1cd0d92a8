import errno
import json
import os
import subprocess
import sys

import pytest

from framework.runs import directory, open_run

CONFIG = {"experiment": "toy", "seed": 0, "data": {"nodes": 10, "csv": None}}


def complete(path, config=CONFIG):
    with open_run(path, config) as run:
        run.finish({"answer": 42})


def snapshot(path):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in path.rglob("*") if p.is_file()}


def test_a_run_is_complete_when_its_result_is_there(tmp_path):
    with open_run(tmp_path / "a" / "b", CONFIG) as run:
        assert run.result() is None
        run.finish({"answer": 42})
    with open_run(tmp_path / "a" / "b", CONFIG) as run:
        assert run.result() == {"answer": 42}


def test_opening_a_complete_run_changes_nothing(tmp_path):
    complete(tmp_path)
    before = snapshot(tmp_path)
    with open_run(tmp_path, CONFIG):
        pass
    assert snapshot(tmp_path) == before


def test_every_launch_is_recorded_with_its_start_and_end(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path, CONFIG):
        raise KeyboardInterrupt
    complete(tmp_path)
    first, second = json.loads((tmp_path / "meta.json").read_text())
    assert first["end"] is None
    assert second["start"] <= second["end"]
    assert {"jax", "flax", "numpy"} <= set(second["versions"])


def test_a_second_run_in_a_locked_directory_is_refused(tmp_path):
    with (
        open_run(tmp_path, CONFIG),
        pytest.raises(ValueError, match="is in use by another run"),
        open_run(tmp_path, CONFIG),
    ):
        pass
    with open_run(tmp_path, CONFIG):
        pass


@pytest.mark.slow
def test_a_killed_run_leaves_no_lock(tmp_path):
    script = (
        "import os, signal, sys, pathlib\n"
        "from framework.runs import open_run\n"
        f"with open_run(pathlib.Path(sys.argv[1]), {CONFIG!r}):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == -9
    with open_run(tmp_path, CONFIG, "must") as run:
        assert run.result() is None


def test_another_config_is_refused_with_the_differing_keys(tmp_path):
    complete(tmp_path)
    other = {**CONFIG, "data": {"nodes": 20, "csv": None}, "new": 1}
    with (
        pytest.raises(ValueError, match=r"data\.nodes was 10 and is now 20, new was 'absent' and is now 1"),
        open_run(tmp_path, other),
    ):
        pass


def test_resume_never_refuses_a_run_and_must_refuses_its_absence(tmp_path):
    with pytest.raises(ValueError, match="holds no run to take up"), open_run(tmp_path / "new", CONFIG, "must"):
        pass
    assert not (tmp_path / "new").exists()
    complete(tmp_path / "done")
    with pytest.raises(ValueError, match="--resume=never"), open_run(tmp_path / "done", CONFIG, "never"):
        pass


def test_another_resume_is_refused(tmp_path):
    message = "resume must be one of auto, never, must, got 'always'"
    with pytest.raises(ValueError, match=message), open_run(tmp_path / "new", CONFIG, "always"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_directory_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match=r"holds other files \(thesis.tex\) and no run"), open_run(tmp_path, CONFIG):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"), open_run(tmp_path / "x", CONFIG):
        pass


def failing(path, error, before):
    """A run that does something and then fails."""
    with open_run(path, CONFIG) as run:
        before(run)
        raise error


def test_bad_input_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="bad input"):
        failing(tmp_path / "a" / "b", ValueError("bad input"), lambda run: None)
    assert not (tmp_path / "a").exists()


def test_what_a_run_wrote_before_it_failed_is_kept(tmp_path):
    with pytest.raises(ValueError, match="late"):
        failing(tmp_path, ValueError("late"), lambda run: run.save_csv("graph.csv", ("a",), [(1,)]))
    assert (tmp_path / "graph.csv").read_text() == "a\n1\n"


def test_a_file_of_the_users_own_is_never_removed(tmp_path):
    (tmp_path / "movies.partial").write_text("precious")
    with pytest.raises(ValueError, match=r"holds other files \(movies.partial\)"), open_run(tmp_path, CONFIG):
        pass
    assert (tmp_path / "movies.partial").read_text() == "precious"


@pytest.mark.parametrize("content", ["null", "3", "{", ""])
def test_a_damaged_record_of_launches_is_begun_anew(tmp_path, content):
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path, CONFIG):
        raise KeyboardInterrupt
    (tmp_path / "meta.json").write_text(content)
    complete(tmp_path)
    assert len(json.loads((tmp_path / "meta.json").read_text())) == 1


def test_a_damaged_meta_json_does_not_lose_the_result(tmp_path):
    with open_run(tmp_path, CONFIG) as run:
        (tmp_path / "meta.json").write_text("[{")
        run.finish({"answer": 42})
    assert run.result() == {"answer": 42}
    assert [launch["end"] is None for launch in json.loads((tmp_path / "meta.json").read_text())] == [False]


@pytest.mark.parametrize(
    ("name", "advice"), [("config.json", "give another --workdir"), ("result.json", "remove it, and the same command")]
)
@pytest.mark.parametrize("content", ["", '{"answ', "[]"])
def test_a_damaged_file_is_named_with_what_can_be_done(tmp_path, name, advice, content):
    complete(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name}.*; {advice}"), open_run(tmp_path, CONFIG):
        pass


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def without(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(directory.fcntl, "flock", without)
    with pytest.raises(OSError, match=r"No locks available for a run \(flock\).*--workdir.*run'"):
        complete(tmp_path / "run")


def writing_elsewhere(path, write):
    """A run whose directory is moved away before it writes."""
    with open_run(path, CONFIG) as run:
        path.rename(path.with_name("away"))
        write(run)


@pytest.mark.parametrize(
    "write",
    [
        lambda run: run.log([{"step": 1}]),
        lambda run: run.save_csv("a.csv", ("a",), []),
        lambda run: run.finish({}),
        lambda run: run.child("a"),
    ],
)
def test_a_directory_that_was_moved_away_is_not_made_anew(tmp_path, write):
    with pytest.raises(FileNotFoundError, match="was moved or removed"):
        writing_elsewhere(tmp_path / "run", write)
    assert [path.name for path in tmp_path.iterdir()] == ["away"]


@pytest.mark.parametrize("kept", ["checkpoints", "system/checkpoints", "system/result.json"])
def test_an_error_late_in_a_run_keeps_what_was_done(tmp_path, kept):
    with pytest.raises(OSError, match="disk full"):
        failing(tmp_path, OSError("disk full"), lambda run: (run.path / kept).mkdir(parents=True))
    assert (tmp_path / kept).exists()
    assert (tmp_path / "config.json").exists()


def test_an_error_in_a_run_taken_up_again_keeps_it(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), open_run(tmp_path, CONFIG):
            raise KeyboardInterrupt
    with pytest.raises(ValueError, match="late"), open_run(tmp_path, CONFIG):
        raise ValueError("late")
    assert (tmp_path / "config.json").exists()


def test_a_launch_killed_at_its_very_start_can_be_repeated(tmp_path):
    (tmp_path / ".config.json.partial").write_text('{"exp')
    complete(tmp_path)


def test_metrics_are_appended_and_cut_back(tmp_path):
    with open_run(tmp_path, CONFIG) as run:
        run.log([{"step": 1, "seed": 0, "loss": 0.5}])
        size = run.metrics_size()
        run.log([{"step": 2, "seed": 0, "loss": 0.25}])
        run.truncate_metrics(size)
        run.log([{"step": 2, "seed": 0, "loss": 0.125}])
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [0.5, 0.125]


def test_configs_differ_in_nested_keys_only_where_they_do():
    assert directory.differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}) == []
    assert directory.differing({"a": {"b": 1}}, {"a": 3}) == ["a was {'b': 1} and is now 3"]
