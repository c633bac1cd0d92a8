import json

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import advrush
from experiments.parts.advrush import attack_evaluation
from experiments.parts.advrush import figures as _advrush_figures
from framework import attacks, data, runs
from framework.nas import darts
from framework.nas.darts import supernet
from framework.runs.reporting import report


@pytest.mark.long
def test_smoke_searches_trains_and_attacks(experiment, launch, stays, tmp_path):
    code, output, errors = launch(experiment, "--workdir=run")
    assert code == 0, errors
    run = tmp_path / "run"
    result = json.loads((run / "result.json").read_text())
    for method in advrush.METHODS:
        assert 0 <= result["accuracy pgd-20"][method] <= result["accuracy clean"][method] <= 1
        assert result["supernet curvature"][method] > 0
        assert darts.from_json((run / "genotypes" / f"{method}-0.json").read_text())
    gained = result["accuracy pgd-20"]["advrush"] - result["accuracy pgd-20"]["darts"]
    assert result["difference"]["accuracy pgd-20"] == pytest.approx(gained)
    assert "gain" not in result
    compared = [line for line in output.splitlines() if line.split()[1:2] and "." in line.partition("0")[0]]
    assert compared
    assert all("one seed, no interval" in line for line in compared)
    assert sorted(path.stem for path in run.glob("figures/*.png")) == ["cells", "robustness", "surface"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {row["phase"] for row in rows} == {
        f"{what} {method}" for what in ("search", "train") for method in advrush.METHODS
    }
    assert [row["curvature"] > 0 for row in rows if row["phase"] == "search darts"][-1] is False
    assert [row["curvature"] > 0 for row in rows if row["phase"] == "search advrush"][-1] is True
    stays(experiment)


@pytest.mark.long
def test_a_proxy_of_a_tenth_takes_a_tenth_of_the_steps(experiment, launch, tmp_path):
    flags = ("--config.proxy.fraction=0.1", "--config.proxy.rule=P1", "--config.proxy.base.epochs=1")
    whole = ("--config.data.train=0", "--config.training.epochs=1")
    code, _, errors = launch(experiment, "--workdir=run", *flags, *whole)
    assert code == 0, errors
    last = {}
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        last[row["phase"]] = row["step"]
    config = advrush.get_config("smoke")
    assert last["base"] == 1
    for method in advrush.METHODS:
        assert last[f"search {method}"] == config.search.epochs * (143 // 2 // config.search.batch)
        assert last[f"train {method}"] == 1437 // config.training.batch


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("data.name", "nowhere", "no data set 'nowhere'"),
        ("data.name", "/nowhere/mine.npz", "no file /nowhere/mine.npz: own images are read from an .npz file"),
        ("data.name", __file__.rpartition("/")[0], "is a folder; folders of images are not read yet"),
        ("data.test", 361, "digits (test) has 360 images, 361 are asked for"),
        ("data.train", 1438, "digits (train) has 1,437 images, 1,438 are asked for"),
        ("data.side", -4, "pooled to a side of at least 1, got -4"),
        ("data.side", 6, "multiples of 4"),
        ("attacks", ("cw",), "attacks must be some of fgsm, pgd-20"),
        ("training.kind", "free", "training.kind must be one of adversarial, trades, standard"),
        ("epsilon", 0.0, "epsilon must be above 0 and finite, got 0.0"),
        ("compile", "slow", "compile must be one of fast, well"),
        ("seeds", 0, "seeds must be"),
        ("search.order", 3, "order must be 1 or 2, got 3"),
        ("search.batch", 5000, "must hold 5000 images"),
        ("training.batch", 641, "training must have at least 1 epoch of batches of 1 to 640 images, got 4 and 641"),
        ("training.batch", 0, "got 4 and 0"),
        ("training.epochs", 0, "got 0 and 32"),
        ("search.channels", 3, "channels must be an even number"),
    ],
)
def test_bad_settings_are_refused_before_any_work(key, value, what, refuses):
    config = advrush.get_config("smoke")
    config.update_from_flattened_dict({key: value})
    refuses(advrush, config, what)


def searched(curvature):
    return advrush.SearchResult({}, curvature, 0.9, 2, 1.0)


def numbers_over(seeds):
    config = advrush.get_config("smoke")
    results = {
        (name, seed): searched(index + 1.0) for index, name in enumerate(advrush.METHODS) for seed in range(seeds)
    }
    robust = {"darts": 0.5, "advrush": 0.84}
    verdicts = {(name, seed): {"clean": 0.9, "pgd-20": robust[name] + 0.01 * seed} for name, seed in results}
    return advrush.numbers_of(config, list(range(seeds)), results, verdicts), verdicts


@pytest.mark.parametrize(("seeds", "words"), [(1, "one seed, no interval"), (2, "two seeds, no interval")])
def test_the_difference_of_too_few_seeds_has_no_interval(seeds, words):
    numbers, _ = numbers_over(seeds)
    assert numbers["difference"]["accuracy pgd-20"] == pytest.approx(0.34)
    assert "gain" not in numbers
    assert "gain_interval" not in numbers
    shown = report.Section("s", "", report.scalars(numbers), {}, (), no_interval=numbers["no_interval"])
    few = {name: words for name, *_, words in report.rows(shown)}
    assert few.pop("seeds") == ""
    assert set(few.values()) == {words}


