import csv
import gzip
import json
import re

import numpy as np
import pytest

from experiments import ssd_trace
from experiments.parts.ssd_trace import presets
from framework import runs, ssd
from framework.runs import experiment as runs_experiment
from framework.runs.reporting import report
from framework.ssd.device import presets as ssd_presets
from framework.ssd.engine import closed_forms


def small(**settings):
    config = ssd_trace.get_config("smoke")
    quick = {"load.requests": 2000 if "load.trace" in settings else 60, "depths": (), "rates": (), "sweep": 0}
    config.update_from_flattened_dict(quick | settings)
    return config


@pytest.mark.long
def test_smoke_shows_the_claim_and_is_not_run_twice(experiment, launch, stays, tmp_path):
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
        ("load.replay", "loop", "load.replay must be one of open, closed"),
        ("load.trace", "no such file", "No such file or directory"),
        ("seeds", 0, "seeds must be"),
    ],
)
def test_bad_settings_are_refused_before_any_work(key, value, what, refuses):
    refuses(ssd_trace, small(**{key: value}), what)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"load.queue_depth": 8}, "load.queue_depth=8 has no effect, since the load is of kind poisson; leave it out"),
        ({"load.format": "msr"}, "load.format='msr' has no effect, since the load is of kind poisson"),
        ({"load.time_unit": "s"}, "load.time_unit='s' has no effect"),
        ({"load.device": "8,0"}, "load.device='8,0' has no effect"),
        ({"load.sort": True}, "load.sort=True has no effect"),
        ({"load.replay": "closed"}, "load.replay='closed' has no effect"),
        ({"load.kind": "closed", "load.rate": 5.0}, "load.rate=5.0 has no effect, since the load is of kind closed"),
        ({"load.kind": "closed", "load.trace": "a"}, "load.trace='a' has no effect, since the load is of kind closed"),
        ({"load.trace": "a", "load.read_ratio": 0.5}, "load.read_ratio=0.5 has no effect, since .* kind trace"),
        ({"load.trace": "a", "load.size_kib": 4.0}, "load.size_kib=4.0 has no effect"),
        ({"load.trace": "a", "load.pattern": "zipf"}, "load.pattern='zipf' has no effect"),
        ({"load.trace": "a", "load.rate": 5.0}, "load.rate=5.0 has no effect"),
        ({"load.trace": "a", "load.queue_depth": 8}, "kind trace, and its replay is open; leave it out"),
        (
            {"load.trace": "a", "load.span_mib": 1.0},
            "load.span_mib=1.0 has no effect, .* depths, rates and sweep are off",
        ),
        ({"depth_requests": 7}, "depth_requests=7 has no effect, since depths and rates are off"),
        ({"sweep_requests": 7}, "sweep_requests=7 has no effect, since sweep is off"),
        ({"design.victim": "fifo"}, "design.victim='fifo' has no effect, since an ideal mapping collects no garbage"),
        ({"design.erase_us": 9.0}, "design.erase_us=9.0 has no effect, since an ideal mapping"),
        ({"design.mapping": "page", "design.choices": 4}, "design.choices=4 has no effect, since victim is greedy"),
        ({"design.mapping": "page", "design.seed": 4}, "design.seed=4 has no effect, since nothing is drawn"),
        ({"design.cache_flushes": 4}, "design.cache_flushes=4 has no effect, since there is no write cache"),
        ({"design.suspend_program_us": 4.0}, "design.suspend_program_us=4.0 has no effect, since suspend is none"),
    ],
)
def test_settings_without_effect_are_refused(settings, what):
    config = small(**{"load.requests": 2000, **settings})
    with pytest.raises(ValueError, match=what):
        presets.check(config, ssd_trace.get_config("smoke"), ssd_trace.design_of(config))


def test_settings_with_an_effect_are_not():
    for settings in (
        {"load.kind": "closed", "load.queue_depth": 8},
        {"load.trace": "a", "load.replay": "closed", "load.queue_depth": 8, "load.format": "msr", "load.sort": True},
        {"depths": (1,), "depth_requests": 9, "load.trace": "a", "load.span_mib": 1.0},
        {"device": "enterprise_tlc", "design.seed": 3, "design.erase_us": 9.0, "design.suspend_erase_us": 1.0},
        {"design.mapping": "page", "design.victim": "d-choices", "design.choices": 3, "design.seed": 2},
    ):
        config = small(**settings)
        presets.check(config, ssd_trace.get_config("smoke"), ssd_trace.design_of(config))


