"""Markdown tables whose rows are printed as they come, with goals evaluated from their numbers, a section a part."""

import os
import platform
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from absl import app, flags

_SLACK = 1e-9  # bounds are products of rounded numbers


class Part(NamedTuple):
    """A section of the output; the docstring of `rows` stands under its table."""

    title: str
    rows: Callable[[], Iterable["Row"]]
    packages: tuple[str, ...] = ()  # whose versions count, in addition to jax


class Row(NamedTuple):
    """The measurements of one case."""

    cells: dict[str, float | str]  # the same names in every row; the first entry names the row, "" was not measured
    goals: dict[str, str]  # those that the row has, as `at_most` and `at_least` write them


def at_most(value: float, bound: float) -> str:
    """The state of a goal that a number must not lie above."""
    return f"{'met' if value <= bound + _SLACK else 'missed'}: {_text(value)} to {_text(bound)}"


def at_least(value: float, bound: float) -> str:
    """The state of a goal that a number must not lie below."""
    return f"{'met' if value >= bound - _SLACK else 'missed'}: {_text(value)} to {_text(bound)}"


def format_mean(values: Sequence[float]) -> str:
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
    goal_rows = [
        _line([next(iter(row.cells.values())), *(row.goals.get(name, "") for name in names)])
        for row in done
        if row.goals
    ]
    goals = "\n".join(_head(["goal", *names]) + goal_rows) if names else ""
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


def run(
    parts: Mapping[str, Part], title: str, chosen: Sequence[str], path: str | None, sides: str = "", **notes: object
) -> None:
    """Runs the chosen parts in the order of `parts`, each into its section of the file, if any.

    Flags of the program whose help begins with `part, part: ` are of those parts alone; those that were given stand in
    the command of a section.

    Args:
      parts: by name.
      title: of the file.
      chosen: names; none for all.
      path: of a Markdown file whose other sections stay as they are, or None.
      sides: a text about the machine beyond its cores and load.
      notes: values for names in braces in the docstrings of parts, in addition to the flags.

    Raises:
      app.UsageError: for a part that is not there.
    """
    chosen = chosen or list(parts)
    unknown = sorted(set(chosen) - set(parts))
    if unknown:
        raise app.UsageError(f"unknown part {unknown[0]!r}: take some of {', '.join(parts)}")
    for name in (name for name in parts if name in chosen):
        text = _section(name, parts, sides, notes)
        if path:
            put(Path(path), title, parts[name].title, text, [part.title for part in parts.values()])


def _section(name: str, parts: Mapping[str, Part], sides: str, notes: Mapping[str, object]) -> str:
    """Runs a part: its table, what stands under it, and its goals."""
    part = parts[name]
    print(f"## {part.title}\n", flush=True)
    before = os.getloadavg()[0]
    table, goals = grow(part.rows())
    known = flags.FLAGS.get_key_flags_for_module("__main__")
    note = " ".join(part.rows.__doc__.split()).format(**{flag.name: flag.value for flag in known} | dict(notes))
    flags_given = [flag.serialize() for flag in known if flag.present and _concerns(flag, name, parts)]
    command = " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", f"--parts={name}", *flags_given])
    load = f"at a load of {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    machine = f"{os.cpu_count()} {platform.machine()} CPU cores {load}{sides}"
    below = f"{note} {machine}; {environment(('jax', *part.packages))}."
    return "\n\n".join(filter(None, [table, below, f"    {command}", goals]))


def _concerns(flag: flags.Flag, name: str, parts: Mapping[str, Part]) -> bool:
    """True if a flag concerns a part: its help names the part, or no part at all."""
    named = set(flag.help.split(": ")[0].split(", "))
    return flag.name not in ("parts", "output") and (name in named or not named & set(parts))


def _text(cell: float | str) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def _head(names: Iterable[str]) -> list[str]:
    names = list(names)
    return [_line(names), "|---" * len(names) + "|"]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
