import csv
import json

import numpy as np
import pytest

from experiments import ssd_trace
from framework import runs, ssd
from framework.runs import report


def small(**settings):
    config = ssd_trace.get_config("smoke")
    quick = {"load.requests": 60, "depths": (), "rates": (), "sweep": 0}
    config.update_from_flattened_dict(quick | settings)
    return config


@pytest.mark.long
def test_the_smoke_study_shows_the_claim_and_is_not_run_twice(experiment, launch, stays, tmp_path):
    code, _, errors = launch(experiment, "--workdir=run", "--config.requests_csv=true")
    assert code == 0, errors
    run = tmp_path / "run"
    result = json.loads((run / "result.json").read_text())
    assert {"mean_us", "p50_us", "p95_us", "p99_us", "max_us", "iops", "write_amplification"} < set(result)
    assert result["depth"]["command_first_ratio"] > 1.3
    assert 0.8 < result["depth"]["of_convoy_bound"] < 1
    assert result["depth"]["iops data-first"]["at 1"] == pytest.approx(1e9 / 102_392, rel=1e-3)
    numbers = report.scalars(result)
    for name, (value, spread) in ssd_trace.EXPECTED["smoke"].items():
        assert numbers[name] == pytest.approx(value, abs=1.5 * spread), name
    drawn = ["depths", "latency", "rates", "schedule", "sweep"]
    assert sorted(path.stem for path in run.glob("figures/*.png")) == drawn
    with open(run / "requests.csv") as file:
        latency = [int(row["latency_ns"]) for row in csv.DictReader(file)]
    assert len(latency) == result["requests"]
    assert np.mean(latency) / 1000 == pytest.approx(result["mean_us"])
    with open(run / "sweep.csv") as file:
        rows = list(csv.DictReader(file))
    best = [row for row in rows if row["best"] == "1"]
    assert len(best) == result["sweep"]["best"] > 3
    beaten = lambda row: any(
        float(other["cost"]) <= float(row["cost"]) and float(other["mean_us"]) < float(row["mean_us"]) for other in rows
    )
    assert not any(beaten(row) for row in best)
    stays(experiment, "--config.requests_csv=true")


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("device", "floppy", "device must be one of mqsim_default"),
        ("design.channels", 0, "channels must be an integer from 1"),
        ("design.read_us", -1.0, "read_us must be positive"),
        ("design.arbitration", "first", "arbitration must be one of"),
        ("load.kind", "replay", "load.kind must be one of trace, poisson, closed"),
        ("load.kind", "trace", "load.kind=trace wants a file"),
        ("load.rate", 0.0, "rate must be positive"),
        ("load.requests", 0, "load.requests must be at least 1"),
        ("load.span_mib", 1e6, "past the device's end"),
        ("load.size_kib", 0.1, "multiples of 512"),
        ("depths", (4, 2), "depths must be different queue depths"),
        ("rates", (0.0,), "rates must be positive"),
        ("sweep", -1, "sweep must be at least 1 design"),
        ("seeds", 0, "seeds must be"),
    ],
)
def test_bad_settings_are_refused_before_any_work(key, value, what, refuses):
    refuses(ssd_trace, small(**{key: value}), what)


@pytest.mark.slow
def test_a_bad_trace_is_one_line_on_the_terminal(experiment, refused, tmp_path):
    (tmp_path / "a.trace").write_text("1 0 0 8 1\n2 0 0\n")
    flags = ("--config.load.kind=trace", f"--config.load.trace={tmp_path / 'a.trace'}", "--workdir=run")
    assert "a.trace, line 2: 3 columns instead of 5" in refused(experiment, *flags)


@pytest.mark.slow
def test_a_trace_past_the_end_is_wrapped_and_that_is_said(tmp_path):
    (tmp_path / "a.trace").write_text("1 0 0 8 1\n2 0 99999999 8 1\n")
    config = small(**{"load.kind": "trace", "load.trace": str(tmp_path / "a.trace"), "load.requests": 0})
    with pytest.raises(ValueError, match="line 2: the request ends at byte"):
        runs.execute(ssd_trace, config, tmp_path / "refused")
    config.load.wrap = True
    result = runs.execute(ssd_trace, config, tmp_path / "run").result
    assert "1 of 2 addresses" in result["note"]


def test_the_design_is_the_device_with_the_fields_that_are_given():
    config = ssd_trace.get_config("default")
    assert ssd_trace.design_of(config) == ssd.presets.mqsim_default()
    config.device, config.design.channels, config.design.read_us = "enterprise_tlc", 4, 60.0
    assert ssd_trace.design_of(config) == ssd.presets.enterprise_tlc(channels=4, read_us=60.0)


@pytest.mark.slow
def test_the_paper_preset_reads_training_data_in_order():
    """Two pages a channel of the stream, on the paper's device."""
    config = ssd_trace.get_config("paper")
    config.load.requests = 32
    design = ssd_trace.design_of(config)
    assert (design.geometry.channels, design.geometry.chips, config.load.pattern) == (16, 1, "sequential")
    load = ssd_trace.load_of(config, design, 0)
    served = ssd.simulate(design, load)
    assert (np.diff(load.offset) == 8192).all()
    first = served.latency.min()
    assert first == ssd.closed_forms.unloaded(design).read
