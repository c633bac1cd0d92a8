"""Run by test_placement.py in processes of their own: every rule on several devices. Prints the centres as JSON."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from framework import sgd

RULES = {
    "synchronous": sgd.synchronous(optax.sgd(0.1)),
    "downpour": sgd.downpour(optax.sgd(0.02), 2),
    "elastic": sgd.elastic(optax.sgd(0.1), 0.1, 2),
    "elastic in turns": sgd.elastic(optax.sgd(0.1), 0.1, 3, synchronous=False, momentum=0.5),
    "local": sgd.local(optax.adam(0.05), 4),
}


def loss(w, batch):
    x, y = batch
    return jnp.mean((jnp.tanh(x @ w["in"]) @ w["out"] - y) ** 2)


def main(devices: dict[str, list[int]]) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(160, 6)).astype(np.float32), rng.normal(size=160).astype(np.float32)
    start = {"in": 0.3 * rng.normal(size=(6, 4)).astype(np.float32), "out": np.ones(4, np.float32)}
    centres = {}
    for name, rule in RULES.items():
        for form, counts in devices.items():
            for count in counts:
                options = {"workers": 8, "batch": 5, "devices": count, "form": form}
                state = sgd.run(rule, loss, start, data, **options)
                assert jax.process_count() > 1 or len(state.workers.steps) == 8
                leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(state.centre)]
                centres[f"{name} {count} {form}"] = np.concatenate(leaves).tolist()
    print(json.dumps(centres))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        jax.distributed.initialize(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), initialization_timeout=60)
    main(json.loads(sys.argv[1]))
