import math

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.learn import acyclicity
from framework.causal.synthetic import linear
from framework.core import keys

pytestmark = pytest.mark.usefixtures("float64")


def weighted_dag(seed, nodes=8):
    key = jax.random.key(seed)
    return linear.edge_weights(keys.derive(key, "w"), graphs.erdos_renyi(keys.derive(key, "g"), nodes, 2))


every = pytest.mark.parametrize("function", acyclicity.FUNCTIONS.values(), ids=acyclicity.FUNCTIONS)


@pytest.mark.slow
@every
def test_it_is_zero_on_a_hundred_random_dags(function):
    values = [function(weighted_dag(seed)) for seed in range(100)]
    assert max(abs(float(v.value)) for v in values) < 1e-10
    assert all(bool(v.inside) for v in values)


@pytest.mark.slow
@pytest.mark.parametrize("length", [2, 3, 8, 30])
def test_it_is_positive_on_a_cycle_of_any_length(length):
    cycle = 0.7 * jnp.roll(jnp.eye(length), 1, axis=1)
    result = acyclicity.log_det(cycle)
    assert float(result.value) == pytest.approx(-np.log(1 - 0.49**length), rel=1e-6)
    assert result.value > 0
    assert result.inside


@pytest.mark.slow
def test_its_value_is_the_closed_form():
    weights = 0.2 * jax.random.normal(jax.random.key(0), (6, 6))
    sign, value = np.linalg.slogdet(0.9 * np.eye(6) - np.asarray(weights) ** 2)
    assert sign == 1
    assert float(acyclicity.log_det(weights, 0.9).value) == pytest.approx(6 * np.log(0.9) - value, rel=1e-12)


@pytest.mark.slow
@every
def test_its_gradient_is_that_of_finite_differences(function):
    weights = 0.2 * jax.random.normal(jax.random.key(1), (5, 5))
    result = function(weights).gradient
    h = 1e-6
    for i, j in np.ndindex(5, 5):
        updated = jnp.zeros((5, 5)).at[i, j].set(h)
        slope = (function(weights + updated).value - function(weights - updated).value) / (2 * h)
        assert float(result[i, j]) == pytest.approx(float(slope), abs=1e-6)


@pytest.mark.slow
@every
def test_its_gradient_is_that_of_autodiff(function):
    weights = 0.2 * jax.random.normal(jax.random.key(2), (5, 5))
    automatic = jax.grad(lambda w: function(w).value)(weights)
    result = function(weights)
    np.testing.assert_allclose(result.gradient, automatic, atol=1e-12)
    np.testing.assert_allclose(result.gradient, 2 * weights * result.slope, atol=1e-12)


@pytest.mark.parametrize("length", [2, 3, 8])
def test_the_power_series_are_positive_on_a_cycle_of_any_length(length):
    """tr A^k of a cycle of strength s is its length times s^k where k is a multiple of the length, and 0 elsewhere."""
    strength, cycle = 0.81, 0.9 * jnp.roll(jnp.eye(length), 1, axis=1)
    series = sum(length * strength**k / math.factorial(k) for k in range(length, 20 * length, length))
    assert float(acyclicity.exponential(cycle).value) == pytest.approx(series, rel=1e-8)
    last = length * (strength / length) ** length
    assert float(acyclicity.polynomial(cycle).value) == pytest.approx(last, rel=1e-6)


@pytest.mark.slow
def test_the_spectral_radius_is_that_of_the_eigenvalues():
    for seed in range(20):
        strengths = np.asarray(jax.random.uniform(jax.random.key(seed), (6, 6)) ** 4)
        expected = np.abs(np.linalg.eigvals(strengths)).max()
        assert float(acyclicity.spectral_radius(jnp.asarray(strengths))) == pytest.approx(expected, rel=2e-3)
    assert float(acyclicity.spectral_radius(weighted_dag(0) ** 2)) == 0


@pytest.mark.parametrize("scale", [1.1, 2.0])
def test_outside_of_its_domain_is_reported(scale):
    two_cycles = scale * jnp.kron(jnp.eye(2), jnp.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.linalg.det(np.eye(4) - np.asarray(two_cycles) ** 2) > 0
    assert not acyclicity.log_det(two_cycles).inside


def test_its_domain_is_where_the_spectral_radius_is_below_s():
    for seed in range(40):
        weights = jax.random.uniform(jax.random.key(seed), (6, 6), minval=0.1, maxval=0.7)
        radius = np.abs(np.linalg.eigvals(np.asarray(weights) ** 2)).max()
        assert bool(acyclicity.log_det(weights).inside) == (radius < 1)


@pytest.mark.slow
def test_zero_agrees_with_networkx_on_random_graphs():
    for seed in range(30):
        graph = jax.random.bernoulli(jax.random.key(seed), 0.2, (5, 5)) & ~jnp.eye(5, dtype=bool)
        acyclic = nx.is_directed_acyclic_graph(nx.from_numpy_array(np.asarray(graph, int), create_using=nx.DiGraph))
        assert (float(acyclicity.log_det(0.3 * graph).value) < 1e-12) == acyclic
