"""The problem of these tests: each worker has a target of its own each step, and is drawn to it."""

import jax
import jax.numpy as jnp
import numpy as np

WORKERS, DIMENSION, STEPS, RATE = 4, 3, 12, 0.1
TARGETS = np.random.default_rng(0).normal(size=(STEPS, WORKERS, DIMENSION)).astype(np.float32)


def loss(w, target):
    return 0.5 * jnp.sum((w - target) ** 2)


def run(rule, targets=TARGETS, start=0.0):
    """The state after all rounds; all begin at `start`, a number or parameters."""
    state = rule.init(jnp.full(DIMENSION, start, jnp.float32), targets.shape[1])
    return jax.jit(lambda s: jax.lax.scan(lambda s, t: (rule.step(s, loss, t), None), s, targets)[0])(state)
