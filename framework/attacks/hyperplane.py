"""Projection onto a hyperplane within the box [0, 1]^d.

Reference: Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
arXiv 1907.02044, section 2.2.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from framework.core.types import Array


def step_onto(
    points: Float[Array, "n d"], normal: Float[Array, "n d"], level: Float[Array, " n"], norm: str
) -> Float[Array, "n d"]:
    """The smallest v with normal . (x + v) = level and x + v in [0, 1]^d.

    If the box does not meet the plane, x + v is the point of the box nearest to the plane.

    Each coordinate moves at its own speed (1 for L-inf, |normal_i| for L2) until it reaches the box,
    v_i = min(t speed_i, distance_i). The gain in normal . v is concave and piecewise linear in t. Newton's method from
    t = 0 therefore ends at the exact solution after as many rounds as there are groups of coordinates that reach the
    box together, mostly a few.

    Args:
      points: x, `[N, d]`, in [0, 1].
      normal: `[N, d]`.
      level: `[N]`.
      norm: `linf` or `l2`.

    Returns:
      v, `[N, d]`.

    Reference: arXiv 1907.02044, section 2.2.
    """
    gap = level - jnp.sum(normal * points, -1)
    direction = normal * jnp.sign(gap)[:, None]
    distance, slope = jnp.where(direction > 0, 1 - points, points), jnp.abs(normal)
    speed = jnp.ones_like(slope) if norm == "linf" else slope
    moves = slope > 0

    def newton(state):
        at_box, _, _ = state
        gain = jnp.sum(jnp.where(at_box, slope * distance, 0), -1)
        rate = jnp.sum(jnp.where(at_box, 0, slope * speed), -1)
        time = jnp.where(rate > 0, (jnp.abs(gap) - gain) / jnp.where(rate > 0, rate, 1), jnp.inf)
        now_at_box = at_box | (moves & (time[:, None] * speed >= distance))
        return now_at_box, time, (now_at_box != at_box).any()

    at_box = moves & (distance <= 0)
    at_box, time, _ = lax.while_loop(lambda state: state[2], newton, (at_box, jnp.zeros_like(gap), jnp.array(True)))
    free = jnp.where(jnp.isfinite(time), time, 0)[:, None] * speed
    return jnp.sign(direction) * jnp.where(at_box, distance, jnp.minimum(free, distance))
