"""Learning tasks of the causal experiments: tables with their truths, priors and hard constraints."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from experiments.parts.causal_prior import assumptions
from framework import causal, data, runs
from framework.causal import knowledge
from framework.causal.prior import answers as causal_answers
from framework.causal.synthetic import bif, recipes
from framework.core import keys

RECIPE = ("graph", "degree", "equations", "noise", "variances")  # of generated data, in config.data


class Task(NamedTuple):
    """Graphs to learn, one entry a seed in every list, and what is known about them."""

    names: tuple[str, ...]
    seeds: list[int]
    tables: list[np.ndarray]  # [rows, columns]
    truths: list[np.ndarray]  # [columns, columns] bool; empty where no truth is known
    priors: list[causal.Knowledge]  # empty where there is none
    hard_constraints: causal.Knowledge | None = None  # required and forbidden edges of every fit
    note: str = ""  # warnings about the tables, and caveats of the priors
    unreadable: float | None = None  # the share of a language model's replies that could not be read


def generate(config: ConfigDict, samples: int, seeds: int) -> Task:
    """Draws tables by the recipe of the config, and a prior of known quality for each.

    Args:
      config: of the experiment `causal_prior`.
      samples: rows of each table.
      seeds: the number of tables.

    Returns:
      The task.

    Raises:
      ValueError: if there are too few columns or rows, or too many for the memory.
    """
    network = bif.read_network(config.data.bif) if config.data.bif else None
    nodes = len(network.names) if network else config.data.nodes
    if nodes < 2 or samples < 3:
        raise ValueError(f"data.nodes must be at least 2 and samples at least 3, got {nodes} and {samples}")
    runs.require_memory(8 * nodes * (4 * samples + 40 * nodes), f"a run with {nodes} columns and {samples} rows")
    pairs = [_draw(config, network, key, nodes, samples) for key in keys.for_seeds(config.seed, seeds)]
    names = network.names if network else tuple(f"X{i + 1}" for i in range(nodes))
    truths, tables = (list(part) for part in zip(*pairs, strict=True))
    priors = draw_priors(config, truths, config.prior.precision, config.prior.recall)
    task = Task(names, list(range(config.seed, config.seed + seeds)), tables, truths, priors)
    task = add_warnings(task, assumptions.network_warnings(network) if network else [])
    return add_knowledge(task, config.prior.answers, config.knowledge)


def provenance(task: Task) -> dict[str, str | float]:
    """Entries of a result about the source of its tasks: a note, and the share of replies that could not be read."""
    entries = {"note": task.note, "unreadable_replies": task.unreadable}
    return {name: value for name, value in entries.items() if value not in ("", None)}


def draw_priors(
    config: ConfigDict, truths: list[np.ndarray], precision: float, recall: float
) -> list[causal.Knowledge]:
    """Draws a prior of known quality for each truth."""
    pairs = zip(keys.for_seeds(config.seed, len(truths)), truths, strict=True)
    return [knowledge.imperfect(keys.derive(key, "prior"), truth, precision, recall) for key, truth in pairs]


def _draw(config: ConfigDict, network: bif.BayesianNetwork | None, key, nodes: int, samples: int):
    """A true graph and a table."""
    if network:
        return network.graph, bif.sample(network, keys.derive(key, "noise"), samples).astype(float)
    recipe = recipes.Recipe(**{name: config.data[name] for name in RECIPE})
    return recipes.sample(key, recipe, nodes, samples)


def make_prior(prior: causal.Knowledge | None, task: Task) -> causal.Knowledge:
    """A prior, or an empty one for None, with the hard constraints of the task."""
    empty = np.zeros((len(task.names),) * 2)
    prior = causal.Knowledge(empty, empty) if prior is None else prior
    hard = task.hard_constraints
    return dataclasses.replace(prior, required=hard and hard.required, forbidden=hard and hard.forbidden)


def add_knowledge(task: Task, answers: str, constraints: str) -> Task:
    """The task with recorded answers as its prior and with hard constraints; each is the path of a file, or empty."""
    if answers:
        task = add_answers(task, Path(answers))
    if constraints:
        hard = read_graph(constraints, knowledge.from_rows, task.names, ("kind",))
        task = task._replace(hard_constraints=hard)
    return task


def add_answers(task: Task, path: Path) -> Task:
    """The task with the vote of recorded answers as the prior of every table."""
    answers = causal.read_answers(path, task.names)
    note = f"The prior: answers of a language model about {answers.domain}. Of these answers: {answers.caveat}."
    unreadable, total = assumptions.count_unreadable(path)
    task = task._replace(
        priors=[causal_answers.vote(answers).align(task.names)] * len(task.seeds),
        note=assumptions.join_paragraphs(task.note, note),
        unreadable=unreadable / max(total, 1),
    )
    return add_warnings(task, assumptions.answer_warnings(answers, path))


def add_warnings(task: Task, messages: list[str]) -> Task:
    """The task with warnings in its note; they are issued in the terminal too."""
    assumptions.warn(messages)
    return task._replace(note=assumptions.compose_note(task.note, messages))


def read_graph(path: str, read, names: tuple[str, ...], columns: tuple[str, ...] = ()):
    """Applies `read` to the rows of a file of edges; its errors name the file.

    Args:
      path: a CSV with the columns source, target and further `columns`.
      read: a function of the rows and of `names`.
      names: of the columns of the table.
      columns: further columns of the file.

    Returns:
      What `read` returns.

    Raises:
      ValueError: if the file cannot be read, or `read` refuses it.
    """
    try:
        return read(data.read_edges(path, columns), names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path not in str(error) else str(error)) from None
