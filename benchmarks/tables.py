"""Markdown tables whose rows are printed as they come, with goals judged from their numbers, a section a part."""

import platform
import re
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

_SLACK = 1e-9  # bounds are products of rounded numbers


class Row(NamedTuple):
    """What was measured of one case."""

    cells: dict[str, float | str]  # the same names in every row; the first entry names the row, "" was not measured
    goals: dict[str, str]  # those that the row has, as `at_most` and `at_least` write them


def at_most(value: float, bound: float) -> str:
    """The state of a goal that a number must not lie above."""
    return f"{'met' if value <= bound + _SLACK else 'missed'}: {_text(value)} to {_text(bound)}"


def at_least(value: float, bound: float) -> str:
    """The state of a goal that a number must not lie below."""
    return f"{'met' if value >= bound - _SLACK else 'missed'}: {_text(value)} to {_text(bound)}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard error; of one value, that value."""
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} +- {statistics.stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else mean


def grow(rows: Iterable[Row]) -> tuple[str, str]:
    """The table of rows that are printed while they are measured, and the table of their goals, if there are any."""
    lines, done = [], []
    for row in rows:
        new = [_line(_text(cell) for cell in row.cells.values())]
        lines += new if done else _head(row.cells) + new
        print("\n".join(new if done else lines), flush=True)
        done.append(row)
    names = list(dict.fromkeys(name for row in done for name in row.goals))
    judged = [_line([next(iter(row.cells.values())), *(row.goals.get(name, "") for name in names)]) for row in done]
    goals = "\n".join(_head(["goal", *names]) + judged) if names else ""
    print(f"\n{goals}\n" if goals else "", flush=True)
    return "\n".join(lines), goals


def environment(packages: Iterable[str]) -> str:
    """The interpreter and the versions of packages."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def put(path: Path, title: str, heading: str, section: str, order: Sequence[str]) -> None:
    """Writes a section into a file in the place of the one of its heading; `order` is that of the headings."""
    text = path.read_text() if path.exists() else ""
    sections = {}
    for old in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        name, _, body = old.partition("\n")
        sections[name] = body.strip()
    sections[heading] = section
    known = [name for name in order if name in sections]
    others = [name for name in sections if name not in order]
    path.write_text("\n\n".join([f"# {title}", *(f"## {name}\n\n{sections[name]}" for name in known + others)]) + "\n")


def _text(cell: float | str) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def _head(names: Iterable[str]) -> list[str]:
    names = list(names)
    return [_line(names), "|---" * len(names) + "|"]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
