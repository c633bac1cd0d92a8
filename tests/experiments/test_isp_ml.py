import json

import numpy as np
import pytest

from experiments import isp_ml
from experiments.parts.isp_ml import trainings
from framework import runs
from framework.runs import experiment as runs_experiment
from framework.runs.reporting import report


def small(**settings):
    config = isp_ml.get_config("smoke")
    quick = {"data.train": 160, "data.amplify": 1, "rates": (0.1, 0.3), "periods": (1, 2), "looks": 4, "epochs": 1}
    if {"rule", "period"} & set(settings):  # which leave the grid's periods without effect
        del quick["periods"]
    config.update_from_flattened_dict(quick | {"ssd.channels": 2, "host.data_gb": 0.5} | settings)
    return config


@pytest.mark.long
def test_smoke_shows_the_claim_on_eight_devices_as_on_one(experiment, launch, tmp_path):
    results = []
    for devices in (1, 8):
        code, _, errors = launch(experiment, f"--workdir=run{devices}", f"--jax_num_cpu_devices={devices}")
        assert code == 0, errors
        assert ("8 workers on 8 devices" in errors) == (devices == 8)
        results.append(json.loads((tmp_path / f"run{devices}" / "result.json").read_text()))
    one, eight = (report.scalars(result) for result in results)
    assert one == pytest.approx(eight, rel=1e-4)
    for name, (value, spread) in isp_ml.EXPECTED["smoke"].items():
        assert one[name] == pytest.approx(value, abs=1.5 * spread), name
    assert min(results[0]["accuracy"].values()) > 0.8
    seconds = results[0]["seconds"]
    assert seconds["downpour x8 every 4"] > seconds["downpour x8 every 1"]
    host = list(results[0]["host"]["host"].values())
    assert host == sorted(host, reverse=True)
    assert host[0] > 2 * host[-1] == 2 * host[-2]
    ahead = list(results[0]["host"]["overlapped"].values())
    assert all(least <= plain <= 2 * least for least, plain in zip(ahead, host, strict=True))
    assert ahead[0] < host[0]
    page = list(results[0]["page_ms"].values())
    assert page == sorted(page, reverse=True)
    drawn = ["accuracy", "distortion", "host", "period", "time", "widths"]
    assert sorted(path.stem for path in (tmp_path / "run1").glob("figures/*.png")) == drawn


@pytest.mark.long
def test_one_rule_period_and_number_of_channels_by_flags(tmp_path):
    config = small(rule="eamsgd", period=2, seeds=1)
    result = runs.execute(isp_ml, config, tmp_path / "run").result
    assert list(result["seconds"]) == ["eamsgd x2 every 2"]
    again = runs.execute(isp_ml, small(rule="local", period=2, seeds=1, hidden=8), tmp_path / "mlp").result
    assert again["accuracy"]["local x2 every 2"] > 0.15  # 16 steps; chance is .1


def test_time_to_a_target_is_that_of_the_first_look_above():
    accuracy, time = np.array([[0.1, 0.6, 0.5, 0.8], [0.1, 0.2, 0.3, 0.4]]), np.array([1.0, 2, 3, 4])
    np.testing.assert_array_equal(isp_ml._time_to(accuracy, time, 0.6), [2.0, 8.0])


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("rule", "admm", "rule must be one of sync, downpour, easgd, eamsgd, local, got 'admm'"),
        ("period", 0, "period must be at least 1 local step"),
        ("rates", (0.1, 0.0), "rates must be above 0"),
        ("rates", (), "rates must be above 0"),
        ("periods", (), "period must be at least 1 local step"),
        ("studied", (), "must name at least 1 rule and 1 number"),
        ("target", 1.0, "target must be an accuracy in (0, 1)"),
        ("looks", 0, "must be at least 1"),
        ("data.train", 5, "data.train must be 0 (all) or 10 to 1437 images, got 5"),
        ("data.test", -5, "digits (test) has 360 images, -5 are asked for"),
        ("data.test", 361, "digits (test) has 360 images, 361 are asked for"),
        ("host.policy", "fifo", "host.policy must be one of lru, pinned"),
        ("host.passes", 1, "host.passes must be at least 2"),
        ("host.gflops", 0.0, "host.gflops, data_gb, queue_depth must be above 0"),
        ("host.data_gb", 0.001, "at least .01"),
        ("host.queue_depth", 0, "at least 1, got 20.0, 0.5 and 0"),
        ("data.dir", "/somewhere", "data.dir='/somewhere' has no effect, since digits come with scikit-learn"),
        ("ssd.studied", (2, 4), "ssd.studied=(2, 4) has no effect, since ssd.channels is 2"),
        ("rules.momentum", 0.5, "rules.momentum=0.5 has no effect, since the rules are sync, downpour, easgd"),
        ("ssd.width", 0.0, "width must be above 0"),
        ("ssd.channels", 100, "leave one of 100 channels without any: an empty shard"),
        ("seeds", 0, "seeds must be"),
    ],
)
def test_bad_settings_are_refused(key, value, what, refuses):
    refuses(isp_ml, small(**{key: value}), what)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"rule": "sync", "studied": ("sync",)}, "studied=('sync',) has no effect, since rule is sync"),
        ({"rule": "sync", "period": 4}, "period=4 has no effect, since rule is sync, which exchanges at every step"),
        ({"rule": "easgd", "period": 4, "periods": (1, 8)}, "periods=(1, 8) has no effect, since period is 4"),
        ({"rule": "local", "rules.beta": 0.5}, "rules.beta=0.5 has no effect, since rule is local"),
        ({"rule": "local", "rules.accumulate": "mean"}, "rules.accumulate='mean' has no effect"),
    ],
)
def test_settings_without_effect_are_refused(settings, what, refuses):
    refuses(isp_ml, small(**settings), what)


def test_images_that_do_not_fit_a_page_are_refused_at_once():
    images = np.zeros((40, 10, 900), np.uint8)
    pages = trainings.Pages(images, np.zeros((40, 10), np.int32), None, None, 255)
    with pytest.raises(ValueError, match="a page of 10 samples takes 9010 bytes"):
        trainings.check(small(), pages, (2,))


@pytest.mark.slow
def test_runs_that_miss_the_target_or_diverge_are_reported(tmp_path):
    config = small(rule="downpour", period=2, seeds=2, rates=(0.1, 1e38), target=0.97)
    outcome = runs.execute(isp_ml, config, tmp_path / "run")
    note = outcome.result["note"]
    assert "twice the whole run counts for each that did not: downpour x2 every 2 (0% of seeds)." in note
    assert "accuracy counts as 0: downpour x2 every 2 at 1e+38 (2 of 2 seeds)." in note
    assert 0 < outcome.result["accuracy"]["downpour x2 every 2"] < 0.97
    assert note in runs_experiment.summary(outcome)


@pytest.mark.long
def test_the_paper_preset_takes_two_real_steps(shared, tmp_path):
    shared("tfds", "mnist")
    config = isp_ml.get_config("paper")
    settings = {"data.train": 320, "data.test": 100, "data.amplify": 2, "ssd.channels": 16, "looks": 2, "seeds": 1}
    config.update_from_flattened_dict(settings | {"rule": "easgd", "period": 1, "rates": (0.1,), "host.data_gb": 0.5})
    result = runs.execute(isp_ml, config, tmp_path / "run").result
    assert result["pages"] == 64
    assert result["runs"][0]["accuracy_centre"] > 0.2
    assert tuple(config.studied) == trainings.RULES
