"""Elastic averaging SGD: workers explore on their own and are drawn to a common centre.

Reference: Zhang, Choromanska and LeCun, "Deep learning with elastic averaging SGD", arXiv 1412.6651.
"""

import warnings

import jax
import jax.numpy as jnp
import optax

from framework.core import optimizers
from framework.core.tracing import is_traced
from framework.core.types import Params
from framework.sgd.rule import Master, Number, Parts, Rule, Worker, after_exchange, apply_step, check_period, rule

ORDERS = ("after", "before")


def elastic(
    optimizer: optax.GradientTransformation,
    alpha: Number,
    period: Number = 1,
    *,
    momentum: Number = 0.0,
    order: str = "after",
    synchronous: bool = True,
) -> Rule:
    """Elastic averaging around any optimiser: EASGD, and with a momentum EAMSGD.

    Every `period` local steps worker i and the centre c exchange d_i = alpha (w_i - c):

        w_i <- w_i - d_i,   c <- c + d_i,

    which leaves c + sum_i w_i as it was. With a momentum delta the local step is that of Nesterov,
    v_i <- delta v_i - eta g_i(w_i + delta v_i), w_i <- w_i + v_i.

    Args:
      optimizer: the local update of each worker; one that wants the loss (`optax.polyak_sgd`) gets the worker's.
      alpha: the moving rate; the paper takes .9 / workers. May be traced.
      period: local steps between exchanges, at least 1; may be traced.
      momentum: delta, in [0, 1); may be traced.
      order: `after` takes the difference after the local step of the same turn, as in-storage processing does;
        `before` takes it before that step, as the paper's algorithm does.
      synchronous: whether all workers exchange with one and the same centre; else one after another.

    Raises:
      ValueError: for a period that is no whole number from 1 on, a momentum outside [0, 1), an unknown order, and, as
        soon as the number of workers is known, an alpha with which the centre must diverge: alpha (workers + 1) > 2
        where all exchange at once, alpha > 1 where they take turns; for an optimiser that wants functions of the loss,
        such as `optax.lbfgs`.

    Warns:
      UserWarning: where alpha is so large that the centre overshoots: alpha workers > 1, or alpha > 1/2 in turns.
    """
    check_period("elastic", period)
    if order not in ORDERS:
        raise ValueError(f"elastic: order must be one of {', '.join(ORDERS)}, got {order!r}")
    if not is_traced(momentum) and not 0 <= momentum < 1:
        raise ValueError(f"elastic: momentum must lie in [0, 1), got {momentum}")
    moves = is_traced(momentum) or momentum != 0

    def look(worker: Worker) -> Params:
        return jax.tree.map(jnp.add, worker.params, _times(momentum, worker.extra)) if moves else worker.params

    def local(worker: Worker, gradient: Params, value: jax.Array) -> Worker:
        updates, state = optimizers.update(optimizer, gradient, worker.optimizer, worker.params, value)
        if moves:
            updates = jax.tree.map(jnp.add, _times(momentum, worker.extra), updates)
        return apply_step(worker, updates, state)._replace(extra=updates if moves else ())

    def meet(master: Master, before: Params, workers: Worker) -> tuple[Master, Worker]:
        origin = workers.params if order == "after" else before
        pull = _times(alpha, jax.tree.map(jnp.subtract, origin, master.params))
        new_workers = workers._replace(params=jax.tree.map(jnp.subtract, workers.params, pull))
        whole = jax.tree.map(lambda d: d.sum(0), pull) if synchronous else pull
        version = master.version + 1
        centre = jax.tree.map(jnp.add, master.params, whole)
        return Master(centre, (), version), after_exchange(new_workers, master.version, version)

    return rule(
        Parts(
            optimizer=optimizer,
            server=None,
            extra=lambda params: jax.tree.map(jnp.zeros_like, params) if moves else (),
            look=look,
            local=local,
            due=lambda steps: (steps - (order == "before")) % period == 0,
            meet=meet,
            together=synchronous,
        ),
        lambda workers: _check_alpha(alpha, workers, synchronous),
    )


def _times(number: Number, tree: Params) -> Params:
    """A multiple of a tree, whose leaves keep their precision whatever that of the number."""
    return jax.tree.map(lambda leaf: (number * leaf).astype(leaf.dtype), tree)


def _check_alpha(alpha: Number, workers: int, synchronous: bool) -> None:
    if is_traced(alpha):
        return
    calm, last = (1 / workers, 2 / (workers + 1)) if synchronous else (0.5, 1.0)
    if not 0 <= alpha <= last:
        raise ValueError(
            f"elastic: alpha must lie in [0, {last:.3g}] for {workers} workers, or it diverges, got {alpha}"
        )
    if alpha > calm:
        warnings.warn(
            f"elastic: with alpha above {calm:.3g} the centre of {workers} workers overshoots, got {alpha}",
            stacklevel=4,
        )
