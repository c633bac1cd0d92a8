"""The report of a run: a table for the terminal, and one self-contained page."""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CAPTION = "Description"  # the text chunk of a PNG that holds its caption
LEAST = 0.28  # pixels of the page for a pixel of a figure, which has 144 an inch: below that nobody reads its letters
MOST_LINES = 30  # of a table on the terminal
FEW = 6  # numbers on the terminal of a section among others that expects none
Expected = dict[str, tuple[float, float]]  # name -> (value, spread)


class Lines(NamedTuple):
    """Lines of cells under a header; a line may lead to a page of its own."""

    header: tuple[str, ...]
    cells: Sequence[tuple[Any, ...]]
    links: Sequence[str] = ()  # one a line, or ""; none at all


class Section(NamedTuple):
    """One experiment: its claim, its numbers next to the expected ones, its figures."""

    title: str
    claim: str
    numbers: dict[str, Any]  # the scalars of the result, dotted names
    expected: Expected
    figures: tuple[Path, ...]
    note: str = ""  # what a reader has to bear in mind
    link: str = ""  # a page or folder with more
    table: Lines | None = None  # many runs, or many findings, a line each
    no_interval: Mapping[str, str] | None = None  # number, or beginning of dotted names -> `intervals.no_interval`


def scalars(result: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The single numbers of a result under dotted names; lists and words are left out."""
    numbers = {}
    for key, value in result.items():
        if isinstance(value, dict):
            numbers.update(scalars(value, f"{prefix}{key}."))
        elif isinstance(value, int | float):
            numbers[prefix + key] = value
    return numbers


def rows(section: Section) -> list[tuple[str, str, str, str, str]]:
    """(name, measured, expected, verdict, no interval) of each number.

    Expected and verdict are empty where nothing is expected, the last where nothing is compared over too few seeds.
    """
    return [
        (name, number(value), *_judge(value, section.expected.get(name)), _no_interval(section, name))
        for name, value in section.numbers.items()
    ]


def _no_interval(section: Section, name: str) -> str:
    said = (section.no_interval or {}).items()
    return next((words for beginning, words in said if f"{name}.".startswith(f"{beginning}.")), "")


def text_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for the terminal; columns of empty cells are left out."""
    kept = [i for i in range(len(header)) if any(line[i] for line in lines)]
    cells = [[line[i] for i in kept] for line in (header, *lines)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(kept))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([text[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *text[1:]])


def terminal(sections: Sequence[Section]) -> str:
    """The expected numbers of all sections as one table; of a section that expects none all, among others the first."""
    lines = []
    for section in sections:
        shown = [row for row in rows(section) if row[0] in section.expected or not section.expected]
        if not section.expected and len(sections) > 1 and len(shown) > FEW:
            shown = [*shown[:FEW], (f"and {len(shown) - FEW} more in the report", "", "", "", "")]
        lines += [(section.title, *row) for row in shown]
    tables = [text_table(("study", "number", "measured", "expected", "", ""), lines)]
    if len(sections) == 1 and sections[0].table is not None:
        tables.append(_terminal_table(sections[0].table))
    return "\n\n".join(tables)


def _terminal_table(table: Lines) -> str:
    """The first lines of a table, and how many there are more."""
    more = len(table.cells) - MOST_LINES
    cells = [[number(cell) for cell in line] for line in table.cells[:MOST_LINES]]
    return text_table(table.header, cells) + (f"\nand {more} more in the report" if more > 0 else "")


def page(title: str, intro: str, sections: Sequence[Section]) -> str:
    """A self-contained HTML page; figures stand inside as data."""
    contents = "".join(
        f'<li><a href="#{html.escape(section.title)}">{html.escape(section.title)}</a></li>' for section in sections
    )
    body = "".join(_section(section) for section in sections)
    navigation = f"<nav><ul>{contents}</ul></nav>" if len(sections) > 1 else ""
    return _PAGE.format(title=html.escape(title), intro=_paragraphs(intro), navigation=navigation, body=body)


def _section(section: Section) -> str:
    name = html.escape(section.title)
    pictures = "".join(_figure(path) for path in section.figures)
    more = f'<p><a href="{html.escape(section.link)}">the whole report</a></p>' if section.link else ""
    return (
        f"<section id='{name}'><h2>{name}</h2>{_paragraphs(section.claim)}{pictures}{_tables(section)}"
        f"{_lines(section.table)}{_paragraphs(section.note)}{more}</section>"
    )


def _tables(section: Section) -> str:
    """The numbers, `shd.prior` in row shd and column prior; kinds with the same columns share a table.

    A table with more columns than rows is turned, so that it is narrow.
    """
    kinds: dict[str, dict[str, str]] = {}
    for name, *cell in rows(section):
        kind, _, column = name.rpartition(".")
        kinds.setdefault(kind or column, {})[column if kind else ""] = _cell(*cell)
    groups: dict[tuple[str, ...], list[str]] = {}
    for kind, cells in kinds.items():
        groups.setdefault(tuple(cells), []).append(kind)
    tables = ""
    for columns, members in groups.items():
        if len(columns) > len(members):
            tables += _table(columns, members, lambda column, kind: kinds[kind][column])
        else:
            tables += _table(members, columns, lambda kind, column: kinds[kind][column])
    return f"<div class=numbers>{tables}</div>"


def _table(lines: Sequence[str], columns: Sequence[str], cell: Callable[[str, str], str]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in ["", *columns]) if any(columns) else ""
    body = "".join(
        f"<tr><th>{html.escape(line)}</th>{''.join(cell(line, column) for column in columns)}</tr>" for line in lines
    )
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _lines(table: Lines | None) -> str:
    if table is None:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.header)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in (_link(first, link), *map(_escape, rest)))}</tr>"
        for (first, *rest), link in zip(table.cells, table.links or [""] * len(table.cells), strict=True)
    )
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _link(value: Any, link: str) -> str:
    return f'<a href="{html.escape(link)}">{_escape(value)}</a>' if link else _escape(value)


