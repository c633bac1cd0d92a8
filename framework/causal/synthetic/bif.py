"""Discrete Bayesian networks: reading BIF files as the bnlearn repository writes them, and sampling from them."""

import gzip
import io
import math
import numbers
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np

from framework.causal import graphs
from framework.core import keys
from framework.core.types import Key

_WORD = re.compile(r"[{}()\[\],;|]|[^\s{}()\[\],;|]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MARKS = frozenset("{}()[],;|")
_NUMERALS = frozenset("0123456789+-.eE")
_TOLERANCE = 1e-3  # some files of the repository are rounded
_LARGEST = 2**26  # bytes of a text; a compressed file of 64 KiB can claim as many


class BayesianNetwork(NamedTuple):
    """A Bayesian network of d discrete variables."""

    names: tuple[str, ...]
    states: tuple[tuple[str, ...], ...]  # what each variable can be
    graph: np.ndarray  # [d, d] bool, a DAG
    tables: tuple[np.ndarray, ...]  # [states of each parent, .., states] float64, parents in the order of the columns


class _Block(NamedTuple):
    """What a file says about one variable's probabilities."""

    line: int
    name: str
    parents: tuple[str, ...]
    rows: list[tuple[int, tuple[str, ...], list[str]]]  # line, the parents' states, the numbers


def read_network(path: str | os.PathLike) -> BayesianNetwork:
    """Reads a BIF file, plain or compressed by gzip.

    Understood are `network`, `variable` of `type discrete`, and `probability` with a `table` or with one row for each
    state of the parents; what a `property` says is passed over. Rows are normalised.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: with the file and the line, if it is not of that form or ends early, names or states are unknown or
        stand twice, rows are missing or of wrong size, a probability is negative or a row does not sum to 1 within
        0.001, or the edges hold a cycle.

    Reference: the Bayesian Network Repository, bnlearn.com/bnrepository.
    """
    content = Path(path).read_bytes()
    try:
        if content.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(
                f"{path}: a text of more than {_LARGEST:,} bytes; no network of the repository has as many"
            )
        text = content.decode()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: cannot be decompressed ({error})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not a text file in UTF-8") from None
    try:
        return _network(text)
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None


def sample(network: BayesianNetwork, key: Key, samples: int) -> np.ndarray:
    """Independent draws from a network, each variable after its parents.

    The numbers are codes: a learner of amounts (`fit` with any of its scores) takes the order of the states in the file
    for an order of their sizes. Where states have none, give it a column of 0 and 1 for each state but one.

    Not traceable: tables of all shapes are looked up outside JAX, in float64; only the key is JAX's.

    Args:
      network: what `read_network` returned.
      key: a typed key.
      samples: how many, from 0 on.

    Returns:
      `[samples, d]` int32, indices into `network.states`. A state of probability 0 is never drawn.

    Raises:
      ValueError: if `samples` is negative or no whole number, or it is no key.
    """
    keys.check(key)
    if not isinstance(samples, numbers.Integral) or samples < 0:
        raise ValueError(f"samples must be a whole number of at least 0, got {samples!r}")
    size = len(network.names)
    uniform = np.asarray(jax.random.uniform(key, (samples, size), jnp.float32))
    values = np.zeros((samples, size), np.int32)
    order = nx.topological_sort(nx.from_numpy_array(network.graph.astype(int), create_using=nx.DiGraph))
    for j in order:
        parents = np.flatnonzero(network.graph[:, j])
        cumulative = network.tables[j].cumsum(-1)[tuple(values[:, parents].T)]  # [samples, states], or [states]
        values[:, j] = np.sum(uniform[:, j, None] >= cumulative / cumulative[..., -1:], axis=-1)
    return values


def _network(text: str) -> BayesianNetwork:
    odd = _CONTROL.search(text)
    if odd:
        raise ValueError(f"line {text.count(chr(10), 0, odd.start()) + 1}: not a text file ({odd[0]!r} stands in it)")
    states, blocks = _blocks(text)
    names = tuple(states)
    index = {name: i for i, name in enumerate(names)}
    graph, tables = np.zeros((len(names), len(names)), bool), []
    for name, (line, _) in states.items():
        if name not in blocks:
            raise ValueError(f"line {line}: no probabilities are given for {name!r}")
    for block in blocks.values():
        for name in (block.name, *block.parents):
            if name not in index:
                raise ValueError(f"line {block.line}: no variable {name!r}; the variables are {', '.join(names)}")
        graph[[index[name] for name in block.parents], index[block.name]] = True
    cycle = graphs.find_cycle(graph, names)
    if cycle:
        first = cycle.split(" -> ")[0]
        raise ValueError(f"line {blocks[first].line}: the edges hold a cycle, {cycle}")
    levels = {name: values for name, (_, values) in states.items()}
    for name in names:
        table = _table(blocks[name], levels)
        columns = [index[parent] for parent in blocks[name].parents]
        tables.append(table.transpose(*np.argsort(columns, kind="stable"), len(columns)))
    return BayesianNetwork(names, tuple(levels.values()), graph, tuple(tables))


def _statements(text: str) -> Iterator[tuple[int, list[str], str]]:
    """The line, the words and the end of each statement: one of the marks { } ; or nothing at the end of the file."""
    words: list[str] = []
    start = line = 1
    for line, content in enumerate(text.split("\n"), 1):
        for word in _WORD.findall(content):
            start = start if words else line
            if word in ("{", "}", ";"):
                yield start, words, word
                words = []
            else:
                words.append(word)
    yield start if words else line, words, ""


def _blocks(text: str) -> tuple[dict[str, tuple[int, tuple[str, ...]]], dict[str, _Block]]:
    """The line and the states of each variable, and what is said about its probabilities."""
    states, blocks = {}, {}
    statements = _statements(text)
    match next(statements):
        case _, ["network", _], "{":
            _close(statements)
        case line, words, end:
            raise _syntax_error(line, words, end, "network NAME {")
    for line, words, end in statements:
        match words, end:
            case ["variable", name], "{":
                if name in states:
                    raise ValueError(f"line {line}: {name!r} is declared twice")
                states[name] = (line, _states(statements))
            case ["probability", "(", *inside, ")"], "{":
                name, parents = _family(line, inside)
                if name in blocks:
                    raise ValueError(f"line {line}: the probabilities of {name!r} are given twice")
                blocks[name] = _Block(line, name, parents, _rows(statements))
            case [], "" if states:
                break
            case _:
                raise _syntax_error(line, words, end, "variable NAME { or probability ( NAME | PARENTS ) {")
    return states, blocks


def _states(statements: Iterator) -> tuple[str, ...]:
    line, words, end = next(statements)
    match words, end:
        case ["type", "discrete", "[", count, "]"], "{":
            line, words, end = next(statements)
        case _:
            raise _syntax_error(line, words, end, "type discrete [ COUNT ] {")
    if end != "}":
        raise _syntax_error(line, words, end, "STATES }")
    states = _list(line, words)
    if count != str(len(states)):
        raise ValueError(f"line {line}: {count!r} states are announced, {len(states)} listed")
    if len(set(states)) < len(states):
        raise ValueError(f"line {line}: a state stands twice in {', '.join(states)}")
    line, words, end = next(statements)
    if words or end != ";":
        raise _syntax_error(line, words, end, "; after the states")
    _close(statements)
    return tuple(states)


def _family(line: int, words: list[str]) -> tuple[str, tuple[str, ...]]:
    match words:
        case [name]:
            parents = []
        case [name, "|", *rest]:
            parents = _list(line, rest)
        case _:
            raise _syntax_error(line, words, "", "NAME or NAME | PARENTS")
    if len(set(parents)) < len(parents):
        raise ValueError(f"line {line}: a parent of {name!r} stands twice in {', '.join(parents)}")
    return name, tuple(parents)


def _rows(statements: Iterator) -> list[tuple[int, tuple[str, ...], list[str]]]:
    rows = []
    for line, words, end in statements:
        match words, end:
            case ["table", *numbers], ";":
                rows.append((line, (), _list(line, numbers)))
            case ["(", *rest], ";" if ")" in rest:
                close = rest.index(")")
                rows.append((line, tuple(_list(line, rest[:close])), _list(line, rest[close + 1 :])))
            case ["property", *_], ";":
                pass
            case [], "}":
                break
            case _:
                raise _syntax_error(line, words, end, "table NUMBERS; or (STATES) NUMBERS; or }")
    return rows


def _close(statements: Iterator) -> None:
    """Reads to the end of a block that may only hold properties from here on."""
    for line, words, end in statements:
        match words, end:
            case ["property", *_], ";":
                pass
            case [], "}":
                break
            case _:
                raise _syntax_error(line, words, end, "}")


def _list(line: int, words: list[str]) -> list[str]:
    """The items of a list with commas between them."""
    items, commas = words[::2], words[1::2]
    if len(words) % 2 == 0 or set(commas) - {","} or not _MARKS.isdisjoint(items):
        raise _syntax_error(line, words, "", "a list with commas")
    return items


def _table(block: _Block, states: dict[str, tuple[str, ...]]) -> np.ndarray:
    """The conditional probabilities, `[states of each parent, .., states]` in the file's order of the parents."""
    shape = [len(states[name]) for name in (*block.parents, block.name)]
    if len(block.rows) != math.prod(shape[:-1]):
        raise ValueError(
            f"line {block.line}: {len(block.rows)} rows of probabilities for {block.name!r}, but its parents have "
            f"{math.prod(shape[:-1])} states"
        )
    state_indices = [{state: i for i, state in enumerate(states[parent])} for parent in block.parents]
    rows = [
        (line, parent_states, _probabilities(line, numbers, shape[-1])) for line, parent_states, numbers in block.rows
    ]
    table = np.full(shape, np.nan)
    for line, parent_states, values in rows:
        if len(parent_states) != len(state_indices) or any(
            state not in index for state, index in zip(parent_states, state_indices, strict=True)
        ):
            raise ValueError(f"line {line}: ({', '.join(parent_states)}) is no state of ({', '.join(block.parents)})")
        row = tuple(index[state] for state, index in zip(parent_states, state_indices, strict=True))
        if not np.isnan(table[row][0]):
            raise ValueError(f"line {line}: the row ({', '.join(parent_states)}) of {block.name!r} stands twice")
        table[row] = values
    return table


def _probabilities(line: int, numbers: Sequence[str], size: int) -> np.ndarray:
    if len(numbers) != size:
        raise ValueError(f"line {line}: {len(numbers)} probabilities for {size} states")
    try:
        values = np.array(numbers, float) if _NUMERALS.issuperset("".join(numbers)) else None
    except ValueError:
        values = None
    if values is None:
        raise ValueError(f"line {line}: not all numbers: {_excerpt(numbers)}")
    total = values.sum()
    if values.min() < 0 or not abs(total - 1) <= _TOLERANCE:
        raise ValueError(f"line {line}: probabilities must not be negative and must sum to 1, got {_excerpt(numbers)}")
    return values / total


def _syntax_error(line: int, words: Sequence[str], end: str, expected: str) -> ValueError:
    if not words and not end:
        return ValueError(f"line {line}: the file ends where {expected!r} should stand")
    return ValueError(f"line {line}: expected {expected!r}, got {_excerpt([*words, end] if end else words)}")


def _excerpt(words: Sequence[str]) -> str:
    text = " ".join(words)
    return repr(text if len(text) <= 60 else text[:57] + "...")
