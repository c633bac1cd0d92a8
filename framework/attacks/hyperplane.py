"""The nearest point of a hyperplane within the box [0, 1]^d.

Reference: Croce and Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack",
arXiv 1907.02044, section 2.2.
"""

import jax
import jax.numpy as jnp
from jax import lax


def step_onto(points: jax.Array, normal: jax.Array, level: jax.Array, norm: str) -> jax.Array:
    """The smallest v with normal . (x + v) = level and x + v in [0, 1]^d; the nearest to the plane if there is none.

    Every coordinate moves at its speed (1 for L-inf, |normal_i| for L2) until it meets the box, v_i = min(t speed_i,
    room_i). What is gained is concave and piecewise linear in t, so that Newton's method from t = 0 ends at the exact
    solution after as many rounds as coordinates meet the box in groups: mostly a few.

    Args:
      points: x, `[N, d]`, in [0, 1].
      normal: `[N, d]`.
      level: `[N]`.
      norm: `linf` or `l2`.

    Returns:
      v, `[N, d]`.
    """
    gap = level - jnp.sum(normal * points, -1)
    towards = normal * jnp.sign(gap)[:, None]
    room, slope = jnp.where(towards > 0, 1 - points, points), jnp.abs(normal)
    speed = jnp.ones_like(slope) if norm == "linf" else slope
    moves = slope > 0

    def newton(state):
        held, _, _ = state
        gained = jnp.sum(jnp.where(held, slope * room, 0), -1)
        rate = jnp.sum(jnp.where(held, 0, slope * speed), -1)
        time = jnp.where(rate > 0, (jnp.abs(gap) - gained) / jnp.where(rate > 0, rate, 1), jnp.inf)
        now = held | (moves & (time[:, None] * speed >= room))
        return now, time, (now != held).any()

    held = moves & (room <= 0)
    held, time, _ = lax.while_loop(lambda state: state[2], newton, (held, jnp.zeros_like(gap), jnp.array(True)))
    free = jnp.where(jnp.isfinite(time), time, 0)[:, None] * speed
    return jnp.sign(towards) * jnp.where(held, room, jnp.minimum(free, room))
