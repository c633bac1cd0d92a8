import contextlib
import csv
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments import causal_prior, causal_table
from experiments.parts.causal_prior import fits
from experiments.parts.causal_prior.tasks import Task
from experiments.parts.causal_table import tables
from framework import causal, runs
from framework.causal import learner as causal_learner
from framework.causal.discrete import orientation
from framework.causal.learn import problems
from framework.causal.prior import elicitation
from framework.runs import experiment as runs_experiment

SMALL = ("--config.bootstrap=3", "--config.learner.penalty=0.05")
WALKS = np.random.default_rng(0).normal(size=(200, 3)).cumsum(axis=0)
ROWS = np.random.default_rng(0).normal(size=(60, 3))


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
def test_your_own_table_becomes_a_graph(experiment, launch, table, tmp_path):
    flags = ("--config.data.transform=center", "--config.learner.noise=equal", "--workdir=run", *SMALL)
    code, _, errors = launch(experiment, f"--config.data.csv={table}", *flags)
    assert code == 0, errors
    graph = edges(tmp_path / "run" / "graph.csv")
    assert [(edge["source"], edge["target"], edge["direction"]) for edge in graph] == [
        ("x", "y", "assumed"),
        ("y", "z", "assumed"),
    ]
    assert all((edge["joined"], edge["forward"], edge["open"]) == ("1.0", "1.0", "0.0") for edge in graph)
    assert float(graph[0]["weight"]) == pytest.approx(2, abs=0.2)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["rows"], result["columns"]) == (200, 3)
    assert "shd" not in result
    assert str(tmp_path) not in json.dumps(result)


@pytest.mark.slow
def test_open_directions_are_reported_everywhere(experiment, launch, table, tmp_path):
    """x -> y -> z is one of three graphs that explain Gaussian data alike; the scale of the table is no help."""
    code, output, errors = launch(experiment, f"--config.data.csv={table}", "--workdir=run", *SMALL)
    assert code == 0, errors
    graph = edges(tmp_path / "run" / "graph.csv")
    assert {frozenset((edge["source"], edge["target"])) for edge in graph} == {frozenset("xy"), frozenset("yz")}
    assert all((edge["direction"], edge["forward"], edge["open"]) == ("open", "0.0", "1.0") for edge in graph)
    report = (tmp_path / "run" / "report.html").read_text()
    assert "without an arrowhead has an open direction" in report
    assert "appears in both directions" in report
    for text in (output, report):
        assert "directions.no_prior.open" in text or "directions.no_prior" in text
        assert text.count("open") >= 3
    assert json.loads((tmp_path / "run" / "result.json").read_text())["directions"] == {"no_prior": {"open": 2}}


def test_a_note_explains_measures_that_count_open_edges():
    """Next to a truth a chain may have no error at all, and not one direction that the data tell."""
    graph = np.eye(3, k=1, dtype=bool)
    task = Task(("a", "b", "c"), [0], [np.zeros((9, 3))], [graph], [], note="Own table.")
    result = lambda direction: SimpleNamespace(graph=graph, direction=graph * orientation.DIRECTIONS.index(direction))
    note = tables.explain_open_edges(task, result("open")).note
    assert note.startswith("Own table.\n\n2 of 2 edges are open. Against the truth, shd, f1,")
    assert tables.explain_open_edges(task, result("compelled")) == task
    assert tables.explain_open_edges(task._replace(truths=[]), result("open")).note == "Own table."


@pytest.mark.slow
def test_sachs_with_recorded_answers_is_learned_and_scored(experiment, launch, shared, tmp_path):
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


def test_many_seeds_for_one_table_are_refused(table, tmp_path):
    config = causal_table.get_config("smoke")
    config.data.csv, config.seeds = str(table), 4
    with pytest.raises(ValueError, match="a table is one problem, but seeds is 4"):
        causal_table.main(config, runs.Run(tmp_path))


def test_an_unknown_transform_of_a_table_is_refused(table, tmp_path):
    config = causal_table.get_config("smoke")
    config.data.csv, config.data.transform = str(table), "whiten"
    with pytest.raises(ValueError, match="transform must be one of"):
        runs.execute(causal_table, config, tmp_path / "run")


@pytest.mark.long
def test_hard_constraints_of_a_table_hold(experiment, launch, table, tmp_path):
    bad(tmp_path / "knowledge.csv", "source,target,kind\nx,z,required\nx,y,forbidden\ny,x,forbidden\n")
    code, _, errors = launch(
        experiment, f"--config.data.csv={table}", "--config.knowledge=knowledge.csv", "--workdir=run", *SMALL
    )
    assert code == 0, errors
    graph = {(edge["source"], edge["target"]) for edge in edges(tmp_path / "run" / "graph.csv")}
    assert ("x", "z") in graph
    assert not {("x", "y"), ("y", "x")} & graph


@pytest.mark.long
def test_a_model_is_asked_about_the_columns_and_never_twice(table, tmp_path, monkeypatch):
    """The endpoint is stood in for; tests/causal/prior/test_endpoint.py speaks to a real server."""
    asked = []

    @contextlib.contextmanager
    def chat(base_url, model, temperature):
        yield lambda prompt: asked.append(prompt) or "A"

    monkeypatch.setattr(tables.endpoint, "chat", chat)
    monkeypatch.setattr(tables.endpoint, "source", lambda base_url, model, temperature: model)
    config = causal_table.get_config("smoke")
    config.data.csv, config.prior.elicit.model, config.bootstrap = str(table), "model", 2
    result = runs.execute(causal_table, config, tmp_path / "run").result
    pairs_and_wordings = 3 * len(elicitation.WORDINGS)
    assert len(asked) == pairs_and_wordings
    assert "prior" in result["edges"]
    (tmp_path / "run" / "result.json").unlink()
    runs.execute(causal_table, config, tmp_path / "run")
    assert len(asked) == pairs_and_wordings


