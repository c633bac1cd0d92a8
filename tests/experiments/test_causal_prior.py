import contextlib
import csv
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import causal_prior
from experiments.parts.causal_prior import problems
from framework import causal, runs
from framework.causal.prior import answers, elicitation

SMALL = ("--config.bootstrap=3", "--config.learner.penalty=0.05")


@pytest.fixture
def table(tmp_path):
    """x -> y -> z with strong effects, as a CSV."""
    rng = np.random.default_rng(0)
    x, e, f = rng.normal(size=(3, 200))
    y = 2 * x + e
    path = tmp_path / "table.csv"
    np.savetxt(path, np.stack([x, y, 1.5 * y + f], axis=1), delimiter=",", header="x,y,z", comments="")
    return path


def edges(path):
    with open(path) as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_table_of_ones_own_becomes_a_graph(experiment, launch, table, tmp_path):
    flags = ("--config.data.transform=center", "--config.learner.noise=equal", "--workdir=run", *SMALL)
    code, _, errors = launch(experiment, f"--config.data.csv={table}", *flags)
    assert code == 0, errors
    found = edges(tmp_path / "run" / "graph.csv")
    assert [(edge["source"], edge["target"], edge["direction"]) for edge in found] == [
        ("x", "y", "assumed"),
        ("y", "z", "assumed"),
    ]
    assert all((edge["joined"], edge["forward"], edge["open"]) == ("1.0", "1.0", "0.0") for edge in found)
    assert float(found[0]["weight"]) == pytest.approx(2, abs=0.2)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["rows"], result["columns"]) == (200, 3)
    assert "shd" not in result
    assert str(tmp_path) not in json.dumps(result)


@pytest.mark.slow
def test_open_directions_are_said_everywhere(experiment, launch, table, tmp_path):
    """x -> y -> z is one of three graphs that explain Gaussian data alike; the scale of the table is no help."""
    code, output, errors = launch(experiment, f"--config.data.csv={table}", "--workdir=run", *SMALL)
    assert code == 0, errors
    found = edges(tmp_path / "run" / "graph.csv")
    assert {frozenset((edge["source"], edge["target"])) for edge in found} == {frozenset("xy"), frozenset("yz")}
    assert all((edge["direction"], edge["forward"], edge["open"]) == ("open", "0.0", "1.0") for edge in found)
    report = (tmp_path / "run" / "report.html").read_text()
    assert "without an arrowhead has an open direction" in report
    assert "stands in both places" in report
    for text in (output, report):
        assert "directions.no_prior.open" in text or "directions.no_prior" in text
        assert text.count("open") >= 3
    assert json.loads((tmp_path / "run" / "result.json").read_text())["directions"] == {"no_prior": {"open": 2}}


def test_measures_that_count_open_edges_as_drawn_are_said_to():
    """Next to a truth a chain may have no error at all, and not one direction that the data tell."""
    graph = np.eye(3, k=1, dtype=bool)
    study = problems.Study(("a", "b", "c"), [0], [np.zeros((9, 3))], [graph], [], note="Own table.")
    result = lambda told: SimpleNamespace(graph=graph, direction=graph * causal.DIRECTIONS.index(told))
    said = problems.measured(study, result("open")).note
    assert said.startswith("Own table.\n\n2 of 2 edges are open. Against the truth, shd, f1,")
    assert problems.measured(study, result("compelled")) == study
    assert problems.measured(study._replace(truths=[]), result("open")).note == "Own table."


@pytest.mark.slow
def test_sachs_with_the_recorded_answers_is_learned_and_scored(experiment, launch, shared, tmp_path):
    sachs = shared("causal", "sachs")
    flags = (
        f"--config.data.csv={sachs / 'sachs_obs853.csv'}",
        f"--config.data.truth={sachs / 'truth17.csv'}",
        f"--config.prior.answers={shared('priors', 'sachs.json')}",
        "--workdir=run",
        "--config.bootstrap=2",
    )
    code, _, errors = launch(experiment, *flags)
    assert code == 0, errors
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["shd"]["empty"] == 17
    assert result["cpdag_shd"]["no_prior"] <= 11
    assert max(result["shd"]["no_prior"], result["shd"]["prior"]) < 17
    assert result["shd"]["prior_only"] == 4
    assert "partly recall of the published graphs" in (tmp_path / "run" / "report.html").read_text()


