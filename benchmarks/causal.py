"""The causal learner beside DAGMA and NOTEARS: same tables, same process, one thread each, in one run.

    pip install torch==2.13.0 && pip install -e '.[bench]'
    python benchmarks/causal.py --nodes=10,20 --graphs=10 --output=benchmarks/results/causal.md

Raw equal-variance Gaussian data of 1,000 rows, weights uniform on +-[.5, 2]. `causal.Config()` unchanged; DAGMA with
lambda1 = .03 and the cut .3; NOTEARS (gcastle) with its defaults. Compilation is timed apart. Each peer gets a copy of
the table, since DAGMA changes its input in place.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import contextlib
import io
import logging
import platform
import statistics
import time
from pathlib import Path

import jax
import numpy as np
from absl import app, flags

from framework import causal
from framework.causal import graphs, metrics, noise, random_graphs, structural
from framework.core import keys

NODES = flags.DEFINE_list("nodes", ["10", "20"], "numbers of columns")
KINDS = flags.DEFINE_list("kinds", ["ER2", "ER4", "SF4"], "families of graphs")
GRAPHS = flags.DEFINE_integer("graphs", 10, "paired graphs a cell")
NOTEARS_UP_TO = flags.DEFINE_integer("notears_up_to", 20, "columns beyond which NOTEARS is left out")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the table")


def draw(kind: str, nodes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A true graph and a table of 1,000 rows."""
    family = {"ER": graphs.erdos_renyi, "SF": random_graphs.scale_free}[kind[:2]]
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        truth = family(keys.named(key, "graph"), nodes, int(kind[2:]))
        weights = structural.edge_weights(keys.named(key, "weights"), truth)
        return np.asarray(truth), np.asarray(
            structural.linear(keys.named(key, "noise"), weights, 1000, noise.gaussian())
        )


def ours(x: np.ndarray) -> np.ndarray:
    return causal.fit(x).graph


def dagma(x: np.ndarray) -> np.ndarray:
    from dagma.linear import DagmaLinear

    return (
        np.asarray(
            DagmaLinear(loss_type="l2").fit(x.copy(), lambda1=0.03, w_threshold=0.3, s=[1.0, 0.9, 0.8, 0.7, 0.6])
        )
        != 0
    )


def notears(x: np.ndarray) -> np.ndarray:
    from castle.algorithms import Notears

    learner = Notears()
    learner.learn(x.copy())
    return np.asarray(learner.causal_matrix) != 0


def measure(method, tables) -> tuple[list[int], list[float]]:
    """SHD and seconds of each table."""
    distances, seconds = [], []
    for truth, x in tables:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            began = time.perf_counter()
            found = method(x)
            seconds.append(time.perf_counter() - began)
        distances.append(int(metrics.compare(truth, found)["shd"]))
    return distances, seconds


def cell(kind: str, nodes: int) -> str:
    """One row of the table."""
    tables = [draw(kind, nodes, seed) for seed in range(GRAPHS.value)]
    began = time.perf_counter()
    ours(tables[0][1])
    first = time.perf_counter() - began
    methods = {"ours": ours, "DAGMA": dagma} | ({"NOTEARS": notears} if nodes <= NOTEARS_UP_TO.value else {})
    results = {name: measure(method, tables) for name, method in methods.items()}
    shd = {name: statistics.mean(distances) for name, (distances, _) in results.items()}
    seconds = {name: statistics.median(times) for name, (_, times) in results.items()}
    ratios = [slow / fast for slow, fast in zip(results["DAGMA"][1], results["ours"][1], strict=True)]
    notears_cells = (f"{shd['NOTEARS']:.1f}", f"{seconds['NOTEARS']:.2f}") if "NOTEARS" in shd else ("", "")
    distances = (f"{shd['ours']:.1f}", f"{shd['DAGMA']:.1f}", notears_cells[0])
    times = (f"{seconds['ours']:.3f}", f"{seconds['DAGMA']:.2f}", notears_cells[1])
    rest = (f"{statistics.median(ratios):.0f}", f"{first - seconds['ours']:.1f}")
    return f"| {' | '.join((f'{nodes} {kind}', *distances, *times, *rest))} |"


def main(argv: list[str]) -> None:
    logging.disable(logging.INFO)
    names = (
        "columns, graph",
        "SHD ours",
        "DAGMA",
        "NOTEARS",
        "s ours",
        "DAGMA",
        "NOTEARS",
        "times DAGMA",
        "s compiling",
    )
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    print("\n".join(lines), flush=True)
    for nodes in map(int, NODES.value):
        for kind in KINDS.value:
            lines.append(cell(kind, nodes))
            print(lines[-1], flush=True)
    if OUTPUT.value:
        table = "\n".join(lines)
        machine = f"{os.cpu_count()} {platform.machine()} CPU cores, one thread each side"
        versions = f"Python {platform.python_version()}, jax {jax.__version__}"
        what = f"Mean SHD, median seconds and median paired ratio of times over {GRAPHS.value} graphs a cell"
        Path(OUTPUT.value).write_text(f"{table}\n\n{what}; {machine}; {versions}.\n")


if __name__ == "__main__":
    app.run(main)
