import json
import shutil

import jax
import numpy as np
import pytest

from experiments import causal_answers
from experiments.parts.causal_answers import scores
from framework import causal, runs
from framework.causal import knowledge
from framework.causal import learner as causal_learner
from framework.causal.learn import problems
from framework.causal.metrics import graph_distance, sortability
from framework.causal.prior.answers import answer_file
from framework.causal.synthetic import physics
from framework.core import keys

PENDULUM = physics.SYSTEMS["pendulum"]


def small(**settings):
    config = causal_answers.get_config("smoke")
    config.update_from_flattened_dict({"data.systems": ("pendulum",), "seeds": 1} | settings)
    return config


@pytest.fixture
def answer_files(tmp_path):
    """A folder with the answers about the pendulum, to be changed."""
    folder = tmp_path / "answers"
    folder.mkdir()
    for variant in ("", "__anonymous", "__permuted"):
        shutil.copy(answer_file(f"pendulum{variant}"), folder)
    return folder


def change(path, rows):
    content = json.loads(path.read_text())
    content["answers"] = rows(content["answers"])
    path.write_text(json.dumps(content))


def score(config):
    subjects = [causal_answers._subject(config, system) for system in causal_answers._systems(config)]
    return scores.numbers(subjects, causal_answers._samples(subjects))


