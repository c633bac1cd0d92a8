"""SGD with a barrier: every worker waits for the mean of all gradients."""

import jax
import jax.numpy as jnp
import optax

from framework.core.types import Params
from framework.sgd.rule import Master, Parts, Rule, Worker, copies, mean, met, rule


def synchronous(optimizer: optax.GradientTransformation) -> Rule:
    """One step of the optimiser along (1 / n) sum_i g_i(w), with g_i the gradient of worker i's batch.

    n workers with batches of b samples take the step of one worker with a batch of n b.

    Args:
      optimizer: the master's.

    Reference: the synchronous rule of arXiv 1610.02273.
    """

    def local(worker: Worker, gradient: Params) -> Worker:
        return worker._replace(extra=gradient, steps=worker.steps + 1)

    def meet(master: Master, _: Params, workers: Worker) -> tuple[Master, Worker]:
        updates, state = optimizer.update(mean(workers.extra), master.optimizer, master.params)
        params = optax.apply_updates(master.params, updates)
        workers = met(workers, master.version, master.version + 1)
        return Master(params, state, master.version + 1), workers._replace(params=copies(params, workers.params))

    return rule(
        Parts(
            optimizer=optax.identity(),
            server=optimizer,
            extra=lambda params: jax.tree.map(jnp.zeros_like, params),
            look=lambda worker: worker.params,
            local=local,
            due=lambda steps: steps > 0,
            meet=meet,
            together=True,
        )
    )
