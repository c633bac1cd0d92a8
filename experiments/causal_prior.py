"""A language model's prior on the edges makes a learned causal graph better than the data or the prior alone do.

On random linear graphs with few rows, the learner is run without a prior and with one of known quality that enters as
the similarity penalty on |W|, and both are held against the prior alone and against the empty graph. On a table of your
own it is a tool: it writes the learned graph with a bootstrap confidence for each edge.

    python launch.py --config=experiments/causal_prior.py:smoke                        15 s on 2 CPU cores
    python launch.py --config=experiments/causal_prior.py                              1 minute
    python launch.py --config=experiments/causal_prior.py --config.data.csv=my.csv     a table of one's own
        [--config.data.truth=truth.csv] [--config.data.transform=log_standardize] [--config.prior.answers=answers.json]

`EXPECTED` below holds the numbers to expect, each with the spread over other seeds. The settings of the paper's own
tables are not public: `paper` is this project's larger study, standardised data of 50 columns, and reproduces none.

Reference: Bae et al., "On incorporating prior knowledge extracted from pre-trained language models into causal
discovery", arXiv 2311.11212.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import networkx as nx
import numpy as np
from ml_collections import ConfigDict, config_dict

from framework import causal, data, runs
from framework.causal import equivalence, graphs, metrics, noise, sortability, structural
from framework.core import keys
from framework.runs import figures

# Mean and twice the standard deviation over batches of seeds: 20 for smoke, 10 for default. For paper, a batch of 10
# and twice its standard error.
EXPECTED = {
    "smoke": {"shd.no_prior": (5.4, 2.2), "shd.prior": (2.4, 1.4), "shd.prior_only": (7.9, 0.8)},
    "default": {"shd.no_prior": (3.9, 1.0), "shd.prior": (1.6, 0.5), "shd.prior_only": (16.2, 0.6)},
    "paper": {"shd.no_prior": (72, 22), "shd.prior": (2.9, 2.5), "shd.prior_only": (39.9, 0.9)},
}

SIZES = {
    "smoke": {"seeds": 10, "nodes": 10, "samples": 30, "transform": None, "bootstrap": 20},
    "default": {"seeds": 20, "nodes": 20, "samples": 60, "transform": None, "bootstrap": 100},
    "paper": {"seeds": 20, "nodes": 50, "samples": 1000, "transform": "standardize", "bootstrap": 200},
}
CHUNK = 1000  # steps between two looks
KINDS = {
    "correct": ("#3c7a3f", "solid"),
    "reversed": ("#e07a3f", "solid"),
    "extra": ("#a05195", "solid"),
    "missing": ("#9aa5b1", "dotted"),
    "found": ("#2a6f97", "solid"),
}


def get_config(preset: str = "default") -> ConfigDict:
    """The settings of a preset: `smoke`, `default` or `paper`."""
    if preset not in SIZES:
        raise ValueError(f"causal_prior has no preset {preset!r}: take one of {', '.join(SIZES)}")
    size = SIZES[preset]
    return ConfigDict(
        {
            "preset": preset,
            "seed": 0,
            "seeds": config_dict.placeholder(int),  # graphs to draw; as many as the preset has, and 1 for a CSV
            "data": {
                "csv": "",  # a table of one's own in place of generated data
                "truth": "",  # its true edges, source,target
                "transform": config_dict.FieldReference(size["transform"], str),  # standardize for a CSV, else center
                "nodes": size["nodes"],
                "degree": 2.0,  # edges a node
                "samples": size["samples"],
            },
            "prior": {
                "answers": "",  # recorded answers of a language model
                "precision": 0.8,  # of the prior that is made for generated data
                "recall": 0.8,
                "weight": config_dict.placeholder(float),  # l_sim; the penalty where none is given
            },
            "learner": {
                "penalty": 0.1,  # l1
                "cut": config_dict.placeholder(float),  # .3 on raw columns, .1 on standardised ones
                "finish": "search",
                "noise": config_dict.placeholder(str),  # equal on raw columns, unequal on standardised ones
            },
            "bootstrap": size["bootstrap"],  # resamples behind the confidence of each edge
        }
    )


class Study(NamedTuple):
    """What is to be learned, one entry a seed in every list, and what is known of it."""

    names: tuple[str, ...]
    seeds: list[int]
    tables: list[np.ndarray]  # [rows, columns]
    truths: list[np.ndarray]  # [columns, columns] bool; empty where no truth is known
    priors: list[causal.Knowledge]  # empty where there is none
    note: str = ""  # what the source of the priors warns of


def main(config: ConfigDict, run: runs.Run) -> dict[str, Any]:
    """Learns every problem of the study with and without its prior, and writes graph, scores and figures."""
    with jax.enable_x64(True):
        learner = _learner(config)
        study = _from_csv(config, learner) if config.data.csv else _generated(config)
        counts = _resamples(config, study)
        arms = {"no_prior": [None] * len(study.seeds)} | ({"prior": study.priors} if study.priors else {})
        fits = _fit(run, study, learner, arms)
        confidence = _confidence(run, study, learner, counts)
        _write_graph(run, study, list(fits.values())[-1][0], confidence)
        _draw_adjacency(run, study, fits)
        numbers = _numbers(config, study, fits, _scores(study, fits))
        if study.truths:
            _draw_scores(run, numbers)
        return numbers


def _learner(config: ConfigDict) -> causal.Config:
    transform = config.data.transform or ("standardize" if config.data.csv else "center")
    raw = transform in ("center", "none")
    cut, noise = config.learner.cut, config.learner.noise
    return causal.Config(
        transform=transform,
        penalty=config.learner.penalty,
        prior_weight=config.prior.weight,
        cut=(0.3 if raw else 0.1) if cut is None else cut,
        finish=config.learner.finish,
        noise=("equal" if raw else "unequal") if noise is None else noise,
    )


def _generated(config: ConfigDict) -> Study:
    """Linear equations with equal noise on random graphs, and a prior of known quality for each."""
    nodes, samples = config.data.nodes, config.data.samples
    if nodes < 2 or samples < 3:
        raise ValueError(f"data.nodes must be at least 2 and data.samples at least 3, got {nodes} and {samples}")
    if config.data.truth:
        raise ValueError("data.truth is the truth of a table: give data.csv with it; generated data bring their own")
    runs.require_memory(8 * nodes * (4 * samples + 40 * nodes), f"a study of {nodes} columns and {samples} rows")
    names = tuple(f"X{i + 1}" for i in range(nodes))
    count = SIZES[config.preset]["seeds"] if config.seeds is None else config.seeds
    tables, truths, priors = [], [], []
    for key in keys.for_seeds(config.seed, count):
        truth = np.asarray(graphs.erdos_renyi(keys.named(key, "graph"), nodes, config.data.degree))
        weights = structural.edge_weights(keys.named(key, "weights"), truth)
        tables.append(np.asarray(structural.linear(keys.named(key, "noise"), weights, samples, noise.gaussian())))
        truths.append(truth)
        quality = config.prior.precision, config.prior.recall
        priors.append(causal.knowledge.imperfect(keys.named(key, "prior"), truth, *quality))
    note = ""
    if config.prior.answers:
        prior, note = _voted(config.prior.answers, names)
        priors = [prior] * count
    return Study(names, list(range(config.seed, config.seed + count)), tables, truths, priors, note)


def _from_csv(config: ConfigDict, learner: causal.Config) -> Study:
    """A table of one's own, with its truth and its prior where they are given."""
    if config.seeds not in (None, 1):
        raise ValueError(
            f"a table is one problem, but seeds is {config.seeds}: it draws several graphs, without data.csv"
        )
    table = data.read_table(config.data.csv)
    try:
        causal.inputs.check(table.values, None, learner.transform, table.names)
    except ValueError as error:
        raise ValueError(f"{config.data.csv}: {error}") from None
    truths = [_true_graph(config.data.truth, table.names)] if config.data.truth else []
    study = Study(table.names, [config.seed], [table.values], truths, [])
    if not config.prior.answers:
        return study
    prior, note = _voted(config.prior.answers, table.names)
    return study._replace(priors=[prior], note=note)


