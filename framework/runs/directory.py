"""The run directory: opened once at a time, tied to one config, complete when `result.json` is there."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from framework.core.files import naming
from framework.runs import files, machine, processes
from framework.runs.reporting.tensorboard import follower, is_current

RESUME = ("auto", "never", "must")
_OWN = ("config.json", "meta.json", ".config.json.partial", ".meta.json.partial")  # what opening a run writes


@dataclasses.dataclass(frozen=True)
class Run:
    """An open run directory, handed to an experiment's `main`: `path` is where it lies."""

    path: Path
    follow: Callable[[], None] | None = None  # brings TensorBoard's files up to date with the metrics, where wanted
    inode: int | None = None  # of the directory that was opened

    def result(self) -> dict[str, Any] | None:
        """The final numbers if the run is complete."""
        path = self.path / "result.json"
        return files.read_object(path, "remove it, and the same command makes it anew") if path.exists() else None

    def finish(self, result: dict[str, Any]) -> None:
        """Writes the final numbers, the last file of a run; they may depend on seed and config only.

        `execute` calls it with what `main` returns: numbers, words, arrays, and lists and dicts of them.

        Raises:
          ValueError: if a number is not finite.
        """
        *before, launch = _launches(self.path) or [machine.begin_launch()]
        files.write_json(self.file("meta.json"), [*before, machine.end_launch(launch)])
        files.write_json(self.file("result.json"), result)

    def child(self, name: str) -> Path:
        """The directory of a run inside this one."""
        return self.file(name)

    def file(self, name: str) -> Path:
        """The path of a file of the run that is about to be written.

        Raises:
          FileNotFoundError: if the directory was moved or removed since it was opened: writing would make it again.
        """
        if self.inode is not None and not (self.path.exists() and self.path.stat().st_ino == self.inode):
            raise FileNotFoundError(
                f"{self.path} was moved or removed while the run was going; with --workdir at its new place it goes on"
            )
        return self.path / name

    def log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Appends rows to `metrics.jsonl`; each has a `step`, a `seed`, and words that tell it from others of both.

        `run_steps` and `run_tasks` call it. A resumed run repeats what an experiment logs outside of them; where that
        matters, `truncate_metrics` comes first.

        Raises:
          ValueError: if a number is not finite.
          OSError: if the directory is gone, or cannot be written.
        """
        if not rows:
            return
        lines = "".join(json.dumps(files.plain(row)) + "\n" for row in rows)
        path = self.file("metrics.jsonl")
        with naming(path), open(path, "a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._follow()

    def metrics_size(self) -> int:
        """Bytes of metrics so far."""
        return self._metrics.stat().st_size if self._metrics.exists() else 0

    def truncate_metrics(self, size: int) -> None:
        """Forgets the rows after the first `size` bytes: those that a killed run wrote after its last checkpoint."""
        if self.metrics_size() > size:
            os.truncate(self._metrics, size)
            self._follow()

    def save_csv(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Writes a table into the directory."""
        files.write_csv(self.file(name), header, rows)

    def save_figure(self, name: str, figure, caption: str, no_interval: str = "") -> None:
        """Writes a matplotlib figure, with its caption inside, as a PNG: `figures/adjacency`, or `graph` at the top.

        Where it compares over too few seeds, figure and caption say so: `no_interval=runs.no_interval(seeds)`.
        """
        from framework.runs.reporting import figures

        if no_interval:
            figures.remark(figure, no_interval)
            caption = f"{caption} {no_interval.capitalize()}."
        files.write_bytes(self.file(f"{name}.png"), figures.to_png(figure, caption))

    def figures(self) -> tuple[Path, ...]:
        """The figures so far: those at the top, then those of the folder, each by name."""
        return (*sorted(self.path.glob("*.png")), *sorted(self.path.glob("figures/*.png")))

    @property
    def _metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def _follow(self) -> None:
        if self.follow is not None:
            self.follow()


@contextlib.contextmanager
def open_run(path: Path, config: dict[str, Any], resume: str = "auto", tensorboard: bool = False) -> Iterator[Run]:
    """Opens a run directory, new or to be resumed, and holds its lock.

    If the work fails with an error about its input before it wrote anything, what this call wrote is removed again. A
    complete run is opened without a change: `Run.result` tells. Of several processes the first alone opens the
    directory; the others are given a copy of their own, so that all find the same files and none writes twice.

    Args:
      path: the directory; it and its parents are made as needed.
      config: what determines the result, as plain JSON values.
      resume: `auto` takes an unfinished run up; `never` refuses a directory with a run in it, `must` one without.
      tensorboard: whether `tensorboard/` follows the metrics; a complete run without it gets it.

    Raises:
      ValueError: if the directory is in use, was made with another config, or does not fit `resume`; if tensorboardX,
        where it is asked for, is not installed.
      OSError: if the directory cannot be written.

    Example:
      >>> import tempfile
      >>> from pathlib import Path
      >>> from framework import runs
      >>> with tempfile.TemporaryDirectory() as folder, runs.open_run(Path(folder), {"seed": 0}) as run:
      ...     run.log([{"step": 1, "seed": 0, "loss": 0.5}])
      ...     run.finish({"loss": 0.5})
      ...     print(run.result())
      {'loss': 0.5}
    """
    if not processes.is_first():
        with processes.mirror(path.name) as copy, _open(copy, files.read_json(copy / "config.json"), "auto") as run:
            yield run
        return
    with contextlib.ExitStack() as stack:
        try:
            run = stack.enter_context(_open(path, config, resume, tensorboard))
        except (ValueError, OSError) as error:
            processes.broadcast_error(error)
            raise
        processes.lead(path)
        yield run


