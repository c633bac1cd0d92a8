"""Checkpoints by orbax: the state of a phase after some steps, whole or absent.

Leaves are stored as NumPy arrays, typed keys as their data with the name of their generator, so that a restore depends
on no setting of JAX. A leaf without numbers is stored by its shape and dtype alone.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from framework.core.files import naming
from framework.core.precision import x64

KEPT = 2  # checkpoints of a phase that stay on disk
_LEAVES = "__leaves__"  # next to the caller's values: what each leaf was
_EMPTY = "__empty__"  # in the place of a state that has no numbers at all


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What was restored."""

    step: int
    state: Any  # a pytree like the one that was saved
    meta: dict[str, Any]


def check(state: Any) -> None:
    """Refuses a state that cannot be saved, by the name of the leaf.

    Raises:
      ValueError: for a leaf that is neither a number, an array of numbers or truth values, nor a typed key.
    """
    import tensorstore

    for name, leaf in _named_leaves(state):
        dtype = jax.eval_shape(jax.random.key_data, leaf).dtype if _is_key(leaf) else _dtype(leaf)
        try:
            if dtype.kind in "OSUMm" or dtype.names:
                raise TypeError
            tensorstore.dtype(dtype)
        except (TypeError, ValueError):
            what = f"of {dtype}" if isinstance(leaf, np.ndarray | jax.Array) else f"a {type(leaf).__name__}"
            raise ValueError(
                f"state{name} is {what}: checkpoints hold numbers, truth values and keys; keep it out of the state"
            ) from None


def save(directory: Path, step: int, state: Any, meta: dict[str, Any]) -> None:
    """Saves a pytree of arrays with plain JSON values next to it; older checkpoints but one are dropped.

    Checkpoints of later steps, which `restore_latest` passed over, are dropped as well. An interrupt from the keyboard
    waits until the checkpoint is whole. Of several processes the first alone saves.

    Raises:
      OSError: if it cannot be written.
      ValueError: as `check`.
    """
    import orbax.checkpoint as ocp

    if jax.process_index() > 0:
        return
    check(state)
    with _interrupt_waits(), _errors_of_the_disk(directory), _manager(directory) as manager:
        for later in (other for other in manager.all_steps() if other >= step):  # orbax would not go back behind them
            manager.delete(later)
        leaves = {name: _to_numpy(leaf) for name, leaf in _named_leaves(state)}
        meta = meta | {_LEAVES: {name: _describe(leaf) for name, leaf in _named_leaves(state)}}
        leaves = {name: leaf for name, leaf in leaves.items() if leaf.size} or {_EMPTY: np.zeros(1)}
        manager.save(step, args=ocp.args.Composite(state=ocp.args.StandardSave(leaves), meta=ocp.args.JsonSave(meta)))
        manager.wait_until_finished()


def restore_latest(
    directory: Path, like: Any, fits: Callable[[dict[str, Any]], bool] = lambda meta: True
) -> Checkpoint | None:
    """The newest checkpoint that can be read, or None where there is none.

    A step that a damaged disk or a cut file made unreadable is passed over for the one before it.

    Args:
      directory: where `save` wrote.
      like: a pytree with the structure, shapes and dtypes of the state; its values are not read.
      fits: of the values saved next to the state, whether that checkpoint may be taken.

    Raises:
      ValueError: if the newest readable checkpoint is of another structure than `like` or its keys of another
        generator, or a description nests so deep that none can be read.
    """
    if not directory.exists():
        return None
    import orbax.checkpoint as ocp

    with _in_silence(), _manager(directory) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            try:
                restored = manager.restore(
                    step, args=ocp.args.Composite(state=ocp.args.StandardRestore(), meta=ocp.args.JsonRestore())
                )
            except Exception:  # noqa: BLE001  (orbax and tensorstore raise many kinds for a damaged file)
                continue
            meta, stored = dict(restored["meta"]), dict(restored["state"])
            described = meta.pop(_LEAVES, {})  # not there in checkpoints of earlier versions
            if fits(meta):
                return Checkpoint(step, _rebuild(like, stored, described, directory), meta)
    return None


