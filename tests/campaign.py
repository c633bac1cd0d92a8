"""The fault campaign: launches that are killed, starved, damaged and stopped, and what is left of each.

    python -m tests.campaign                                                 all of it: hours on 2 CPU cores
    python -m tests.campaign --studies=isp_ml --faults=kill:10,SIGTERM:2     a part, with so many tries

A launch that meets a fault takes the run up, or ends with exit code 2 and one line `error: ...`; once the fault is gone
the same command ends with the files of a run that nothing happened to, bit for bit. What each try came to is one word:
`same`, `refused` (and the same afterwards), or what was wrong.
"""

import argparse
import collections
import contextlib
import functools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SAME, REFUSED = "same", "refused"
OWN_OF_A_LAUNCH = ("meta.json", "checkpoints", "tensorboard")  # files that may differ from run to run
LONGEST = 900  # seconds of a launch
ROW = 4  # kills of one run at most
BEGUN = 0.5  # seconds of processors after which Python itself has begun

# Every phase of each experiment, in the smallest size that keeps the paths of the code.
SMALL = {
    "causal_prior": ("bootstrap=10", "seeds=3"),
    "causal_table": ("bootstrap=5",),
    "causal_answers": ("data.systems=('pendulum','heat_flow')", "seeds=3"),
    "burst_coding": ("pairs=('real-rate','phase-burst')", "trained.steps=(2,)", "training.epochs=5"),
    "autosnn": ("search.lambdas=(-0.08,)", "training.epochs=4", "retrain.epochs=4"),
    "advrush": ("training.epochs=1", "data.test=20"),
    "proxy_data": ("seeds=1", "proxy.base.epochs=2", "ranks.architectures=3"),
    "ssd_trace": ("depths=(4,)", "rates=(40000.0,)", "sweep=8", "depth_requests=200", "sweep_requests=200"),
    "isp_ml": ("data.train=400", "epochs=1", "rule=easgd", "period=4"),
}
OF_THE_TOUR = [  # seeds are the tour's own
    f"{name}.{setting}"
    for name, settings in SMALL.items()
    for setting in settings
    if name != "proxy_data" and "seeds=" not in setting
]
STUDIES = {"tour": ("seeds=1", *OF_THE_TOUR)} | SMALL | {"toy": ("pause=0.01",)}


class Whole(NamedTuple):
    """A run that nothing happened to."""

    seconds: float  # of processors
    operations: dict[str, int]  # file operations by the kinds of `doomed`
    files: dict[str, bytes]


class Bench(NamedTuple):
    """A experiment on its way through the campaign."""

    flags: tuple[str, ...]
    folder: Path  # for all its runs
    environment: dict[str, str]
    rng: random.Random
    whole: Whole


class Ended(NamedTuple):
    """How a launch ended."""

    code: int  # negative where a signal ended it
    errors: str


def begin(flags: tuple[str, ...], workdir: Path, environment: dict[str, str], moment: str = ""):
    """Starts a launch; with a `moment` under `doomed`, whose note lies next to the run directory."""
    doomed = [str(ROOT / "tests" / "doomed.py"), str(workdir.parent / "note.json"), moment]
    program = doomed if moment else [str(ROOT / "launch.py")]
    command = [sys.executable, *program, *flags, f"--workdir={workdir}"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=workdir.parent, env=environment, **pipes)


def end(process: subprocess.Popen) -> Ended:
    """Waits for a launch."""
    errors = process.communicate(timeout=LONGEST)[1]
    said = [line for line in errors.splitlines() if not line.endswith(" of memory")]  # what long work says of itself
    return Ended(process.returncode, "".join(f"{line}\n" for line in said))


def launched(bench: Bench, workdir: Path, moment: str = "") -> Ended:
    """A launch from its start to its end."""
    return end(begin(bench.flags, workdir, bench.environment, moment))


def reaches(process: subprocess.Popen, moment: float) -> bool:
    """Waits until a process has spent so many seconds of processors, whatever else they do; or until it has ended."""
    while process.poll() is None:
        spent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        if sum(map(int, spent)) >= moment * os.sysconf("SC_CLK_TCK"):
            return True
        time.sleep(0.01)
    return False


