"""Local SGD: workers take steps of their own and are averaged now and then.

Reference: Stich, "Local SGD converges fast and communicates little", arXiv 1805.09767; Douillard et al., "DiLoCo",
arXiv 2311.08105.
"""

import jax
import jax.numpy as jnp
import optax

from framework.core.types import Params
from framework.sgd.rule import Master, Number, Parts, Rule, Worker, check_period, copies, mean, met, rule, stepped


def local(
    optimizer: optax.GradientTransformation, period: Number = 1, outer: optax.GradientTransformation | None = None
) -> Rule:
    """Every `period` local steps the master moves to the workers' mean, or along it, and all workers begin there.

    The outer optimiser sees c - (1 / n) sum_i w_i as a gradient; without one the master takes the mean itself.

    Args:
      optimizer: the local update of each worker; its state stays with the worker.
      period: local steps between averages, at least 1; may be traced.
      outer: the master's optimiser; DiLoCo takes Nesterov's SGD.

    Raises:
      ValueError: for a period that is no whole number from 1 on.
    """
    check_period("local", period)
    outer = optax.sgd(1.0) if outer is None else outer

    def move(worker: Worker, gradient: Params) -> Worker:
        return stepped(worker, *optimizer.update(gradient, worker.optimizer, worker.params))

    def meet(master: Master, _: Params, workers: Worker) -> tuple[Master, Worker]:
        drift = jax.tree.map(jnp.subtract, master.params, mean(workers.params))
        updates, state = outer.update(drift, master.optimizer, master.params)
        params = optax.apply_updates(master.params, updates)
        workers = met(workers, master.version, master.version + 1)
        return Master(params, state, master.version + 1), workers._replace(params=copies(params, workers.params))

    return rule(
        Parts(
            optimizer=optimizer,
            server=outer,
            extra=lambda params: (),
            look=lambda worker: worker.params,
            local=move,
            due=lambda steps: steps % period == 0,
            meet=meet,
            together=True,
        )
    )
