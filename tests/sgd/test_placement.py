import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from framework.sgd import placement

pytestmark = pytest.mark.slow

RULES = ("synchronous", "downpour", "elastic", "elastic in turns", "local")
SCRIPT = Path(__file__).with_name("placed.py")


def start(devices: int, *arguments: object) -> subprocess.Popen:
    """A process with so many CPU devices."""
    root = str(SCRIPT.parents[2])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": root}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def centres(process: subprocess.Popen) -> dict[str, np.ndarray]:
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    return {name: np.array(values) for name, values in json.loads(output.splitlines()[-1]).items()}


@pytest.fixture(scope="module")
def result():
    return centres(start(8, json.dumps({"pmap": [1, 8]})))


@pytest.mark.parametrize("name", RULES)
def test_eight_devices_give_what_one_gives(result, name):
    assert np.isfinite(result[f"{name} 1 pmap"]).all()
    np.testing.assert_allclose(result[f"{name} 8 pmap"], result[f"{name} 1 pmap"], atol=1e-6)


@pytest.mark.long
def test_both_placements_agree_on_2_4_and_8_devices(result):
    for name, centre in centres(start(8, json.dumps({"pmap": [2, 4], "shard_map": [4, 8]}))).items():
        rule, devices, form = name.rsplit(" ", 2)
        np.testing.assert_allclose(centre, result[f"{rule} 1 pmap"], atol=1e-6)
        if (devices, form) == ("8", "shard_map"):
            np.testing.assert_array_equal(centre, result[f"{rule} 8 pmap"])


@pytest.mark.slow
def test_two_processes_give_what_one_gives(result, free_port):
    arguments = (json.dumps({"pmap": [2]}), f"localhost:{free_port}", 2)
    both = [start(1, *arguments, number) for number in range(2)]
    for observed in [centres(process) for process in both]:
        assert len(observed) == len(RULES)
        for name, centre in observed.items():
            np.testing.assert_allclose(centre, result[name.replace("2 pmap", "1 pmap")], atol=1e-6)


def test_the_largest_divisor_is_taken(monkeypatch):
    monkeypatch.setattr(placement.jax, "device_count", lambda: 6)
    assert [placement.devices_for(workers) for workers in (12, 8, 7)] == [6, 4, 1]


def test_devices_that_do_not_divide_the_workers_are_refused(monkeypatch):
    monkeypatch.setattr(placement.jax, "device_count", lambda: 6)
    with pytest.raises(ValueError, match="devices must divide the 8 workers, got 3"):
        placement.devices_for(8, 3)
    with pytest.raises(ValueError, match="devices must be 1 to 6, as many as there are, got 8"):
        placement.devices_for(8, 8)
