"""The report of a sweep: its table, its figure, its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from framework.runs import files
from framework.runs.reporting import intervals, report

DRAWN, SHOWN = 12, 6  # numbers in the figure and on the terminal


class Line(NamedTuple):
    """One point."""

    name: str
    values: tuple[Any, ...]  # one a swept key
    numbers: dict[str, Any]  # the scalars of its result
    error: str  # why it failed, or ""


class Table(NamedTuple):
    """The points of a sweep side by side."""

    keys: tuple[str, ...]  # swept
    lines: tuple[Line, ...]
    no_interval: str = ""  # where the settings are compared over too few seeds: `intervals.no_interval`


def write(path: Path, title: str, claim: str, table: Table) -> None:
    """Writes `figures/sweep.png`, `report.html` and, last, `sweep.csv`."""
    from framework.runs.reporting import figures

    drawn = telling(table)[:DRAWN]
    picture = path / "figures" / "sweep.png"
    if drawn:
        files.write_bytes(picture, figures.to_png(*_figure(table, drawn)))
    header, cells = _cells(table, _numbers(table))
    links = tuple(f"{quote(line.name)}/report.html" if not line.error else "" for line in table.lines)
    note = f"Settings are compared: {table.no_interval}." if table.no_interval else ""
    claim = intervals.qualify(claim, table.no_interval)
    section = report.Section(
        title, claim, {}, {}, (picture,) if drawn else (), note, table=report.Lines(header, cells, links)
    )
    files.write_text(path / "report.html", report.page(title, "", [section]))
    files.write_csv(path / "sweep.csv", header, cells)


def text(table: Table) -> str:
    """The points with the first numbers that tell them apart, for the terminal."""
    header, cells = _cells(table, telling(table)[:SHOWN])
    shown = report.text_table(header, [[report.number(cell) for cell in line] for line in cells])
    return f"{shown}\n{table.no_interval}" if table.no_interval else shown


def telling(table: Table) -> list[str]:
    """The numbers that differ between points; all of them where none does."""
    numbers = _numbers(table)
    distinct = {name: {line.numbers[name] for line in table.lines if name in line.numbers} for name in numbers}
    return [name for name in numbers if len(distinct[name]) > 1] or numbers


def _numbers(table: Table) -> list[str]:
    """The names of the numbers that any point has."""
    return list(dict.fromkeys(name for line in table.lines for name in line.numbers))


def _cells(table: Table, numbers: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Header and lines: swept keys, numbers, and the error where any point has one; empty where there is none."""
    errors = any(line.error for line in table.lines)
    header = (*table.keys, *numbers, *(["error"] if errors else []))
    return header, [
        (*line.values, *(line.numbers.get(name, "") for name in numbers), *([line.error] if errors else []))
        for line in table.lines
    ]


def _figure(table: Table, drawn: Sequence[str]):
    """The numbers over the first key, a line a value of the second, what else was swept averaged; and its caption."""
    from framework.runs.reporting import figures

    along, *others = sorted(range(len(table.keys)), key=lambda column: table.keys[column] == "seed")
    lines = next((column for column in others if table.keys[column] != "seed"), None)
    pooled = [table.keys[column] for column in others if column != lines]
    panels: dict[str, dict[str, dict[Any, list[float]]]] = {name: {} for name in drawn}
    for line in table.lines:
        label = "" if lines is None else f"{table.keys[lines]}={line.values[lines]}"
        for name in drawn:
            if name in line.numbers:
                places = panels[name].setdefault(label, {})
                places.setdefault(_place(line.values[along]), []).append(float(line.numbers[name]))
    caption = f"{'The number' if len(drawn) == 1 else 'Numbers'} of each run over {table.keys[along]}"
    caption += f", a colour a value of {table.keys[lines]}" if lines is not None else ""
    caption += f"; points: single runs, lines: mean over {', '.join(pooled)}" if pooled else ""
    figure = figures.panels(panels, table.keys[along])
    if table.no_interval:
        figures.remark(figure, table.no_interval)
    return figure, f"{caption}.{f' {table.no_interval.capitalize()}.' if table.no_interval else ''}"


def _place(value: Any) -> float | str:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
