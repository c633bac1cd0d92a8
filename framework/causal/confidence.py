"""How far the data bear each edge out: its frequency over bootstrap resamples."""

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from framework.causal import inputs, learner
from framework.causal.config import Config
from framework.causal.knowledge import Knowledge
from framework.core import keys
from framework.core.types import Key


def resample(key: Key, rows: int, resamples: int) -> jax.Array:
    """How often each row stands in each resample of as many rows drawn with replacement, `[resamples, rows]` int32.

    Raises:
      ValueError: for less than 1 resample, or what is no key.
    """
    keys.check(key)
    if not isinstance(resamples, numbers.Integral) or resamples < 1:
        raise ValueError(f"a bootstrap needs at least 1 resample, a whole number, got {resamples!r}")
    drawn = jax.random.randint(key, (resamples, rows), 0, rows, jnp.int32)
    return jax.vmap(lambda d: jnp.zeros(rows, jnp.int32).at[d].add(1))(drawn)


def bootstrap(
    key: Key,
    x: Any,
    resamples: int,
    knowledge: Knowledge | None = None,
    config: Config = Config(),
) -> jax.Array:
    """The share of bootstrap resamples in whose fit each edge stands, by one vmapped fit.

    The transform of the config is taken of each resample, so that its columns are standardised by their own moments.

    Args:
      key: a typed key.
      x: the table, `[n, d]`, or a DataFrame.
      resamples: how many, at least 1.
      knowledge, config: as for `fit`.

    Returns:
      `[d, d]` float64 in [0, 1], a NumPy array in a plain call.

    Raises:
      ValueError: as `fit`, for less than 1 resample, or what is no key.

    Warns:
      AssumptionWarning: as `fit`.

    Reference: Friedman, Goldszmidt and Wyner, "Data analysis with Bayesian networks: a bootstrap approach", UAI 1999.
    """
    x, knowledge, _ = inputs.check(x, knowledge, config)
    counts = resample(key, x.shape[0], resamples)
    with jax.enable_x64(True):
        return inputs.on_host(_frequency(config, *inputs.in_float64((x, knowledge)), counts))


@jax.jit
def _frequency(config, x, knowledge, counts) -> jax.Array:
    fits = jax.vmap(lambda c: learner.solve(learner.problem(x, knowledge, config, counts=c), config))(counts)
    return jnp.sum(fits.graph, axis=0, dtype=jnp.float64) / len(counts)