def prepare(flags: tuple[str, ...], folder: Path, environment: dict[str, str], seed: int) -> Bench:
    """Runs an experiment twice without a fault: to compile its programs, and to measure it; both must agree."""
    compiled, run = (new(folder, name) for name in ("compiled", "whole"))
    ended = [end(begin(flags, compiled, environment))]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended.append(end(begin(flags, run, environment, "any:0")))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert [item.code for item in ended] == [0, 0], ended
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    whole = Whole(seconds, json.loads((run.parent / "note.json").read_text()), contents(run))
    bench = Bench(flags, folder, environment, random.Random(seed), whole)
    assert judged(bench, compiled, ended[0]) == SAME, judged(bench, compiled, ended[0])
    return bench


def new(folder: Path, name: str) -> Path:
    """A run directory that is not there yet, in a folder of its own."""
    above = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    return above / "run"


def contents(run: Path) -> dict[str, bytes]:
    """The files of a run that seed and config determine."""
    files = (path for path in sorted(run.rglob("*")) if path.is_file())
    named = {path.relative_to(run): path for path in files}
    return {str(name): path.read_bytes() for name, path in named.items() if not {*name.parts} & {*OWN_OF_A_LAUNCH}}


def judged(bench: Bench, run: Path, ended: Ended) -> str:
    """What a launch came to."""
    if ended.code == 0:
        result, expected = contents(run), bench.whole.files
        differing = [name for name in sorted(result.keys() | expected.keys()) if result.get(name) != expected.get(name)]
        return f"differing: {', '.join(differing)}" if differing else SAME
    if ended.code == 2 and ended.errors.startswith("error: ") and ended.errors.count("\n") == 1:
        print(f"    {ended.errors.strip()}", flush=True)
        return REFUSED
    return f"exit code {ended.code}: {ended.errors.strip()[-2000:]}"


def afterwards(bench: Bench, run: Path, first: str) -> str:
    """What the whole try came to, the fault being gone: the same command must end with the same files."""
    if first not in (SAME, REFUSED):
        return first
    again = judged(bench, run, launched(bench, run))
    return first if again == SAME else f"{first}, then {again}"


def kill(bench: Bench, tries: int) -> Iterator[str]:
    """kill -9 at random moments of what is left of the run, some times in a row, before a launch may end."""
    while tries > 0:
        run, left, kills = new(bench.folder, "killed"), bench.whole.seconds, 0
        for _ in range(min(tries, ROW)):
            process, moment = begin(bench.flags, run, bench.environment), bench.rng.uniform(0, left)
            if reaches(process, moment):
                process.kill()
            ended = end(process)
            if ended.code != -signal.SIGKILL:
                break
            left, kills = max(left - moment, 0.3 * bench.whole.seconds), kills + 1
        else:
            ended = launched(bench, run)
        tries -= kills
        yield from [judged(bench, run, ended)] * kills


def kill_at(bench: Bench, tries: int, kind: str) -> Iterator[str]:
    """kill -9 before a file operation of a kind, drawn from all there are."""
    for _ in range(tries if bench.whole.operations[kind] else 0):
        run = killed_at(bench, kind, 1, bench.whole.operations[kind])
        yield judged(bench, run, launched(bench, run))


def killed_at(bench: Bench, kind: str, first: int, last: int) -> Path:
    """A run that was killed at one of these file operations; a few more or less there are each time."""
    while True:
        run = new(bench.folder, "killed")
        if launched(bench, run, f"{kind}:{bench.rng.randint(first, last)}").code == -signal.SIGKILL:
            return run


def stop(bench: Bench, tries: int, number: signal.Signals) -> Iterator[str]:
    """A signal that asks to stop, at a random moment: its exit code and one line, then the same command goes on."""
    for _ in range(tries):
        run = new(bench.folder, "stopped")
        process = begin(bench.flags, run, bench.environment)
        reaches(process, bench.rng.uniform(BEGUN, bench.whole.seconds))
        process.send_signal(number)
        ended = end(process)
        lines = ended.errors.strip().splitlines()
        message = ended.code == 128 + number and len(lines) == 1 and "takes the run up" in lines[0]
        if message or (ended.code == -number and (run / "result.json").exists()):  # or Python was at its own end
            yield afterwards(bench, run, SAME)
        else:
            yield judged(bench, run, ended)


