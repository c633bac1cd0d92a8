"""Seven small physics systems with known causes, to test priors that come from column names.

The names can be presented as they are, hidden, or permuted over the columns, so that a language model's knowledge of
them is right, absent or wrong. Inputs are independent and log-uniform; a derived column follows from its causes by
formula. All quantities are in SI units, angles in radians; gravity reaches from the Moon's to Jupiter's.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from framework.causal import graphs, inputs
from framework.core import keys
from framework.core.types import Key

VARIANTS = ("real", "anonymous", "permuted")
GAS_CONSTANT = 8.31446261815324  # J / (mol K)
GRAVITY = (1.6, 25.0)  # m / s^2


class System(NamedTuple):
    """A physics system; hashable, so that it can be static under jit."""

    name: str
    columns: tuple[str, ...]  # in the order of the table
    edges: tuple[tuple[str, str], ...]  # (cause, effect)
    inputs: tuple[tuple[str, tuple[float, float]], ...]  # (column, bounds of its log-uniform law)
    formulas: tuple[tuple[str, Callable[..., jax.Array]], ...]  # (column, function of its causes by name), in order


def _into(effect: str, *causes: str) -> tuple[tuple[str, str], ...]:
    return tuple((cause, effect) for cause in causes)


_ALL = (
    System(
        "free_fall",
        ("height", "gravity", "fall_time", "impact_speed"),
        (*_into("fall_time", "height", "gravity"), *_into("impact_speed", "fall_time", "gravity")),
        (("height", (1.0, 100.0)), ("gravity", GRAVITY)),  # m, m / s^2
        (
            ("fall_time", lambda height, gravity: jnp.sqrt(2 * height / gravity)),
            ("impact_speed", lambda fall_time, gravity: gravity * fall_time),
        ),
    ),
    System(
        "pendulum",
        ("length", "gravity", "mass", "period"),
        _into("period", "length", "gravity"),
        (("length", (0.1, 10.0)), ("gravity", GRAVITY), ("mass", (0.1, 10.0))),  # m, m / s^2, kg; mass has no effect
        (("period", lambda length, gravity: 2 * jnp.pi * jnp.sqrt(length / gravity)),),
    ),
    System(
        "ohm_joule",
        ("voltage", "resistance", "current", "power"),
        (*_into("current", "voltage", "resistance"), *_into("power", "current", "resistance")),
        (("voltage", (1.0, 100.0)), ("resistance", (1.0, 100.0))),  # V, ohm
        (
            ("current", lambda voltage, resistance: voltage / resistance),
            ("power", lambda current, resistance: current**2 * resistance),
        ),
    ),
    System(
        "spring",
        ("stiffness", "displacement", "force", "mass", "acceleration", "energy"),
        (
            *_into("force", "stiffness", "displacement"),
            *_into("acceleration", "force", "mass"),
            *_into("energy", "stiffness", "displacement"),
        ),
        (("stiffness", (10.0, 1000.0)), ("displacement", (0.01, 1.0)), ("mass", (0.1, 10.0))),  # N / m, m, kg
        (
            ("force", lambda stiffness, displacement: stiffness * displacement),  # its magnitude
            ("acceleration", lambda force, mass: force / mass),
            ("energy", lambda stiffness, displacement: stiffness * displacement**2 / 2),
        ),
    ),
    System(
        "ideal_gas",
        ("amount", "temperature", "volume", "pressure"),
        _into("pressure", "amount", "temperature", "volume"),
        (("amount", (0.1, 10.0)), ("temperature", (200.0, 600.0)), ("volume", (0.01, 1.0))),  # mol, K, m^3
        (("pressure", lambda amount, temperature, volume: amount * GAS_CONSTANT * temperature / volume),),
    ),
    System(
        "projectile",
        ("launch_speed", "launch_angle", "gravity", "range", "apex", "flight_time"),
        tuple(
            (cause, effect)
            for cause in ("launch_speed", "launch_angle", "gravity")
            for effect in ("range", "apex", "flight_time")
        ),
        (("launch_speed", (1.0, 100.0)), ("launch_angle", (0.1, 1.4)), ("gravity", GRAVITY)),  # m / s, rad, m / s^2
        (
            (
                "range",
                lambda launch_speed, launch_angle, gravity: launch_speed**2 * jnp.sin(2 * launch_angle) / gravity,
            ),
            (
                "apex",
                lambda launch_speed, launch_angle, gravity: (launch_speed * jnp.sin(launch_angle)) ** 2 / (2 * gravity),
            ),
            (
                "flight_time",
                lambda launch_speed, launch_angle, gravity: 2 * launch_speed * jnp.sin(launch_angle) / gravity,
            ),
        ),
    ),
    System(
        "heat_flow",
        ("conductivity", "area", "temperature_gap", "thickness", "heat_flow"),
        _into("heat_flow", "conductivity", "area", "temperature_gap", "thickness"),
        (
            ("conductivity", (0.02, 2.0)),  # W / (m K), foam to concrete
            ("area", (1.0, 100.0)),  # m^2
            ("temperature_gap", (1.0, 50.0)),  # K
            ("thickness", (0.05, 0.5)),  # m
        ),
        (
            (
                "heat_flow",
                lambda conductivity, area, temperature_gap, thickness: (
                    conductivity * area * temperature_gap / thickness
                ),
            ),
        ),
    ),
)
SYSTEMS = {system.name: system for system in _ALL}


def sample(key: Key, system: System, samples: int, noise: float | jax.Array = 0.0) -> jax.Array:
    """Samples a table of a system.

    Each derived column is f + noise * std(f) * e, with f its formula at its causes as they stand in the table, noise of
    theirs included, std(f) the standard deviation of f over the drawn rows and e standard normal. With `noise` of 0 the
    formulas hold exactly.

    Args:
      key: a typed key.
      system: one of `SYSTEMS`.
      samples: n, rows to draw.
      noise: how large the noise of each equation is, relative to what the equation explains, at least 0; may be traced.

    Returns:
      X, `[samples, columns]`; every column is positive where `noise` is 0.

    Raises:
      ValueError: if there is no row, the noise is negative or not finite, or it is no key.
    """
    keys.check(key, samples=samples)
    inputs.check_numbers(noise=noise)
    input_key, noise_key = jax.random.split(key)
    fractions = jax.random.uniform(input_key, (len(system.inputs), samples))
    errors = jax.random.normal(noise_key, (len(system.formulas), samples))
    values = {}
    for (name, (low, high)), fraction in zip(system.inputs, fractions, strict=True):
        values[name] = low * (high / low) ** fraction
    for (name, formula), error in zip(system.formulas, errors, strict=True):
        exact = formula(**{cause: values[cause] for cause, effect in system.edges if effect == name})
        values[name] = exact + noise * jnp.std(exact) * error
    return jnp.stack([values[name] for name in system.columns], axis=1)


def graph(system: System) -> np.ndarray:
    """The true graph of a system in the order of its columns, `[d, d]` bool."""
    return graphs.from_edges(system.edges, system.columns)


def names(system: System, variant: str = "real") -> tuple[str, ...]:
    """Returns the presented column names of a table, in its order.

    Args:
      system: one of `SYSTEMS`.
      variant: `real`; `anonymous`, X1 .. Xd; or `permuted`, each column called by the name of the next, the last by
        that of the first, so that knowledge of the names is wrong for the columns.

    Returns:
      One name a column.

    Raises:
      ValueError: for another variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: take one of {', '.join(VARIANTS)}")
    if variant == "anonymous":
        return tuple(f"X{position}" for position in range(1, len(system.columns) + 1))
    return system.columns if variant == "real" else system.columns[1:] + system.columns[:1]
