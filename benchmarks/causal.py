"""The causal learner and its peers: same tables, same process, one thread each, in one run.

    pip install torch==2.13.0 && pip install -e '.[bench]'
    python benchmarks/causal.py --parts=raw --nodes=10,20,50,100 --output=benchmarks/results/causal.md

    raw            raw data of equal noise variance, compared with DAGMA and NOTEARS: SHD and time
    scale          500 columns, this learner alone
    standardised   data whose scale tells nothing, compared with GES and sorting: distance of equivalence classes
    prior          good, bad and reversed priors, compared with no prior and the prior alone
    bootstrap      64 resamples in one call, compared with DAGMA on some of them
    search         the search over orders compared with the one over edges

Noise is Gaussian and weights are uniform on +-[.5, 2]. The docstring of a part stands under its table. Sections of the
output file whose parts do not run stay as they are.
"""

import os

from framework.causal import learner

# NPROC is XLA's, whose pool has a thread a core otherwise
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1")

import dataclasses
import itertools
import logging
import statistics
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import peers
import tables
from absl import app, flags
from problems import Problem, above_truth, cpdag_shd, distances, draw, measure, ratio, shd, time_call
from tables import Part, Row, at_least, at_most, format_mean

from framework import causal
from framework.causal import bootstrapping, graphs
from framework.causal import knowledge as causal_knowledge
from framework.causal.discrete import hill_climbing, order_search
from framework.causal.metrics import graph_distance, sortability
from framework.core import keys

FASTER = {10: 5, 20: 5, 50: 3, 100: 2}  # columns -> how many times faster than DAGMA is the goal
RESAMPLES = 64
EQUAL = causal.Config.equal_variance()

CHOSEN = flags.DEFINE_list("parts", ["raw", "scale", "standardised", "prior", "bootstrap", "search"], "what to run")
OUTPUT = flags.DEFINE_string("output", None, "a Markdown file for the sections")
GRAPHS = flags.DEFINE_integer("graphs", 10, "raw, standardised, prior, search: graphs a row")
FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "raw, standardised, prior, search: of the graphs")
NODES = flags.DEFINE_list("nodes", ["10", "20"], "raw: numbers of columns")
KINDS = flags.DEFINE_list("kinds", ["ER2", "ER4", "SF4"], "raw: families of graphs")
NOTEARS_UP_TO = flags.DEFINE_integer("notears_up_to", 20, "raw: columns beyond which NOTEARS is left out")
SCALE_NODES = flags.DEFINE_list("scale_nodes", ["500"], "scale: numbers of columns")
SCALE_GRAPHS = flags.DEFINE_integer("scale_graphs", 1, "scale: graphs, a row each")
STANDARDISED_NODES = flags.DEFINE_list("standardised_nodes", ["10", "20", "50"], "standardised: numbers of columns")
GES_UP_TO = flags.DEFINE_integer("ges_up_to", 50, "standardised: columns beyond which GES is left out")
PRIOR_ROWS = flags.DEFINE_list("prior_rows", ["30", "60"], "prior: rows of the raw tables")
BOOTSTRAP_GRAPHS = flags.DEFINE_integer("bootstrap_graphs", 1, "bootstrap: graphs, a row each")
DAGMA_FITS = flags.DEFINE_integer("dagma_fits", 6, "bootstrap: resamples that DAGMA fits, 1 to 64")
SEARCH_NODES = flags.DEFINE_list("search_nodes", ["50"], "search: numbers of columns")
RESTARTS = flags.DEFINE_integer("restarts", 0, "search: restarts of the search over orders")


def for_few_rows() -> causal.Config:
    """Settings for raw columns of few rows: those of experiments/causal_prior.py."""
    return causal.Config.equal_variance(penalty=0.1)


def draws(kind: str, nodes: int, rows: int = 1000, data: str = "raw") -> list[Problem]:
    seeds = range(FIRST_SEED.value, FIRST_SEED.value + GRAPHS.value)
    return [draw(kind, nodes, seed, rows, data) for seed in seeds]


def fit(x: np.ndarray, config: causal.Config = causal.Config.equal_variance()) -> np.ndarray:
    return causal.fit(x, config=config).weights


