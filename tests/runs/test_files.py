import jax.numpy as jnp
import numpy as np
import pytest

from framework.runs import files


def test_arrays_become_plain_numbers(tmp_path):
    content = {"a": jnp.arange(3), "b": np.float32(0.5), "c": (1, np.bool_(True)), "d": {"e": None}}
    files.write_json(tmp_path / "x.json", content)
    assert files.read_json(tmp_path / "x.json") == {"a": [0, 1, 2], "b": 0.5, "c": [1, True], "d": {"e": None}}


@pytest.mark.parametrize("value", [float("nan"), np.inf, jnp.array([1.0, jnp.nan])])
def test_what_json_cannot_hold_is_refused_by_name(tmp_path, value):
    with pytest.raises(ValueError, match=r"the number scores\.shd is"):
        files.write_json(tmp_path / "x.json", {"scores": {"shd": value}})
    assert not list(tmp_path.iterdir())


def test_a_table_reads_back_exactly(tmp_path):
    values = np.random.default_rng(0).normal(size=3)
    files.write_csv(tmp_path / "t.csv", ("name", "value"), [(f"x,{i}", value) for i, value in enumerate(values)])
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[1].startswith('"x,0",')
    np.testing.assert_array_equal([float(line.rpartition(",")[2]) for line in lines[1:]], values)


def test_a_damaged_file_is_named_with_its_line(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1,\n')
    with pytest.raises(ValueError, match=r"x\.json, line 2: not JSON"):
        files.read_json(tmp_path / "x.json")
