"""Settings without effect, and files that are not there, are refused before any work: by every experiment that can."""

import pytest
from ml_collections import ConfigDict, config_dict

from experiments import (
    advrush,
    autosnn,
    burst_coding,
    causal_answers,
    causal_prior,
    causal_table,
    isp_ml,
    proxy_data,
    ssd_trace,
    tour,
)
from experiments.parts.shared import settings


def changed(experiment, preset="smoke", **changes):
    config = experiment.get_config(preset)
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
    return config


def test_a_changed_setting_without_effect_is_refused():
    preset = ConfigDict({"a": {"b": 1, "c": (1, 2)}, "ab": 3, "d": config_dict.placeholder(str)})
    refused = lambda **changes: changed_like(preset, changes)
    unused = {"a": "nothing reads it", "d": "nor this"}
    settings.require_effect(refused(), preset, unused)
    settings.require_effect(refused(ab=4), preset, unused)
    with pytest.raises(ValueError, match=r"^a\.c=\(1,\) has no effect, since nothing reads it; leave it out$"):
        settings.require_effect(refused(**{"a.c": (1,)}), preset, unused)
    with pytest.raises(ValueError, match=r"^d='x' has no effect, since nor this; leave it out$"):
        settings.require_effect(refused(d="x"), preset, unused)


def changed_like(preset, changes):
    config = ConfigDict(preset.to_dict())
    config.update_from_flattened_dict(changes)
    return config


def test_a_missing_file_is_refused_by_setting_and_path(tmp_path):
    config = ConfigDict({"csv": str(tmp_path), "more": {"truth": "", "answers": "nowhere.json"}})
    settings.require_files(config, "csv", "more.truth")
    with pytest.raises(FileNotFoundError, match=r"^more\.answers: No such file or directory: nowhere\.json$"):
        settings.require_files(config, "csv", "more.answers")


CSV = {"data__csv": __file__}
UNUSED = [
    (causal_prior, {"data__truth": "t.csv"}, "data.truth='t.csv' has no effect, since .*give data.csv with it"),
    (causal_prior, {"data__transform": "center"}, "data.transform='center' has no effect"),
    (causal_prior, {"prior__elicit__model": "m"}, "prior.elicit.model='m' has no effect"),
    (causal_prior, {"prior__elicit__workers": 2}, "prior.elicit.workers=2 has no effect, since .*give data.csv"),
    (
        causal_prior,
        CSV | {"prior__elicit__workers": 2},
        "prior.elicit.workers=2 has no effect, since no model is asked",
    ),
    (causal_prior, CSV | {"data__degree": 3.0}, "data.degree=3.0 has no effect, since data.csv names a table"),
    (causal_prior, CSV | {"data__bif": "x.bif"}, "data.bif='x.bif' has no effect"),
    (causal_prior, CSV | {"prior__recall": 0.5}, "prior.recall=0.5 has no effect"),
    (causal_prior, CSV | {"paper_arms": True}, "paper_arms=True has no effect"),
    (causal_prior, CSV | {"prior__weight": 0.1}, "prior.weight=0.1 has no effect, since there is no prior"),
    (causal_prior, {"data__bif": __file__, "data__nodes": 5}, "data.nodes=5 has no effect, since data.bif brings"),
    (causal_prior, {"prior__answers": __file__, "prior__recall": 0.5}, "prior.recall=0.5 has no effect"),
    (causal_table, {"data__truth": "t.csv"}, "data.truth='t.csv' has no effect, since .*give data.csv with it"),
    (causal_table, {"prior__elicit__workers": 2}, "prior.elicit.workers=2 has no effect, since no model is asked"),
    (causal_table, CSV | {"data__example": "spring"}, "data.example='spring' has no effect, since data.csv names a"),
    (causal_table, CSV | {"prior__weight": 0.1}, "prior.weight=0.1 has no effect, since there is no prior"),
    (burst_coding, {"data__dir": "/tmp"}, "data.dir='/tmp' has no effect, since digits come with scikit-learn"),
    (burst_coding, {"pairs": ("real-rate",), "codes__phase": 2.0}, "codes.phase=2.0 has no effect, since no pair"),
    (burst_coding, {"pairs": ("real-rate",), "codes__period": 4}, "codes.period=4 has no effect"),
    (burst_coding, {"pairs": ("real-rate",), "levels": 0, "codes__burst": 0.5}, "codes.burst=0.5 has no effect"),
    (burst_coding, {"scale": "max", "percentile": 50.0}, "percentile=50.0 has no effect, since scale=max"),
    (autosnn, {"data__events": "/tmp", "data__train": 50}, "data.train=50 has no effect, since data.events brings"),
    (autosnn, {"proxy__rule": "P2"}, "proxy.rule='P2' has no effect, since proxy.fraction is 1"),
    (advrush, {"proxy__base__epochs": 2}, "proxy.base.epochs=2 has no effect, since proxy.fraction is 1"),
    (advrush, {"proxy__fraction": 0.1, "proxy__rule": "random", "proxy__base__epochs": 2}, "proxy.base.epochs=2 has"),
    (advrush, {"proxy__fraction": 0.1, "proxy__rule": "el2n", "proxy__entropy": "e.txt"}, "the rule el2n uses no"),
    (advrush, {"proxy__fraction": 0.1, "proxy__rule": "entropy_top", "proxy__bin_width": 1.0}, "proxy.bin_width=1.0"),
    (advrush, {"proxy__fraction": 0.1, "proxy__entropy": __file__, "proxy__base__depth": 14}, "proxy.base.depth=14"),
    (advrush, {"training__beta": 1.0}, "training.beta=1.0 has no effect, since it is of trades"),
    (advrush, {"training__kind": "standard", "training__epsilon": 0.2}, "training.epsilon=0.2 has no effect"),
    (proxy_data, {"proxy__rule": "P2"}, "proxy.rule='P2' has no effect, since search.rules says"),
    (proxy_data, {"seeds": 3, "ranks__seeds": 4}, "ranks.seeds=4 has no effect, since seeds goes before it"),
    (proxy_data, {"search__kinds": ("full",), "search__rules": ("random", "P2")}, "search.rules=.* has no effect"),
]