@pytest.mark.slow
def test_a_trace_that_is_given_is_served_by_the_smoke_too(tmp_path):
    """All of it, gzipped or not; its flush is passed over, its unit warned of, an open load beyond capacity said."""
    lines = [f"  8,0 1 1 0.{i:09d} 697 Q {'W' if i % 2 else 'R'} {64 * i} + 16 [x]" for i in range(3000)]
    lines.insert(7, "  8,0 1 1 0.000000007 697 Q FWS [x]")
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    outcome = runs.execute(ssd_trace, small(**{"load.trace": str(path), "load.format": "blkparse"}), tmp_path / "run")
    assert outcome.result["requests"] == 3000
    assert outcome.result["reads"]["requests"] == outcome.result["writes"]["requests"] == 1500
    assert outcome.result["overloaded"] == 1
    shown, page = runs_experiment.summary(outcome), (tmp_path / "run" / "report.html").read_text()
    for text in (
        "The load is a.gz, at its own times",
        "1 requests without data, such as flushes, were passed over",
        "an open load beyond capacity",
        "ideal mapping: no garbage collection",
    ):
        assert text in shown
        assert text in page


@pytest.mark.slow
def test_a_closed_replay_keeps_the_number_of_requests_in_flight(tmp_path):
    """Times in seconds without their unit are warned of on the terminal and in the report."""
    (tmp_path / "a.trace").write_text("\n".join(f"{i} 0 {16 * i} 16 1" for i in range(40)))
    settings = {"load.trace": str(tmp_path / "a.trace"), "load.replay": "closed", "load.queue_depth": 1}
    outcome = runs.execute(ssd_trace, small(**settings, **{"load.requests": 30}), tmp_path / "run")
    assert outcome.result["mean_us"] == pytest.approx(102.392)
    for text in ("with 1 requests in flight", "Only its first 30 requests", "Warning: .*30 requests within 29 ns"):
        assert re.search(text, runs_experiment.summary(outcome))
        assert re.search(text, (tmp_path / "run" / "report.html").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"device": "enterprise_tlc"}, "8,0 1 1 0.0 697 Q W 64 + 16 [x]"),
        ({}, "8,0 1 1 0.0 697 Q D 64 + 16 [x]"),
    ],
)
def test_a_load_that_never_reaches_flash_is_reported(tmp_path, settings, line):
    (tmp_path / "a.txt").write_text(line)
    trace = {"load.trace": str(tmp_path / "a.txt"), "load.format": "blkparse", "requests_csv": True}
    outcome = runs.execute(ssd_trace, small(**settings, **trace), tmp_path / "run")
    assert outcome.result["busy"] == {"bus": 0.0, "flash": 0.0}
    assert outcome.result["erases"] == 0
    assert ("write_amplification" in outcome.result) == (not settings)  # of writes that the cache holds there is none
    assert "Nothing of this load reached the flash" in (tmp_path / "run" / "report.html").read_text()
    if not settings:
        assert outcome.result["trims"]["requests"] == 1
        assert "mean_us" not in outcome.result


@pytest.mark.slow
def test_a_bad_trace_is_one_line_on_the_terminal(experiment, refused, tmp_path):
    (tmp_path / "a.trace").write_text("1 0 0 8 1\n2 0 0\n")
    flags = ("--config.load.kind=trace", f"--config.load.trace={tmp_path / 'a.trace'}", "--workdir=run")
    assert "a.trace, line 2: 3 columns instead of 5" in refused(experiment, *flags)


@pytest.mark.slow
def test_a_trace_past_the_end_is_wrapped_and_reported(tmp_path):
    (tmp_path / "a.trace").write_text("1 0 0 8 1\n2000 0 99999999 8 1\n")
    config = small(**{"load.kind": "trace", "load.trace": str(tmp_path / "a.trace"), "load.requests": 0})
    with pytest.raises(ValueError, match="line 2: the request ends at byte"):
        runs.execute(ssd_trace, config, tmp_path / "refused")
    config.load.wrap = True
    result = runs.execute(ssd_trace, config, tmp_path / "run").result
    assert "1 addresses lay past the end of the device and were wrapped" in result["note"]


def test_the_design_is_the_device_with_the_fields_that_are_given():
    config = ssd_trace.get_config("default")
    assert ssd_trace.design_of(config) == ssd_presets.mqsim_default()
    config.device, config.design.channels, config.design.read_us = "enterprise_tlc", 4, 60.0
    assert ssd_trace.design_of(config) == ssd_presets.enterprise_tlc(channels=4, read_us=60.0)


@pytest.mark.slow
def test_the_designs_of_a_sweep_have_no_page_map():
    designs = ssd_trace.draw_designs(ssd_presets.enterprise_tlc(), 4, 0)
    assert {(design.ftl.mapping, design.ftl.precondition) for design in designs} == {("ideal", "none")}
    assert [design.geometry.channels for design in designs] == [8, 16, 32, 8]


def test_the_paper_preset_reads_training_data_in_order():
    """Two pages a channel of the stream, on the paper's device."""
    config = ssd_trace.get_config("paper")
    config.load.requests = 32
    design = ssd_trace.design_of(config)
    assert (design.geometry.channels, design.geometry.chips, config.load.pattern) == (16, 1, "sequential")
    load = presets.make_load(config, design, 0)
    served = ssd.simulate(design, load)
    assert (np.diff(load.offset) == 8192).all()
    first = served.latency.min()
    assert first == closed_forms.unloaded_latency(design).read
