import itertools
import json

import pytest

from experiments import tour
from framework import runs
from framework.runs import experiment
from tests import browser


def test_the_tour_gives_every_system_its_settings_and_the_seed(monkeypatch, tmp_path):
    calls = []

    def execute(system, config, path, tensorboard):
        assert tensorboard
        nodes = config.get("data", {}).get("nodes")
        calls.append((experiment.experiment_name(system), config.preset, config.seed, config.seeds, nodes, path.name))
        return runs.Outcome(path, {"number": 1}, [], ran=True)

    monkeypatch.setattr(tour.runs, "execute", execute)
    config = tour.get_config("default")
    config.seed, config.seeds, config.causal_prior.data.nodes = 7, 3, 12
    config.ssd_trace.load.update({"kind": "poisson", "requests": 10})  # the preset's trace has no seeds
    config.proxy_data.ranks.table = ""  # of the shared data, which need not be here
    names = [experiment.experiment_name(system) for system in tour.SYSTEMS]
    assert tour.main(config, runs.Run(tmp_path, follow=lambda: None)) == {name: {"number": 1} for name in names}
    assert calls[0] == ("causal_prior", "default", 7, 3, 12, "causal_prior")
    assert [(*one[:4], one[5]) for one in calls] == [(name, "default", 7, 3, name) for name in names]


@pytest.mark.slow
def test_without_flags_the_tour_ends_with_one_page_and_a_table(launch, tmp_path):
    code, output, errors = launch()
    assert code == 0, errors
    assert all("to go" in line for line in errors.splitlines()), errors  # said of work that is long on a slow machine
    folder = tmp_path / "runs" / "tour-smoke"
    page = (folder / "report.html").read_text()
    assert page.count("<section") == len(tour.SYSTEMS)
    assert 'href="causal_prior/report.html"' in page
    assert (folder / "causal_prior" / "report.html").exists()
    table, *notes = output.split("\n\n")
    rows = [line.split()[0] for line in table.splitlines()[2:]]
    assert sorted(set(rows)) == sorted(experiment.experiment_name(system) for system in tour.SYSTEMS)
    assert rows == sorted(rows, key=[experiment.experiment_name(system) for system in tour.SYSTEMS].index)
    assert "runs/tour-smoke/report.html" in notes.pop()
    results = {name: json.loads((folder / name / "result.json").read_text()) for name in dict.fromkeys(rows)}
    assert [note.split(":")[0] for note in notes] == [name for name, result in results.items() if result.get("note")]
    assert len(notes) >= 5
    for metrics in folder.rglob("metrics.jsonl"):
        places = [row_key(json.loads(line)) for line in metrics.read_text().splitlines()]
        assert len(set(places)) == len(places), metrics
    if browser.executable():
        with browser.opened(tmp_path / "profile") as opened:
            for report, width in itertools.product(folder.rglob("report.html"), (400, 1400)):
                opened.open(report, width)
                page_state = opened.look()
                assert opened.errors() == []
                assert (page_state["wide"] <= width, page_state["broken"], page_state["hidden"]) == (True, 0, 0), report


def row_key(row):
    """The key of a row: its step, its seed and its words."""
    return tuple((key, value) for key, value in row.items() if key in ("step", "seed") or isinstance(value, str))
