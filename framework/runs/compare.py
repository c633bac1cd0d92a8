"""Several complete runs side by side: one table, one figure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framework.runs import files, report


def compare(directories: Sequence[Path], output: Path) -> str:
    """Writes `comparison.csv` and `comparison.png` of the numbers that all runs share.

    Args:
      directories: complete run directories, at least 2.
      output: the folder to write to.

    Returns:
      The table as text.

    Raises:
      FileNotFoundError: if a directory holds no complete run.
      ValueError: if there are fewer than 2 directories, or no number that all have.
    """
    if len(directories) < 2:
        raise ValueError(f"--compare needs at least 2 run directories, got {len(directories)}")
    numbers = {str(path): _numbers(path) for path in directories}
    shared = [name for name in next(iter(numbers.values())) if all(name in found for found in numbers.values())]
    if not shared:
        raise ValueError(f"the runs {', '.join(numbers)} share no number")
    header = ("number", *numbers)
    lines = [(name, *(found[name] for found in numbers.values())) for name in shared]
    files.write_csv(output / "comparison.csv", header, lines)
    files.write_bytes(output / "comparison.png", _picture(numbers, shared))
    return report.text_table(header, [(line[0], *(f"{value:.4g}" for value in line[1:])) for line in lines])


def _numbers(path: Path) -> dict[str, float]:
    if not (path / "result.json").exists():
        raise FileNotFoundError(f"{path} holds no complete run (no result.json)")
    return report.scalars(files.read_json(path / "result.json"))


def _picture(numbers: dict[str, dict[str, float]], shared: Sequence[str]) -> bytes:
    from matplotlib.figure import Figure

    from framework.runs import figures

    columns = min(4, len(shared))
    lines = -(-len(shared) // columns)
    figure = Figure(figsize=(3.2 * columns, 0.9 * lines + 0.32 * lines * len(numbers)), layout="constrained")
    axes = np.ravel(figure.subplots(lines, columns))
    for axis in axes[len(shared) :]:
        axis.set_axis_off()
    for place, (axis, name) in enumerate(zip(axes, shared, strict=False)):
        values = [found[name] for found in numbers.values()]
        axis.barh(range(len(values)), values, color=figures.PALETTE[: len(values)], height=0.7)
        labels = [Path(path).name for path in numbers] if place % columns == 0 else [""] * len(values)
        axis.set_yticks(range(len(values)), labels, fontsize=8)
        axis.set_title(name, fontsize=9, color=figures.INK)
        axis.tick_params(labelsize=8, length=0)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    return figures.to_png(figure, f"The numbers that {', '.join(numbers)} share")
