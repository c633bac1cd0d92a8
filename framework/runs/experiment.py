"""One experiment into one run directory: its `main`, its report, its result, in this order."""

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from framework.runs import files
from framework.runs.directory import Run, open_run
from framework.runs.reporting import intervals, report
from framework.runs.reporting.report import Section

SMALL = 2**20  # bytes


@runtime_checkable
class Experiment(Protocol):
    """What a file in `experiments/` offers, as a module.

    Its docstring states the claim (the first paragraph), the command and the time.

    - `get_config(preset)` returns a ConfigDict that holds at least `preset`, `seed` and `seeds`.
    - `main(config, run)` returns the numbers of `result.json`, which may be nested; among them a `claim` and a `note`,
      words for the report, and a `table` of findings, a dict of `header` and `cells`. `seeds` is how many seeds are
      behind the numbers; `no_interval` says of those that are compared over fewer than 3 `runs.no_interval(seeds)`:
      `{"accuracy": "one seed, no interval"}` of all `accuracy.*`.
    - `EXPECTED` tells, preset by preset, value and spread of some of these numbers: `{"smoke": {"loss": (0.5, 0.1)}}`.
    - `sections(run, config, result)` may be there too, and returns Sections where one is not enough.
    """

    __name__: str
    __doc__: str
    EXPECTED: dict[str, report.Expected]
    get_config: Callable[[str], Any]
    main: Callable[[Any, Run], dict[str, Any]]


class Outcome(NamedTuple):
    """What came of a launch: the numbers of `result.json`, and what the report shows.

    `ran` is False where the result was there already.
    """

    path: Path
    result: dict[str, Any]
    sections: list[Section]
    ran: bool


def execute(
    experiment: Experiment, config: Any, path: Path, resume: str = "auto", tensorboard: bool = False
) -> Outcome:
    """Runs an experiment, or takes it up where it was killed; a complete run is read and left as it is.

    Args:
      experiment: the module.
      config: its ConfigDict.
      path: the run directory.
      resume, tensorboard: see `open_run`.

    Raises:
      ValueError, OSError: for bad input, as the experiment and `open_run` do.
    """
    name = experiment_name(experiment)
    experiment.get_config(config.preset)
    with open_run(path, settings_of(experiment, config), resume, tensorboard) as run:
        result = run.result()
        if result is not None:
            return Outcome(path, result, _sections(experiment, run, config, result), ran=False)
        result = files.plain(experiment.main(config, run))
        sections = _sections(experiment, run, config, result)
        intro = claim_of(experiment) if len(sections) > 1 else ""
        files.write_text(run.file("report.html"), report.page(f"{name}, {config.preset}", intro, sections))
        run.finish(result)
    return Outcome(path, result, sections, ran=True)


def load(path: Path, root: Path) -> Experiment:
    """The module of an experiment's file: the project's own by name, a file from elsewhere by its path.

    The latter goes by `elsewhere.NAME`, so that it takes the place of no module that is named alike.

    Args:
      path: the file.
      root: the folder of the project, that of `experiments`.

    Raises:
      OSError: if the file cannot be read.
    """
    if path.resolve().parent == root / "experiments":
        return importlib.import_module(f"experiments.{path.stem}")
    name = f"elsewhere.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings_of(experiment: Experiment, config: Any) -> dict[str, Any]:
    """What determines the result of a run, as plain values: the experiment, its config, the files that this names."""
    settings = {"experiment": experiment_name(experiment), **_plain(config)}
    return {**settings, "files": fingerprints(settings)}


def fingerprints(settings: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of each file or folder that a setting names, so that a changed file is a changed config."""
    digests = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            digests.update({f"{key}.{nested}": digest for nested, digest in fingerprints(value).items()})
        elif isinstance(value, str) and value and Path(value).exists():
            digests[key] = _digest(Path(value))
    return digests


def _digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, of its files' names, sizes and, where they are small, contents."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path)}\0{size}\0".encode())
        digest.update(file.read_bytes() if size <= SMALL else b"")
    return digest.hexdigest()


def summary(outcome: Outcome) -> str:
    """What the terminal shows at the end: the numbers, what to bear in mind, and where the rest is."""
    state = "" if outcome.ran else "complete already, nothing was run; "
    notes = [f"{section.title}: {' '.join(section.note.split())}\n" for section in outcome.sections if section.note]
    where = f"{state}report: {outcome.path / 'report.html'}"
    return "\n".join([report.terminal(outcome.sections), "", *notes, where])


def list_experiments(experiments: Iterable[Experiment], width: int | None = None) -> str:
    """One line an experiment: its name and its claim, cut between words where it is longer than `width`."""
    named = [(experiment_name(experiment), claim_of(experiment)) for experiment in experiments]
    column = max(len(name) for name, _ in named) + 2
    lines = [f"{name:{column}}{claim}" for name, claim in named]
    return "\n".join(line if width is None or len(line) <= width else _truncate(line, width) for line in lines)


def _truncate(line: str, width: int) -> str:
    return f"{line[: width - 4].rpartition(' ')[0]} ..."


def one_line(error: Exception) -> str:
    """What went wrong on one line, without the trace that some libraries put into their messages."""
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = text.replace("\\n", "\n").replace("\\'", "'")  # ml_collections nests one message in another's repr
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(line.startswith("Traceback") for line in lines):
        return lines[-1].partition("Error: ")[2] or lines[-1]
    line = " ".join(lines)
    missing, _, near = line.strip("'\"").partition("' ")
    if line[:1] in ("'", '"') and missing.isidentifier() and (not near or near.startswith("Did you mean")):
        near = near or "get_config in the experiment's file lists them all"  # all else that ml_collections says
        return f"there is no setting {missing!r} there: {near}"
    return line or type(error).__name__


def experiment_name(experiment: Experiment) -> str:
    """The name that an experiment goes by: its file's."""
    return experiment.__name__.rpartition(".")[2]


def claim_of(experiment: Experiment) -> str:
    """The first paragraph of the module's docstring, on one line."""
    return " ".join(inspect.cleandoc(experiment.__doc__ or "").partition("\n\n")[0].split())


def section_of(experiment: Experiment, run: Run, config: Any, result: dict[str, Any]) -> Section:
    """The section of a whole experiment: all its numbers, all its figures, and the `claim`, `note` and `table` of its
    result."""
    numbers, expected, few = report.scalars(result), _expected_values(experiment, config), result.get("no_interval")
    words = "; ".join(sorted(set((few or {}).values())))
    claim = result.get("claim") or intervals.qualify(claim_of(experiment), words)
    table, note = report.Lines(**result["table"]) if "table" in result else None, result.get("note", "")
    return Section(
        experiment_name(experiment), claim, numbers, expected, run.figures(), note, table=table, no_interval=few
    )


def _sections(experiment: Experiment, run: Run, config: Any, result: dict[str, Any]) -> list[Section]:
    if hasattr(experiment, "sections"):
        return experiment.sections(run, config, result)
    return [section_of(experiment, run, config, result)]


def _expected_values(experiment: Experiment, config: Any) -> report.Expected:
    """The expected numbers of a preset that only the seed was changed of; of another config nothing is expected."""
    preset = experiment.get_config(config.preset)
    preset.seed = config.seed
    return experiment.EXPECTED.get(config.preset, {}) if _plain(preset) == _plain(config) else {}


def _plain(config: Any) -> dict[str, Any]:
    return json.loads(config.to_json_best_effort())