@contextlib.contextmanager
def _open(path: Path, config: dict[str, Any], resume: str, tensorboard: bool = False) -> Iterator[Run]:
    config = files.plain(config)
    metrics, folder = path / "metrics.jsonl", path / "tensorboard"
    follow = follower(metrics, folder) if tensorboard else None
    with lock_directory(path, "config.json", _OWN, resume) as fresh:
        run = Run(path, follow, path.stat().st_ino)
        if not fresh:
            _require_same(path, config)
        if run.result() is None:
            files.write_json(path / "config.json", config)
            files.write_json(path / "meta.json", [*_launches(path), machine.begin_launch()])
            run._follow()
        elif follow is not None and not is_current(metrics, folder):
            follow()
        yield run


@contextlib.contextmanager
def lock_directory(path: Path, mark: str, names: Sequence[str], resume: str) -> Iterator[bool]:
    """Holds a directory's lock, new or to be resumed; yields whether it is new.

    If the work on a new one fails with an error about its input before it wrote more than `own`, all is removed again.

    Args:
      path: the directory; it and its parents are made as needed.
      mark: the file that a directory that is not new holds.
      own: the files that opening the directory writes.
      resume: see `open_run`.

    Raises:
      ValueError: if the directory is in use, does not fit `resume`, or holds other files; for another `resume`.
      OSError: if the directory cannot be written.
    """
    if resume not in RESUME:
        raise ValueError(f"resume must be one of {', '.join(RESUME)}, got {resume!r}")
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; a run wants a directory")
    if resume == "must" and not (path / mark).exists():
        raise ValueError(f"--resume=must, but {path} holds no run to take up")
    made = [parent for parent in (path, *path.parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        fresh = not (path / mark).exists()
        if fresh:
            _require_empty(path, names)
        elif resume == "never":
            raise ValueError(f"--resume=never, but {path} holds a run; give another --workdir")
        try:
            yield fresh
        except (ValueError, OSError):
            if fresh and path.exists():
                _remove_if_empty(path, made, names)
            raise


def in_use(path: Path) -> bool:
    """Whether a process holds the lock of a run directory."""
    try:
        with _lock(path):
            return False
    except FileNotFoundError:
        return False
    except ValueError:
        return True


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The operating system's lock on the directory itself: no file, and it ends with the process, however that ends."""
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{path} is in use by another run; wait for it, or give another --workdir") from None
        except OSError as error:
            reason = f"{error.strerror} for a run (flock); give a --workdir on another file system than that of"
            raise OSError(error.errno, reason, str(path)) from None
        yield
    finally:
        os.close(handle)


def _require_empty(path: Path, names: Sequence[str]) -> None:
    """A directory without a run may hold nothing but what a launch killed at its very start left."""
    others = sorted(child.name for child in path.iterdir() if child.name not in names)
    if others:
        raise ValueError(
            f"{path} holds other files ({', '.join(others[:3])}) and no run; give a new or empty --workdir"
        )


def _require_same(path: Path, config: dict[str, Any]) -> None:
    before = files.read_object(path / "config.json", "give another --workdir")
    if before != config:
        keys = ", ".join(differing(before, config))
        raise ValueError(f"{path} was made with another config ({keys}); give another --workdir")


def differing(before: Any, after: Any, key: str = "") -> list[str]:
    """What two configs differ in: dotted keys with both values."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [f"{key} was {before!r} and is now {after!r}"]
    names = dict.fromkeys([*before, *after])
    nested = (differing(before.get(n, "absent"), after.get(n, "absent"), f"{key}.{n}".lstrip(".")) for n in names)
    return [line for lines in nested for line in lines]


def _launches(path: Path) -> list[dict[str, Any]]:
    try:
        launches = files.read_json(path / "meta.json")
    except (FileNotFoundError, ValueError):
        return []
    return launches if isinstance(launches, list) else []


def _remove_if_empty(path: Path, made: Sequence[Path], names: Sequence[str]) -> None:
    """Removes what `lock_directory` and its caller wrote, and the directories made, where there is nothing else."""
    if all(child.name in names for child in path.iterdir()):
        for child in path.iterdir():
            child.unlink()
        for directory in made:
            with contextlib.suppress(OSError):
                directory.rmdir()
