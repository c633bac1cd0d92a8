"""Runs `launch.py` to a chosen moment of its work on the disk, and ends there as by kill -9.

    python tests/doomed.py NOTE MOMENT [FLAGS of launch.py]

MOMENT is KIND:N, the N-th file operation of a kind in the folder of NOTE: `row` comes before a row of metrics and after
the checkpoint before it, `checkpoint` after the rows and before the checkpoint they belong to, `any` is any operation.
With N = 0 the launch comes to its end, and NOTE, a JSON file, tells how many there were of each kind. Every chunk has a
checkpoint here. `flock:0` is a launch on a file system without locks.
"""

import errno
import fcntl
import json
import os
import re
import runpy
import signal
import sys
from pathlib import Path

LAUNCH = Path(__file__).resolve().parents[1] / "launch.py"
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate")  # events of sys.audit next to writing opens
WRITING = os.O_WRONLY | os.O_RDWR


def kinds(event: str, arguments: tuple, folder: str) -> tuple[str, ...]:
    """The kinds that an audited event belongs to."""
    if not (event in CHANGES or (event == "open" and (arguments[2] or 0) & WRITING)):
        return ()
    path = os.path.abspath(os.fsdecode(arguments[0])) if isinstance(arguments[0], str | bytes) else ""
    if not path.startswith(folder):
        return ()
    if event == "open" and path.endswith("/metrics.jsonl"):
        return ("any", "row")
    if event == "os.mkdir" and re.search(r"/checkpoints/[^/]+/\d+[^/]*$", path):
        return ("any", "checkpoint")
    return ("any",)


def watch(folder: str, kind: str, index: int) -> dict[str, int]:
    """Counts operations from now on, and kills this process at the chosen one, before it is done."""
    counts = dict.fromkeys(("any", "row", "checkpoint"), 0)

    def look(event: str, arguments: tuple) -> None:
        for item in kinds(event, arguments, folder):
            counts[item] += 1
            if item == kind and counts[item] == index:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    return counts


def _without_locks(*_) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


if __name__ == "__main__":
    note, moment, *inputs = sys.argv[1:]
    kind, _, index = moment.partition(":")
    if kind == "flock":
        fcntl.flock = _without_locks
    observed = watch(os.path.dirname(note) + os.sep, kind, int(index))
    sys.argv = [str(LAUNCH), *inputs]
    sys.path[0] = str(LAUNCH.parent)
    from framework import runs

    drive = runs.run_steps
    runs.run_steps = lambda *inputs, **named: drive(*inputs, **named | {"save_every": 0.0})
    try:
        runpy.run_path(str(LAUNCH), run_name="__main__")
    finally:
        Path(note).write_text(json.dumps(observed))