def bad(path, text):
    path.write_text(text)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("x,y\n1,a\n", "line 2, column 'y': 'a' is text"),
        ("x,y\n1,\n", "the cell is missing"),
        ("x,y\n1,2\n1,3\n1,4\n", "table.csv: x is constant"),
        ("x,y\n1,2\n3,4\n", "table.csv: a table [rows, columns] of at least 3 rows"),
        ("", "table.csv: empty"),
    ],
)
def test_bad_tables_are_refused(experiment, refused, tmp_path, content, what):
    assert what in refused(experiment, f"--config.data.csv={bad(tmp_path / 'table.csv', content)}", "--workdir=run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "content", "what"),
    [
        ("data.truth", "source,target\nx,w\n", "no column 'w'; the columns are x, y, z"),
        ("data.truth", "source,target\nx,y\ny,x\n", "the truth must be acyclic, but it holds x -> y -> x"),
        ("data.truth", "from,to\nx,y\n", "needs the columns source,target"),
        ("knowledge", "source,target,kind\nx,w,required\n", "no column 'w'"),
        ("knowledge", "source,target,kind\nx,y,perhaps\n", "kind must be one of required, forbidden"),
        ("data.truth", "source,target,weight\nx,y,2\n", "'weight' is unknown"),
        ("knowledge", "source,target,type\nx,y,forbidden\n", "'type' is unknown (is 'kind' meant?)"),
        ("knowledge", "source,target\nx,y\n", "'kind' is missing"),
        (
            "knowledge",
            "source,target,kind\nx,y,required\ny,z,required\nz,x,required\n",
            "required edges hold a cycle, x -> y -> z -> x",
        ),
        ("knowledge", "source,target,kind\nx,y,required\nx,y,forbidden\n", "both required and forbidden"),
        ("prior.answers", '{"domain": "d", "variables": {"x": "", "y": ""}, "answers": []}', "about other columns"),
        ("prior.answers", "no json", "not JSON"),
    ],
)
def test_bad_companions_of_a_table_are_refused(experiment, refused, table, tmp_path, flag, content, what):
    companion = bad(tmp_path / "companion", content)
    line = refused(experiment, f"--config.data.csv={table}", f"--config.{flag}={companion}", "--workdir=run")
    assert what in line
    assert "companion" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("data.csv", "nowhere.csv", "No such file or directory: nowhere.csv"),
        ("prior.precision", 0.0, "precision must lie in (0, 1]"),
        ("data.nodes", 1, "data.nodes must be at least 2"),
        ("data.truth", "t.csv", "give data.csv with it"),
        ("bootstrap", 0, "at least 1 resample"),
        ("seed", -1, "seeds must be"),
        ("data.raw_samples", 0, "raw_samples or data.standardised_samples must be above 0"),
        ("data.graph", "tree", "graph must be one of"),
        ("data.bif", "nowhere.bif", "No such file or directory: nowhere.bif"),
        ("prior.elicit.model", "m", "give data.csv with it"),
        ("learner.cut", -1.0, "cut must be at least 0"),
    ],
)
def test_bad_settings_are_refused(key, value, what, refuses):
    """In one process: `tests/test_launch.py` shows that such an error becomes a line on stderr."""
    config = causal_prior.get_config("smoke")
    config.update_from_flattened_dict({key: value})
    refuses(causal_prior, config, what)


def test_many_seeds_for_one_table_are_refused(table, tmp_path):
    config = causal_prior.get_config("smoke")
    config.data.csv, config.seeds = str(table), 4
    with pytest.raises(ValueError, match="a table is one problem, but seeds is 4"):
        causal_prior.main(config, runs.Run(tmp_path))


def test_an_unknown_transform_of_a_table_is_refused(table, tmp_path):
    config = causal_prior.get_config("smoke")
    config.data.csv, config.data.transform = str(table), "whiten"
    with pytest.raises(ValueError, match="transform must be one of"):
        runs.execute(causal_prior, config, tmp_path / "run")


@pytest.mark.long
def test_hard_knowledge_of_a_table_is_kept_to(experiment, launch, table, tmp_path):
    bad(tmp_path / "knowledge.csv", "source,target,kind\nx,z,required\nx,y,forbidden\ny,x,forbidden\n")
    code, _, errors = launch(
        experiment, f"--config.data.csv={table}", "--config.knowledge=knowledge.csv", "--workdir=run", *SMALL
    )
    assert code == 0, errors
    found = {(edge["source"], edge["target"]) for edge in edges(tmp_path / "run" / "graph.csv")}
    assert ("x", "z") in found
    assert not {("x", "y"), ("y", "x")} & found