def empty(x: np.ndarray) -> np.ndarray:
    return np.zeros((x.shape[1], x.shape[1]))


def raw() -> Iterator[Row]:
    """Raw data of equal noise variance, 1,000 rows; ours is `causal.Config.equal_variance()`, DAGMA and NOTEARS have
    their defaults (l1 of .03 and .1, cut .3). Mean SHD, median seconds, median paired ratio of times over {graphs}
    graphs a row. The search that ends a fit knows that all noise has one variance, which the peers' score only
    approximates: on data of other kinds these figures say nothing.
    """
    for nodes, kind in itertools.product(map(int, NODES.value), KINDS.value):
        problems = draws(kind, nodes)
        first = time_call(fit, problems[0].x)[1]
        methods = {"ours": fit, "DAGMA": peers.dagma}
        methods |= {"NOTEARS": peers.notears} if nodes <= NOTEARS_UP_TO.value else {}
        results = {name: measure(method, problems, shd) for name, method in methods.items()}
        ours, dagma, notears = (results.get(name) for name in ("ours", "DAGMA", "NOTEARS"))
        faster = ratio(dagma, ours)
        cells = {"columns, graph": f"{nodes} {kind}", "SHD ours": ours.mean, "SHD DAGMA": dagma.mean}
        cells |= {"SHD NOTEARS": notears.mean if notears else "", "s ours": ours.median, "s DAGMA": dagma.median}
        cells |= {"s NOTEARS": notears.median if notears else "", "times DAGMA": faster}
        # the other kinds find the program compiled
        cells["s compiling"] = first - ours.seconds[0] if kind == KINDS.value[0] else ""
        goals = {"SHD at most DAGMA's": at_most(ours.mean, dagma.mean)}
        if notears and nodes in (10, 20):
            goals["SHD at most .7 of NOTEARS'"] = at_most(ours.mean, 0.7 * notears.mean)
        if nodes in FASTER:
            goals["times DAGMA at least 5 (10 and 20 columns), 3 (50), 2 (100)"] = at_least(faster, FASTER[nodes])
        yield Row(cells, goals)


def scale() -> Iterator[Row]:
    """Raw data of equal noise variance, 1,000 rows, `Config.equal_variance()`; one fit a row, compiling included."""
    for nodes, seed in itertools.product(map(int, SCALE_NODES.value), range(SCALE_GRAPHS.value)):
        problem = draw("ER2", nodes, seed)
        jax.clear_caches()
        weights, seconds = time_call(fit, problem.x)
        scores = graph_distance.compare(problem.truth, weights != 0)
        rates = {name: float(scores[name.lower()]) for name in ("TPR", "FDR", "SHD")}
        acyclic = bool(graphs.is_dag(weights != 0))
        cells = {"columns, graph": f"{nodes} ER2, seed {seed}", "s": seconds, "a DAG": "yes" if acyclic else "no"}
        goals = {
            "a DAG": "met" if acyclic else "missed",
            "TPR at least .95": at_least(rates["TPR"], 0.95),
            "FDR at most .05": at_most(rates["FDR"], 0.05),
        }
        yield Row(cells | rates, goals)


def fit_standardised_columns() -> Iterator[Row]:
    """Distance of equivalence classes: the pairs of columns in which two CPDAGs differ; mean and standard error, median
    seconds over {graphs} ER2 graphs a row, 1,000 rows of data. `standardised` data are linear, each column then divided
    by its deviation; `iSCM` data are standardised as they are drawn. Ours is {standardised}, GES that of causal-learn
    with the BIC. The sorts regress each column on those before it, by R2 or in a random order.
    """
    ours = partial(fit, config=causal.Config.standardized())
    any_order = partial(sortability.random_sort_regress, jax.random.key(0))  # the true orders are random themselves
    others = {"R2-sort": sortability.r2_sort_regress, "random sort": any_order, "empty": empty}
    for nodes, data in itertools.product(map(int, STANDARDISED_NODES.value), ("standardised", "iSCM")):
        problems = draws("ER2", nodes, data=data)
        first = time_call(ours, problems[0].x)[1]
        methods = {"ours": ours} | ({"GES": peers.ges} if nodes <= GES_UP_TO.value else {}) | others
        results = {name: measure(method, problems, cpdag_shd) for name, method in methods.items()}
        mine, ges = results["ours"], results.get("GES")
        less = format_mean([a - b for a, b in zip(mine.away, ges.away, strict=True)]) if ges else ""
        cells = {
            "columns, data": f"{nodes} {data}",
            "ours": format_mean(mine.away),
            "GES": format_mean(ges.away) if ges else "",
        }
        cells |= {name: format_mean(results[name].away) for name in others} | {"ours less GES": less}
        cells |= {"s ours": mine.median, "s GES": ges.median if ges else ""}
        # iSCM data find the program compiled
        cells["s compiling"] = first - mine.seconds[0] if data == "standardised" else ""
        cells["R2-sortability"] = statistics.mean(float(sortability.r2_sortability(p.x, p.truth)) for p in problems)
        goals = {"at most GES": at_most(mine.mean, ges.mean)} if ges else {}
        yield Row(cells, goals | {"at most empty": at_most(mine.mean, results["empty"].mean)})


