"""Problems with known answers, the same ones for every method, and what methods make of them."""

import contextlib
import io
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from framework.causal import graphs
from framework.causal.discrete import equivalence
from framework.causal.metrics import graph_distance
from framework.causal.synthetic import (
    linear,
    noise,
    nonlinear,
    random_graphs,
)
from framework.core import keys


class Problem(NamedTuple):
    """A table and its true graph."""

    truth: np.ndarray  # [columns, columns] bool
    x: np.ndarray  # [rows, columns]


Distance = Callable[[Problem, np.ndarray], float]  # of a graph, [columns, columns] bool, from the truth


class Measured(NamedTuple):
    """The results of a method, one entry a problem."""

    dags: list[np.ndarray]  # [columns, columns] bool, DAGs
    away: list[float]  # the distance from the truth
    seconds: list[float]

    @property
    def mean(self) -> float:
        """The mean distance."""
        return statistics.mean(self.away)

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.seconds)


def draw(kind: str, nodes: int, seed: int, rows: int = 1000, data: str = "raw") -> Problem:
    """A true graph, `ER2` for two edges a node, and a table of it: `raw`, `standardised` or `iSCM`."""
    family = {"ER": graphs.erdos_renyi, "SF": random_graphs.scale_free}[kind[:2]]
    model = nonlinear.iscm if data == "iSCM" else linear.linear
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        truth = family(keys.derive(key, "graph"), nodes, int(kind[2:]))
        weights = linear.edge_weights(keys.derive(key, "weights"), truth)
        x = np.asarray(model(keys.derive(key, "noise"), weights, rows, noise.gaussian()))
    return Problem(np.asarray(truth), (x - x.mean(0)) / x.std(0) if data == "standardised" else x)


def time_call(method: Callable, *arguments: Any) -> tuple[Any, float]:
    """The result of a call, whose output is swallowed, and its seconds."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        began = time.perf_counter()
        result = jax.block_until_ready(method(*arguments))
        return result, time.perf_counter() - began


def measure(method: Callable, problems: list[Problem], distance: Distance) -> Measured:
    """Runs a method, table to weights or edges; cycles that it leaves are broken at their weakest edge, untimed."""
    results, seconds = zip(*(time_call(method, problem.x) for problem in problems), strict=True)
    dags = [np.asarray(graphs.break_cycles(np.asarray(matrix, np.float64))) != 0 for matrix in results]
    return Measured(dags, distances(distance, problems, dags), list(seconds))


def distances(distance: Distance, problems: list[Problem], dags: list[np.ndarray]) -> list[float]:
    """The distance of every graph."""
    return [float(distance(problem, graph)) for problem, graph in zip(problems, dags, strict=True)]


def ratio(slow: Measured, fast: Measured) -> float:
    """The ratio of the times of two methods: the median over problems."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def shd(problem: Problem, graph: np.ndarray) -> float:
    """The structural Hamming distance; a reversed edge counts once."""
    return graph_distance.compare(problem.truth, graph)["shd"]


def cpdag_shd(problem: Problem, graph: np.ndarray) -> float:
    """In how many pairs of columns the equivalence classes differ."""
    return equivalence.cpdag_shd(problem.truth, graph)


def above_truth(problem: Problem, graph: np.ndarray, cost: float) -> float:
    """By how much the log likelihood, less a cost an edge, exceeds the truth's; the noise has a variance a node."""
    return (
        _likelihood(problem.x, graph)
        - _likelihood(problem.x, problem.truth)
        - cost * (int(graph.sum()) - int(problem.truth.sum()))
    )


def _likelihood(x: np.ndarray, graph: np.ndarray) -> float:
    fits = [np.linalg.lstsq(x[:, causes], effect, rcond=None)[0] for causes, effect in zip(graph.T, x.T, strict=True)]
    left = [effect - x[:, causes] @ fit for causes, effect, fit in zip(graph.T, x.T, fits, strict=True)]
    return -len(x) / 2 * sum(np.log(np.mean(residual**2)) for residual in left)
