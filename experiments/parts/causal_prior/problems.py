"""Where the problems of the causal study come from: drawn tables, bnlearn networks, and tables of one's own."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments.parts.causal_prior import doubts as tables
from framework import causal, data, runs
from framework.causal import graphs, knowledge
from framework.causal.prior import elicitation, endpoint
from framework.causal.synthetic import bif, recipes
from framework.core import keys
from framework.core.files import parse_json

FILES = ("data.csv", "data.truth", "data.bif", "prior.answers", "prior.elicit.descriptions", "knowledge")
RECIPE = ("graph", "degree", "equations", "noise", "variances")  # of generated data, in config.data
NO_MODEL = "no model is asked; prior.elicit.model names one"


class Study(NamedTuple):
    """What is to be learned, one entry a seed in every list, and what is known of it."""

    names: tuple[str, ...]
    seeds: list[int]
    tables: list[np.ndarray]  # [rows, columns]
    truths: list[np.ndarray]  # [columns, columns] bool; empty where no truth is known
    priors: list[causal.Knowledge]  # empty where there is none
    hard: causal.Knowledge | None = None  # what no fit may go against
    note: str = ""  # what is doubted about the tables, and what the source of the priors warns of
    unreadable: float | None = None  # the share of a language model's replies that could not be read


def unused(config: ConfigDict) -> dict[str, str]:
    """The settings that this config leaves without effect, each with the reason."""
    prior, found = config.prior, {}
    if config.data.csv:
        drawn = ("bif", *RECIPE, "nodes", "raw_samples", "standardised_samples")
        found |= dict.fromkeys((f"data.{name}" for name in drawn), "data.csv names a table, so no data are generated")
        made = ("prior.precision", "prior.recall", "prior.sweep", "paper_arms")
        found |= dict.fromkeys(
            made, "priors of known quality need known truths, of generated data; data.csv is a table"
        )
        if not (prior.answers or prior.elicit.model):
            found["prior.weight"] = "there is no prior; prior.answers or prior.elicit.model gives one"
    else:
        found["data.truth"] = "it is the truth of a table: give data.csv with it; generated data bring their own"
        found["data.transform"] = "it is for a table: give data.csv with it; generated data are raw and standardised"
        found["prior.elicit"] = "a model is asked about the columns of a table: give data.csv with it"
        if config.data.bif:
            found |= dict.fromkeys(
                (f"data.{name}" for name in (*RECIPE, "nodes")), "data.bif brings graph and equations"
            )
        if prior.answers:
            made = ("prior.precision", "prior.recall")
            found |= dict.fromkeys(made, "prior.answers takes the place of priors that are made")
    if not prior.elicit.model:
        found.setdefault("prior.elicit", NO_MODEL)
    return found


def generated(config: ConfigDict, samples: int, seeds: int) -> Study:
    """Tables drawn by the recipe of the config, and a prior of known quality for each."""
    network = bif.read_network(config.data.bif) if config.data.bif else None
    nodes = len(network.names) if network else config.data.nodes
    if nodes < 2 or samples < 3:
        raise ValueError(f"data.nodes must be at least 2 and samples at least 3, got {nodes} and {samples}")
    runs.require_memory(8 * nodes * (4 * samples + 40 * nodes), f"a study of {nodes} columns and {samples} rows")
    drawn = [_draw(config, network, key, nodes, samples) for key in keys.for_seeds(config.seed, seeds)]
    names = network.names if network else tuple(f"X{i + 1}" for i in range(nodes))
    truths, drawn_tables = (list(part) for part in zip(*drawn, strict=True))
    quality = config.prior.precision, config.prior.recall
    priors = of_quality(config, truths, *quality)
    study = Study(names, list(range(config.seed, config.seed + seeds)), drawn_tables, truths, priors)
    return _with_knowledge(doubted(study, tables.doubts_of_states(network) if network else []), config)


def said(study: Study) -> dict[str, str | float]:
    """What a result says of where its problems come from: a note, and the share of replies that could not be read."""
    words = {"note": study.note, "unreadable_replies": study.unreadable}
    return {name: value for name, value in words.items() if value not in ("", None)}


def of_quality(config: ConfigDict, truths: list[np.ndarray], precision: float, recall: float) -> list[causal.Knowledge]:
    """A prior of known quality for each truth."""
    pairs = zip(keys.for_seeds(config.seed, len(truths)), truths, strict=True)
    return [knowledge.imperfect(keys.named(key, "prior"), truth, precision, recall) for key, truth in pairs]


def _draw(config: ConfigDict, network: bif.BayesianNetwork | None, key, nodes: int, samples: int):
    """A true graph and a table."""
    if network:
        return network.graph, bif.sample(network, keys.named(key, "noise"), samples).astype(float)
    recipe = recipes.Recipe(**{name: config.data[name] for name in RECIPE})
    return recipes.sample(key, recipe, nodes, samples)


def from_csv(config: ConfigDict, learner: causal.Config, run: runs.Run) -> Study:
    """A table of one's own, with its truth and its prior where they are given."""
    if config.seeds not in (None, 1):
        raise ValueError(
            f"a table is one problem, but seeds is {config.seeds}: it draws several graphs, without data.csv"
        )
    table, doubts = tables.read(config.data.csv, learner)
    truths = [_true_graph(config.data.truth, table.names)] if config.data.truth else []
    study = _with_knowledge(Study(table.names, [config.seed], [table.values], truths, []), config)
    study = doubted(study, doubts)
    if not config.prior.elicit.model:
        return study
    if config.prior.answers:
        raise ValueError("prior.answers holds answers already: leave it out to ask anew with prior.elicit.model")
    doubts = []
    with tables.overhear(doubts):
        path = _elicited(config, table.names, run)
    return _with_answers(study._replace(note=tables.note(study.note, doubts)), path)


