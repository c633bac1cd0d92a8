"""A grid of settings: written as literals, read without running anything, spread out into points."""

import ast
import copy
import difflib
import hashlib
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from framework.runs import files

MOST = 10_000  # points of a grid
LONGEST = 200  # letters of a directory's name; file systems take 255 bytes
FORM = "write config.KEY=[VALUE, VALUE] or config.KEY=range(N)"


class Point(NamedTuple):
    """One run of a grid."""

    name: str  # of its directory, such as prior.weight=0.1,seed=3
    values: tuple[Any, ...]  # one a swept key
    config: Any  # the whole ConfigDict


def read(expressions: Sequence[str]) -> dict[str, list[Any]]:
    """Reads `config.KEY=[...]` or `config.KEY=range(...)`, an expression a key: dotted key to its values.

    Raises:
      ValueError: if there is none, or one is not of that form, has no value or names a key for the second time.
    """
    if not expressions:
        raise ValueError(f"a sweep wants a grid: --sweep=EXPRESSION; {FORM}")
    grid: dict[str, list[Any]] = {}
    for expression in expressions:
        key, equals, values = expression.partition("=")
        key = key.strip()
        if not (equals and key.startswith("config.")):
            raise ValueError(f"--sweep={expression}: {FORM}")
        key = key.removeprefix("config.")
        if key in grid:
            raise ValueError(f"--sweep: config.{key} is swept twice; give all its values in one list")
        grid[key] = _values(expression, values)
    return grid


def points(config: Any, grid: dict[str, list[Any]]) -> list[Point]:
    """Every combination of the values, the last key's changing first.

    Args:
      config: the ConfigDict that the points share but for the swept keys; it is left as it is.
      grid: dotted key to values, as `read` gives it.

    Raises:
      ValueError: if the config has no such key, a value is of another type than the setting, there are more points
        than `MOST`, or two of them would have one directory.
    """
    known = _leaves(config.to_dict())
    for key in grid:
        _require_known_key(key, known)
    names: dict[str, Point] = {}
    for combination in itertools.islice(itertools.product(*grid.values()), MOST + 1):
        changed = copy.deepcopy(config)
        values = tuple(_set(changed, key, value) for key, value in zip(grid, combination, strict=True))
        point = Point(_name(grid, values), values, changed)
        if point.name in names:
            raise ValueError(f"--sweep: two points would have the directory {point.name}; give each value once")
        names[point.name] = point
        if len(names) > MOST:
            raise ValueError(f"--sweep: the grid has more than {MOST:,} points; give fewer values")
    return list(names.values())


def _values(expression: str, text: str) -> list[Any]:
    """The values of a literal list or of a range; nothing is evaluated."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "range":
            if tree.keywords:
                raise ValueError("range takes no names")
            values = list(range(*map(ast.literal_eval, tree.args))[: MOST + 1])
        else:
            values = ast.literal_eval(tree)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ValueError(f"--sweep={expression}: neither a literal list nor a range; {FORM}") from None
    if not isinstance(values, list | tuple):
        raise ValueError(f"--sweep={expression}: of type {type(values).__name__}, not a list; {FORM}")
    if not values:
        raise ValueError(f"--sweep={expression}: an empty grid; give at least one value")
    return list(values)


def _leaves(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys of single settings."""
    nested = (_leaves(v, f"{prefix}{k}.") if isinstance(v, dict) else [prefix + k] for k, v in settings.items())
    return [key for keys in nested for key in keys]


def _require_known_key(key: str, known: list[str]) -> None:
    if key == "preset":
        raise ValueError("--sweep: config.preset cannot be swept, a preset being a whole config; sweep its settings")
    if key in known:
        return
    inside = [name for name in known if name.startswith(f"{key}.")]
    close = inside[:3] or difflib.get_close_matches(key, known, 1)
    what = "is a group of settings" if inside else "is no setting"
    asked = f"; did you mean {' or '.join(f'config.{name}' for name in close)}?" if close else ""
    raise ValueError(f"--sweep: config.{key} {what}{asked}")


def _set(config: Any, key: str, value: Any) -> Any:
    """Sets one value, as strict as the command line is; the value as the config holds it."""
    *groups, name = key.split(".")
    holder = config
    for group in groups:
        holder = holder[group]
    kind = holder.get_type(name)
    if not _fits(value, kind, holder[name]):
        raise ValueError(f"--sweep: config.{key} is of type {kind.__name__}; {value!r} is of {type(value).__name__}")
    files.plain(value, f"config.{key}")  # refuses what is not finite
    try:
        holder[name] = value
    except (TypeError, OverflowError) as error:
        raise ValueError(f"--sweep: config.{key} cannot be {value!r}: {error}") from None
    return holder[name]


def _fits(value: Any, kind: type, before: Any) -> bool:
    """Whether a setting may have a value: an int is a float, a bool is no number, None is for what can be left out."""
    if value is None:
        return before is None
    if kind in (object, type(None)):
        return True
    return type(value) is kind or {kind, type(value)} == {list, tuple} or (kind is float and type(value) is int)


def _name(keys: Sequence[str], values: Sequence[Any]) -> str:
    """`key=value,key=value`, what no file name may hold written as %XX; the end of a long one is a digest."""
    text = ",".join(
        f"{key}={quote(str(value).replace(', ', ','), safe=',()[]+')}" for key, value in zip(keys, values, strict=True)
    )
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"