def full_disk(bench: Bench, tries: int) -> Iterator[str]:
    """A file system that is too small; made larger, the same command goes on."""
    needed = sum(4096 * -(-len(content) // 4096) for content in bench.whole.files.values()) // 1024 + 256
    for _ in range(tries):
        kib = bench.rng.randint(8, needed)
        with tmpfs(new(bench.folder, "full").parent, f"size={kib}k") as disk:
            first = judged(bench, disk / "run", launched(bench, disk / "run"))
            remount(disk, "size=1g")
            yield afterwards(bench, disk / "run", first)


def small_files(bench: Bench, tries: int) -> Iterator[str]:
    """No file may be longer than a limit, as where a quota or a disk is used up."""
    longest = max(map(len, bench.whole.files.values()))
    for _ in range(tries):
        run, limit = new(bench.folder, "limited"), int(longest ** bench.rng.uniform(0.3, 1))
        process = begin(bench.flags, run, bench.environment)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))  # long before its first file
        yield afterwards(bench, run, judged(bench, run, end(process)))


def read_only(bench: Bench, tries: int) -> Iterator[str]:
    """Nothing can be written: to begin a run, to take one up, to show a complete one."""
    for _ in range(tries):
        with tmpfs(new(bench.folder, "read-only").parent, "size=1g") as disk:
            begun = bench.rng.randint(1, bench.whole.operations["any"])
            for before in ("", f"any:{begun}", "any:0"):
                if before:
                    launched(bench, disk / "run", before)
                remount(disk, "ro")
                first = judged(bench, disk / "run", launched(bench, disk / "run"))
                remount(disk, "rw")
                expected = SAME if before == "any:0" else REFUSED
                yield first if first in (SAME, expected) else f"{first} where {expected} is right"
            yield afterwards(bench, disk / "run", SAME)


def together(bench: Bench, tries: int) -> Iterator[str]:
    """Three launches into one directory at once: one runs, the others are refused or find it complete."""
    for _ in range(tries):
        run = new(bench.folder, "together")
        processes = [begin(bench.flags, run, bench.environment) for _ in range(3)]
        result = [judged(bench, run, end(process)) for process in processes]
        yield from result if SAME in result else ["nobody ran it"]


def vanish(bench: Bench, tries: int) -> Iterator[str]:
    """The folder above the run is moved away in the middle; nothing may be made in its place, nothing be lost."""
    for _ in range(tries):
        run = new(bench.folder, "vanished")
        process = begin(bench.flags, run, bench.environment)
        while process.poll() is None and not (run / "meta.json").exists():
            time.sleep(0.01)
        reaches(process, bench.rng.uniform(0.3, 0.9) * bench.whole.seconds)
        away = run.parent.rename(run.parent.with_suffix(".away"))
        first = judged(bench, away / "run", end(process))
        made = sorted(str(path) for path in run.parent.rglob("*") if path.is_file())
        if made:
            first = f"{first}, and made {made[0]} and {len(made) - 1} others"
        yield afterwards(bench, away / "run", first)


def no_locks(bench: Bench, tries: int) -> Iterator[str]:
    """A file system without flock."""
    for _ in range(tries):
        run = new(bench.folder, "flock")
        yield afterwards(bench, run, judged(bench, run, launched(bench, run, "flock:0")))


def cut(bench: Bench, tries: int) -> Iterator[str]:
    """Any file of a run that was killed late, cut at a random byte."""
    killed = late(bench)
    for _ in range(tries):
        run = copied(bench, killed)
        file = bench.rng.choice([path for path in sorted(run.rglob("*")) if path.is_file() and path.stat().st_size])
        yield from damaged(bench, run, file)


def cut_named(bench: Bench, tries: int, name: str, complete: bool) -> Iterator[str]:
    """A file of a run that was killed late, or of a complete one, cut at a random byte or emptied."""
    before = Path(next(bench.folder.glob("whole-*"))) / "run" if complete else late(bench)
    for index in range(tries):
        run = copied(bench, before)
        if (run / name).exists():
            yield from damaged(bench, run, run / name, empty=index == 1)


def cut_sweep(bench: Bench, tries: int) -> Iterator[str]:
    """The record of a sweep, cut at a random byte or emptied."""
    swept = bench._replace(flags=(*bench.flags, "--sweep=config.seed=[0]"))
    whole = new(bench.folder, "swept")
    assert launched(swept, whole).code == 0
    swept = swept._replace(whole=bench.whole._replace(files=contents(whole)))
    for index in range(tries):
        run = copied(bench, whole)
        yield from damaged(swept, run, run / "sweep.json", empty=index == 1)


