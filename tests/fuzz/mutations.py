"""Valid samples spoilt in every way that a disk, an editor or an enemy may think of; the same seed, the same damage."""

import copy
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Make = Callable[[Random], bytes]

NUMBERS = [
    *("0", "-0", "-1", "1", "2", "3", "7", "0.5", "-0.5", "1e3", "1e-320", "1e999", "-1e999"),
    *("nan", "NaN", "-inf", "Infinity", "1_0", "0x10", "1e", "1,5", "+2"),
    *(str(2**bits + by) for bits in (31, 32, 53, 63, 64) for by in (-1, 0, 1)),
    *("9" * digits for digits in (18, 30, 5000)),
    *("\u0663", "\uff11", "\u00bd"),  # digits of other scripts, and what is none
]
WORDS = [
    *("", " ", "\t", "\n", "\r", "\r\n", "\x00", "\x0b", "\x1c", "\ufeff", "\u2028", "\ud800", "\u00e9"),
    *("..", "../../x", "/", "%s", "{}", "{0}", "null", "None", "true", "false", "<!--", "//", "__import__('os')"),
    *"[]{}()\"',;:|~+-#",
    *("a" * 3000, "[" * 100_000, "[" * 900 + "]" * 900, '{"a":' * 50_000, "(" * 500, "-" * 100_000),
]
VALUES = [
    *(None, True, False, 0, 1, -1, 2, 7, 10**9, 2**31, 2**63, 2**64, 10**30, -(2**63) - 1),
    *(0.5, 1.0, 1e308, float("nan"), float("inf"), "", "a", "0", "1", "nan", "\ud800", "a" * 3000),
    *([], [[]], [0], [None], ["a", "b"], {}, {"a": 0}, {"": None}),
]
_TOKEN = re.compile(rb"[\w.+-]+|[^\w\s]|\s+")


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")


def _slice(random: Random, raw: bytes) -> tuple[int, int]:
    begin = random.randrange(len(raw) + 1)
    return begin, min(len(raw), begin + int(2 ** random.uniform(0, 12)))


