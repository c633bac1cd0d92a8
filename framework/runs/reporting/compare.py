"""Several complete runs side by side: one table, one figure."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from framework.runs import files
from framework.runs.directory import Run
from framework.runs.reporting import intervals, report


def compare(directories: Sequence[Path], output: Path) -> str:
    """Writes `comparison.csv` of the numbers that all runs share, and `comparison.png` of those that differ.

    Of a run over fewer than three seeds, table and figure say that there is no interval.

    Args:
      directories: complete run directories, at least 2; they go by what tells their paths apart.
      output: the folder to write to.

    Returns:
      The table as text.

    Raises:
      FileNotFoundError: if a directory holds no complete run.
      ValueError: if there are fewer than 2 directories, one is named twice, or there is no number that all have.
    """
    results = {label: _result(path) for label, path in _label_directories(directories).items()}
    numbers = {label: report.scalars(result) for label, (result, _) in results.items()}
    few = {label: intervals.of_run(*result) for label, result in results.items()}
    shared = [name for name in next(iter(numbers.values())) if all(name in values for values in numbers.values())]
    if not shared:
        raise ValueError(f"the runs {', '.join(numbers)} share no number")
    header = ("number", *numbers)
    lines = [(name, *(values[name] for values in numbers.values())) for name in shared]
    files.write_csv(output / "comparison.csv", header, lines)
    differing = [name for name, *values in lines if len(set(values)) > 1]
    files.write_bytes(output / "comparison.png", _picture(numbers, differing or shared, _remark(few)))
    shown = [(line[0], *map(report.number, line[1:])) for line in lines]
    return report.text_table(header, [*shown, *([("interval", *few.values())] if any(few.values()) else [])])


def _remark(few: dict[str, str]) -> str:
    """What the figure says of runs over too few seeds."""
    if len(set(few.values())) == 1:
        return next(iter(few.values()))
    return "; ".join(f"{label}: {words}" for label, words in few.items() if words)


def _label_directories(directories: Sequence[Path]) -> dict[str, Path]:
    """Each directory by its path below the deepest folder that holds them all."""
    real_paths = [path.resolve() for path in directories]
    if len(real_paths) < 2:
        raise ValueError(f"--compare needs at least 2 run directories, got {len(real_paths)}")
    twice = [
        str(path) for path, real_path in zip(directories, real_paths, strict=True) if real_paths.count(real_path) > 1
    ]
    if twice:
        raise ValueError(f"--compare needs different run directories, got {twice[0]} twice")
    above = os.path.commonpath([path.parent for path in real_paths])
    return {
        real_path.relative_to(above).as_posix(): path for path, real_path in zip(directories, real_paths, strict=True)
    }


def _result(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result of a run, and its config, which tells the seeds where the result does not; {} where there is none."""
    result = Run(path).result()
    if result is None:
        raise FileNotFoundError(f"{path} holds no complete run (no result.json)")
    config = path / "config.json"
    return result, files.read_object(config, "compare complete run directories") if config.exists() else {}


def _picture(numbers: dict[str, dict[str, float]], drawn: Sequence[str], remark: str) -> bytes:
    from matplotlib.figure import Figure

    from framework.runs.reporting import figures

    columns = min(4, len(drawn))
    lines = -(-len(drawn) // columns)
    figure = Figure(figsize=(3.2 * columns, 0.9 * lines + 0.32 * lines * len(numbers)), layout="constrained")
    axes = np.ravel(figure.subplots(lines, columns))
    for axis in axes[len(drawn) :]:
        axis.set_axis_off()
    for position, (axis, name) in enumerate(zip(axes, drawn, strict=False)):
        values = [numbers_of_run[name] for numbers_of_run in numbers.values()]
        axis.barh(range(len(values)), values, color=figures.PALETTE[: len(values)], height=0.7)
        labels = [figures.plain(label) if position % columns == 0 else "" for label in numbers]
        axis.set_yticks(range(len(values)), labels, fontsize=8)
        axis.set_title(figures.plain(name), fontsize=9, color=figures.INK)
        axis.tick_params(labelsize=8, length=0)
        axis.invert_yaxis()
        figures.frame(axis, grid="")
    if remark:
        figures.remark(figure, remark)
    return figures.to_png(figure, f"Numbers of {', '.join(numbers)}{f'; {remark}' if remark else ''}.")
