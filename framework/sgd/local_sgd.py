"""Local SGD: workers take steps of their own and are averaged now and then.

Reference: Stich, "Local SGD converges fast and communicates little", arXiv 1805.09767; Douillard et al., "DiLoCo",
arXiv 2311.08105.
"""

import jax
import jax.numpy as jnp
import optax

from framework.core import optimizers
from framework.core.types import Params
from framework.sgd.rule import (
    Accumulated,
    Master,
    Number,
    Parts,
    Rule,
    Worker,
    after_exchange,
    apply_step,
    check_period,
    copies,
    mean,
    rule,
    server_step,
)


def local(
    optimizer: optax.GradientTransformation, period: Number = 1, outer: optax.GradientTransformation | None = None
) -> Rule:
    """Every `period` local steps the master moves to the workers' mean, or along it, and all workers begin there.

    The outer optimiser sees c - (1 / n) sum_i w_i as a gradient; without one the master takes the mean itself.

    Args:
      optimizer: the local update of each worker; its state stays with the worker.
      period: local steps between averages, at least 1; may be traced.
      outer: the master's optimiser; DiLoCo takes Nesterov's SGD.

    An optimiser that wants the loss (`optax.polyak_sgd`) gets it: a worker's its own, the master's the mean of the
    workers' last ones.

    Raises:
      ValueError: for a period that is no whole number from 1 on, or an optimiser that wants functions of the loss, such
        as `optax.lbfgs`.
    """
    check_period("local", period)
    outer = optax.sgd(1.0) if outer is None else outer

    outer_value = optimizers.needs_value(outer)

    def move(worker: Worker, gradient: Params, value: jax.Array) -> Worker:
        updated = apply_step(worker, *optimizers.update(optimizer, gradient, worker.optimizer, worker.params, value))
        return updated._replace(extra=jnp.asarray(value, jnp.result_type(float)) if outer_value else ())

    def meet(master: Master, _: Params, workers: Worker) -> tuple[Master, Worker]:
        drift = jax.tree.map(jnp.subtract, master.params, mean(workers.params))
        new_master = server_step(master, Accumulated(drift, mean(workers.extra)) if outer_value else drift, outer)
        workers = after_exchange(workers, master.version, new_master.version)
        return new_master, workers._replace(params=copies(new_master.params, workers.params))

    return rule(
        Parts(
            optimizer=optimizer,
            server=outer,
            extra=lambda params: jnp.zeros((), jnp.result_type(float)) if outer_value else (),
            look=lambda worker: worker.params,
            local=move,
            due=lambda steps: steps % period == 0,
            meet=meet,
            together=True,
        )
    )
