"""Downpour SGD: workers push the gradients that they gathered and pull fresh parameters, each at its own time.

Reference: Dean et al., "Large scale distributed deep networks", NIPS 2012.
"""

import jax
import jax.numpy as jnp
import optax

from framework.core import optimizers
from framework.core.types import Params
from framework.sgd.rule import (
    Master,
    Number,
    Parts,
    Rule,
    Worker,
    after_exchange,
    apply_step,
    check_period,
    nothing,
    pack_gradient,
    rule,
    server_step,
)

ACCUMULATIONS = ("sum", "mean")


def downpour(
    optimizer: optax.GradientTransformation,
    period: Number = 1,
    accumulate: str = "sum",
    server: optax.GradientTransformation | None = None,
) -> Rule:
    """Each step w_i <- w_i - eta g_i and a_i <- a_i + g_i; every `period` steps

        w <- w - eta a_i,   w_i <- w,   a_i <- 0.

    In a round workers push one after another in their order, so that from the second push on each is
    workers - 1 versions late.

    Args:
      optimizer: of each worker, and of the master where it has none of its own.
      period: local steps between pushes, at least 1; may be traced.
      accumulate: `sum` pushes the sum of the gradients, `mean` divides it by the period.
      server: the master's optimiser; `optax.adagrad` is robust against late gradients.

    An optimiser that wants the loss (`optax.polyak_sgd`) gets it: a worker's its own, the master's what the worker's
    losses since its last push come to, accumulated as the gradients are.

    Raises:
      ValueError: for a period that is no whole number from 1 on, an unknown accumulation, or an optimiser that wants
        functions of the loss, such as `optax.lbfgs`.
    """
    check_period("downpour", period)
    if accumulate not in ACCUMULATIONS:
        raise ValueError(f"downpour: accumulate must be one of {', '.join(ACCUMULATIONS)}, got {accumulate!r}")
    server = optimizer if server is None else server

    def local(worker: Worker, gradient: Params, value: jax.Array) -> Worker:
        updated = apply_step(worker, *optimizers.update(optimizer, gradient, worker.optimizer, worker.params, value))
        return updated._replace(extra=jax.tree.map(jnp.add, worker.extra, pack_gradient(gradient, value, server)))

    def meet(master: Master, _: Params, worker: Worker) -> tuple[Master, Worker]:
        share = 1 if accumulate == "sum" else period
        pushed = jax.tree.map(lambda gathered: gathered / share, worker.extra)
        new_master = server_step(master, pushed, server)
        worker = after_exchange(worker, master.version, new_master.version)
        empty = jax.tree.map(jnp.zeros_like, worker.extra)
        return new_master, worker._replace(params=new_master.params, extra=empty)

    return rule(
        Parts(
            optimizer=optimizer,
            server=server,
            extra=lambda params: nothing(params, server),
            look=lambda worker: worker.params,
            local=local,
            due=lambda steps: steps % period == 0,
            meet=meet,
            together=False,
        )
    )