@pytest.mark.parametrize(("experiment", "changes", "reason"), UNUSED)
def test_settings_without_effect_are_refused(experiment, changes, reason):
    with pytest.raises(ValueError, match=reason):
        experiment.check_settings(changed(experiment, **changes))


USED = [
    (causal_prior, CSV | {"data__truth": __file__, "data__transform": "center", "prior__elicit__model": "m"}),
    (causal_prior, CSV | {"prior__answers": __file__, "prior__weight": 0.1, "knowledge": __file__}),
    (causal_table, {"data__transform": "center", "prior__weight": 0.1, "prior__elicit__model": "m"}),
    (causal_prior, {"data__bif": __file__, "prior__recall": 0.5, "knowledge": __file__, "learner__noise": "equal"}),
    (burst_coding, {"pairs": ("phase-rate",), "codes__period": 4, "codes__burst": 0.5, "percentile": 50.0}),
    (autosnn, {"proxy__fraction": 0.1, "proxy__rule": "P2", "proxy__bin_width": 1.0, "proxy__base__epochs": 2}),
    (advrush, {"training__kind": "trades", "training__beta": 1.0, "data__name": "mnist", "data__dir": "/tmp"}),
    (proxy_data, {"search__seeds": 4, "search__rules": ("random", "P2"), "proxy__base__epochs": 2}),
]


@pytest.mark.parametrize(("experiment", "changes"), USED)
def test_settings_with_effect_may_be_changed(experiment, changes):
    experiment.check_settings(changed(experiment, **changes))


@pytest.mark.parametrize("preset", ["smoke", "default", "paper"])
@pytest.mark.parametrize(
    "experiment", [advrush, autosnn, burst_coding, causal_answers, causal_prior, causal_table, isp_ml, ssd_trace]
)
def test_every_preset_passes_its_own_checks(experiment, preset):
    experiment.check_settings(experiment.get_config(preset))


@pytest.mark.parametrize(
    ("experiment", "changes"),
    [
        (causal_prior, {"data__csv": "nowhere"}),
        (causal_prior, CSV | {"data__truth": "nowhere"}),
        (causal_prior, CSV | {"prior__elicit__model": "m", "prior__elicit__descriptions": "nowhere"}),
        (causal_prior, {"prior__answers": "nowhere"}),
        (causal_prior, {"knowledge": "nowhere"}),
        (causal_table, {"data__csv": "nowhere"}),
        (causal_table, {"knowledge": "nowhere"}),
        (causal_answers, {"answers__dir": "nowhere"}),
        (autosnn, {"data__events": "nowhere"}),
        (autosnn, {"proxy__fraction": 0.1, "proxy__entropy": "nowhere"}),
        (advrush, {"data__name": "mnist", "data__dir": "nowhere"}),
        (proxy_data, {"ranks__table": "nowhere"}),
    ],
)
def test_a_file_that_is_not_there_is_refused_with_its_setting(experiment, changes):
    with pytest.raises(FileNotFoundError, match="No such file or directory: nowhere") as error:
        experiment.check_settings(changed(experiment, **changes))
    assert str(error.value).startswith(list(changes)[-1].replace("__", "."))


def test_the_tour_checks_all_settings_before_it_begins(refuses):
    tour.check_settings(tour.get_config())
    config = changed(tour, proxy_data__proxy__rule="P2")
    refuses(tour, config, "proxy_data: proxy.rule='P2' has no effect")
