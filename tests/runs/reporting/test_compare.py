import sys

import pytest
from PIL import Image

from framework.runs import open_run
from framework.runs.reporting import report
from framework.runs.reporting.compare import compare


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


def test_runs_go_by_what_tells_their_paths_apart(tmp_path):
    runs = [finished(tmp_path / "grid" / name / "smoke", x=number) for number, name in enumerate(("near", "far"))]
    assert compare(runs, tmp_path / "out").split()[:3] == ["number", "near/smoke", "far/smoke"]


def test_the_figure_shows_the_numbers_that_differ(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        sys.modules["framework.runs.reporting.compare"],
        "_picture",
        lambda numbers, names, remark: drawn.append(names) or b"",
    )
    a, b = (finished(tmp_path / name, rows=30, shd=shd) for name, shd in (("a", 3.0), ("b", 4.0)))
    compare([a, b], tmp_path / "out")
    compare([a, finished(tmp_path / "c", rows=30, shd=3.0)], tmp_path / "out")
    assert drawn == [["shd"], ["rows", "shd"]]


def caption(path):
    with Image.open(path) as picture:
        return picture.info[report.CAPTION]


def test_too_few_seeds_have_no_interval_anywhere(tmp_path):
    one, two, three = (finished(tmp_path / f"of {n}", accuracy=0.1 * n, seeds=n) for n in (1, 2, 3))
    table = compare([one, two, three], tmp_path / "out").splitlines()
    assert table[-1].split("  ") == ["interval", "one seed, no interval", "two seeds, no interval"]
    words = "of 1: one seed, no interval; of 2: two seeds, no interval"
    assert caption(tmp_path / "out/comparison.png") == f"Numbers of of 1, of 2, of 3; {words}."
    assert "interval" not in compare([three, finished(tmp_path / "more", accuracy=1.0, seeds=5)], tmp_path / "enough")
    assert "interval" not in caption(tmp_path / "enough/comparison.png")


def test_a_run_counts_by_the_fewest_seeds_of_its_parts(tmp_path):
    tour = finished(tmp_path / "tour", x=1, a={"seeds": 5}, b={"seeds": 1})
    message = finished(
        tmp_path / "told", x=2, no_interval={"a": "two seeds, no interval", "b": "one seed, no interval"}
    )
    with open_run(tmp_path / "config", {"seeds": 2}) as run:
        run.finish({"x": 3})
    last = compare([tour, message, tmp_path / "config"], tmp_path / "out").splitlines()[-1]
    assert last.split("  ")[1:] == ["one seed, no interval", "one seed, no interval", "two seeds, no interval"]


def test_an_unfinished_run_cannot_be_compared(tmp_path):
    a = finished(tmp_path / "a", x=1)
    with pytest.raises(FileNotFoundError, match="no complete run"):
        compare([a, tmp_path / "b"], tmp_path / "out")


def test_one_run_or_strangers_cannot_be_compared(tmp_path):
    a, b = finished(tmp_path / "a", x=1), finished(tmp_path / "b", y=1)
    with pytest.raises(ValueError, match="at least 2"):
        compare([a], tmp_path / "out")
    with pytest.raises(ValueError, match=r"different run directories, got .*a twice"):
        compare([a, b, a], tmp_path / "out")
    with pytest.raises(ValueError, match="share no number"):
        compare([a, b], tmp_path / "out")
