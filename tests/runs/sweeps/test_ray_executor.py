"""A sweep on a cluster of two nodes equals the one in this process, whatever dies meanwhile. Ray has no warnings of
ours to keep: cluster and launches are processes of their own.
"""

import contextlib
import os
import subprocess
import sys
import time

import pytest

from framework.runs import directory
from framework.runs.sweeps import ray_executor

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.2"}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
second = cluster.add_node(**node)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(second, allow_graceful=False)
print("killed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
TOY = '''
"""Adding up adds."""
import os, signal, time
from pathlib import Path
import jax
from ml_collections import ConfigDict

EXPECTED = {}

def get_config(preset="default"):
    return ConfigDict({"preset": preset, "seed": 0, "seeds": 1, "factor": 1.0})

def main(config, run):
    first = Path(__file__).with_name(f"{run.path.name}.tried")
    if config.seed == 1 and os.environ.get("JAX_TOY_DIES") and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.4)
    return {"mean": float((config.factor * jax.random.normal(jax.random.key(config.seed), (1000,))).mean())}
'''
GRID = ("--sweep=config.factor=[0.5, 2]", "--sweep=config.seed=range(5)")


@pytest.fixture
def cluster(extra):
    """A cluster of two nodes of one processor each: its address, and what kills the second node."""
    extra("ray", "sweep")
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
    )

    def order() -> str:
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline()

    yield process.stdout.readline().strip(), order
    with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
        process.communicate("\n\n", timeout=60)
    process.kill()
    process.wait()


def wait_for_points(path, number, process):
    """Until so many points of a sweep are complete."""
    for _ in range(1200):
        if len(list(path.glob("*/result.json"))) >= number:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} never had {number} points")


def contents(path):
    return {
        file.relative_to(path): file.read_bytes()
        for name in ("*/result.json", "*/config.json", "sweep.csv", "sweep.json")
        for file in path.glob(name)
    }


@pytest.mark.long
def test_workers_a_node_and_the_driver_die_and_nothing_is_lost(cluster, start, launch, launch_environment, tmp_path):
    """Two points kill their worker once, the second node is killed, then the driver: all that in-process runs give."""
    address, kill_node = cluster
    (tmp_path / "toy.py").write_text(TOY)
    assert launch("--config=toy.py", *GRID, "--workdir=here")[0] == 0
    launch_environment["JAX_TOY_DIES"] = "1"
    flags = ("--config=toy.py", *GRID, "--workdir=there", "--executor=ray", f"--ray_address={address}")
    driver = start(*flags)
    wait_for_points(tmp_path / "there", 2, driver)
    assert kill_node() == "killed\n"
    wait_for_points(tmp_path / "there", 5, driver)
    driver.kill()
    driver.communicate()
    assert not (tmp_path / "there" / "sweep.csv").exists()
    code, _, errors = launch(*flags)
    assert code == 0, errors
    assert len(list(tmp_path.glob("*.tried"))) == 2
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.slow
def test_an_address_without_a_cluster_is_refused(extra, refused, tmp_path):
    extra("ray", "sweep")
    (tmp_path / "toy.py").write_text(TOY)
    flags = ("--config=toy.py", *GRID, "--workdir=there", "--executor=ray")
    assert "no Ray cluster answers at 127.0.0.1:1; give" in refused(*flags, "--ray_address=127.0.0.1:1")


def test_without_ray_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_executor.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install '\.\[sweep\]'"):
        list(ray_executor.on_ray(tmp_path / "toy.py", tmp_path)([], tmp_path))


def test_a_worker_waits_for_the_directory_lock(tmp_path):
    assert not directory.in_use(tmp_path / "absent")
    with directory.open_run(tmp_path, {}):
        assert directory.in_use(tmp_path)
    assert not directory.in_use(tmp_path)