@pytest.fixture
def written(tmp_path):
    def write(values, name="table.csv"):
        np.savetxt(tmp_path / name, values, delimiter=",", header="x,y,z", comments="")
        return tmp_path / name

    return write


def config_of(path, **elicit):
    config = causal_table.get_config("smoke")
    config.data.csv, config.bootstrap = str(path), 1
    config.prior.elicit.update(elicit)
    return config


@pytest.fixture
def model(monkeypatch):
    """Stands in for an endpoint: notes the settings and the prompts, and says what it is direction to."""
    server = {"prompts": [], "settings": [], "reply": lambda prompt: "A"}

    @contextlib.contextmanager
    def chat(**settings):
        server["settings"].append(settings)
        yield lambda prompt: server["prompts"].append(prompt) or server["reply"](prompt)

    monkeypatch.setattr(tables.endpoint, "chat", chat)
    return server


@pytest.mark.slow
def test_unreadable_replies_end_a_run_and_are_asked_again(written, tmp_path, model):
    config = config_of(written(ROWS), model="m", base_url="http://host/v1", temperature=-1.0)
    model["reply"] = lambda prompt: "Who knows?" if "formula" in prompt else "A"  # one of five wordings
    config.prior.elicit.max_unreadable = 0.1
    with pytest.raises(ValueError, match=r"3 of 15 replies could not be read, where a share of 0\.1 is allowed"):
        runs.execute(causal_table, config, tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
    assert len(model["prompts"]) == 15
    model["reply"] = lambda prompt: "A"
    assert runs.execute(causal_table, config, tmp_path / "run").result["unreadable_replies"] == 0
    assert len(model["prompts"]) == 18
    assert all("formula" in prompt for prompt in model["prompts"][15:])
    assert model["settings"] == [{"base_url": "http://host/v1", "model": "m", "temperature": None}] * 2


@pytest.mark.slow
def test_few_unreadable_replies_are_reported_with_their_share(written, tmp_path, model):
    config = config_of(written(ROWS), model="m", base_url="http://host/v1")
    model["reply"] = lambda prompt: "Who knows?" if "formula" in prompt else "A"
    with pytest.warns(causal.AssumptionWarning, match="3 of 15 replies of the language model could not be read"):
        outcome = runs.execute(causal_table, config, tmp_path / "run")
    assert outcome.result["unreadable_replies"] == 0.2
    assert "unreadable_replies" in runs_experiment.summary(outcome)
    assert "3 of 15 replies of the language model could not be read" in (tmp_path / "run" / "report.html").read_text()
    assert model["settings"][0]["temperature"] == 0


@pytest.mark.parametrize("odd", [None, 3, ["a"], {"unit": "m"}])
def test_a_description_that_is_not_text_is_refused(written, tmp_path, model, odd):
    path = tmp_path / "descriptions.json"
    path.write_text(json.dumps({"x": "", "y": odd, "z": "the last"}))
    config = config_of(written(ROWS), model="m", base_url="http://host/v1", descriptions=str(path))
    with pytest.raises(ValueError, match=r"descriptions\.json: the description of y must be a text, got "):
        runs.execute(causal_table, config, tmp_path / "run")
    assert model["prompts"] == []


@pytest.mark.slow
def test_the_warnings_of_a_table_stand_in_its_report(written, tmp_path):
    with pytest.warns(causal.AssumptionWarning, match="not in random order"):
        outcome = runs.execute(causal_table, config_of(written(WALKS)), tmp_path / "run")
    assert outcome.result["note"].startswith("Warning: table.csv: the rows are not in random order")
    assert "Warning: table.csv: the rows are not in random order" in (tmp_path / "run" / "report.html").read_text()
    assert str(tmp_path) not in json.dumps(outcome.result)


@pytest.mark.slow
def test_the_old_command_runs_the_table_and_names_the_new_one(written, tmp_path, capsys):
    config = causal_prior.get_config("smoke")
    config.data.csv, config.bootstrap = str(written(ROWS)), 2
    former = runs.execute(causal_prior, config, tmp_path / "former").result
    assert "--config=experiments/causal_table.py --config.data.csv=" in capsys.readouterr().err
    config = config_of(written(ROWS))
    config.bootstrap = 2
    assert runs.execute(causal_table, config, tmp_path / "run").result == former


def test_an_unknown_example_is_refused(refuses):
    config = causal_table.get_config("smoke")
    config.data.example = "perpetuum_mobile"
    refuses(causal_table, config, "data.example must be one of free_fall, ")


@pytest.mark.slow
def test_the_example_is_learned_with_its_recorded_answers(tmp_path):
    config = causal_table.get_config("smoke")
    config.bootstrap, config.seeds = 2, 3
    outcome = runs.execute(causal_table, config, tmp_path / "run")
    assert outcome.result["seeds"] == len(outcome.result["shd_each"]["prior"]) == 3
    assert max(outcome.result["shd"]["no_prior"], outcome.result["shd"]["prior"]) < outcome.result["shd"]["empty"]
    assert "answers of a language model about free_fall" in outcome.result["note"]


@pytest.mark.slow
def test_the_paper_preset_takes_two_real_steps():
    config = causal_table.get_config("paper")
    with jax.enable_x64(True):
        learner = fits.make_learner(config, "standardize", "unequal")
        problem = problems.problem(tables.draw_example(config).tables[0], None, learner)
        first, _ = causal_learner.step(causal_learner.init(problem, learner), problem, learner)
        second, metrics = causal_learner.step(first, problem, learner)
    assert np.any(second.params != first.params)
    assert np.isfinite(float(metrics["objective"]))
