import pytest
from PIL import Image

from framework.runs import compare, open_run


def finished(path, **numbers):
    with open_run(path, {"path": str(path)}) as run:
        run.finish(numbers)
    return path


def test_runs_are_put_side_by_side(tmp_path):
    a = finished(tmp_path / "a", shd={"prior": 3.0}, rows=30, only_a=1)
    b = finished(tmp_path / "b", shd={"prior": 4.5}, rows=30)
    table = compare([a, b], tmp_path / "out")
    assert [line.split() for line in table.splitlines()[2:]] == [["shd.prior", "3", "4.5"], ["rows", "30", "30"]]
    assert (tmp_path / "out/comparison.csv").read_text().splitlines()[1] == "shd.prior,3.0,4.5"
    with Image.open(tmp_path / "out/comparison.png") as picture:
        assert picture.size[0] > 300


def test_an_unfinished_run_cannot_be_compared(tmp_path):
    a = finished(tmp_path / "a", x=1)
    with pytest.raises(FileNotFoundError, match="no complete run"):
        compare([a, tmp_path / "b"], tmp_path / "out")


def test_one_run_or_strangers_cannot_be_compared(tmp_path):
    a, b = finished(tmp_path / "a", x=1), finished(tmp_path / "b", y=1)
    with pytest.raises(ValueError, match="at least 2"):
        compare([a], tmp_path / "out")
    with pytest.raises(ValueError, match="share no number"):
        compare([a, b], tmp_path / "out")
