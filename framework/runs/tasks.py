"""Independent pieces of long work, a device each, with a checkpoint between them."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from framework.core import devices, programs
from framework.core.devices import Options
from framework.runs import checkpoints
from framework.runs.directory import Run
from framework.runs.steps import resume


def run_tasks(
    run: Run,
    phase: str,
    task: Callable[[jax.Array, Any], Any],
    count: int,
    fixed: Any,
    rows: Callable[[int, Any], dict[str, Any]] | None = None,
    save_every: float = 5.0,
    options: Options = (),
) -> Any:
    """`task(i, fixed)` for i in 0 .. count - 1, as many at a time as there are devices.

    Killed and called again it goes on behind the last checkpoint, on whatever number of devices.

    Args:
      run: the open run directory.
      phase: a name of its own in the run, for the checkpoints and the bar.
      task: (`[]` int32, fixed) -> a pytree of arrays, traceable; tasks that compute the same share one program.
      count: how many, at least 1.
      fixed: what all tasks are given.
      rows: (i, what came of it, NumPy) -> a row for `metrics.jsonl`; see `Run.log`.
      save_every: seconds that pass at least between two checkpoints.
      options: of the compiler.

    Returns:
      What came of all, NumPy, leaves `[count, ...]`.

    Raises:
      ValueError: for a count below 1.
      OSError: if the run directory is gone, or cannot be written.
    """
    if count < 1:
        raise ValueError(f"{phase}: count must be at least 1 task, got {count}")
    shape = jax.eval_shape(task, jax.ShapeDtypeStruct((), np.int32), fixed)
    results = jax.tree.map(lambda leaf: np.zeros((count, *leaf.shape), leaf.dtype), shape)
    done, results = resume(run, phase, results, count)
    results = jax.tree.map(np.array, results)
    several, saved = _several(programs.frozen(task, np.int32(0), fixed), options), time.monotonic()
    fixed = devices.put(fixed, None)
    with tqdm(total=count, initial=done, desc=phase, unit="task", disable=None, leave=False) as bar:
        while done < count:
            numbers = np.arange(done, min(done + jax.device_count(), count), dtype=np.int32)
            chunk = jax.device_get(several(numbers, fixed))
            jax.tree.map(lambda whole, part, at=numbers: whole.__setitem__(at, part), results, chunk)
            if rows is not None:
                run.log([rows(int(i), jax.tree.map(lambda leaf, i=i: leaf[i], results)) for i in numbers])
            done = int(numbers[-1]) + 1
            if done == count or time.monotonic() - saved >= save_every:
                checkpoints.save(run.file(f"checkpoints/{phase}"), done, results, {"metrics_size": run.metrics_size()})
                saved = time.monotonic()
            bar.update(done - bar.n)
    return results


@functools.lru_cache(maxsize=16)
def _several(task: Callable, options: Options) -> Callable:
    every = lambda numbers, fixed: jax.lax.map(lambda number: task(number, fixed), numbers)
    return devices.shard_over_devices(every, in_axes=(0, None), options=options)