def _flip(random: Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(random.randint(1, 8) if raw else 0):
        changed[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwrite(random: Random, raw: bytes) -> bytes:
    """A whole number of 1, 2, 4 or 8 bytes put over others: a count, a length or an offset that lies."""
    size = random.choice((1, 2, 4, 8))
    number = random.choice((0, 1, 2, 255, 2**15, 2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**64 - 1, random.getrandbits(64)))
    begin = random.randrange(len(raw) + 1)
    return raw[:begin] + (number % 2 ** (8 * size)).to_bytes(size, "little") + raw[begin + size :]


def _cut(random: Random, raw: bytes) -> bytes:
    begin, end = _slice(random, raw)
    return random.choice((raw[:begin], raw[begin:], raw[:begin] + raw[end:]))


def _double(random: Random, raw: bytes) -> bytes:
    begin, end = _slice(random, raw)
    return raw[:end] + raw[begin:end] * random.choice((1, 1, 2, 30)) + raw[end:]


def _tokens(random: Random, raw: bytes) -> bytes:
    """Two tokens exchanged, one dropped, or one replaced by a number or word of ill repute."""
    tokens = _TOKEN.findall(raw)
    if not tokens:
        return _encoded(random.choice(WORDS))
    i, j = random.randrange(len(tokens)), random.randrange(len(tokens))
    kind = random.randrange(4)
    if kind == 0:
        tokens[i], tokens[j] = tokens[j], tokens[i]
    elif kind == 1:
        tokens[i] = b""
    else:
        numeric = re.fullmatch(rb"[\d.+-]+", tokens[i]) is not None
        tokens[i] = _encoded(random.choice(NUMBERS if numeric and kind == 2 else NUMBERS + WORDS))
    return b"".join(tokens)


def _lines(random: Random, raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True) or [b""]
    i, j = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(3)
    if kind == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 1:
        del lines[i]
    else:
        lines.insert(j, lines[i])
    return b"".join(lines)


def _insert(random: Random, raw: bytes) -> bytes:
    index = random.randrange(len(raw) + 1)
    return raw[:index] + _encoded(random.choice(NUMBERS + WORDS)) + raw[index:]


_DAMAGES = (_flip, _overwrite, _cut, _double, _tokens, _tokens, _lines, _insert)


def spoilt(random: Random, samples: Sequence[bytes]) -> bytes:
    """One of the samples after one to four damages, or two of them spliced."""
    raw = random.choice(samples)
    if random.random() < 0.1:
        other = random.choice(samples)
        raw = raw[: random.randrange(len(raw) + 1)] + other[random.randrange(len(other) + 1) :]
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        raw = random.choice(_DAMAGES)(random, raw)
    return raw


def bytewise(*samples: bytes) -> Make:
    """Makes spoilt bytes."""
    return lambda random: spoilt(random, samples)


def grafted(random: Random, tree: Any, values: Sequence[Any] = VALUES) -> Any:
    """A tree of dicts and lists with one to three places changed: replaced, dropped, doubled, moved, wrapped."""
    holder = [copy.deepcopy(tree)]
    for _ in range(random.choice((1, 1, 2, 3))):
        parent, key = random.choice(_places(holder))
        value, kind = parent[key], random.randrange(8)
        others = [p[k] for p, k in _places(holder)]
        if kind == 0 and parent is not holder:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(value))
        elif kind == 2 and isinstance(parent, dict):
            parent[random.choice(("", "a", "0", "x" * 300, *map(str, parent)))] = parent.pop(key)
        elif kind == 3:
            parent[key] = copy.deepcopy(random.choice(others))
        elif kind == 4:
            parent[key] = random.choice(([value], {"a": value}, str(value), [value, value]))
        else:
            parent[key] = copy.deepcopy(random.choice(values))
    return holder[0]


def _places(holder: list) -> list[tuple[Any, Any]]:
    result, waiting = [(holder, 0)], [holder[0]]
    while waiting:
        at = waiting.pop()
        keys = at.keys() if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        result += [(at, key) for key in keys]
        waiting += [at[key] for key in keys]
    return result


def json_of(*trees: Any) -> Make:
    """Makes spoilt JSON: half of it still JSON, of another content."""
    samples = [json.dumps(tree, indent=1).encode() for tree in trees]

    def make(random: Random) -> bytes:
        if random.random() < 0.5:
            return spoilt(random, samples)
        return json.dumps(grafted(random, random.choice(trees))).encode()

    return make


def zip_of(*samples: bytes) -> Make:
    """Makes spoilt zip archives: half of them sound archives (their checksums hold) of spoilt members."""

    def make(random: Random) -> bytes:
        if random.random() < 0.3:
            return spoilt(random, samples)
        with zipfile.ZipFile(io.BytesIO(random.choice(samples))) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = random.choice(list(members))
        if random.random() < 0.1:
            members[random.choice(("a", "../../x.npy", *members))] = members.pop(name)
        elif random.random() < 0.1:
            del members[name]
        else:
            members[name] = _header(random, members[name]) if random.random() < 0.6 else spoilt(random, [members[name]])
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return make


def _header(random: Random, raw: bytes) -> bytes:
    """A `.npy` whose header says another shape or type than what follows."""
    shape = random.choice(
        ("(1099511627776,)", "(3, 2)", "(2,)", "()", "(-1,)", "(0, 99999999999)", "(1" + "," * 300 + ")", "[2]")
    )
    kind = random.choice(
        ("<f8", "<f4", "<i8", ">i4", "|b1", "|O", "<U9", "<c16", "<M8[s]", "|V8", "f999999999", "[('a','<f8')]")
    )
    for pattern, new in ((rb"\([^)]*\)", shape), (rb"'[<>|=]\w+'", f"'{kind}'")):
        if random.random() < 0.6:
            old = re.search(pattern, raw[:200])
            raw = raw.replace(old[0], new.encode().ljust(len(old[0])), 1) if old else raw
    length = raw.find(b"\n", 10) + 1 - 10
    return raw[:8] + (length % 2**16).to_bytes(2, "little") + raw[10:]