def fit_batch(x: np.ndarray, priors: list[causal.Knowledge] | None, config: causal.Config) -> list[np.ndarray]:
    """The graphs of tables, `[problems, rows, columns]`, by one vmapped fit."""
    knowledge = None if priors is None else jax.tree.map(lambda *leaves: np.stack(leaves), *priors)
    with jax.enable_x64(True):
        result = jax.vmap(causal.fit, in_axes=(0, 0, None))(x, knowledge, config)
    if np.any(result.status):
        raise RuntimeError(learner.STATUS[int(np.max(result.status))])
    return list(np.asarray(result.graph))


def make_prior(quality: str, truth: np.ndarray, seed: int) -> causal.Knowledge:
    """A prior of a truth that is `good`, `bad` or `reversed`."""
    if quality == "reversed":
        return causal.Knowledge(truth.T.astype(float), 1.0 - np.eye(len(truth)))
    rate = {"good": 0.8, "bad": 0.3}[quality]
    return causal_knowledge.imperfect(keys.derive(jax.random.key(seed), "prior"), truth, rate, rate)


def prior() -> Iterator[Row]:
    """SHD, mean and standard error over {graphs} ER2 graphs of 20 columns. A good prior has precision and recall of .8,
    a bad one of .3, a reversed one claims every true edge the wrong way round. `fixed weight`: l_sim is the penalty;
    `default`: `causal.fit` is given none. Ours is {standardised} on standardised data, {few_rows} on raw data.
    """
    cases = [("standardised", 1000, causal.Config.standardized())]
    cases += [("raw", int(rows), for_few_rows()) for rows in PRIOR_ROWS.value]
    for data, rows, config in cases:
        problems = draws("ER2", 20, rows, data)
        x = np.stack([problem.x for problem in problems])
        without = fit_batch(x, None, config)
        for quality in ("good", "bad", "reversed"):
            priors = [make_prior(quality, problem.truth, seed) for seed, problem in enumerate(problems)]
            arms = {
                "no prior": without,
                "prior only": [np.asarray(causal_knowledge.alone(knowledge)) for knowledge in priors],
                "fixed weight": fit_batch(x, priors, dataclasses.replace(config, prior_weight=config.penalty)),
                "default": fit_batch(x, priors, config),
            }
            away = {name: distances(shd, problems, some) for name, some in arms.items()}
            cells = {"data, prior": f"{data}, {rows} rows, {quality}"}
            cells |= {name: format_mean(values) for name, values in away.items()}
            none, only, _, default = (statistics.mean(values) for values in away.values())
            if quality == "good":
                goal = {"good: at most .8 of no prior and prior only": at_most(default, 0.8 * min(none, only))}
            else:
                goal = {"bad, reversed: at most 1.05 of no prior": at_most(default, 1.05 * none)}
            yield Row(cells, goal)


