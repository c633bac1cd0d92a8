"""The machine under a run: what it is, what memory it has, where compiled programs are kept."""

import datetime
import os
import platform
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "networkx")


def begin_launch() -> dict[str, Any]:
    """What `meta.json` says of a launch: versions, devices, git revision, command line and start."""
    return {
        "start": _now(),
        "end": None,
        "argv": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "devices": [str(device) for device in jax.devices()],
        "git": _git_revision(),
    }


def end_launch(launch: dict[str, Any]) -> dict[str, Any]:
    """The same with the time of the end."""
    return {**launch, "end": _now()}


def require_devices() -> None:
    """Refuses to go on where JAX has no device of the platform that it was asked for.

    Raises:
      ValueError: if there is none.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"JAX has no such device: {str(error).partition(' (set')[0]}") from None


def enable_compilation_cache() -> None:
    """Keeps compiled programs from run to run in a directory that only this user can open.

    It is `$XDG_CACHE_HOME/sextant/jax`, mode 0700, since who can write there can run code here. A setting of the user's
    own (`--jax_compilation_cache_dir`, `JAX_COMPILATION_CACHE_DIR`) counts first; somebody else's is not used.
    """
    if jax.config.jax_compilation_cache_dir:
        return
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = root / "sextant" / "jax"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = directory.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
            return
        directory.chmod(0o700)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def require_memory(needed: int, what: str) -> None:
    """Refuses work that cannot fit.

    Args:
      needed: bytes of host memory, estimated.
      what: the work, for the message.

    Raises:
      ValueError: if more is needed than the machine has free.
    """
    free = _available_memory()
    if free is not None and needed > free:
        raise ValueError(f"{what} needs about {needed / 2**30:,.1f} GiB of memory; {free / 2**30:,.1f} GiB are free")


def _available_memory() -> int | None:
    """Bytes that can be had without swapping, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _git_revision() -> str | None:
    """The revision of the checkout that this code runs from, `-dirty` where it was changed; None outside of one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
