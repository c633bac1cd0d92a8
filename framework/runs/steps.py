"""Drives a step function for a long time: chunks, checkpoints, metrics and a progress bar between them."""

import sys
import time
from collections.abc import Callable
from typing import Any

import jax
from tqdm import tqdm

from framework.core import chunks
from framework.core.devices import Options, Split
from framework.core.types import Metrics, State, Step
from framework.runs import checkpoints, files
from framework.runs.directory import Run
from framework.runs.machine import require_memory

LONG = 10.0  # seconds from which on work is long
SAMPLE = 1.0  # seconds of work that tell its rate


def run_steps(
    run: Run,
    phase: str,
    step: Step,
    state: State,
    fixed: Any,
    steps: int,
    chunk: int,
    rows: Callable[[int, Metrics], list[dict[str, Any]]] = lambda done, metrics: [],
    save_every: float = 5.0,
    memory: int = 0,
    options: Options = (),
    split: Split | None = None,
) -> State:
    """Takes `steps` steps in chunks, from the newest checkpoint of the phase if there is one.

    Where it is killed and called again with the same arguments, it ends with the same state and the same metrics, bit
    for bit on one CPU machine: a checkpoint knows how many bytes of metrics belong to it. One that cannot be read, or
    whose metrics are not all there, is passed over, if need be back to the beginning of the phase.

    Args:
      run: the open run directory.
      phase: a name of its own in the run, for the checkpoints and the bar; a second one of the same name would take up
        what the first one left.
      step: (state, fixed) -> (state, metrics); see `core.advance`.
      state: where to begin; its structure, shapes and dtypes are those of the checkpoints.
      fixed: what every step is given and none changes.
      steps: how many in all.
      chunk: steps between two looks of the host.
      rows: (steps done, metrics with leaves `[chunk, ...]`) -> rows for `metrics.jsonl`; see `Run.log`.
      save_every: seconds that pass at least between two checkpoints; the last step always has one.
      memory: bytes that the work needs, estimated; what cannot fit is refused, and said of long work.
      options: of the compiler; see `core.advance`.
      split: how several devices divide the work; without one, each process does it all on its first. Checkpoints hold
        whole arrays, so that another number of devices can take them up.

    Returns:
      The state after the last step.

    Raises:
      ValueError: if the work cannot fit, or a leaf of the state cannot be saved.
      OSError: if the run directory is gone, or cannot be written.
    """
    require_memory(memory, phase)
    done, state = resume(run, phase, state, steps)
    saved, first, said = time.monotonic(), None, False
    with tqdm(total=steps, initial=done, desc=phase, unit="step", disable=None, leave=False) as bar:
        for now, new_state, metrics in chunks(step, state, fixed, steps, chunk, done, options, split):
            run.log(rows(now, jax.device_get(metrics)))
            if now == steps or time.monotonic() - saved >= save_every:
                checkpoints.save(run.file(f"checkpoints/{phase}"), now, new_state, {"metrics_size": run.metrics_size()})
                saved = time.monotonic()
            bar.update(now - bar.n)
            first = first or (now, time.monotonic())  # the first chunk also compiles
            elapsed = time.monotonic() - first[1]
            if not said and elapsed > SAMPLE:
                _say_what_is_to_come(phase, elapsed * (steps - now) / (now - first[0]), memory)
                said = True
            state = new_state
    return state


def resume(run: Run, phase: str, state: State, steps: int) -> tuple[int, State]:
    """The steps that a phase has taken and where it stands, the metrics cut back to this.

    Raises:
      ValueError: as `checkpoints.check`, before any step is taken.
    """
    checkpoints.check(state)
    all_there = lambda meta: meta["metrics_size"] <= run.metrics_size()
    last = checkpoints.restore_latest(run.path / "checkpoints" / phase, state, all_there)
    beginning = run.file(f"checkpoints/{phase}.json")
    if last is not None:
        if last.step < steps:
            run.truncate_metrics(last.meta["metrics_size"])
        return last.step, last.state
    if beginning.exists():
        run.truncate_metrics(files.read_object(beginning, "give another --workdir")["metrics_size"])
    else:
        files.write_json(beginning, {"metrics_size": run.metrics_size()})
    return 0, state


def _say_what_is_to_come(phase: str, seconds: float, memory: int) -> None:
    """A line on stderr at the start of long work, whether or not there is a bar to see."""
    if seconds > LONG and jax.process_index() == 0:
        tqdm.write(f"{phase}: about {seconds:.0f} s to go, {memory / 2**20:,.0f} MiB of memory", file=sys.stderr)
