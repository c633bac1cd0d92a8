import inspect
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.synthetic import physics

KEY = jax.random.key(0)
NAMES = tuple(physics.SYSTEMS)
ROWS = 300
DRAW = jax.jit(physics.sample, static_argnums=(1, 2))
GAS_CONSTANT = 6.02214076e23 * 1.380649e-23  # Avogadro's number times Boltzmann's constant, both exact by definition

# the textbook, one expression a derived column
TEXTBOOK = {
    "free_fall": {
        "fall_time": lambda c: np.sqrt(2 * c["height"] / c["gravity"]),
        "impact_speed": lambda c: np.sqrt(2 * c["gravity"] * c["height"]),
    },
    "pendulum": {"period": lambda c: 2 * np.pi * np.sqrt(c["length"] / c["gravity"])},
    "ohm_joule": {
        "current": lambda c: c["voltage"] / c["resistance"],
        "power": lambda c: c["voltage"] ** 2 / c["resistance"],
    },
    "spring": {
        "force": lambda c: c["stiffness"] * c["displacement"],
        "acceleration": lambda c: c["stiffness"] * c["displacement"] / c["mass"],
        "energy": lambda c: 0.5 * c["stiffness"] * c["displacement"] ** 2,
    },
    "ideal_gas": {"pressure": lambda c: c["amount"] * GAS_CONSTANT * c["temperature"] / c["volume"]},
    "projectile": {
        "range": lambda c: (
            2 * c["launch_speed"] ** 2 * np.sin(c["launch_angle"]) * np.cos(c["launch_angle"]) / c["gravity"]
        ),
        "apex": lambda c: c["launch_speed"] ** 2 * np.sin(c["launch_angle"]) ** 2 / c["gravity"] / 2,
        "flight_time": lambda c: 2 * c["launch_speed"] * np.sin(c["launch_angle"]) / c["gravity"],
    },
    "heat_flow": {"heat_flow": lambda c: c["conductivity"] * c["area"] * c["temperature_gap"] / c["thickness"]},
}


def columns(name, noise=0.0, rows=ROWS):
    """A draw as a dict of columns in float64."""
    with jax.enable_x64(True):
        x = np.asarray(DRAW(KEY, physics.SYSTEMS[name], rows, noise))
    return dict(zip(physics.SYSTEMS[name].columns, x.T, strict=True))


def listed_edges(source):
    """The true graphs of SOURCE.txt: {system: {(cause, effect)}}."""
    lines = [line for line in source.read_text().splitlines() if re.match(r"  \w+: .* -> ", line)]
    listed = {}
    for line in lines:
        name, edges = line.strip().split(": ")
        listed[name] = {tuple(edge.split(" -> ")) for edge in edges.split(", ")}
    return listed


def test_the_systems_and_their_graphs_are_those_of_the_source(shared):
    listed = listed_edges(shared("priors", "SOURCE.txt"))
    assert set(listed) == set(NAMES)
    assert len(listed) == 7
    for name, system in physics.SYSTEMS.items():
        assert system.name == name
        assert set(system.edges) == listed[name]