def late(bench: Bench) -> Path:
    """A run that was killed late."""
    return killed_at(bench, "any", bench.whole.operations["any"] // 2, bench.whole.operations["any"] - 8)


def copied(bench: Bench, run: Path) -> Path:
    return Path(shutil.copytree(run, new(bench.folder, "copied")))


def damaged(bench: Bench, run: Path, file: Path, empty: bool = False) -> Iterator[str]:
    """What becomes of a run after one of its files was cut; where that is refused, the line must name the file."""
    size = 0 if empty else bench.rng.randrange(max(file.stat().st_size - 1, 1))  # the last byte may be but a new line
    name = f"{file.relative_to(run)} cut to {size} of {file.stat().st_size}"
    os.truncate(file, size)
    ended = launched(bench, run)
    first = judged(bench, run, ended)
    if first == REFUSED and file.name not in ended.errors:
        first = f"refused without its name: {ended.errors}"
    yield first if first in (SAME, REFUSED) else f"{name}: {first}"


@contextlib.contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A small file system in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def can_mount() -> bool:
    """Whether this user may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tmpfs(Path(folder), "size=1m"):
                return True
        except (subprocess.CalledProcessError, FileNotFoundError):
            return False


FAULTS: dict[str, Callable[[Bench, int], Iterator[str]]] = {
    "kill": kill,
    "kill before a row": functools.partial(kill_at, kind="row"),
    "kill before a checkpoint": functools.partial(kill_at, kind="checkpoint"),
    "kill before a file operation": functools.partial(kill_at, kind="any"),
    "Ctrl-C": functools.partial(stop, number=signal.SIGINT),
    "SIGTERM": functools.partial(stop, number=signal.SIGTERM),
    "full disk": full_disk,
    "limit on files": small_files,
    "read-only": read_only,
    "three at once": together,
    "folder moved away": vanish,
    "no flock": no_locks,
    "any file cut": cut,
    "metrics.jsonl cut": functools.partial(cut_named, name="metrics.jsonl", complete=False),
    "config.json cut": functools.partial(cut_named, name="config.json", complete=False),
    "meta.json cut": functools.partial(cut_named, name="meta.json", complete=False),
    "result.json of a complete run cut": functools.partial(cut_named, name="result.json", complete=True),
    "sweep.json cut": cut_sweep,
    "config.json of a complete run cut": functools.partial(cut_named, name="config.json", complete=True),
    "meta.json of a complete run cut": functools.partial(cut_named, name="meta.json", complete=True),
}
MOUNTING = ("full disk", "read-only")
TRIES = {"kill": 10}  # of an experiment, where it is not 2


def flags_of(name: str) -> tuple[str, ...]:
    """The flags of an experiment."""
    file = ROOT / ("tests" if name == "toy" else "experiments") / f"{name}.py"
    return (f"--config={file}:smoke", *(f"--config.{setting}" for setting in STUDIES[name]))


def run_of(name: str, faults: dict[str, int], cache: Path, seed: int) -> None:
    """Puts one experiment through its faults, a line of output each."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        bench = prepare(flags_of(name), Path(folder), environment, seed)
        print(f"{name}: {bench.whole.seconds:.1f} s, {bench.whole.operations}", flush=True)
        for fault, tries in faults.items():
            counts = collections.Counter(FAULTS[fault](bench, tries))
            print(f"{name} | {fault} | {dict(counts)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", default=",".join(STUDIES), help=f"some of {', '.join(STUDIES)}")
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"some of {', '.join(FAULTS)}; FAULT:TRIES")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--cache", type=Path, help="the compilation cache; by default a new one")
    options = parser.parse_args()
    named = (fault.partition(":") for fault in options.faults.split(","))
    faults = {fault: int(tries or TRIES.get(fault, 2)) for fault, _, tries in named}
    if not can_mount():
        faults = {fault: tries for fault, tries in faults.items() if fault not in MOUNTING}
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        for name in options.studies.split(","):
            run_of(name, faults, options.cache or Path(folder), options.seed)


if __name__ == "__main__":
    main()
