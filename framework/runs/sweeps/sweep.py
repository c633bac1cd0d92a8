"""A sweep: a grid of runs below one directory, then a table and a figure of them all.

sweep.json            what was asked: the experiment, the config that the points share, the grid
KEY=VALUE,KEY=VALUE/  a run directory a point
figures/sweep.png     report.html
sweep.csv             a row a point, written last: its presence means that every point was tried
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from framework.runs import files
from framework.runs.directory import Run, differing, lock_directory
from framework.runs.experiment import Experiment, claim_of, execute, experiment_name, one_line, settings_of
from framework.runs.guard import USER_ERRORS
from framework.runs.reporting import intervals, report
from framework.runs.sweeps import sweep_report
from framework.runs.sweeps.grid import Point, points, read
from framework.runs.sweeps.sweep_report import Line, Table

OWN = ("sweep.json", ".sweep.json.partial")  # what opening a sweep writes

Executor = Callable[[Sequence[Point], Path], Iterable[tuple[Point, str]]]  # runs points; each with its error, or ""


class SweepResult(NamedTuple):
    """What came of a sweep: `table.lines`, one a point, have `name`, swept `values`, `numbers` and `error`.

    `ran` is False where every point was complete already.
    """

    path: Path
    table: Table
    ran: bool

    @property
    def failures(self) -> dict[str, str]:
        """The points that failed, each with its error."""
        return {line.name: line.error for line in self.table.lines if line.error}


def sweep(
    experiment: Experiment,
    config: Any,
    expressions: Sequence[str],
    path: Path,
    resume: str = "auto",
    executor: Executor | None = None,
) -> SweepResult:
    """Runs the points of a grid that are not complete yet, and puts all of them side by side.

    A grid may grow: on the directory of an earlier sweep with the same keys, the values that came to it are run. A
    point that fails with an error about its input does not stop the others; the next launch tries it again.

    Args:
      experiment: the module.
      config: its ConfigDict; swept keys take their values from the grid.
      expressions: `config.KEY=[...]` or `config.KEY=range(...)`, one a key; see `grid.read`.
      path: the directory of the sweep.
      resume: see `open_run`.
      executor: runs points; by default one after another in this process.

    Raises:
      ValueError: for a bad grid, a directory of another sweep or in use, or if every point failed.
      OSError: if the directory cannot be written.
    """
    grid = read(expressions)
    grid_points = points(config, grid)
    asked = _describe_sweep(experiment, grid_points[0], grid)
    with lock_directory(path, OWN[0], OWN, resume) as fresh:
        before = None if fresh else files.read_object(path / OWN[0], "give another --workdir")
        if before is not None:
            _require_whole(path / OWN[0], before)
            _require_same(path, before, asked)
        pending = [point for point in grid_points if not (path / point.name / "result.json").exists()]
        if pending or before != asked:
            (path / "sweep.csv").unlink(missing_ok=True)
            files.write_json(path / OWN[0], asked)
        failed = _run(executor or in_process(experiment), pending, path, len(grid_points))
        lines = tuple(_line(point, path, failed) for point in grid_points)
        table = Table(tuple(grid), lines, _no_interval(config, grid, lines))
        swept = SweepResult(path, table, ran=bool(pending))
        if len(swept.failures) == len(grid_points):
            raise ValueError(failure(swept))
        if not (path / "sweep.csv").exists():
            sweep_report.write(path, f"{experiment_name(experiment)}: sweep", claim_of(experiment), table)
    return swept


def in_process(experiment: Experiment) -> Executor:
    """Runs one point after another in this process."""

    def run(pending: Sequence[Point], path: Path) -> Iterator[tuple[Point, str]]:
        for point in pending:
            yield point, attempt(partial(execute, experiment, point.config, path / point.name))

    return run


def attempt(work: Callable[[], Any]) -> str:
    """Does what is asked: "" if that went well, or what a user can mend, on one line."""
    try:
        work()
    except USER_ERRORS as error:
        return one_line(error)
    return ""


def failure(swept: SweepResult) -> str:
    """One line for the points that failed: how many, and each kind of error with the first point that had it."""
    first: dict[str, str] = {}
    for name, error in swept.failures.items():
        first.setdefault(error.replace(name, ""), f"{name}: {error}")
    return f"{len(swept.failures)} of {len(swept.table.lines)} points failed; {'; '.join(first.values())}"


def overview(swept: SweepResult) -> str:
    """What the terminal shows at the end: the points with the numbers that tell them apart, and where the rest is."""
    state = "" if swept.ran else "complete already, nothing was run; "
    return f"{sweep_report.text(swept.table)}\n\n{state}report: {swept.path / 'report.html'}"


def _describe_sweep(experiment: Experiment, first: Point, grid: dict[str, list[Any]]) -> dict[str, Any]:
    """What `sweep.json` says; the swept keys stand in the grid only."""
    shared = settings_of(experiment, first.config)
    for key in grid:
        *groups, name = key.split(".")
        holder = shared
        for group in groups:
            holder = holder[group]
        del holder[name]
        shared["files"].pop(key, None)
    return {"config": shared, "grid": files.plain(grid)}


def _require_whole(path: Path, before: dict[str, Any]) -> None:
    grid = before.get("grid")
    lists = isinstance(grid, dict) and all(isinstance(values, list) for values in grid.values())
    if not (lists and isinstance(before.get("config"), dict)):
        raise ValueError(f"{path} is damaged: it holds no config and grid; give another --workdir")


def _require_same(path: Path, before: dict[str, Any], asked: dict[str, Any]) -> None:
    """An earlier sweep of the directory may have had fewer values, and differ in nothing else."""
    keys = differing({"sweep": sorted(before["grid"])}, {"sweep": sorted(asked["grid"])})
    differences = keys or differing(before["config"], asked["config"])
    if differences:
        raise ValueError(f"{path} was made with another config ({', '.join(differences)}); give another --workdir")
    for key, values in asked["grid"].items():
        lost = [value for value in before["grid"][key] if value not in values]
        if lost:
            raise ValueError(
                f"{path} has points of config.{key}={lost[0]!r}, which the grid no longer has: "
                "a grid may grow only; give another --workdir"
            )
    if list(before["grid"]) != list(asked["grid"]):
        raise ValueError(f"{path} was swept over {', '.join(before['grid'])} in this order; keep it")


def _run(executor: Executor, pending: Sequence[Point], path: Path, total: int) -> dict[str, str]:
    """Runs what is pending behind a progress bar: the points that failed, each with its error."""
    failed: dict[str, str] = {}
    if not pending:
        return failed
    with tqdm(total=total, initial=total - len(pending), desc="sweep", unit="point", disable=None) as bar:
        for point, error in executor(pending, path):
            if error:
                failed[point.name] = error
            bar.update()
    return failed


def _no_interval(config: Any, grid: dict[str, list[Any]], lines: Sequence[Line]) -> str:
    """The words for settings compared over too few seeds: those swept times those of a point; "" where none are."""
    if set(grid) == {"seed"}:
        return ""
    seeds = [intervals.seeds_of(line.numbers, config) for line in lines if not line.error]
    known = [count for count in seeds if count is not None]
    swept = len(grid.get("seed", ()))
    if not (known or swept):
        return ""
    return intervals.no_interval(max(swept, 1) * min(known, default=1))


def _line(point: Point, path: Path, failed: dict[str, str]) -> Line:
    """A point's result as it lies on disk, whoever ran it."""
    if point.name in failed:
        return Line(point.name, point.values, {}, failed[point.name])
    try:
        result = Run(path / point.name).result()
    except ValueError as error:
        return Line(point.name, point.values, {}, one_line(error))
    return Line(point.name, point.values, report.scalars(result), "")
