"""Each experiment once more by other arithmetic: how far its numbers move.

    python -m tests.numerics                                                 all of it, in the smallest sizes
    python -m tests.numerics --studies=isp_ml --ways=nans,float64            a part
    python -m tests.numerics --smoke --ways=nans,infinities                  the `smoke` presets as they are
    python -m tests.numerics --python=PATH                                   `other` is that Python, with its own jax

A row an experiment and a way: the largest difference of any number of its result, relative to numbers above 1, and
which it is. A last digit moves a network that is trained for long, and with it an accuracy by some images; 64
bits take other random numbers, so that a training begins elsewhere: `another seed` tells how much that is.
"""

import argparse
import json
import numbers
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.campaign import SMALL

ROOT = Path(__file__).resolve().parents[1]
WAYS = {
    "again": (),
    "another seed": ("--config.seed=1",),
    "nans": ("--jax_debug_nans",),
    "infinities": ("--jax_debug_infs",),
    "float64": ("--jax_enable_x64",),
    "2 devices": ("--jax_num_cpu_devices=2",),
    "8 devices": ("--jax_num_cpu_devices=8",),
    "other": (),
}


def flags(study: str, smoke: bool = False) -> tuple[str, ...]:
    """The smallest size of an experiment that keeps the paths of its code, or its `smoke` preset."""
    settings = () if smoke else (f"--config.{setting}" for setting in SMALL[study])
    return (f"--config={ROOT}/experiments/{study}.py:smoke", "--jax_platforms=cpu", *settings)


def leaves(tree: Any, index: str = "") -> dict[str, Any]:
    """The numbers and words of a result by their places."""
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {at: leaf for key, below in items for at, leaf in leaves(below, f"{index}.{key}").items()}
    return {index: tree}


def result(python: str, flags: tuple[str, ...]) -> dict[str, Any] | str:
    """The leaves of its result, or the last line of its errors."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(ROOT / "launch.py"), *flags, f"--workdir={folder}/run"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            return ended.stderr.strip().splitlines()[-1]
        return leaves(json.loads(Path(folder, "run", "result.json").read_text()))


def apart(outcome: dict[str, Any], before: dict[str, Any]) -> tuple[float, str]:
    """The largest difference of a number, relative above 1, and the place of it; infinite where the places differ."""
    if outcome.keys() != before.keys():
        return float("inf"), min(outcome.keys() ^ before.keys())
    counted = {index: value for index, value in before.items() if isinstance(value, numbers.Number)}
    return max((abs(outcome[at] - value) / max(abs(outcome[at]), abs(value), 1), at) for at, value in counted.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", default=",".join(SMALL))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--python", default="")
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    os.environ |= {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    print("| study | way | largest difference | of |\n|---|---|---|---|", flush=True)
    for study in arguments.studies.split(","):
        local = flags(study, arguments.smoke)
        before = result(sys.executable, local)
        if isinstance(before, str):
            print(f"| {study} | as it is | {before} | |", flush=True)
            continue
        for way in arguments.ways.split(","):
            if way == "other" and not arguments.python:
                continue
            outcome = result(arguments.python if way == "other" else sys.executable, (*local, *WAYS[way]))
            most, index = (outcome, "") if isinstance(outcome, str) else apart(outcome, before)
            shown = most if isinstance(most, str) else f"{most:.1e}" if most else "none"
            print(f"| {study} | {way} | {shown} | {index.lstrip('.') if most else ''} |", flush=True)


if __name__ == "__main__":
    main()
