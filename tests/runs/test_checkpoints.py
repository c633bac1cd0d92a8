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


def test_a_refusal_of_the_disk_is_one_line(tmp_path, state, capfd):
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


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_a_key_comes_back_with_its_generator(tmp_path, impl):
    keys = jax.random.split(jax.random.key(3, impl=impl), 4)
    checkpoints.save(tmp_path, 1, {"keys": keys}, {})
    restored = checkpoints.restore_latest(tmp_path, {"keys": keys}).state["keys"]
    same([restored], [keys])
    np.testing.assert_array_equal(jax.random.bits(restored[2]), jax.random.bits(keys[2]))


@pytest.mark.parametrize(
    ("saved", "like", "words"),
    [
        ("rbg", "unsafe_rbg", "was saved as a key of rbg, this run has a key of unsafe_rbg"),
        ("threefry2x32", "rbg", "was saved as a key of threefry2x32, this run has a key of rbg"),
    ],
)
def test_a_key_of_another_generator_is_refused(tmp_path, saved, like, words):
    checkpoints.save(tmp_path, 1, {"key": jax.random.key(0, impl=saved)}, {})
    with pytest.raises(ValueError, match=words) as error:
        checkpoints.restore_latest(tmp_path, {"key": jax.random.key(0, impl=like)})
    assert "\n" not in str(error.value)


def test_the_numbers_of_a_key_are_no_key(tmp_path):
    key = jax.random.key(1)
    checkpoints.save(tmp_path, 1, {"key": key}, {})
    with pytest.raises(ValueError, match=r"a key of threefry2x32, this run has uint32\(2,\)"):
        checkpoints.restore_latest(tmp_path, {"key": jax.random.key_data(key)})


@pytest.mark.parametrize(
    "state",
    [
        {},
        (),
        {"empty": jnp.zeros((0, 3), jnp.bfloat16)},
        {"w": jnp.ones(2), "empty": np.zeros((2, 0), np.int8), "none": None},
        {"keys": jax.random.split(jax.random.key(0, impl="rbg"), 4)[:0]},
    ],
    ids=["no leaf", "a tuple", "nothing but an empty leaf", "beside others", "no key"],
)
def test_leaves_without_numbers_come_back(tmp_path, state):
    for step in (1, 2):
        checkpoints.save(tmp_path, step, state, {"size": 7})
    restored = checkpoints.restore_latest(tmp_path, state)
    assert (restored.step, restored.meta) == (2, {"size": 7})
    assert jax.tree.structure(restored.state) == jax.tree.structure(state)
    same(restored.state, state)
    assert [leaf.shape for leaf in jax.tree.leaves(restored.state)] == [leaf.shape for leaf in jax.tree.leaves(state)]


def test_an_empty_leaf_of_another_shape_is_refused(tmp_path):
    checkpoints.save(tmp_path, 1, {"a": jnp.zeros((0, 3))}, {})
    for other in (jnp.zeros((0, 2)), jnp.zeros((0, 3), int)):
        with pytest.raises(ValueError, match=r"was saved as float32\(0, 3\)"):
            checkpoints.restore_latest(tmp_path, {"a": other})
    with pytest.raises(ValueError, match="another version"):
        checkpoints.restore_latest(tmp_path, {})


@pytest.mark.parametrize("dtype", [bool, np.complex64, np.complex128, np.uint64, float, jnp.int4, jnp.float8_e5m2])
def test_numbers_of_every_kind_come_back_under_any_setting(tmp_path, dtype):
    state = {"array": (np.arange(3) % 2 / 3).astype(dtype), "number": np.ones((), dtype)[()]}
    checkpoints.save(tmp_path, 1, state, {})
    restored = checkpoints.restore_latest(tmp_path, state).state
    assert [type(leaf) for leaf in restored.values()] == [type(leaf) for leaf in state.values()]
    same(restored, state)


def test_64_bits_of_jax_come_back_to_a_caller_of_32(tmp_path):
    with jax.enable_x64(True):
        state = {"x": jnp.asarray([1 / 3])}
    checkpoints.save(tmp_path, 1, state, {})
    same(checkpoints.restore_latest(tmp_path, state).state, state)


def test_what_a_step_was_given_as_a_number_of_python_is_taken_up(tmp_path):
    checkpoints.save(tmp_path, 1, {"scale": jnp.float32(0.5)}, {})
    assert checkpoints.restore_latest(tmp_path, {"scale": 2.5}).state["scale"] == 0.5


@pytest.mark.parametrize(
    ("leaf", "what"),
    [
        ("adam", "a str"),
        (np.array(["a"]), "of <U1"),
        (object(), "a object"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"of datetime64\[D\]"),
        (np.zeros(1, [("x", int)]), "of "),
        (np.zeros(1, jnp.uint4), "of uint4"),
    ],
)
def test_a_leaf_that_no_checkpoint_holds_is_refused_by_name(tmp_path, leaf, what):
    for refuse in (checkpoints.check, lambda state: checkpoints.save(tmp_path / "c", 1, state, {})):
        with pytest.raises(ValueError, match=rf"state\['optimizer'\]\[0\] is {what}.*checkpoints hold numbers"):
            refuse({"optimizer": [leaf], "w": jnp.ones(1)})
    assert not (tmp_path / "c").exists()


def test_a_checkpoint_of_an_earlier_version_is_read(tmp_path, monkeypatch):
    """It has no description of its leaves."""
    state = {"key": jax.random.key(4), "w": jnp.arange(3.0)}
    monkeypatch.setattr(checkpoints, "_describe", lambda leaf: None)
    monkeypatch.setattr(checkpoints, "_LEAVES", "ignored")
    checkpoints.save(tmp_path, 1, state, {"size": 1})
    meta = next(tmp_path.rglob("meta/metadata"))
    meta.write_text('{"size": 1}')
    monkeypatch.undo()
    restored = checkpoints.restore_latest(tmp_path, state)
    assert restored.meta == {"size": 1}
    same(restored.state, state)
    with pytest.raises(ValueError, match=r"\['key'\] was saved as uint32\(2,\)"):
        checkpoints.restore_latest(tmp_path, state | {"key": jax.random.key(0, impl="rbg")})
