import jax.numpy as jnp
import numpy as np
import pytest

from framework.runs import open_run, run_tasks


def cube(number, offset):
    return {"cube": number**3 + offset, "both": jnp.stack([number, -number])}


def done(path, until=None):
    """Seven tasks, or a failure like a kill after `until` of them; what came of them, and which were logged now."""
    observed = []

    def row(number, result):
        if number == until:
            raise KeyboardInterrupt
        observed.append(number)
        return {"step": number, "seed": 0, "cube": result["cube"]}

    with open_run(path, {"seed": 0}) as run:
        return run_tasks(run, "cubes", cube, 7, 0.5, row, save_every=0.0), observed


def test_what_comes_of_them_is_that_of_a_loop(tmp_path):
    result, observed = done(tmp_path)
    np.testing.assert_array_equal(result["cube"], np.arange(7) ** 3 + 0.5)
    np.testing.assert_array_equal(result["both"], [[i, -i] for i in range(7)])
    assert observed == list(range(7))


@pytest.mark.parametrize("until", [0, 3, 6])
def test_interrupted_and_taken_up_nothing_is_lost_or_done_twice(tmp_path, until):
    done(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        done(tmp_path / "cut", until)
    result, observed = done(tmp_path / "cut")
    np.testing.assert_array_equal(result["cube"], np.arange(7) ** 3 + 0.5)
    assert observed == list(range(until, 7))
    assert (tmp_path / "cut/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_complete_they_are_read_again(tmp_path):
    done(tmp_path)
    result, observed = done(tmp_path)
    np.testing.assert_array_equal(result["cube"], np.arange(7) ** 3 + 0.5)
    assert not observed


def test_a_task_is_what_it_holds_by_now(tmp_path):
    held = {"factor": 2.0}
    for factor in (2.0, 5.0, 2.0):
        held["factor"] = factor
        with open_run(tmp_path / f"{len(list(tmp_path.iterdir()))}", {"seed": 0}) as run:
            result = run_tasks(run, "twice", lambda number, fixed: held["factor"] * (number + fixed), 3, 1.0)
        np.testing.assert_array_equal(result, factor * np.arange(1, 4))


def test_one_task_object_is_read_anew_by_every_call(tmp_path):
    held = {"factor": 2.0}
    task = lambda number, fixed: held["factor"] * (number + fixed)
    for factor in (2.0, 5.0):
        held["factor"] = factor
        with open_run(tmp_path / f"{factor}", {"seed": 0}) as run:
            np.testing.assert_array_equal(run_tasks(run, "twice", task, 3, 1.0), factor * np.arange(1, 4))


@pytest.mark.parametrize("count", [0, -1])
def test_no_tasks_are_refused(tmp_path, count):
    message = f"cubes: count must be at least 1 task, got {count}"
    with pytest.raises(ValueError, match=message), open_run(tmp_path / "run", {"seed": 0}) as run:
        run_tasks(run, "cubes", cube, count, 0.5)
    assert not (tmp_path / "run").exists()