@pytest.mark.long
def test_smoke_shows_the_claim_and_is_not_run_twice(experiment, launch, stays, tmp_path):
    code, _, errors = launch(experiment, "--workdir=run")
    assert code == 0, errors
    run = tmp_path / "run"
    result = json.loads((run / "result.json").read_text())
    answers, shd = result["answers"], result["shd"]
    assert answers["f1"]["real"] > 0.9
    assert answers["f1"]["permuted"] < 0.3
    assert answers["confidence"]["permuted"] == answers["confidence"]["real"] > 0.9
    assert answers["claims"]["anonymous"] == 0
    assert answers["unknown"]["anonymous"] == 0.8
    assert shd["prior"]["real"] < shd["no_prior"]["real"] < shd["empty"]["real"]
    assert shd["prior"]["permuted"] < shd["no_prior"]["permuted"] + 0.3
    assert shd["prior"]["permuted"] < shd["fixed"]["permuted"] < shd["prior_only"]["permuted"]
    for name, (value, spread) in causal_answers.EXPECTED["smoke"].items():
        kind, which, variant = name.split(".")
        assert result[kind][which][variant] == pytest.approx(value, abs=1.5 * spread), name
    assert "partly recall of the published graphs" in (run / "report.html").read_text()
    assert str(tmp_path) not in json.dumps(result)
    assert sorted(path.stem for path in run.glob("figures/*.png")) == ["answers", "shd", "wordings"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len({(row["system"], row["seed"]) for row in rows}) == len(rows) == 4 * 20
    assert np.mean([row["shd.prior.real"] for row in rows]) == pytest.approx(shd["prior"]["real"])
    stays(experiment)


@pytest.mark.parametrize("sample", range(5))
def test_scores_of_a_wording_equal_a_plain_count(sample):
    numbers = score(small())["by_wording"][sample]
    assert numbers["sample"] == sample
    truth = {("length", "period"), ("gravity", "period")}
    # in the permuted file each column is called by the name of the next
    renamed = dict(zip(("gravity", "mass", "period", "length"), ("length", "gravity", "mass", "period"), strict=True))
    for variant, column in (("real", lambda name: name), ("permuted", renamed.get)):
        rows = json.loads(answer_file("pendulum" if variant == "real" else "pendulum__permuted").read_text())["answers"]
        wording_rows = [row for row in rows if row["sample"] == sample]
        claims = {(column(r["a"]), column(r["b"])) for r in wording_rows if r["answer"] == "a->b"}
        claims |= {(column(r["b"]), column(r["a"])) for r in wording_rows if r["answer"] == "b->a"}
        right = len(claims & truth)
        assert numbers["claims"][variant] == len(claims)
        assert numbers["precision"][variant] == pytest.approx(right / len(claims))
        assert numbers["recall"][variant] == pytest.approx(right / 2)
        assert numbers["f1"][variant] == pytest.approx(2 * right / (len(claims) + 2))


def test_without_unknown_the_model_denies_edges_of_hidden_names():
    """And the vote without "unknown" takes that for certainty."""
    numbers = score(causal_answers.get_config("default"))
    assert [row["unknown"]["anonymous"] for row in numbers["by_wording"]] == [1, 1, 1, 1, 0]
    assert numbers["answers"]["confidence"]["anonymous"] == 0
    assert numbers["committed"]["confidence"]["anonymous"] == 1
    assert numbers["committed"]["claims"]["anonymous"] == 0


def test_the_precision_of_no_claim_is_left_out(answer_files):
    numbers = score(small(**{"answers.dir": str(answer_files)}))["answers"]
    assert numbers["precision"]["anonymous"] is None
    assert numbers["f1"]["anonymous"] == numbers["recall"]["anonymous"] == 0
    assert scores.mean([None, 0.5, 1.0]) == 0.75


def test_your_own_answers_replace_the_packaged_ones(answer_files):
    assert score(small(**{"answers.dir": str(answer_files)})) == score(small())
    turned = {"a->b": "b->a", "b->a": "a->b"}
    change(
        answer_files / "pendulum.json",
        lambda rows: [r | {"answer": turned.get(r["answer"], r["answer"])} for r in rows],
    )
    assert score(small(**{"answers.dir": str(answer_files)}))["answers"]["f1"]["real"] == 0


def test_files_of_different_samples_are_refused(answer_files, tmp_path):
    change(answer_files / "pendulum__permuted.json", lambda rows: [row for row in rows if row["sample"] < 4])
    with pytest.raises(ValueError, match=r"answers\.dir: all files must hold the same samples, .* \[\(0, 1, 2, 3\), "):
        runs.execute(causal_answers, small(**{"answers.dir": str(answer_files)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_table_depends_on_its_own_seed_and_system_alone():
    config = small()
    with jax.enable_x64(True):
        many = causal_answers._tables(config, physics.SYSTEMS["spring"], keys.for_seeds(4, 3))
        one = causal_answers._tables(config, physics.SYSTEMS["spring"], keys.for_seeds(5))
    np.testing.assert_array_equal(many[1], one[0])
    assert not np.array_equal(many[0], many[1])


SEEDS = (3, 4, 5)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """A run of the pendulum with two seeds: its result, its rows, its tables."""
    config, path = small(seed=SEEDS[0], seeds=len(SEEDS)), tmp_path_factory.mktemp("study")
    result = runs.execute(causal_answers, config, path).result
    with jax.enable_x64(True):
        tables = causal_answers._tables(config, PENDULUM, keys.for_seeds(SEEDS[0], len(SEEDS)))
    return result, [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()], tables


@pytest.mark.long
def test_the_result_is_the_mean_of_the_rows_of_metrics(small_run):
    result, rows, _ = small_run
    assert [(row["system"], row["seed"]) for row in rows] == [("pendulum", seed) for seed in SEEDS]
    for measure in ("shd", "cpdag_shd"):
        for arm in causal_answers.ARMS:
            for variant in physics.VARIANTS:
                mean = np.mean([row[f"{measure}.{arm}.{variant}"] for row in rows])
                assert result[measure][arm][variant] == pytest.approx(mean)
    for variant in physics.VARIANTS:
        gains = [row[f"shd.no_prior.{variant}"] - row[f"shd.fixed.{variant}"] for row in rows]
        assert result["gain"]["fixed"][variant] == pytest.approx(np.mean(gains))
        assert result["gain_error"]["fixed"][variant] == pytest.approx(np.std(gains, ddof=1) / np.sqrt(3))


def test_a_system_is_described_as_it_is(small_run):
    (system,), tables = small_run[0]["systems"], small_run[2]
    assert (system["name"], system["columns"], system["edges"]) == ("pendulum", 4, 2)
    for name in ("varsortability", "r2_sortability"):
        mean = np.mean([getattr(sortability, name)(x, physics.graph(PENDULUM)) for x in tables])
        assert system[name] == pytest.approx(mean)


@pytest.mark.long
def test_each_arm_is_a_fit_by_itself(small_run):
    """Of a system whose graph stands alone in its class: equivalent ones tie, and rounding takes one of them."""
    _, (row, *_), (x, *_) = small_run
    learner, subject = causal_answers._learner(small()), causal_answers._subject(small(), PENDULUM)
    shd = lambda graph: int(graph_distance.compare(physics.graph(PENDULUM), graph)["shd"])
    no_prior = shd(causal.fit(x, None, learner).graph)
    for variant in physics.VARIANTS:
        prior = subject.prior(variant)
        assert row[f"shd.no_prior.{variant}"] == no_prior
        assert row[f"shd.prior.{variant}"] == shd(causal.fit(x, prior, learner).graph)
        fixed = causal.fit(x, prior, learner, prior_weight=learner.penalty)
        assert row[f"shd.fixed.{variant}"] == shd(fixed.graph)
        assert row[f"shd.prior_only.{variant}"] == shd(knowledge.alone(prior))
        assert row[f"shd.empty.{variant}"] == len(PENDULUM.edges)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("data.systems", ("pendulum", "moon"), "data.systems must be some of free_fall, pendulum"),
        ("data.systems", ("pendulum", "pendulum"), "each once, got ('pendulum', 'pendulum')"),
        ("data.systems", (), "each once, got ()"),
        ("data.systems", (3,), "each once, got (3,)"),
        ("data.samples", 2, "data.samples must be at least 3 rows, got 2"),
        ("data.samples", 10**12, "GiB of memory"),
        ("data.noise", -0.1, "data.noise must be a finite number of at least 0"),
        ("learner.penalty", -1.0, "penalty must be at least 0"),
        ("learner.cut", -1.0, "cut must be at least 0"),
        ("answers.dir", "nowhere", "answers.dir: No such file or directory: nowhere"),
        ("seeds", 0, "seeds must be at least 1"),
        ("seed", -1, "seeds must be"),
    ],
)
def test_bad_settings_are_refused(key, value, what, refuses):
    """In one process: `tests/test_launch.py` shows that such an error becomes a line on stderr."""
    refuses(causal_answers, small(**{key: value}), what)


@pytest.mark.slow
def test_a_bad_setting_is_one_line_on_the_terminal(experiment, refused):
    assert "got ('moon',)" in refused(experiment, "--config.data.systems=('moon',)", "--workdir=run")


@pytest.mark.slow
def test_the_paper_preset_takes_two_real_steps():
    config = causal_answers.get_config("paper")
    with jax.enable_x64(True):
        learner = causal_answers._learner(config)
        system = causal_answers._systems(config)[-2]
        subject = causal_answers._subject(config, system)
        table = causal_answers._tables(config, system, keys.for_seeds(0))[0]
        problem = problems.problem(table, subject.prior("permuted"), learner)
        first, _ = causal_learner.step(causal_learner.init(problem, learner), problem, learner)
        second, measured = causal_learner.step(first, problem, learner)
    assert table.shape == (1000, 6)
    assert np.any(second.params != first.params)
    assert np.isfinite(float(measured["objective"]))


@pytest.mark.long
def test_the_default_preset_meets_its_expected_numbers(tmp_path):
    outcome = runs.execute(causal_answers, causal_answers.get_config("default"), tmp_path)
    for name, (value, spread) in causal_answers.EXPECTED["default"].items():
        kind, which, variant = name.split(".")
        assert outcome.result[kind][which][variant] == pytest.approx(value, abs=spread), name
