from experiments import tour
from framework import runs


def test_the_tour_gives_each_system_its_own_settings_and_its_own_seed(monkeypatch, tmp_path):
    seen = []

    def execute(system, config, path):
        seen.append((runs.name_of(system), config.preset, config.seed, config.seeds, config.data.nodes, path.name))
        return runs.Outcome(path, {"number": 1}, [], ran=True)

    monkeypatch.setattr(tour.runs, "execute", execute)
    config = tour.get_config("default")
    config.seed, config.seeds, config.causal_prior.data.nodes = 7, 3, 12
    assert tour.main(config, runs.Run(tmp_path)) == {"causal_prior": {"number": 1}}
    assert seen == [("causal_prior", "default", 7, 3, 12, "causal_prior")]


def test_without_flags_the_tour_ends_with_one_page_and_a_table(launch, tmp_path):
    code, output, errors = launch()
    assert code == 0, errors
    assert errors == ""
    folder = tmp_path / "runs" / "tour-smoke"
    page = (folder / "report.html").read_text()
    assert page.count("<section") == len(tour.SYSTEMS)
    assert 'href="causal_prior/report.html"' in page
    assert (folder / "causal_prior" / "report.html").exists()
    assert [line.split()[0] for line in output.splitlines()[2:-2]] == ["causal_prior"] * 3
    assert "runs/tour-smoke/report.html" in output
