"""Run by test_devices.py on several devices, and on one in the test's own process. Prints numbers as JSON."""

import json
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework import core, runs
from framework.core import devices
from framework.models import training

ROWS = 7  # no multiple of 2, 3 or 4


def walk(states, fixed):
    """Each row a random walk of its own, with a number of its own and one that all have."""
    (x, keys), (local, common) = states, fixed
    draws = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    return (jnp.tanh(x + common * draws) + local, keys), {"sum": x.sum(-1)}


def loss(params, images, labels, key):
    hidden = jnp.tanh(images @ params["in"])
    shift = 0.1 * jax.random.normal(key, hidden.shape)
    values = optax.softmax_cross_entropy_with_integer_labels((hidden + shift) @ params["out"], labels)
    return values.mean(), (params, {"worst": values.max()})


def task(number, fixed):
    return {"square": number**2 * fixed, "row": jnp.full(3, number)}


def results() -> dict[str, list]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(ROWS, 2)).astype(np.float32)
    scaled = devices.shard_over_devices(lambda x, by: {"x": x * by, "first": x[:, 0] > 0}, in_axes=(0, None))
    result = {"spread": scaled(rows, 3.0)}

    start = rows, jax.random.split(jax.random.key(0), ROWS)
    split = devices.Split(fixed=(0, None))
    (x, keys), metrics = core.advance(walk, start, (rows[:, :1], 0.5), 4, split=split)
    result |= {"rows": x, "keys": jax.random.key_data(keys), "metrics": metrics}

    trainer = training.trainer(loss, optax.adam(0.05), batch=12)
    images, labels = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    params = {"in": rng.normal(size=(5, 4)).astype(np.float32), "out": rng.normal(size=(4, 3)).astype(np.float32)}
    start = trainer.init(params, 40, jax.random.key(1))
    state, metrics = core.advance(trainer.step, start, (images, labels), 6, split=devices.DATA_PARALLEL)
    result |= {"trained": state.params, "losses": metrics}

    with tempfile.TemporaryDirectory() as folder, runs.open_run(Path(folder) / "run", {}) as run:
        row = lambda number, one: {"step": number, "seed": 0, "square": one["square"]}
        result["tasks"] = runs.run_tasks(run, "squares", task, ROWS, jnp.float32(2), row)
        result["logged"] = [
            json.loads(line)["square"] for line in (run.path / "metrics.jsonl").read_text().splitlines()
        ]
    return {name: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for name, tree in result.items()}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        jax.distributed.initialize(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), initialization_timeout=60)
    print(json.dumps({"devices": jax.device_count()} | {name: item.tolist() for name, item in results().items()}))