def _escape(value: Any) -> str:
    return html.escape(number(value))


def _cell(value: str, expected: str, verdict: str, no_interval: str) -> str:
    mark = "off" if verdict == "outside" else "ok"
    below = f' <small class={mark} title="{verdict}">expected {expected}</small>' if verdict else ""
    return f"<td>{value}{below}{f' <small>{html.escape(no_interval)}</small>' if no_interval else ''}</td>"


def _figure(path: Path) -> str:
    from PIL import Image

    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        caption = html.escape(picture.info.get(CAPTION, "")) or html.escape(path.stem)
        least = round(LEAST * picture.width)
    data = base64.b64encode(content).decode()
    return (
        f'<figure><div class=wide><img alt="{caption}" style="min-width: {least}px" src="data:image/png;base64,{data}">'
        f"</div><figcaption>{caption}</figcaption></figure>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in text.strip().split("\n\n") if part.strip())


def number(value: Any) -> str:
    """A number as a reader wants it: four digits, and no power of ten where whole digits do."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _judge(value: Any, expected: tuple[float, float] | None) -> tuple[str, str]:
    if expected is None or not isinstance(value, int | float):
        return "", ""
    middle, spread = expected
    return f"{number(float(middle))} ± {spread:.2g}", "as expected" if abs(value - middle) <= spread else "outside"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light; }}
body {{ font: 16px/1.55 system-ui, sans-serif; color: #1d2733; background: #f6f8fa; margin: 0; }}
main {{ overflow-wrap: break-word; max-width: 62rem; margin: 0 auto; padding: 2rem 1.2rem 4rem; }}
h1 {{ font-size: 1.7rem; margin: 0 0 .4rem; }}
h2 {{ font-size: 1.25rem; margin: 0 0 .3rem; }}
section {{ background: #fff; border: 1px solid #dde3e9; border-radius: 10px; padding: 1.4rem; margin: 1.4rem 0; }}
figure {{ margin: 1.2rem 0; }}
img {{ max-width: 100%; max-height: 30rem; object-fit: contain; display: block; margin: 0 auto; }}
figcaption {{ color: #566270; font-size: .9rem; text-align: center; margin-top: .4rem; }}
.wide {{ overflow-x: auto; }}
.numbers {{ display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.2rem 0; }}
.numbers > div {{ max-width: 100%; }}
table {{ border-collapse: collapse; font-size: .93rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #edf1f4; }}
th {{ color: #566270; font-weight: 600; }}
td {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
small {{ display: block; }}
.ok {{ color: #3c7a3f; }} .off {{ color: #b3541e; font-weight: 600; }}
@media (max-width: 30rem) {{ main {{ padding: 1rem .6rem 2rem; }} section {{ padding: 1rem; }} }}
a {{ color: #2a6f97; }}
</style></head>
<body><main><h1>{title}</h1>{intro}{navigation}{body}</main></body></html>
"""