def _true_graph(path: str, names: tuple[str, ...]) -> np.ndarray:
    try:
        truth = graphs.from_edges([(edge["source"], edge["target"]) for edge in data.read_edges(path)], names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path not in str(error) else str(error)) from None
    cycle = graphs.find_cycle(truth, names)
    if cycle:
        raise ValueError(f"{path}: the truth must be acyclic, but it holds {cycle}")
    return truth


def _voted(path: str, names: tuple[str, ...]) -> tuple[causal.Knowledge, str]:
    """The prior of recorded answers in the order of the columns, and what the file warns of."""
    answers = causal.read_answers(path, names)
    note = f"The prior: answers of a language model about {answers.domain}. Of these answers: {answers.caveat}."
    return causal.vote(answers).align(names), note


def _step(states: causal.State, fixed: tuple[causal.Problem, causal.Config]):
    return jax.vmap(causal.step, in_axes=(0, 0, None))(states, *fixed)


def _solve(run: runs.Run, phase: str, problems: list[causal.Problem], learner: causal.Config, rows) -> causal.Result:
    """All problems as one batch, driven in chunks; leaves `[problems, ...]`."""
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *problems)
    states = jax.vmap(causal.init, in_axes=(0, None))(batch, learner)
    memory = 16 * batch.covariance.nbytes  # a step holds about 16 matrices of float64 for each problem
    states = runs.drive(run, phase, _step, states, (batch, learner), learner.steps, CHUNK, rows, memory=memory)
    results = jax.jit(jax.vmap(causal.finish, in_axes=(0, 0, None)))(states, batch, learner)
    if np.any(results.status):
        raise ValueError(f"{phase}: {causal.STATUS[int(np.max(results.status))]}")
    return results


