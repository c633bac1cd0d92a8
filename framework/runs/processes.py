"""Several processes as one run: the first has the run directory, the others work in copies that are thrown away."""

import contextlib
import io
import json
import os
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

PATIENCE = 55.0  # seconds until processes that have not met give up


def meet(address: str | None = None, count: int | None = None, number: int | None = None) -> None:
    """`jax.distributed.initialize`, before anything else of JAX; ends the process where the others do not come.

    JAX would end it too, but after five minutes and with a trace of C++.

    Args:
      address, count, number: coordinator (`HOST:PORT` on process 0), how many processes, and which this is; None where
        JAX finds them itself: on TPUs, under Slurm, Open MPI and Kubernetes.

    Raises:
      ValueError: for what is no address or no such process; if JAX cannot tell where the others are.
    """
    if address and not address.rpartition(":")[2].isdigit():
        raise ValueError(f"coordinator_address must be HOST:PORT, got {address!r}")
    if count is not None and number is not None and not 0 <= number < count:
        raise ValueError(f"process_id must be 0 to {count - 1}, got {number}")
    where = address or os.environ.get("JAX_COORDINATOR_ADDRESS") or "the coordinator that JAX detected"

    alone = (
        f"--distributed: after {PATIENCE:.0f} s process {'?' if number is None else number} of {count or '?'} has not "
        f"met all others at {where}; start all, with one address that each can reach"
    )
    timer = threading.Timer(PATIENCE, _end, [alone])
    timer.daemon = True
    timer.start()
    try:
        jax.distributed.initialize(
            address, count, number, initialization_timeout=int(4 * PATIENCE), shutdown_timeout_seconds=60
        )
    except (ValueError, RuntimeError, OSError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"--distributed: {why}; give --coordinator_address, --num_processes and --process_id"
        ) from None
    finally:
        timer.cancel()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Work that needs the other processes: where one of them has ended, this one ends as well, with one line.

    At once: JAX would wait for the others at its exit, and then abort.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        why = str(error).splitlines()[0].rstrip(".")
        _end(f"the work with the other processes broke off ({why}); launch all again, and the run is taken up")


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return jax.process_index() == 0


@contextlib.contextmanager
def mirror(name: str) -> Iterator[Path]:
    """In all processes but the first: a copy of the run directory that `lead` tells of, until the end of the block.

    Raises:
      ValueError: if the first process could not open the run.
    """
    message = _broadcast(b"")
    if message.startswith(b"{"):
        raise ValueError(json.loads(message)["error"])
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(message)) as files:
            files.extractall(Path(folder) / name, filter="data")
        yield Path(folder) / name


def lead(path: Path) -> None:
    """Tells the other processes, if there are any, what the run directory holds."""
    if jax.process_count() == 1:
        return
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        files.add(path, arcname=".")
    _broadcast(buffer.getvalue())


def broadcast_error(error: Exception) -> None:
    """Tells the other processes, if there are any, why there is no run."""
    if jax.process_count() == 1:
        return
    _broadcast(json.dumps({"error": str(error)}).encode())


def _end(why: str) -> None:
    print(f"error: {why}", file=sys.stderr, flush=True)
    os._exit(2)


def _broadcast(content: bytes) -> bytes:
    """What the first process has, in all."""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
    payload = np.frombuffer(content.ljust(length, b"\0")[:length], np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(payload)).astype(np.uint8).tobytes()
