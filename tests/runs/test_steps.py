import json
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import advance
from framework.runs import checkpoints, open_run, run_steps


def step(state, scale):
    x, key = state
    key, draw = jax.random.split(key)
    x = jnp.tanh(x) + scale * jax.random.normal(draw, x.shape)
    return (x, key), {"mean": x.mean()}


def rows(done, metrics):
    return [{"step": done, "seed": 0, "mean": metrics["mean"][-1]}]


@pytest.fixture
def start():
    return jnp.ones(4), jax.random.key(0)


def driven(path, start, until=None):
    """Drives 40 steps, or fails like a kill after `until` rows."""
    observed = []

    def counted(done, metrics):
        observed.append(done)
        if until is not None and len(observed) > until:
            raise KeyboardInterrupt
        return rows(done, metrics)

    with open_run(path, {"seed": 0}) as run:
        return run_steps(run, "walk", step, start, 0.1, 40, 5, counted, save_every=0.0)[0], observed


@pytest.mark.slow
def test_driven_it_equals_one_call(tmp_path, start):
    x, observed = driven(tmp_path, start)
    np.testing.assert_array_equal(x, advance(step, start, 0.1, 40)[0][0])
    assert observed == [5, 10, 15, 20, 25, 30, 35, 40]


@pytest.mark.slow
@pytest.mark.parametrize("until", [0, 1, 4, 7])
def test_an_interrupted_run_ends_with_the_same_metrics(tmp_path, start, until):
    whole, _ = driven(tmp_path / "whole", start)
    with pytest.raises(KeyboardInterrupt):
        driven(tmp_path / "cut", start, until)
    x, observed = driven(tmp_path / "cut", start)
    np.testing.assert_array_equal(x, whole)
    assert observed[0] == 5 * until + 5
    assert (tmp_path / "cut/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_rows_after_the_last_checkpoint_are_rewritten(tmp_path, start):
    with pytest.raises(KeyboardInterrupt):
        driven(tmp_path, start, 3)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "seed": 0, "me')
    driven(tmp_path, start)
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20, 25, 30, 35, 40]


def two_phases(path, start):
    """Two phases of eight rows each, one after the other: the metrics, and the steps of either that were taken."""
    observed = {"first": [], "second": []}

    def source(phase):
        return lambda done, metrics: observed[phase].append(done) or [{"phase": phase} | rows(done, metrics)[0]]

    with open_run(path, {"seed": 0}) as run:
        for phase in observed:
            run_steps(run, phase, step, start, 0.1, 40, 5, source(phase), save_every=0.0)
    return (path / "metrics.jsonl").read_text(), observed


@pytest.mark.parametrize("size", [0, 130, 1000])
def test_metrics_that_were_cut_are_made_anew(tmp_path, start, size):
    """130 bytes are one row and a half, 1000 reach into the second phase: checkpoints behind the cut do not count."""
    whole, _ = two_phases(tmp_path, start)
    assert len(whole.splitlines()[0]) < 130 < 1000 < len(whole)
    (tmp_path / "metrics.jsonl").write_text(whole[:size])
    again, observed = two_phases(tmp_path, start)
    assert again == whole
    assert observed["first"][:1] == ([] if size > len(whole) // 2 else [5])
    assert two_phases(tmp_path, start) == (whole, {"first": [], "second": []})


@pytest.mark.parametrize("damaged", [("40",), ("35", "40")])
def test_rows_of_a_later_phase_survive_earlier_damage(tmp_path, start, damaged):
    whole, _ = two_phases(tmp_path, start)
    for name in damaged:
        for path in (tmp_path / "checkpoints" / "first" / name).rglob("*"):
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)
    again, observed = two_phases(tmp_path, start)
    assert again == whole
    assert observed["first"] == list(range(40 if len(damaged) == 1 else 5, 41, 5))
    assert two_phases(tmp_path, start) == (whole, {"first": [], "second": []})


def test_a_beginning_that_cannot_be_read_is_refused(tmp_path, start):
    two_phases(tmp_path, start)
    shutil.rmtree(tmp_path / "checkpoints" / "second")
    (tmp_path / "checkpoints" / "second.json").write_text("")
    with pytest.raises(ValueError, match=r"second\.json.*give another --workdir"):
        two_phases(tmp_path, start)


def test_a_directory_that_is_moved_away_is_not_made_anew(tmp_path, start):
    updated = lambda done, metrics: (tmp_path / "a").exists() and (tmp_path / "a").rename(tmp_path / "b") and []
    with pytest.raises(FileNotFoundError, match="was moved or removed"), open_run(tmp_path / "a" / "run", {}) as run:
        run_steps(run, "walk", step, start, 0.1, 40, 5, updated, save_every=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_finished_phase_leaves_the_rows_of_later_ones_alone(tmp_path, start):
    with open_run(tmp_path, {}) as run:
        for phase in ("first", "second", "first"):
            run_steps(run, phase, step, start, 0.1, 10, 5, rows)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


def test_the_last_step_has_a_checkpoint_however_rare_they_are(tmp_path, start):
    with open_run(tmp_path, {}) as run:
        run_steps(run, "walk", step, start, 0.1, 10, 5, rows, save_every=1e9)
    assert checkpoints.restore_latest(tmp_path / "checkpoints/walk", start).step == 10
