import csv
import types

import pytest
from ml_collections import ConfigDict
from PIL import Image

from framework import runs
from framework.runs.reporting import report
from framework.runs.sweeps import sweep

GRID = ("config.factor=[1, 2]", "config.seed=range(3)")


def study(fails=lambda config: False):
    """A toy experiment as a module, which remembers what it ran."""

    def main(config, run):
        calls.append((config.factor, config.seed))
        if fails(config):
            raise ValueError(f"no factor {config.factor}")
        return {"sum": {"both": config.factor / 3 + config.seed}, "same": 1}

    calls = []
    get_config = lambda preset="smoke": ConfigDict({"preset": preset, "seed": 0, "seeds": 1, "factor": 3})
    module = types.ModuleType("experiments.adding", "Adding adds.")
    module.__dict__.update({"EXPECTED": {}, "get_config": get_config, "main": main, "calls": calls})
    return module


def swept(experiment, path, grid=GRID, **arguments):
    return runs.sweep(experiment, experiment.get_config(), grid, path, **arguments)


def contents(path):
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_point_is_the_single_launch_bit_for_bit(tmp_path):
    experiment = study()
    swept(experiment, tmp_path / "sweep")
    config = experiment.get_config()
    config.factor, config.seed = 2, 1
    runs.execute(experiment, config, tmp_path / "single")
    for name in ("config.json", "result.json"):
        point = tmp_path / "sweep" / "factor=2,seed=1" / name
        assert point.read_bytes() == (tmp_path / "single" / name).read_bytes()


def test_the_table_has_a_row_a_point_and_reads_back_exactly(tmp_path):
    outcome = swept(study(), tmp_path)
    header, *rows = csv.reader((tmp_path / "sweep.csv").read_text().splitlines())
    assert header == ["factor", "seed", "sum.both", "same"]
    assert [[float(cell) for cell in row] for row in rows] == [[f, s, f / 3 + s, 1] for f in (1, 2) for s in range(3)]
    assert (tmp_path / "figures" / "sweep.png").exists()
    assert 'href="factor%3D1%2Cseed%3D0/report.html"' in (tmp_path / "report.html").read_text()
    assert "same" not in sweep.overview(outcome).splitlines()[0]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (("config.factor=[1, 2]",), "one seed, no interval"),
        (("config.factor=[1, 2]", "config.seed=range(2)"), "two seeds, no interval"),
        (("config.seed=range(2)",), ""),
        (GRID, ""),
    ],
)
def test_settings_compared_over_too_few_seeds_say_so(tmp_path, grid, words):
    shown = sweep.overview(swept(study(), tmp_path, grid)) + (tmp_path / "report.html").read_text()
    with Image.open(tmp_path / "figures" / "sweep.png") as picture:
        caption = picture.info[report.CAPTION]
    assert ("interval" in shown) == bool(words)
    if words:
        assert f"\n{words}\n" in shown
        assert f"This run cannot support the claim ({words})." in shown
        assert caption.endswith(f" {words.capitalize()}.")
    else:
        assert "interval" not in caption


def test_a_complete_sweep_is_read_and_not_touched(tmp_path):
    experiment = study()
    first = swept(experiment, tmp_path)
    before = contents(tmp_path)
    assert swept(experiment, tmp_path) == first._replace(ran=False)
    assert contents(tmp_path) == before
    assert len(experiment.calls) == 6


def test_a_sweep_that_was_stopped_runs_what_is_left(tmp_path):
    experiment = study()

    def killed(pending, path):
        for point in pending[:2]:
            runs.execute(experiment, point.config, path / point.name)
            yield point, ""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(experiment, tmp_path / "killed", executor=killed)
    assert not (tmp_path / "killed" / "sweep.csv").exists()
    swept(experiment, tmp_path / "killed")
    assert sorted(experiment.calls) == [(f, s) for f in (1, 2) for s in range(3)]
    swept(experiment, tmp_path / "whole")
    assert (tmp_path / "killed" / "sweep.csv").read_bytes() == (tmp_path / "whole" / "sweep.csv").read_bytes()


def test_a_grid_may_grow_and_only_grow(tmp_path):
    experiment = study()
    swept(experiment, tmp_path, ("config.seed=[1]",))
    swept(experiment, tmp_path, ("config.seed=range(3)",))
    assert [seed for _, seed in experiment.calls] == [1, 0, 2]
    assert (tmp_path / "sweep.csv").read_text().count("\n") == 4
    before = contents(tmp_path)
    for grid, what in ((("config.seed=[0]",), "may grow only"), (GRID, "another config")):
        with pytest.raises(ValueError, match=what):
            swept(experiment, tmp_path, grid)
    with pytest.raises(ValueError, match="--resume=never"):
        swept(experiment, tmp_path, ("config.seed=range(3)",), resume="never")
    assert contents(tmp_path) == before


def test_a_point_that_fails_stops_no_other_and_is_tried_again(tmp_path):
    outcome = swept(study(fails=lambda config: config.factor == 2), tmp_path)
    assert sorted(outcome.failures) == [f"factor=2,seed={seed}" for seed in range(3)]
    assert sweep.failure(outcome) == "3 of 6 points failed; factor=2,seed=0: no factor 2"
    assert (tmp_path / "sweep.csv").read_text().splitlines()[-1] == "2,2,,,no factor 2"
    again = study()
    assert not swept(again, tmp_path).failures
    assert again.calls == [(2, seed) for seed in range(3)]
    assert "error" not in (tmp_path / "sweep.csv").read_text()


def test_nothing_is_left_where_nothing_could_be_run(tmp_path):
    with pytest.raises(ValueError, match="6 of 6 points failed"):
        swept(study(fails=lambda config: True), tmp_path / "new" / "sweep")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"config": {',
        "0",
        "[]",
        "{}",
        '{"config": [], "grid": {}}',
        '{"config": {}, "grid": []}',
        '{"config": {}, "grid": {"seed": 1}}',
    ],
)
def test_a_damaged_sweep_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ValueError, match=r"sweep\.json.*give another --workdir"):
        swept(study(), tmp_path)
