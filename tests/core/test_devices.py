import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.core import devices
from tests.core import spread_out

SCRIPT = Path(spread_out.__file__)


def start(count: int, *arguments: object) -> subprocess.Popen:
    """A process with so many CPU devices."""
    local = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(count), "PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | local, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def results(process: subprocess.Popen) -> dict[str, list]:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def alone():
    return spread_out.results()


def assert_as_alone(result: dict[str, list], alone: dict[str, np.ndarray], count: int) -> None:
    assert result.pop("devices") == count
    assert set(result) == set(alone)
    for name, values in alone.items():
        np.testing.assert_allclose(result[name], values, rtol=2e-6, atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 8])
def test_several_devices_give_what_one_gives(alone, count):
    assert_as_alone(results(start(count)), alone, count)


@pytest.mark.slow
def test_several_processes_give_what_one_gives(alone, free_port):
    both = [start(2, f"localhost:{free_port}", 2, number) for number in range(2)]
    for process in both:
        assert_as_alone(results(process), alone, 4)


def test_inside_of_a_transformation_it_is_the_function_as_it_is():
    doubled = devices.shard_over_devices(lambda x: 2 * x, in_axes=(0,))
    assert jax.grad(lambda x: doubled(x).sum())(jnp.ones(3)).tolist() == [2.0, 2.0, 2.0]


def test_a_batch_stays_whole_where_no_devices_share_it_out():
    batch = {"images": jnp.ones((4, 2)), "labels": jnp.arange(4)}
    assert devices.shard_batch(batch) is batch


def test_batches_of_different_lengths_do_not_go_together():
    with pytest.raises(ValueError, match=r"as long as each other, got \[3, 2\]"):
        devices.rows_of((np.ones(3), np.ones(2), np.ones(5)), (0, 0, None))