@contextlib.contextmanager
def _interrupt_waits() -> Iterator[None]:
    """Holds Ctrl-C back to the end of the block: threads of orbax that it left behind would fail on their own."""
    if threading.current_thread() is not threading.main_thread():  # Python interrupts the main thread alone
        yield
        return
    pressed = []
    previous = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _errors_of_the_disk(directory: Path) -> Iterator[None]:
    """Says in one line what tensorstore found the disk to refuse: a full one, for example."""
    before = sys.unraisablehook  # after one write failed, others tell an event loop that orbax has closed, for a while
    sys.unraisablehook = lambda unraisable: (
        None if "loop is closed" in str(unraisable.exc_value) else before(unraisable)
    )
    try:
        with naming(directory), _in_silence():
            yield
    except ValueError as error:
        match = re.search(r"os_error_code=\\?'(\d+)", str(error))
        number = int(match[1]) if match else errno.ENOENT if str(error).startswith("NOT_FOUND") else None
        if number is None:
            sys.unraisablehook = before
            raise
        raise OSError(number, os.strerror(number), str(directory)) from error
    else:
        sys.unraisablehook = before


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    """Without the traces that orbax logs of each of its threads: what it raises says the same."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _manager(directory: Path):
    import orbax.checkpoint as ocp

    directory.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False, create=False)
    if jax.process_count() > 1:
        process = jax.process_index()  # waits for no other
        options.multiprocessing_options = ocp.options.MultiprocessingOptions(process, {process}, f"process-{process}")
    try:
        return ocp.CheckpointManager(directory.resolve(), options=options)
    except RecursionError:  # of orbax's own reader of JSON
        raise ValueError(f"{directory}: the description of a checkpoint is damaged; give another --workdir") from None


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _dtype(leaf: Any) -> np.dtype:
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype


def _describe(leaf: Any) -> dict[str, Any]:
    stored = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    kind = {"shape": list(np.shape(stored)), "dtype": str(_dtype(stored))}
    return kind | {"key": _generator(leaf)} if _is_key(leaf) else kind


def _generator(key: jax.Array) -> str:
    """The name of a key's random bit generator: threefry2x32, rbg, unsafe_rbg."""
    return str(jax.random.key_impl(key))


def _rebuild(like: Any, stored: dict[str, Any], described: dict[str, Any], directory: Path) -> Any:
    named = _named_leaves(like)
    stored.pop(_EMPTY, None)
    empty = {name: kind for name, kind in described.items() if 0 in kind["shape"]}
    stored |= {name: np.zeros(kind["shape"], jax.numpy.dtype(kind["dtype"])) for name, kind in empty.items()}
    if {name for name, _ in named} != set(stored):
        raise ValueError(f"{directory} was saved by another version of this experiment; give another --workdir")
    leaves = [_leaf(name, like, np.asarray(stored[name]), described.get(name, {}), directory) for name, like in named]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _leaf(name: str, like: Any, value: np.ndarray, described: dict[str, Any], directory: Path) -> Any:
    """A leaf of the kind that is wanted, with the numbers that were stored."""
    generator = described.get("key", _generator(like) if _is_key(like) else None)
    if generator != (_generator(like) if _is_key(like) else None):
        saved = f"a key of {generator}" if generator else f"{value.dtype}{value.shape}"
        expected = f"a key of {_generator(like)}" if _is_key(like) else f"{_dtype(like)}{np.shape(like)}"
        raise ValueError(
            f"{directory}: {name} was saved as {saved}, this run has {expected}; take the generator of keys that it "
            "began with (jax_default_prng_impl), or give another --workdir"
        )
    expected = jax.eval_shape(jax.random.key_data, like) if _is_key(like) else like
    dtypes = {_dtype(expected)}
    if not isinstance(like, jax.Array):  # what a step was given as NumPy's or Python's comes out as JAX's
        dtypes.add(jax.dtypes.canonicalize_dtype(_dtype(like)))
    if value.shape != np.shape(expected) or value.dtype not in dtypes:
        raise ValueError(f"{directory}: {name} was saved as {value.dtype}{value.shape}; give another --workdir")
    if _is_key(like):
        return jax.random.wrap_key_data(value, impl=jax.random.key_impl(like))
    if isinstance(like, jax.Array):
        with x64():  # or 64 bits would become 32 in silence
            return jax.numpy.asarray(value)
    if isinstance(like, np.ndarray | np.generic):
        return value if isinstance(like, np.ndarray) else value[()]
    return jax.numpy.asarray(value)