def test_three_seeds_have_a_gain_and_its_interval():
    numbers, _ = numbers_over(3)
    assert numbers["gain"]["accuracy pgd-20"] == pytest.approx(0.34)
    assert numbers["gain_interval"]["accuracy pgd-20"] == pytest.approx(0.0, abs=1e-9)
    assert "no_interval" not in numbers


def test_the_caption_names_the_training_and_the_error_bars(figure_of):
    run, caption = figure_of
    figures = _advrush_figures
    figures.draw_robustness(run, numbers_over(1)[1], "standard")
    text = "Accuracy of the networks found, after {} training, clean and under attack."
    assert caption("robustness") == text.format("standard") + " One seed, no interval."
    figures.draw_robustness(run, numbers_over(3)[1], "trades")
    assert caption("robustness") == text.format("TRADES") + " Means over 3 seeds, bars: standard errors."


def test_the_first_images_are_taken_as_small_as_asked():
    config = advrush.get_config("smoke")
    config.data.train, config.data.test, config.data.side = 20, 10, 4
    for (images, labels), split in zip(advrush.sets(config), ("train", "test"), strict=True):
        whole = data.digits(split)
        means = whole.images[: len(labels)].reshape(-1, 4, 2, 4, 2, 1).mean((2, 4)).round() / 16
        np.testing.assert_allclose(images, means)
        np.testing.assert_array_equal(labels, whole.labels[: len(labels)])


def test_the_jpeg_preset_steps_as_far_in_a_pixel_as_the_paper():
    small, paper = advrush.get_config("jpeg"), advrush.get_config("paper")
    step_norm = lambda config, side: config.search.h / np.sqrt(3 * side**2)
    assert step_norm(small, small.data.side) == pytest.approx(step_norm(paper, 32))
    assert small.epsilon == small.training.epsilon == 8 / 255


def test_the_paper_preset_is_the_papers_protocol():
    config = advrush.get_config("paper")
    search, trained = config.search, config.training
    assert (search.channels, search.cells, search.epochs, search.warmup, search.batch) == (16, 8, 60, 50, 32)
    assert (search.gamma, search.h, search.alpha_rate, search.order) == (0.01, 1.5, 3e-4, 1)
    assert (trained.channels, trained.cells, trained.epochs, trained.batch, trained.rate) == (36, 20, 200, 64, 0.1)
    assert (trained.epsilon, trained.step_size, trained.decay, config.epsilon) == (0.031, 0.01, 1e-4, 0.031)
    net = darts.Supernet(search.channels, search.cells, 10, form=search.form)
    shapes = jax.eval_shape(lambda key: supernet.init(key, net), jax.random.key(0))
    assert supernet.parameter_count(shapes) == 1_930_618


@pytest.mark.long
def test_the_paper_preset_takes_two_real_steps(tmp_path):
    """Of both searches, regularised from the first one on, on images as TFDS gives them; in the form for CPUs."""
    config = advrush.get_config("paper")
    config.search.epochs, config.search.warmup, config.search.form, config.compile = 1, 0, "matrices", "fast"
    rng = np.random.default_rng(0)
    train = rng.random((128, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, 128)
    results = advrush.searches(config, runs.Run(tmp_path), train, [0])
    assert set(results) == {("darts", 0), ("advrush", 0)}
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["phase"], row["step"]) for row in rows] == [("search darts", 2), ("search advrush", 2)]
    assert rows[0]["curvature"] == 0 < rows[1]["curvature"]


def test_warnings_of_the_attacks_are_issued_and_reported(tmp_path):
    images = np.random.default_rng(0).uniform(size=(12, 4, 4, 1)).astype(np.float32)
    weights = np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
    probabilities = lambda x: jax.nn.softmax(x.reshape(len(x), -1) @ weights / 10)
    test = images, np.asarray(probabilities(images).argmax(-1))
    config = ConfigDict({"epsilon": 0.1, "training": {"step_size": 0.1}, "attacks": ("fgsm",), "compile": "fast"})
    with runs.open_run(tmp_path / "run", {"seed": 0}) as run:
        with pytest.warns(attacks.GradientMaskingWarning, match="darts-0: the network gives probabilities"):
            accuracies = attack_evaluation.attack(config, run, "darts-0", probabilities, test, jax.random.key(0))
        assert set(accuracies) == {"clean", "fgsm"}
        assert (
            attack_evaluation.attack(config, run, "darts-0", None, test, None) == accuracies
        )  # of the file, without a word
        assert len(attack_evaluation.read_warnings(run)) == 1
        attack_evaluation.attack(
            config, run, "other-0", lambda x: x.reshape(len(x), -1) @ weights, test, jax.random.key(0)
        )
        assert len(attack_evaluation.read_warnings(run)) == 1
