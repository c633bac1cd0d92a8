"""The points of a sweep as tasks of a Ray cluster; the one file that knows Ray (`pip install '.[sweep]'`).

A point travels as paths and plain settings, never as code: each worker imports the project from its checkout and the
experiment from its file, and writes into the sweep's directory. Checkout, experiment and directory must lie on a file
system that all nodes share under the same paths, and that has `flock` on directories.
"""

import contextlib
import importlib.util
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from framework.runs import machine
from framework.runs.directory import in_use
from framework.runs.experiment import execute, load
from framework.runs.sweeps.grid import Point
from framework.runs.sweeps.sweep import Executor, attempt

RETRIES = 5  # of a point whose worker died
PATIENCE = 120.0  # seconds for a worker that was given up to leave a point's directory
REACHED_WITHIN = 40.0  # seconds for a cluster to answer
FORWARDED = ("JAX_", "XLA_", "SEXTANT_")  # variables of the launch that its workers get too
# who reaches a cluster can run code in it; Ray takes 127.0.0.1 for any address of the machine, and off Linux for itself
LOOPBACK = {"_node_ip_address": "127.0.0.2"} if sys.platform == "linux" else {}
OWN_CACHE = "jax_compilation_cache_dir"  # the one setting of JAX that is each machine's own


class Launch(NamedTuple):
    """What a worker must know of the launch next to the point."""

    file: str  # of the experiment
    root: str  # of the project
    directory: str  # where relative paths begin
    argv: list[str]
    settings: dict[str, Any]  # of JAX


def on_ray(file: Path, root: Path, address: str | None = None, gpus: float = 0.0) -> Executor:
    """Runs points as Ray tasks: one a free processor, again where its worker died.

    Args:
      file: the experiment's.
      root: the folder of the project.
      address: of a running cluster, `HOST:PORT` or `auto`; without one that of `$RAY_ADDRESS`, or else a cluster is
        started on this machine, on the loopback interface, for as long as the sweep takes.
      gpus: GPUs a point; a fraction shares one.

    Returns:
      An executor, whose call raises ValueError if Ray is not installed or no cluster answers.
    """

    def run(pending: Sequence[Point], path: Path) -> Iterator[tuple[Point, str]]:
        launch = Launch(str(file.resolve()), str(root), os.getcwd(), sys.argv, _settings_of_jax())
        with _cluster(address or os.environ.get("RAY_ADDRESS"), root, gpus) as ray:
            task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(run_point)
            under_way = {task.remote(launch, p.config.to_dict(), str(path.resolve() / p.name)): p for p in pending}
            while under_way:
                (done, *_), _ = ray.wait(list(under_way), num_returns=1)
                yield under_way.pop(done), _outcome(ray, done)

    return run


def run_point(launch: Launch, settings: dict[str, Any], directory: str) -> str:
    """What a worker does: one point as the launch would run it; its error, or ""."""
    return attempt(lambda: _run_point(launch, settings, Path(directory)))


def _run_point(launch: Launch, settings: dict[str, Any], directory: Path) -> None:
    os.chdir(launch.directory)
    sys.argv = launch.argv
    for name, value in launch.settings.items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)
    machine.require_devices()
    machine.enable_compilation_cache()
    experiment = load(Path(launch.file), Path(launch.root))
    config = experiment.get_config(settings["preset"])
    config.update(settings)
    config.lock()
    _wait_until_free(directory)
    execute(experiment, config, directory)


def _wait_until_free(directory: Path) -> None:
    """A worker that was given up, its node or its driver being lost, may hold the point's directory a little longer."""
    end = time.monotonic() + PATIENCE
    while in_use(directory) and time.monotonic() < end:
        time.sleep(0.2)


@contextlib.contextmanager
def _cluster(address: str | None, root: Path, gpus: float) -> Iterator[Any]:
    """A connection to a cluster, to one of our own where no address is given."""
    if importlib.util.find_spec("ray") is None:
        raise ValueError("--executor=ray needs Ray, which is not installed: pip install '.[sweep]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if address is not None:
        _require_reachable(address)
    options = {"include_dashboard": False, **LOOPBACK} if address is None else {}
    environment = {"env_vars": _variables(root)}
    try:
        ray.init(
            address or "local", runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR, **options
        )
        available = ray.cluster_resources().get("GPU", 0)
        if address is None and available < gpus:
            raise ValueError(
                f"--ray_gpus={gpus:g}: this machine has {available:g} GPUs; give fewer, or a --ray_address"
            )
        yield ray
    finally:
        ray.shutdown()


def _require_reachable(address: str) -> None:
    """Connects for a try in a process of its own: where nothing answers, Ray waits for minutes and ends the process."""
    hint = "give the HOST:PORT of a running cluster, or auto for the one of this machine"
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit() and "://" not in address:
            socket.create_connection((host, int(port)), timeout=10).close()
        command = [sys.executable, "-c", f"import ray; ray.init({address!r}, log_to_driver=False)"]
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=REACHED_WITHIN)
    except (OSError, OverflowError, subprocess.TimeoutExpired):
        raise ValueError(f"no Ray cluster answers at {address}; {hint}") from None
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if "Error: " in line]
        reason = f" ({said[-1].partition('Error: ')[2]})" if said else ""
        raise ValueError(f"no Ray cluster can be used at {address}{reason}; {hint}") from None


def _variables(root: Path) -> dict[str, str]:
    """The environment of a worker. Ray would give each one thread for linear algebra, which can change last digits."""
    forwarded = {name: value for name, value in os.environ.items() if name.startswith(FORWARDED)}
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count())
    return {**forwarded, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": threads}


def _settings_of_jax() -> dict[str, Any]:
    plain = (bool, int, float, str, type(None))
    return {k: v for k, v in jax.config.values.items() if isinstance(v, plain) and k != OWN_CACHE}


def _outcome(ray: Any, task: Any) -> str:
    """What a task returned; or why Ray gave it up. A fault of the program is raised with the worker's trace."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        return f"given up after {RETRIES} retries: {type(error).__name__}, {str(error).partition(chr(10))[0]}"
