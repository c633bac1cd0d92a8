import contextlib
import os
import sys

import numpy as np
import pytest

from framework import runs
from framework.runs.reporting.tensorboard import follower
from tests.runs.event_files import crc32c, expected, read


@pytest.fixture(autouse=True)
def package(extra):
    return extra("tensorboardX", "logs")


def row(step, seed=0, phase="walk"):
    return {"step": step, "seed": seed, "phase": phase, "loss": 1 / (step + seed + 3), "spikes": 7 * step}


def test_the_checksum_of_this_test_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283


def test_events_are_the_rows(tmp_path):
    with runs.open_run(tmp_path, {}, tensorboard=True) as run:
        run.log([row(step, seed) for step in range(3) for seed in range(2)])
        run.log([row(1, phase="after")])
        assert read(tmp_path / "tensorboard") == expected(tmp_path / "metrics.jsonl")
        run.finish({})
    assert set(read(tmp_path / "tensorboard")) == {"walk/seed-0", "walk/seed-1", "after/seed-0"}


def test_series_names_are_folder_names_and_lists_are_omitted(tmp_path):
    with runs.open_run(tmp_path, {}, tensorboard=True) as run:
        run.log([{"step": 1, "seed": 0, "phase": "../train AdvRush", "arm": "a/b", "found": True, "each": [1, 2]}])
    assert read(tmp_path / "tensorboard") == {".._train_AdvRush/a_b/seed-0": [(1, {"found": 1.0})]}


@pytest.mark.parametrize("seed", range(5))
def test_events_equal_rows_after_interruptions(tmp_path, seed):
    draw = np.random.default_rng(seed)
    metrics, saved, step = tmp_path / "metrics.jsonl", 0, 0
    for _ in range(4):
        with contextlib.suppress(KeyboardInterrupt), runs.open_run(tmp_path, {}, tensorboard=True) as run:
            run.truncate_metrics(saved)
            for _ in range(draw.integers(1, 5)):
                step += 1
                run.log([row(step)])
                assert read(tmp_path / "tensorboard") == expected(metrics)
                saved = run.metrics_size() if draw.random() < 0.5 else saved
            raise KeyboardInterrupt
        with open(metrics, "a") as file:
            file.write('{"step": 9, "seed": 0, "lo' if draw.random() < 0.5 else "")
    with runs.open_run(tmp_path, {}, tensorboard=True) as run:
        run.truncate_metrics(saved)
        run.log([row(step + 1)])
    assert read(tmp_path / "tensorboard") == expected(metrics)


def test_a_complete_run_gets_its_event_files_once(tmp_path):
    with runs.open_run(tmp_path, {}) as run:
        run.log([row(1), row(2)])
        run.finish({})
    assert not (tmp_path / "tensorboard").exists()
    with runs.open_run(tmp_path, {}, tensorboard=True):
        assert read(tmp_path / "tensorboard") == expected(tmp_path / "metrics.jsonl")
    before = list((tmp_path / "tensorboard").rglob("*"))
    with runs.open_run(tmp_path, {}, tensorboard=True):
        assert list((tmp_path / "tensorboard").rglob("*")) == before


def test_events_that_fell_behind_the_rows_are_brought_up_to_date(tmp_path):
    """Begun with event files, ended without: they are older than the last row."""
    with contextlib.suppress(KeyboardInterrupt), runs.open_run(tmp_path, {}, tensorboard=True) as run:
        run.log([row(1)])
        raise KeyboardInterrupt
    with runs.open_run(tmp_path, {}) as run:
        run.log([row(2)])
        run.finish({})
    for file in (tmp_path / "tensorboard").rglob("*tfevents*"):
        os.utime(file, (0, 0))  # the clock of files may be too coarse for a test
    with runs.open_run(tmp_path, {}, tensorboard=True):
        assert read(tmp_path / "tensorboard") == expected(tmp_path / "metrics.jsonl")


def test_a_run_without_rows_has_no_event_files(tmp_path):
    with runs.open_run(tmp_path, {}, tensorboard=True) as run:
        run.finish({})
    assert not (tmp_path / "tensorboard").exists()


def test_files_of_others_stay(tmp_path):
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "notes.txt").write_text("precious")
    follower(tmp_path / "metrics.jsonl", tmp_path / "tensorboard")()
    assert (tmp_path / "tensorboard" / "notes.txt").read_text() == "precious"


def test_without_the_package_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match=r"pip install '.\[logs\]'"):
        runs.open_run(tmp_path / "run", {}, tensorboard=True).__enter__()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("line", ["x", "[]", '{"step": 1}', '{"step": 1, "seed": "../.."}', '{"step": 1.5, "seed": 0}'])
def test_a_damaged_row_is_refused_with_the_file(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl: a damaged row"):
        follower(tmp_path / "metrics.jsonl", tmp_path / "tensorboard")()


def test_no_word_leads_out_of_the_folder(tmp_path):
    with runs.open_run(tmp_path / "run", {}, tensorboard=True) as run:
        run.log([{"step": 1, "seed": 0, "phase": "..", "arm": "..", "part": "..", "loss": 0.5}])
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]
    assert read(tmp_path / "run" / "tensorboard").keys() == {"_/_/_/seed-0"}
