"""SGD with a barrier: every worker waits for the mean of all gradients."""

import jax
import optax

from framework.core.types import Params
from framework.sgd.rule import (
    Master,
    Parts,
    Rule,
    Worker,
    after_exchange,
    copies,
    mean,
    nothing,
    pack_gradient,
    rule,
    server_step,
)


def synchronous(optimizer: optax.GradientTransformation) -> Rule:
    """One step of the optimiser along (1 / n) sum_i g_i(w), with g_i the gradient of worker i's batch.

    n workers with batches of b samples take the step of one worker with a batch of n b.

    Args:
      optimizer: the master's; one that wants the loss (`optax.polyak_sgd`) gets the mean of all.

    Raises:
      ValueError: for what is no optimiser, or one that wants functions of the loss, such as `optax.lbfgs`.

    Reference: the synchronous rule of arXiv 1610.02273.
    """

    def local(worker: Worker, gradient: Params, value: jax.Array) -> Worker:
        return worker._replace(extra=pack_gradient(gradient, value, optimizer), steps=worker.steps + 1)

    def meet(master: Master, _: Params, workers: Worker) -> tuple[Master, Worker]:
        new_master = server_step(master, mean(workers.extra), optimizer)
        workers = after_exchange(workers, master.version, new_master.version)
        return new_master, workers._replace(params=copies(new_master.params, workers.params))

    return rule(
        Parts(
            optimizer=optax.identity(),
            server=optimizer,
            extra=lambda params: nothing(params, optimizer),
            look=lambda worker: worker.params,
            local=local,
            due=lambda steps: steps > 0,
            meet=meet,
            together=True,
        )
    )
