import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import causal_prior
from experiments.parts.causal_prior import fits, tasks
from framework import runs
from framework.causal import learner as causal_learner
from framework.causal.learn import problems
from framework.causal.prior import answers


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
        learner = fits.make_learner(config, "standardize", "unequal")
        task = tasks.generate(config, config.data.standardised_samples, 2)
        problem = problems.problem(task.tables[0], task.priors[0], learner)
        np.testing.assert_allclose(np.diagonal(problem.covariance), 1)
        first, _ = causal_learner.step(causal_learner.init(problem, learner), problem, learner)
        second, metrics = causal_learner.step(first, problem, learner)
    assert second.params.shape == (50, 50)
    assert np.any(second.params != first.params)
    assert np.isfinite(float(metrics["objective"]))


def test_overrides_reach_the_learner():
    config = ConfigDict(causal_prior.get_config("smoke"))
    assert fits.make_learner(config, "center", "equal").finish == "search"
    assert fits.make_learner(config, "standardize", "unequal").finish == "order"
    assert fits.make_learner(config, "center", "unequal").noise == "unequal"
    config.prior.weight, config.learner.cut = 0.25, 0.0
    assert fits.make_learner(config, "center", "equal").prior_weight == 0.25
    assert fits.make_learner(config, "center", "equal").cut == 0.0


@pytest.mark.long
def test_the_default_preset_meets_its_expected_numbers(tmp_path):
    outcome = runs.execute(causal_prior, causal_prior.get_config("default"), tmp_path)
    for name, (value, spread) in causal_prior.EXPECTED["default"].items():
        mode, score, arm = name.split(".")
        assert outcome.result[mode][score][arm] == pytest.approx(value, abs=spread), name