@pytest.mark.long
def test_a_network_of_bnlearn_is_sampled_with_its_answers(shared, tmp_path):
    config = causal_prior.get_config("smoke")
    config.update({"seeds": 2, "bootstrap": 1})
    config.data.update({"bif": str(shared("causal", "bif", "asia.bif.gz")), "raw_samples": 0})
    config.data.standardised_samples = 500
    config.prior.answers = str(answers.answer_file("asia"))
    result = runs.execute(causal_prior, config, tmp_path / "run").result
    assert result["columns"] == 8
    assert result["standardised"]["shd"]["empty"] == 8
    assert "recall of the published graphs" in result["note"]


@pytest.mark.long
def test_a_seed_learns_the_same_alone_and_among_others(tmp_path):
    """Seeds are one batch; each must get what it gets alone."""
    config = causal_prior.get_config("smoke")
    config.update({"bootstrap": 1, "seeds": 3, "seed": 4})
    together = runs.execute(causal_prior, config, tmp_path / "three").result["raw"]["shd_each"]
    config.update({"seeds": 1, "seed": 5})
    alone = runs.execute(causal_prior, config, tmp_path / "one").result["raw"]["shd_each"]
    assert {arm: values[1:2] for arm, values in together.items()} == alone


@pytest.mark.slow
def test_the_paper_preset_takes_two_real_steps():
    config = causal_prior.get_config("paper")
    with jax.enable_x64(True):
        learner = causal_prior.learner_of(config, "standardize", "unequal")
        study = problems.generated(config, config.data.standardised_samples, 2)
        given = causal.problem(study.tables[0], study.priors[0], learner)
        np.testing.assert_allclose(np.diagonal(given.covariance), 1)
        first, _ = causal.step(causal.init(given, learner), given, learner)
        second, metrics = causal.step(first, given, learner)
    assert second.params.shape == (50, 50)
    assert np.any(second.params != first.params)
    assert np.isfinite(float(metrics["objective"]))


def test_overrides_reach_the_learner():
    config = ConfigDict(causal_prior.get_config("smoke"))
    assert causal_prior.learner_of(config, "center", "equal").finish == "search"
    assert causal_prior.learner_of(config, "standardize", "unequal").finish == "order"
    assert causal_prior.learner_of(config, "center", "unequal").noise == "unequal"
    config.prior.weight, config.learner.cut = 0.25, 0.0
    assert causal_prior.learner_of(config, "center", "equal").prior_weight == 0.25
    assert causal_prior.learner_of(config, "center", "equal").cut == 0.0


@pytest.mark.long
def test_a_model_is_asked_about_the_columns_and_never_twice(table, tmp_path, monkeypatch):
    """The endpoint is stood in for; tests/causal/prior/test_endpoint.py speaks to a real server."""
    asked = []

    @contextlib.contextmanager
    def chat(base_url, model, temperature):
        yield lambda prompt: asked.append(prompt) or "A"

    monkeypatch.setattr(problems.endpoint, "chat", chat)
    monkeypatch.setattr(problems.endpoint, "source", lambda base_url, model, temperature: model)
    config = causal_prior.get_config("smoke")
    config.data.csv, config.prior.elicit.model, config.bootstrap = str(table), "model", 2
    result = runs.execute(causal_prior, config, tmp_path / "run").result
    pairs_and_wordings = 3 * len(elicitation.WORDINGS)
    assert len(asked) == pairs_and_wordings
    assert "prior" in result["edges"]
    (tmp_path / "run" / "result.json").unlink()
    runs.execute(causal_prior, config, tmp_path / "run")
    assert len(asked) == pairs_and_wordings


@pytest.mark.long
def test_the_default_study_meets_its_expected_numbers(tmp_path):
    outcome = runs.execute(causal_prior, causal_prior.get_config("default"), tmp_path)
    for name, (value, spread) in causal_prior.EXPECTED["default"].items():
        mode, score, arm = name.split(".")
        assert outcome.result[mode][score][arm] == pytest.approx(value, abs=spread), name
