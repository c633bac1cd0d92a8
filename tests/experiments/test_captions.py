"""Captions tell what a figure draws: means, error bars and points where they are, and "no interval" where none is."""

import numpy as np
import pytest

from experiments import isp_ml
from experiments.parts.autosnn import figures as _autosnn_figures
from experiments.parts.burst_coding import figures as _burst_figures
from experiments.parts.burst_coding.networks import Curve
from experiments.parts.causal_answers import figures
from experiments.parts.causal_prior import figures as _causal_figures
from experiments.parts.isp_ml import figures as _isp_figures
from experiments.parts.isp_ml.trainings import Curves

each_count = pytest.mark.parametrize("seeds", [1, 2, 3])


def few(seeds):
    return {1: " One seed, no interval.", 2: " Two seeds, no interval."}.get(seeds, "")


def assert_says(caption, seeds, with_intervals, words="standard error"):
    """The words of an interval from three seeds on, those for none below."""
    assert (words in caption) == (with_intervals and seeds >= 3)
    assert caption.endswith(few(seeds))
    assert ("no interval" in caption) == (seeds < 3)


@each_count
def test_burst_coding(figure_of, seeds):
    run, caption = figure_of
    curve = Curve([0.4, 0.9], [1.0, 2.0], [0.0, 0.0], [2.0, 4.0])
    _burst_figures.draw_curves(run, [0.9] * seeds, {"real-rate": [curve] * seeds, "real-burst": [curve] * seeds})
    record = {"pair": "real-rate", "latency": 2.0, "latency_first": 1.0}
    numbers = {"seeds": seeds, "steps": 2, "pairs": [record], "latency": {"real-rate": 2.0}}
    _burst_figures.draw_bars(run, numbers | {"energy_truenorth": {"real-rate": 1.0}})
    pair = (np.linspace(0.5, 0.6, seeds), np.full(seeds, 100.0))
    _burst_figures.draw_direct_training(run, {"lif": {2: pair}, "burst": {2: pair}})
    for name in ("accuracy", "latency", "energy", "trained"):
        assert_says(caption(name), seeds, with_intervals=False)
        assert (f"eans over {seeds} " in caption(name)) == (seeds > 1)
    assert ("single seeds" in caption("trained")) == (seeds > 1)


@each_count
def test_autosnn(figure_of, seeds):
    run, caption = figure_of
    curves = {name: np.linspace(0, 1, 4 * seeds).reshape(seeds, 4) for name in ("evolution", "random")}
    _autosnn_figures.draw_search(run, curves, 2, 1.0, -0.08)
    assert_says(caption("search"), seeds, with_intervals=False)
    assert ("from the worst to the best" in caption("search")) == (seeds > 1)
    _autosnn_figures.draw_test_scores(run, {0.0: (0.8, 300.0), -0.08: (0.7, 200.0)})
    assert caption("retrained").endswith(few(1))


@each_count
def test_causal_prior(figure_of, seeds):
    run, caption = figure_of
    numbers = {"shd": {"no_prior": 1.0, "empty": 2.0}, "shd_each": {"no_prior": [1] * seeds, "empty": [2] * seeds}}
    numbers |= {"shd_error": {"no_prior": 0.1, "empty": 0.1}} if seeds >= 3 else {}
    _causal_figures.draw_scores(run, "shd", numbers, "Raw data, 30 rows")
    assert_says(caption("shd"), seeds, with_intervals=True)
    assert ("a point each" in caption("shd")) == (seeds > 1)
    assert "sorts" not in caption("shd")
    lines = {"calibrated": [(2.0, 0.1), (1.0, 0.1)]}
    _causal_figures.draw_sweep(run, [0.5, 1.0], lines, "standardised data", seeds)
    assert_says(caption("quality"), seeds, with_intervals=True, words="bands: standard errors")
    assert "standardised data" in caption("quality")


@each_count
def test_causal_answers(figure_of, seeds):
    run, caption = figure_of
    rates = {name: dict.fromkeys(("real", "permuted"), 0.5) for name in figures.RATES.values()}
    shd = {arm: dict.fromkeys(("real", "permuted"), 1.0) for arm in ("no_prior", "empty")}
    numbers = {"seeds": seeds, "systems": [{}], "answers": rates, "committed": rates, "by_wording": [], "shd": shd}
    figures.draw(run, numbers | ({"shd_error": shd} if seeds >= 3 else {}))
    assert_says(caption("shd"), seeds, with_intervals=True)
    assert "interval" not in caption("answers")  # answers are the same for every seed


@each_count
def test_isp_ml(figure_of, seeds):
    run, caption = figure_of
    config = isp_ml.get_config("smoke")
    config.rates = (0.1,)
    accuracy = np.linspace(0.5, 1.0, 2 * seeds).reshape(1, 1, seeds, 2)
    time = {1: np.array([1.0, 2.0])}
    curves = Curves(time, {"centre": accuracy, "worker_mean": accuracy}, np.zeros((1, 1, seeds), bool), {1: 1.0})
    records = [record for name in ("sync", "easgd") for record in isp_ml._records(config, name, 8, curves)]
    assert all(("error_centre" in record) == (seeds >= 3) for record in records)
    _isp_figures.draw_accuracy(run, config, {("sync", 8): curves})
    _isp_figures.draw_times(run, records, seeds)
    _isp_figures.draw_periods(run, records, 8, 100, seeds)
    assert_says(caption("accuracy"), seeds, with_intervals=False)
    for name in ("time", "period"):
        assert_says(caption(name), seeds, with_intervals=True)
