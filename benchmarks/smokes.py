"""Times of the smoke preset of each experiment, first with an empty compilation cache and then with a full one.

    python benchmarks/smokes.py --output=benchmarks/results/smokes.md

The docstring of a part stands under its table. Sections of the output file whose parts do not run stay as they are.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tables
from absl import app, flags
from tables import Part, Row, at_most

CHOSEN = flags.DEFINE_list("parts", ["smokes"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
EVERY = "causal_prior causal_answers causal_table burst_coding autosnn advrush proxy_data ssd_trace isp_ml tour"
EXPERIMENTS = flags.DEFINE_list("experiments", EVERY.split(), "which experiments")
ROOT = Path(__file__).resolve().parents[1]
# a launch that notes how often and how long JAX traced, lowered and compiled
LAUNCH = """
import atexit, collections, json, resource, runpy, sys, time
begin = time.perf_counter()
import jax
note, sys.argv = sys.argv[1], sys.argv[2:]
events = collections.defaultdict(list)
jax.monitoring.register_event_duration_secs_listener(lambda name, took, **_: events[name.split("/")[-1]].append(took))
def write():
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {name: [len(each), sum(each)] for name, each in events.items()}
    json.dump({"work": used.ru_utime + used.ru_stime} | found, open(note, "w"))
atexit.register(write)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
STAGES = {
    "tracing": "jaxpr_trace_duration",
    "lowering": "jaxpr_to_mlir_module_duration",
    "compiling": "backend_compile_duration",
}


def measure_smokes() -> Iterator[Row]:
    """`python launch.py --config=experiments/STUDY.py:smoke` in a process of its own: seconds by the clock and of the
    processor (all cores together); of the first launch, how many programs it compiled, and how its seconds by the clock
    divide into tracing, lowering and compiling them, and the rest: starting Python and JAX, running the programs,
    figures, files. The rest is the floor of a launch that compiles nothing; a warm one also traces, and reads its
    programs."""
    for experiment in EXPERIMENTS.value:
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (launch(experiment, Path(folder), name) for name in ("cold", "warm"))
        cells = {"experiment": experiment, "cold s": cold["wall"], "processor s": cold["work"]}
        cells["programs"] = f"{cold[STAGES['compiling']][0]}"
        cells |= {f"s {stage}": cold[event][1] for stage, event in STAGES.items()}
        cells["s for the rest"] = cold["wall"] - sum(cold[event][1] for event in STAGES.values())
        cells |= {"warm s": warm["wall"], "warm processor s": warm["work"]}
        goals = {"cold": at_most(cold["wall"], 300 if experiment == "tour" else 45)}
        yield Row(cells, goals if experiment == "tour" else goals | {"warm": at_most(warm["wall"], 20)})


def launch(experiment: str, folder: Path, name: str) -> dict:
    """The note of a launch, with its wall time."""
    flagged = [f"--config={ROOT}/experiments/{experiment}.py:smoke", f"--workdir={folder / name}"]
    command = [sys.executable, "-c", LAUNCH, str(folder / "note.json"), str(ROOT / "launch.py"), *flagged]
    environment = {"XDG_CACHE_HOME": str(folder / "cache"), "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    begin = time.perf_counter()
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    return {"wall": time.perf_counter() - begin} | json.loads((folder / "note.json").read_text())


PARTS = {"smokes": Part("The smoke preset of each experiment", measure_smokes)}


def main(argv: list[str]) -> None:
    tables.run(PARTS, "Smokes", CHOSEN.value, OUTPUT.value)


if __name__ == "__main__":
    app.run(main)