def _fit(run: runs.Run, study: Study, learner: causal.Config, arms: dict) -> dict[str, list[causal.Result]]:
    """The results of each arm, one a seed."""
    labels = [(arm, seed) for arm in arms for seed in study.seeds]
    pairs = [(x, prior) for priors in arms.values() for x, prior in zip(study.tables, priors, strict=True)]
    problems = [causal.problem(x, prior, learner) for x, prior in pairs]

    def rows(done: int, measured) -> list[dict[str, Any]]:
        last = [{name: values[-1, i] for name, values in measured.items()} for i in range(len(labels))]
        return [{"step": done, "seed": seed, "arm": arm} | row for (arm, seed), row in zip(labels, last, strict=True)]

    results = _solve(run, "fit", problems, learner, rows)
    each = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), results) for i in range(len(labels))]
    return {arm: each[i * len(study.seeds) : (i + 1) * len(study.seeds)] for i, arm in enumerate(arms)}


def _resamples(config: ConfigDict, study: Study) -> jax.Array:
    """How often each row of the first problem stands in each resample, `[resamples, rows]`."""
    key = keys.named(jax.random.key(config.seed), "bootstrap")
    return causal.confidence.resample(key, len(study.tables[0]), config.bootstrap)


def _confidence(run: runs.Run, study: Study, learner: causal.Config, counts: jax.Array) -> np.ndarray:
    """Bootstrap frequency of each edge of the first problem, `[columns, columns]`."""
    x, prior = study.tables[0], study.priors[0] if study.priors else None
    problems = [causal.problem(x, prior, learner, counts=count) for count in counts]
    results = _solve(run, "bootstrap", problems, learner, lambda done, measured: [])
    return np.asarray(results.graph).mean(axis=0)


def _scores(study: Study, fits: dict[str, list[causal.Result]]) -> dict[str, list[metrics.Scores]]:
    """Each arm and each baseline held against the truths, one entry a seed; empty where no truth is known."""
    if not study.truths:
        return {}
    estimates = {arm: [result.graph for result in results] for arm, results in fits.items()}
    if study.priors:
        estimates["prior_only"] = [np.asarray(causal.knowledge.alone(prior)) for prior in study.priors]
    estimates["empty"] = [np.zeros_like(truth) for truth in study.truths]
    score = lambda true, found: metrics.compare(true, found) | {"cpdag_shd": equivalence.cpdag_shd(true, found)}
    return {
        arm: [score(true, graph) for true, graph in zip(study.truths, found, strict=True)]
        for arm, found in estimates.items()
    }