def known(prior: causal.Knowledge | None, study: Study) -> causal.Knowledge:
    """A prior, or one that knows nothing, with the study's hard knowledge."""
    nothing = np.zeros((len(study.names),) * 2)
    prior = causal.Knowledge(nothing, nothing) if prior is None else prior
    return dataclasses.replace(
        prior, required=study.hard and study.hard.required, forbidden=study.hard and study.hard.forbidden
    )


def _with_knowledge(study: Study, config: ConfigDict) -> Study:
    """The study with the answers and the hard knowledge that the config names."""
    if config.prior.answers:
        study = _with_answers(study, Path(config.prior.answers))
    if config.knowledge:
        study = study._replace(hard=_about(config.knowledge, knowledge.from_rows, study.names, ("kind",)))
    return study


def _with_answers(study: Study, path: Path) -> Study:
    answers = causal.read_answers(path, study.names)
    note = f"The prior: answers of a language model about {answers.domain}. Of these answers: {answers.caveat}."
    unreadable, total = tables.unreadable_replies(path)
    study = study._replace(
        priors=[causal.vote(answers).align(study.names)] * len(study.seeds),
        note=tables.paragraphs(study.note, note),
        unreadable=unreadable / max(total, 1),
    )
    return doubted(study, tables.doubts_of_answers(answers, path))


def doubted(study: Study, doubts: list[str]) -> Study:
    """The study with doubts in its note, which are said in the terminal too."""
    tables.say(doubts)
    return study._replace(note=tables.note(study.note, doubts))


def measured(study: Study, result: causal.Result) -> Study:
    """The study with a word, next to a truth, on the measures that count how open edges happen to be drawn."""
    count = int(np.sum(np.asarray(result.direction) == causal.DIRECTIONS.index("open")))
    if not count or not study.truths:
        return study
    words = (
        f"{count} of {int(result.graph.sum())} edges {'is' if count == 1 else 'are'} open. Against the truth, shd, f1, "
        "sid, fdr, tpr and fpr count such an edge in the one direction in which it is written down, which is no "
        "finding; cpdag_shd and skeleton_f1 do not depend on that."
    )
    return study._replace(note=tables.paragraphs(study.note, words))


def _true_graph(path: str, names: tuple[str, ...]) -> np.ndarray:
    pairs = lambda rows, names: graphs.from_edges([(row["source"], row["target"]) for row in rows], names)
    truth = _about(path, pairs, names)
    cycle = graphs.find_cycle(truth, names)
    if cycle:
        raise ValueError(f"{path}: the truth must be acyclic, but it holds {cycle}")
    return truth


def _about(path: str, read, names: tuple[str, ...], columns: tuple[str, ...] = ()):
    """What `read` makes of the edges in a file and their further columns; its errors name the file."""
    try:
        return read(data.read_edges(path, columns), names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path not in str(error) else str(error)) from None


def _elicited(config: ConfigDict, names: tuple[str, ...], run: runs.Run) -> Path:
    """Asks the endpoint about every pair of columns; what was answered before is not asked again, but for replies that
    could not be read."""
    settings, path = config.prior.elicit, run.path / "answers.json"
    described = _descriptions(settings.descriptions, names)
    asked = elicitation.questionnaire(settings.domain, settings.context, described, seed=config.seed)
    server = {
        "base_url": settings.base_url or None,
        "model": settings.model,
        "temperature": None if settings.temperature < 0 else settings.temperature,
    }
    source = endpoint.source(**server)
    left = len(elicitation.remaining_questions(asked, path, source))
    if not left:
        elicitation.elicit(asked, lambda prompt: "", path, source=source)  # keeps what can be read by now
        return path
    with (
        endpoint.chat(**server) as ask,
        tqdm(total=left, desc="elicit", unit="question", disable=None, leave=False) as bar,
    ):
        elicitation.elicit(
            asked,
            runs.paced(ask, settings.per_minute),
            path,
            source=source,
            workers=settings.workers,
            max_unreadable=settings.max_unreadable,
            on_answer=lambda done, total: bar.update(1),
        )
    return path


def _descriptions(path: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """Column to what it holds, from a JSON file; without one a column is described by its name."""
    if not path:
        return {name: name for name in names}
    try:
        described = parse_json(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); wanted is an object of column and description") from None
    if not isinstance(described, dict) or set(described) != set(names):
        raise ValueError(f"{path}: an object with a description of each of {', '.join(names)} is wanted")
    for name, description in described.items():
        if not isinstance(description, str):
            raise ValueError(f"{path}: the description of {name} must be a text, got {json.dumps(description)[:80]}")
    return {name: described[name] for name in names}
