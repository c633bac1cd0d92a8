"""Second-order information about a loss without its Hessian: products, differences and the largest eigenvalue.

All functions take `loss(params) -> scalar` over a pytree of parameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from framework.core import keys
from framework.core.types import Key, Params

ScalarLoss = Callable[[Params], jax.Array]


class Eigenpair(NamedTuple):
    """An eigenvalue of largest magnitude with its vector."""

    value: jax.Array  # [], signed
    vector: Params  # like the parameters, of norm 1; 0 where the loss is flat
    residual: jax.Array  # [], ||H v - value v||: 0 for an exact pair


def hvp(loss: ScalarLoss, params: Params, vector: Params) -> Params:
    """Hessian-vector product H v, exact, forward over reverse.

    Args:
      loss: params -> scalar.
      params: where the Hessian is taken.
      vector: v, a pytree like `params`.

    Returns:
      H v, a pytree like `params`, at about three times the cost of a gradient.

    Reference: Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).
    """
    chex.assert_trees_all_equal_shapes(params, vector)
    return jax.jvp(jax.grad(loss), (params,), (vector,))[1]


def finite_difference_hvp(loss: ScalarLoss, params: Params, vector: Params, h: float | jax.Array) -> Params:
    """Central difference of the gradient, (g(w + h v) - g(w - h v)) / 2h, whose error is O(h^2) for a smooth loss.

    At a kink it differs from `hvp`, which sees only the piece that `params` lies on.

    Args:
      loss: params -> scalar.
      params: w, where the Hessian is taken.
      vector: v, a pytree like `params`.
      h: the step, above 0, in units of `vector`; may be traced.
    """
    chex.assert_trees_all_equal_shapes(params, vector)
    gradient = jax.grad(loss)
    ahead = gradient(jax.tree.map(lambda w, v: w + h * v, params, vector))
    behind = gradient(jax.tree.map(lambda w, v: w - h * v, params, vector))
    return jax.tree.map(lambda a, b: (a - b) / (2 * h), ahead, behind)


def power_iteration(loss: ScalarLoss, params: Params, key: Key, iterations: int = 20) -> Eigenpair:
    """The eigenvalue of the Hessian with the largest magnitude: v <- H v / ||H v||, then v' H v.

    Args:
      loss: params -> scalar.
      params: where the Hessian is taken.
      key: draws the first vector.
      iterations: products, at least 1; the error falls by |second / first eigenvalue| with each.

    Raises:
      ValueError: if `iterations` is no whole number of at least 1, or it is no key.
    """
    keys.check(key, iterations=iterations)

    def step(_, iterate: tuple[Params, Params]) -> tuple[Params, Params]:
        vector = _normalize(iterate[1])
        return vector, hvp(loss, params, vector)

    start = optax.tree.random_like(key, params)
    vector, product = jax.lax.fori_loop(0, iterations, step, (start, start))
    value = optax.tree.vdot(vector, product)
    return Eigenpair(value, vector, optax.tree.norm(optax.tree.add_scale(product, -value, vector)))


def _normalize(vector: Params) -> Params:
    norm = optax.tree.norm(vector)
    return optax.tree.scale(jnp.where(norm > 0, 1 / jnp.where(norm > 0, norm, 1), 0), vector)
