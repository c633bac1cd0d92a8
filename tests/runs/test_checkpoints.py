import resource
import shutil
import signal
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.runs import checkpoints


class State(NamedTuple):
    weights: jax.Array
    nested: dict
    key: jax.Array


@pytest.fixture
def state():
    with jax.enable_x64(True):
        return State(
            jnp.linspace(0, 1, 7, dtype=jnp.float64),
            {"steps": jnp.int32(3), "on": jnp.array([True])},
            jax.random.key(9),
        )


def same(a, b):
    key = lambda leaf: jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(key(x), key(y))


def test_a_state_comes_back_bit_for_bit_with_keys_and_64_bits(tmp_path, state):
    checkpoints.save(tmp_path / "c", 5, state, {"metrics_size": 12})
    with jax.enable_x64(True):
        restored = checkpoints.restore_latest(tmp_path / "c", state)
        assert (restored.step, restored.meta) == (5, {"metrics_size": 12})
        assert isinstance(restored.state, State)
        same(restored.state, state)


def test_without_a_checkpoint_there_is_none(tmp_path, state):
    assert checkpoints.restore_latest(tmp_path / "nothing", state) is None
    assert not (tmp_path / "nothing").exists()


def test_the_newest_counts_and_few_are_kept(tmp_path, state):
    for step in (1, 2, 3, 10):
        checkpoints.save(tmp_path, step, state._replace(nested=state.nested | {"steps": jnp.int32(step)}), {})
    with jax.enable_x64(True):
        assert checkpoints.restore_latest(tmp_path, state).state.nested["steps"] == 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10", "3"]


@pytest.mark.parametrize("damage", ["cut", "emptied", "gone"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, state, damage):
    for step in (1, 2):
        checkpoints.save(tmp_path, step, state, {"step": step})
    if damage == "gone":
        shutil.rmtree(tmp_path / "2" / "state")
    else:
        for path in (p for p in (tmp_path / "2").rglob("*") if p.is_file()):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 if damage == "cut" else 0])
    with jax.enable_x64(True):
        restored = checkpoints.restore_latest(tmp_path, state)
        assert restored.meta == {"step": 1}
        same(restored.state, state)


def test_one_that_is_saved_after_a_damaged_one_counts(tmp_path, state):
    """Of its step, or of one before it."""
    for again in (2, 1):
        checkpoints.save(tmp_path, 2, state, {})
        (tmp_path / "2" / "_CHECKPOINT_METADATA").write_bytes(b"")
        shutil.rmtree(tmp_path / "2" / "state")
        checkpoints.save(tmp_path, again, state, {"again": again})
        with jax.enable_x64(True):
            assert checkpoints.restore_latest(tmp_path, state).meta == {"again": again}


def test_one_whose_values_do_not_fit_is_passed_over(tmp_path, state):
    for step in (1, 2):
        checkpoints.save(tmp_path, step, state, {"size": step})
    with jax.enable_x64(True):
        assert checkpoints.restore_latest(tmp_path, state, lambda meta: meta["size"] < 2).step == 1
        assert checkpoints.restore_latest(tmp_path, state, lambda meta: meta["size"] < 1) is None


def test_what_the_disk_refuses_is_said_with_the_place_and_nothing_else(tmp_path, state, capfd):
    large = state._replace(weights=jax.random.normal(state.key, (30_000,)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*checkpoint-of-a-phase"):
            checkpoints.save(tmp_path / "checkpoint-of-a-phase", 1, large, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capfd.readouterr() == ("", "")


def test_a_checkpoint_of_another_structure_is_refused(tmp_path, state):
    checkpoints.save(tmp_path, 1, state, {})
    with pytest.raises(ValueError, match="another version of this experiment"):
        checkpoints.restore_latest(tmp_path, {"weights": state.weights})
    with jax.enable_x64(True), pytest.raises(ValueError, match=r"was saved as float64\(7,\)"):
        checkpoints.restore_latest(tmp_path, state._replace(weights=jnp.zeros(3)))


@pytest.fixture
def interruptible():
    """Ctrl-C raises, as in a terminal; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_until_the_checkpoint_is_whole(tmp_path, state, monkeypatch):
    convert = checkpoints._to_numpy

    def interrupted(leaf):
        signal.raise_signal(signal.SIGINT)
        return convert(leaf)

    monkeypatch.setattr(checkpoints, "_to_numpy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(tmp_path / "c", 5, state, {})
    monkeypatch.undo()
    with jax.enable_x64(True):
        assert checkpoints.restore_latest(tmp_path / "c", state).step == 5


def test_a_description_that_nests_without_end_is_refused_by_name(tmp_path):
    checkpoints.save(tmp_path / "phase", 1, {"w": np.zeros(2)}, {})
    next((tmp_path / "phase").rglob("_CHECKPOINT_METADATA")).write_text('{"a":' * 50_000)
    with pytest.raises(ValueError, match="the description of a checkpoint is damaged; give another --workdir"):
        checkpoints.restore_latest(tmp_path / "phase", {"w": np.zeros(2)})