@pytest.mark.parametrize("variant", physics.VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_that_the_model_was_asked_about(shared, name, variant):
    file = name if variant == "real" else f"{name}__{variant}"
    asked = json.loads(shared("priors", f"{file}.json").read_text())["variables"]
    assert physics.names(physics.SYSTEMS[name], variant) == tuple(asked)


@pytest.mark.parametrize("name", NAMES)
def test_permuted_names_leave_the_variables_of_the_columns(name):
    system = physics.SYSTEMS[name]
    permuted = physics.names(system, "permuted")
    for position in range(len(system.columns)):
        assert permuted[position] == system.columns[(position + 1) % len(system.columns)]


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_is_a_dag_and_what_the_formulas_take(name):
    system = physics.SYSTEMS[name]
    taken = {(cause, effect) for effect, formula in system.formulas for cause in inspect.signature(formula).parameters}
    assert set(system.edges) == taken
    graph = physics.graph(system)
    assert {(system.columns[i], system.columns[j]) for i, j in np.argwhere(graph)} == taken
    assert graphs.find_cycle(graph, system.columns) == ""
    assert {column for column, _ in system.inputs + system.formulas} == set(system.columns)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_without_noise_the_formulas_of_the_textbook_hold(name):
    drawn = columns(name)
    for column, formula in TEXTBOOK[name].items():
        np.testing.assert_allclose(drawn[column], formula(drawn), rtol=1e-12)
    assert set(TEXTBOOK[name]) == {column for column, _ in physics.SYSTEMS[name].formulas}
    assert min(column.min() for column in drawn.values()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_log_uniform_and_free_of_noise(name):
    drawn, noisy = columns(name), columns(name, 0.5)
    for column, (low, high) in physics.SYSTEMS[name].inputs:
        fraction = np.log(drawn[column] / low) / np.log(high / low)
        assert fraction.min() >= -1e-12
        assert fraction.max() <= 1 + 1e-12
        assert abs(fraction.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / ROWS)
        assert abs((fraction**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / ROWS)
        np.testing.assert_array_equal(noisy[column], drawn[column])


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_added_at_every_equation(name):
    """The oracle: what is left after the formula, in units of its deviation, is the same whatever the level."""
    little, much = columns(name, 0.1), columns(name, 0.4)
    for column, formula in physics.SYSTEMS[name].formulas:
        left = []
        for drawn, level in ((little, 0.1), (much, 0.4)):
            exact = np.asarray(formula(**{cause: drawn[cause] for cause in inspect.signature(formula).parameters}))
            left.append((drawn[column] - exact) / (level * exact.std()))
        np.testing.assert_allclose(left[0], left[1], rtol=1e-3, atol=1e-3)
        assert abs(left[1].mean()) < 5 / np.sqrt(ROWS)
        assert abs(left[1].std() - 1) < 5 / np.sqrt(2 * ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_independent_between_columns_and_of_inputs(name):
    drawn = columns(name, 0.3)
    left = []
    for column, formula in physics.SYSTEMS[name].formulas:
        causes = inspect.signature(formula).parameters
        left.append(drawn[column] - np.asarray(formula(**{cause: drawn[cause] for cause in causes})))
    correlation = np.corrcoef([*left, *(drawn[column] for column, _ in physics.SYSTEMS[name].inputs)])
    off = np.abs(correlation[~np.eye(len(correlation), dtype=bool)])
    assert off.max() < 5 / np.sqrt(ROWS)


@pytest.mark.slow
def test_a_draw_is_the_same_with_and_without_transformations():
    system = physics.SYSTEMS["pendulum"]
    keys, levels = jax.random.split(KEY, 3), jnp.array([0.0, 0.1, 0.5])
    single = [DRAW(key, system, ROWS, level) for key, level in zip(keys, levels, strict=True)]
    plain = physics.sample(keys[2], system, ROWS, levels[2])
    assert plain.shape == (ROWS, 4)
    assert plain.dtype == jnp.float32
    np.testing.assert_allclose(plain, single[2], rtol=1e-4)
    swept = jax.vmap(DRAW, (0, None, None, 0))(keys, system, ROWS, levels)
    np.testing.assert_allclose(swept, single, rtol=1e-4)


@pytest.mark.parametrize("noise", [-0.1, np.nan])
def test_noise_that_is_none_is_refused(noise):
    with pytest.raises(ValueError, match="noise must be finite and at least 0"):
        physics.sample(KEY, physics.SYSTEMS["spring"], 5, noise)


def test_another_variant_is_refused():
    with pytest.raises(ValueError, match="take one of real, anonymous, permuted"):
        physics.names(physics.SYSTEMS["spring"], "shuffled")
