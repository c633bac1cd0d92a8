"""Adding up takes a while.

A toy that is slow enough to be killed.
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from framework import runs

EXPECTED = {}


def get_config(preset="default"):
    return ConfigDict({"preset": preset, "seed": 0, "seeds": 1, "pause": 0.1})


def step(state, fixed):
    x, key = state
    key, draw = jax.random.split(key)
    return (jnp.sin(x) + jax.random.normal(draw, x.shape), key), {"mean": x.mean()}


def main(config, run):
    def rows(phase, done, metrics):
        time.sleep(config.pause)
        return [{"step": done, "seed": config.seed, "phase": phase, "mean": metrics["mean"][-1]}]

    start = (jnp.zeros(3), jax.random.key(config.seed))
    x, _ = runs.run_steps(run, "walk", step, start, None, 60, 3, partial(rows, "walk"), save_every=0.2)
    y, _ = runs.run_steps(
        run, "again", step, (x, jax.random.key(1)), None, 30, 3, partial(rows, "again"), save_every=0.2
    )
    return {"sum": float(y.sum()), "seeds": config.seeds}