def bootstrap() -> Iterator[Row]:
    """64 resamples of raw data, 1,000 rows, by `causal.bootstrap`, its second call; DAGMA on {dagma_fits} of the same
    resamples, whose mean time is multiplied by 64.
    """
    for seed in range(BOOTSTRAP_GRAPHS.value):
        x, key = draw("ER2", 20, seed).x, jax.random.key(seed)
        first, ours = (time_call(causal.bootstrap, key, x, RESAMPLES, None, EQUAL)[1] for _ in range(2))
        counts = np.asarray(bootstrapping.resample(key, len(x), RESAMPLES))[: DAGMA_FITS.value]
        one = statistics.mean(time_call(peers.dagma, np.repeat(x, count, axis=0))[1] for count in counts)
        whole = RESAMPLES * one
        cells = {"columns, graph": f"20 ER2, seed {seed}", "s ours, 64": ours, "s DAGMA, one": one}
        cells |= {"s DAGMA, 64": whole, "times DAGMA": whole / ours, "s compiling": "" if seed else first - ours}
        yield Row(cells, {"at most 1/8 of DAGMA's time": at_most(ours, whole / 8)})


def searches(nodes: int, rows: int, cost: float) -> dict[str, Callable]:
    """Both searches, from no edges and from the columns as they come: a table in, a graph out."""
    none = jnp.zeros((nodes, nodes), bool)
    edges = hill_climbing.Edges(jnp.full((nodes, nodes), cost), ~jnp.eye(nodes, dtype=bool), none)
    more = {"restarts": RESTARTS.value, "key": jax.random.key(0)}
    climbs = {
        "edges": lambda s: hill_climbing.hill_climb(none, s, float(rows), edges, False),
        "orders": lambda s: order_search.search_orders(jnp.arange(nodes), s, float(rows), edges, False, **more),
    }
    return {name: jax.jit(lambda x, climb=climb: climb(x.T @ x / rows).graph) for name, climb in climbs.items()}


def search() -> Iterator[Row]:
    """Standardised data, ER4, 1,000 rows. Both searches climb the EBIC with a noise variance a node: the one over edges
    from no edges, the one over orders from the columns as they come, with {restarts} restarts. Score: how far above the
    truth's they end, mean and standard error; distance of equivalence classes, likewise; median seconds and median
    paired ratio of times, over {graphs} graphs a row.
    """
    rows = 1000
    for nodes in map(int, SEARCH_NODES.value):
        problems = draws("ER4", nodes, rows, "standardised")
        cost = float(np.log(rows) / 2 + np.log(nodes))
        with jax.enable_x64(True):
            methods = searches(nodes, rows, cost)
            first = {name: time_call(method, problems[0].x)[1] for name, method in methods.items()}
            results = {name: measure(method, problems, cpdag_shd) for name, method in methods.items()}
        score = partial(above_truth, cost=cost)
        cells = {"columns": str(nodes)}
        cells |= {f"score {name}": format_mean(distances(score, problems, done.dags)) for name, done in results.items()}
        cells |= {f"distance {name}": format_mean(done.away) for name, done in results.items()}
        cells["distance empty"] = format_mean(measure(empty, problems, cpdag_shd).away)
        cells |= {f"s {name}": done.median for name, done in results.items()}
        cells["times"] = ratio(results["edges"], results["orders"])
        cells |= {f"s compiling {name}": first[name] - done.seconds[0] for name, done in results.items()}
        yield Row(cells, {})


PARTS = {
    "raw": Part("Raw data", raw, ("dagma", "gcastle")),
    "scale": Part("Scale", scale),
    "standardised": Part("Data whose scale tells nothing", fit_standardised_columns, ("causal-learn", "scikit-learn")),
    "prior": Part("Priors", prior),
    "bootstrap": Part("Bootstrap", bootstrap, ("dagma",)),
    "search": Part("Search over edges and over orders", search),
}


def describe_changes(config: causal.Config) -> str:
    """A config as one would write it down."""
    fields = ((field.name, field.default, getattr(config, field.name)) for field in dataclasses.fields(config))
    return f"`Config({', '.join(f'{name}={value!r}' for name, default, value in fields if value != default)})`"


def main(argv: list[str]) -> None:
    logging.disable(logging.INFO)
    configs = {"standardised": causal.Config.standardized(), "few_rows": for_few_rows()}
    configs = {name: describe_changes(config) for name, config in configs.items()}
    tables.run(
        PARTS, "The causal learner and its peers", CHOSEN.value, OUTPUT.value, ", one thread each side", **configs
    )


if __name__ == "__main__":
    app.run(main)