def _numbers(config: ConfigDict, study: Study, fits: dict[str, list[causal.Result]], scores: dict) -> dict[str, Any]:
    """Means, standard errors and single values; without a truth, what was found."""
    rows, columns = study.tables[0].shape
    numbers: dict[str, Any] = {"rows": rows, "columns": columns, "seeds": len(study.seeds)}
    if study.note:
        numbers["note"] = study.note
    if config.data.csv:
        numbers["claim"] = f"The causal graph that the learner finds in {Path(config.data.csv).name}."
    numbers["edges"] = {
        arm: float(np.mean([result.graph.sum() for result in results])) for arm, results in fits.items()
    }
    if scores:
        pairs = list(zip(study.tables, study.truths, strict=True))
        numbers["varsortability"] = float(np.mean([sortability.varsortability(*pair) for pair in pairs]))
        numbers["r2_sortability"] = float(np.mean([sortability.r2_sortability(*pair) for pair in pairs]))
        for name in ("shd", "cpdag_shd", "precision", "recall", "f1"):
            numbers[name] = {arm: float(np.mean([score[name] for score in found])) for arm, found in scores.items()}
        numbers["shd_each"] = {arm: [int(score["shd"]) for score in found] for arm, found in scores.items()}
        if len(study.seeds) > 1:
            numbers["shd_error"] = {arm: _standard_error(values) for arm, values in numbers["shd_each"].items()}
    return numbers


def _standard_error(values: list[int]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _write_graph(run: runs.Run, study: Study, result: causal.Result, confidence: np.ndarray) -> None:
    """`graph.csv` and `graph.png` of the first problem."""
    edges = [(int(i), int(j)) for i, j in np.argwhere(result.graph)]
    edges.sort(key=lambda edge: -abs(result.weights[edge]))
    header = ("source", "target", "weight", "confidence")
    rows = [(study.names[i], study.names[j], result.weights[i, j], confidence[i, j]) for i, j in edges]
    run.save_csv("graph.csv", header, rows)
    drawn = causal.to_networkx(result, study.names)
    _mark(drawn, study)
    widths = {(a, b): frequency for a, b, _, frequency in rows}
    caption = "The learned graph; the wider an edge, the more bootstrap resamples bear it out."
    run.save_figure("graph", figures.graph(drawn, f"{len(edges)} edges", KINDS, widths), caption)


def _mark(drawn: nx.DiGraph, study: Study) -> None:
    """Gives each edge its kind, and adds those that are missing."""
    if not study.truths:
        nx.set_edge_attributes(drawn, "found", "kind")
        return
    true = {(study.names[i], study.names[j]) for i, j in np.argwhere(study.truths[0])}
    for a, b in list(drawn.edges):
        kind = "correct" if (a, b) in true else "reversed" if (b, a) in true else "extra"
        drawn.edges[a, b]["kind"] = kind
    drawn.add_edges_from(
        (a, b, {"kind": "missing"}) for a, b in true if not drawn.has_edge(a, b) | drawn.has_edge(b, a)
    )


def _draw_adjacency(run: runs.Run, study: Study, fits: dict[str, list[causal.Result]]) -> None:
    panels = {"truth": study.truths[0].astype(float)} if study.truths else {}
    if study.priors:
        panels["prior, by confidence"] = study.priors[0].edges * study.priors[0].confidence
    panels |= {f"learned, {arm.replace('_', ' ')}": results[0].weights for arm, results in fits.items()}
    caption = "Adjacency matrices of the first problem, from row to column."
    run.save_figure("figures/adjacency", figures.matrices(panels, study.names), caption)


def _draw_scores(run: runs.Run, numbers: dict[str, Any]) -> None:
    bars = {
        arm: (mean, numbers["shd_error"][arm] if numbers["seeds"] > 1 else 0.0) for arm, mean in numbers["shd"].items()
    }
    caption = "Structural Hamming distance to the truth; less is better."
    if numbers["seeds"] > 1:
        caption += f" Mean and standard error of {numbers['seeds']} graphs, a point each."
    run.save_figure("figures/shd", figures.bars(bars, "SHD (edges)", numbers["shd_each"]), caption)
