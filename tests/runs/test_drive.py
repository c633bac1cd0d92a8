import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import advance
from framework.runs import checkpoints, drive, open_run


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
    seen = []

    def counted(done, metrics):
        seen.append(done)
        if until is not None and len(seen) > until:
            raise KeyboardInterrupt
        return rows(done, metrics)

    with open_run(path, {"seed": 0}) as run:
        return drive(run, "walk", step, start, 0.1, 40, 5, counted, save_every=0.0)[0], seen


@pytest.mark.slow
def test_driven_it_equals_one_call(tmp_path, start):
    x, seen = driven(tmp_path, start)
    np.testing.assert_array_equal(x, advance(step, start, 0.1, 40)[0][0])
    assert seen == [5, 10, 15, 20, 25, 30, 35, 40]


@pytest.mark.slow
@pytest.mark.parametrize("until", [0, 1, 4, 7])
def test_interrupted_and_taken_up_it_ends_with_the_same_state_and_metrics(tmp_path, start, until):
    whole, _ = driven(tmp_path / "whole", start)
    with pytest.raises(KeyboardInterrupt):
        driven(tmp_path / "cut", start, until)
    x, seen = driven(tmp_path / "cut", start)
    np.testing.assert_array_equal(x, whole)
    assert seen[0] == 5 * until + 5
    assert (tmp_path / "cut/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_rows_after_the_last_checkpoint_are_forgotten_and_written_anew(tmp_path, start):
    with pytest.raises(KeyboardInterrupt):
        driven(tmp_path, start, 3)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 20, "seed": 0, "me')
    driven(tmp_path, start)
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20, 25, 30, 35, 40]


def test_a_finished_phase_leaves_the_rows_of_later_ones_alone(tmp_path, start):
    with open_run(tmp_path, {}) as run:
        for phase in ("first", "second", "first"):
            drive(run, phase, step, start, 0.1, 10, 5, rows)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


def test_the_last_step_has_a_checkpoint_however_rare_they_are(tmp_path, start):
    with open_run(tmp_path, {}) as run:
        drive(run, "walk", step, start, 0.1, 10, 5, rows, save_every=1e9)
    assert checkpoints.restore_latest(tmp_path / "checkpoints/walk", start).step == 10
