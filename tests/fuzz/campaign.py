"""Spoilt input by the thousand, read in a process of its own that may take little memory and little time.

python -m tests.fuzz.campaign            the table of benchmarks/results/hardening.md: 4,000 inputs a reader
python -m tests.fuzz.campaign 200 nas    fewer, of one room
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0  # of processor time that one input may take
EXAMPLES = 5  # inputs kept of a fault


class TooLongError(BaseException):
    """An input that is read for ever."""


def _stop(*_: Any) -> None:
    raise TooLongError


def examine(reader: Any, folder: Path, content: bytes) -> str:
    """`accepted`, `refused`, or what is wrong with how a content was taken."""
    _limit_memory(reader.memory)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        result = reader.read(folder, content)
    except ValueError as error:
        return _fault_of(str(error), reader, folder) or "refused"
    except TooLongError:
        return f"not read within {SECONDS:g} s of processor time"
    except Exception as error:  # noqa: BLE001  (what should not come is what is looked for)
        return f"{type(error).__name__} in {_place(error)}: {str(error)[:100]!r}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        _limit_memory(None)
    try:
        reader.holds(result)
    except Exception as error:  # noqa: BLE001
        return f"accepted, but wrong: {type(error).__name__} {str(error)[:100]!r}"
    return "accepted"


def _limit_memory(more: int | None) -> None:
    """Grants the process so many bytes next to those that it has; None takes the limit away."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = resource.RLIM_INFINITY if more is None else pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _place(error: BaseException) -> str:
    """The deepest function of the project that an error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "framework" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "the test"


def _fault_of(message: str, reader: Any, folder: Path) -> str:
    if "\n" in message.strip():
        return f"an error of several lines: {message[:100]!r}"
    if reader.named and str(folder) not in message:
        return f"an error that does not name the file: {message[:100]!r}"
    return ""


def work(room: str, count: int, folder: Path) -> None:
    """The child: prints a JSON line a reader, and keeps the input at hand in a file in case it dies of it."""
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.readers import ROOMS

    readers = ROOMS[room](folder)
    warnings.simplefilter("error")
    signal.signal(signal.SIGVTALRM, _stop)
    for reader in readers:
        outcomes: Counter[str] = Counter()
        examples: dict[str, list[str]] = {}
        for index in range(max(count // reader.cost, 10)):
            content = reader.make(random.Random(f"{reader.name} {index}"))
            (folder / "content").write_bytes(content)
            (folder / "at").write_text(f"{reader.name} {index}")
            outcome = examine(reader, folder, content)
            kind = outcome.partition(": ")[0]
            outcomes[kind] += 1
            if kind not in ("accepted", "refused") and len(kept := examples.setdefault(kind, [])) < EXAMPLES:
                kept.append(f"{index}: {outcome[:160]} <- {content[:60]!r}")
        print(json.dumps({"reader": reader.name, "outcomes": outcomes, "examples": examples}), flush=True)
    (folder / "at").unlink()


def work_on_calls(room: str, folder: Path) -> None:
    """The child for public functions, each with one argument spoilt at a time."""
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.entry_points import ROOMS, outcome, spoilt

    signal.signal(signal.SIGVTALRM, _stop)
    for call in ROOMS[room]():
        outcomes: Counter[str] = Counter()
        examples: dict[str, list[str]] = {}
        for argument, value in call.arguments.items():
            for word, bad in spoilt(value):
                (folder / "at").write_text(f"{call.name}({argument}: {word})")
                signal.setitimer(signal.ITIMER_VIRTUAL, 12 * SECONDS)  # of which most goes into compiling
                try:
                    kind = outcome(call, argument, bad)
                except TooLongError:
                    kind = "computed for ever"
                except Exception as error:  # noqa: BLE001
                    kind = type(error).__name__
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                outcomes[kind] += 1
                examples.setdefault(kind, []).append(f"{argument}: {word}")
        print(json.dumps({"reader": call.name, "outcomes": outcomes, "examples": examples}), flush=True)
    (folder / "at").unlink()


def campaign(room: str, count: int, timeout: float = 3600.0) -> list[dict[str, Any]]:
    """What came of a room's readers: a dict each of `reader`, `outcomes` and `examples` of faults.

    Without a count, what came of its public functions.

    A process that dies or hangs is one more fault, of the reader and the input that it was at.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.campaign", "--work", room, str(count), folder]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        try:
            output, errors = process.communicate(timeout=timeout)
            end = f"the process ended with {process.returncode}"
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            end = "the process hung"
        result = [json.loads(line) for line in output.splitlines() if line.startswith('{"reader"')]
        at = Path(folder) / "at"
        if process.returncode or at.exists():
            where = at.read_text() if at.exists() else room
            result.append(
                {"reader": where, "outcomes": {end: 1}, "examples": {end: [f"{where}: {end}: {errors[-600:]}"]}}
            )
    return result


def faults(result: list[dict[str, Any]]) -> list[str]:
    """A line an example of each fault."""
    return [f"{item['reader']}, {line}" for item in result for lines in item["examples"].values() for line in lines]


def table(rooms: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The rows of the results' table."""
    yield "| room | what is read | inputs | accepted | refused | faults |"
    yield "|---|---|--:|--:|--:|--:|"
    for room, result in rooms.items():
        for item in result:
            total, outcomes = sum(item["outcomes"].values()), item["outcomes"]
            accepted, refused = outcomes.get("accepted", 0), outcomes.get("refused", 0)
            wrong = total - accepted - refused
            yield f"| {room} | {item['reader']} | {total:,} | {accepted:,} | {refused:,} | {wrong:,} |"


def main(arguments: list[str]) -> None:
    """The campaign, its table and its faults."""
    from tests.fuzz.readers import ROOMS

    count = int(arguments[0]) if arguments else 4000
    rooms = {}
    for room in arguments[1:] or ROOMS:
        begin = time.perf_counter()
        rooms[room] = campaign(room, count)
        print(f"{room}: {time.perf_counter() - begin:.0f} s", *faults(rooms[room]), sep="\n  ", file=sys.stderr)
    print(*table(rooms), sep="\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        room, count, position = sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
        work(room, count, position) if count else work_on_calls(room, position)
    else:
        main(sys.argv[1:])
