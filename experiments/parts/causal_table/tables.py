"""The task of one table: read from a file or drawn as an example, with a truth and a prior where they are known."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments.parts.causal_prior import assumptions
from experiments.parts.causal_prior.tasks import Task, add_answers, add_knowledge, add_warnings, read_graph
from framework import causal, runs
from framework.causal import graphs
from framework.causal.discrete import orientation
from framework.causal.prior import elicitation, endpoint
from framework.causal.prior.answers import answer_file
from framework.causal.synthetic import physics
from framework.core import checks, keys
from framework.core.files import parse_json

FILES = ("data.csv", "data.truth", "prior.answers", "prior.elicit.descriptions", "knowledge")


def find_unused_settings(config: ConfigDict) -> dict[str, str]:
    """The settings that have no effect in this config, with the reasons."""
    prior, reasons = config.prior, {}
    if config.data.csv:
        reasons |= dict.fromkeys(("data.example", "data.samples"), "data.csv names a table")
        if not (prior.answers or prior.elicit.model):
            reasons["prior.weight"] = "there is no prior; prior.answers or prior.elicit.model gives one"
    else:
        reasons["data.truth"] = "it is the truth of a table: give data.csv with it; an example brings its truth"
    if not prior.elicit.model:
        reasons["prior.elicit"] = "no model is asked; prior.elicit.model names one"
    return reasons


def read_task(config: ConfigDict, learner: causal.Config, run: runs.Run) -> Task:
    """The task of the table that the config names, or of its example.

    Args:
      config: of the experiment `causal_table`.
      learner: the settings of the fit, which decide about the assumptions to check.
      run: the directory for the answers of a model that is asked.

    Returns:
      The task.

    Raises:
      ValueError: if a file does not fit the table, or too many replies cannot be read.
    """
    prior = config.prior
    if prior.elicit.model and prior.answers:
        raise ValueError("prior.answers holds answers already: leave it out to ask again with prior.elicit.model")
    task, messages = _read_csv(config, learner) if config.data.csv else (draw_example(config), [])
    answers = prior.answers
    if not (config.data.csv or answers or prior.elicit.model):
        answers = str(answer_file(config.data.example))
    task = add_warnings(add_knowledge(task, answers, config.knowledge), messages)
    if not prior.elicit.model:
        return task
    messages = []
    with assumptions.record_warnings(messages):
        path = _elicit(config, task.names, run)
    return add_answers(task._replace(note=assumptions.compose_note(task.note, messages)), path)


def _read_csv(config: ConfigDict, learner: causal.Config) -> tuple[Task, list[str]]:
    """The task of a file, without a prior, and warnings about the table."""
    if config.seeds not in (None, 1):
        raise ValueError(f"a table is one problem, but seeds is {config.seeds}: it draws several tables of an example")
    table, messages = assumptions.read_table(config.data.csv, learner)
    truths = [_read_truth(config.data.truth, table.names)] if config.data.truth else []
    return Task(table.names, [config.seed], [table.values], truths, []), messages


def draw_example(config: ConfigDict) -> Task:
    """Draws tables of a physics system, one a seed, without a prior."""
    checks.one_of("data.example", config.data.example, physics.SYSTEMS)
    if config.data.samples < 3:
        raise ValueError(f"data.samples must be at least 3 rows, got {config.data.samples}")
    system = physics.SYSTEMS[config.data.example]
    count = 1 if config.seeds is None else config.seeds
    runs.require_memory(8 * len(system.columns) * config.data.samples * count, f"a table of {config.data.samples} rows")
    names = [keys.derive(key, system.name) for key in keys.for_seeds(config.seed, count)]
    tables = [np.asarray(physics.sample(key, system, config.data.samples, 0.1)) for key in names]
    seeds = list(range(config.seed, config.seed + count))
    return Task(system.columns, seeds, tables, [physics.graph(system)] * count, [])


def explain_open_edges(task: Task, result: causal.Result) -> Task:
    """The task with a note, next to a truth, on the measures that depend on how open edges are written down."""
    count = int(np.sum(np.asarray(result.direction) == orientation.DIRECTIONS.index("open")))
    if not count or not task.truths:
        return task
    text = (
        f"{count} of {int(result.graph.sum())} edges {'is' if count == 1 else 'are'} open. Against the truth, shd, f1, "
        "sid, fdr, tpr and fpr count such an edge in the one direction in which it is written down, which is no "
        "finding; cpdag_shd and skeleton_f1 do not depend on that."
    )
    return task._replace(note=assumptions.join_paragraphs(task.note, text))


def _read_truth(path: str, names: tuple[str, ...]) -> np.ndarray:
    parse = lambda rows, names: graphs.from_edges([(row["source"], row["target"]) for row in rows], names)
    truth = read_graph(path, parse, names)
    cycle = graphs.find_cycle(truth, names)
    if cycle:
        raise ValueError(f"{path}: the truth must be acyclic, but it holds {cycle}")
    return truth


def _elicit(config: ConfigDict, names: tuple[str, ...], run: runs.Run) -> Path:
    """Asks the endpoint about every pair of columns; recorded answers are kept, unreadable replies are asked again."""
    settings, path = config.prior.elicit, run.path / "answers.json"
    descriptions = _read_descriptions(settings.descriptions, names)
    questions = elicitation.questionnaire(settings.domain, settings.context, descriptions, seed=config.seed)
    server = {
        "base_url": settings.base_url or None,
        "model": settings.model,
        "temperature": None if settings.temperature < 0 else settings.temperature,
    }
    source = endpoint.source(**server)
    left = len(elicitation.remaining_questions(questions, path, source))
    if not left:
        elicitation.elicit(questions, lambda prompt: "", path, source=source)  # keeps what can be read by now
        return path
    with (
        endpoint.chat(**server) as ask,
        tqdm(total=left, desc="elicit", unit="question", disable=None, leave=False) as bar,
    ):
        elicitation.elicit(
            questions,
            runs.rate_limit(ask, settings.per_minute),
            path,
            source=source,
            workers=settings.workers,
            max_unreadable=settings.max_unreadable,
            on_answer=lambda done, total: bar.update(1),
        )
    return path


def _read_descriptions(path: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """Reads a JSON file of column -> description; without a file a column is described by its name."""
    if not path:
        return {name: name for name in names}
    try:
        descriptions = parse_json(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); an object of column and description is needed") from None
    if not isinstance(descriptions, dict) or set(descriptions) != set(names):
        raise ValueError(f"{path}: must be an object with a description of each of {', '.join(names)}")
    for name, description in descriptions.items():
        if not isinstance(description, str):
            raise ValueError(f"{path}: the description of {name} must be a text, got {json.dumps(description)[:80]}")
    return {name: descriptions[name] for name in names}
