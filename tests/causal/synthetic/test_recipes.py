import dataclasses
import itertools

import jax
import numpy as np
import pytest

from framework.causal import graphs
from framework.causal.synthetic import (
    linear,
    noise,
    nonlinear,
    random_graphs,
    recipes,
)
from framework.causal.synthetic.recipes import Recipe
from framework.core import keys

KEY = jax.random.key(5)
EVERY = [
    Recipe(graph, 2, equations, law, variances)
    for graph, equations, law, variances in itertools.product(*recipes.CHOICES.values())
]


def label(recipe):
    return "-".join(str(value) for value in dataclasses.astuple(recipe))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", EVERY, ids=label)
def test_every_recipe_samples_a_dag_and_a_finite_table(recipe):
    graph, table = recipes.sample(KEY, recipe, 5, 20)
    assert type(graph) is type(table) is np.ndarray
    assert (graph.shape, graph.dtype) == ((5, 5), bool)
    assert (table.shape, table.dtype) == ((20, 5), np.float64)
    assert graphs.is_dag(graph)
    assert graph.sum() == (10 if recipe.graph == "er" else 7)
    assert np.all(np.isfinite(table))
    assert np.all(table.std(axis=0) > 0)


@pytest.mark.slow
def test_a_linear_table_is_that_of_its_parts():
    """Bit for bit, so that an experiment that names its recipe draws what it drew when it named the parts."""
    with jax.enable_x64(True):
        truth = np.asarray(graphs.erdos_renyi(keys.derive(KEY, "graph"), 8, 1.5))
        weights = linear.edge_weights(keys.derive(KEY, "weights"), truth)
        by_hand = np.asarray(linear.linear(keys.derive(KEY, "noise"), weights, 30, noise.gaussian()))
    for x64 in (False, True):
        with jax.enable_x64(x64):
            graph, table = recipes.sample(KEY, Recipe(degree=1.5), 8, 30)
        np.testing.assert_array_equal(graph, truth)
        np.testing.assert_array_equal(table, by_hand)


@pytest.mark.slow
def test_iscm_takes_the_weights_of_the_linear_equations():
    with jax.enable_x64(True):
        truth = np.asarray(random_graphs.scale_free(keys.derive(KEY, "graph"), 6, 3))
        weights = linear.edge_weights(keys.derive(KEY, "weights"), truth)
        law = noise.rescale(noise.gumbel(), noise.unequal_scales(keys.derive(KEY, "scales"), 6))
        by_hand = np.asarray(nonlinear.iscm(keys.derive(KEY, "noise"), weights, 30, law))
    graph, table = recipes.sample(KEY, Recipe("sf", 3, "iscm", "gumbel", "unequal"), 6, 30)
    np.testing.assert_array_equal(graph, truth)
    np.testing.assert_array_equal(table, by_hand)
    np.testing.assert_allclose(table.std(axis=0), 1)


@pytest.mark.parametrize("equations", ["mlp", "gaussian_process"])
def test_other_equations_are_those_of_nonlinear(equations):
    with jax.enable_x64(True):
        truth = np.asarray(graphs.erdos_renyi(keys.derive(KEY, "graph"), 5, 2))
        drawn = getattr(nonlinear, equations)(keys.derive(KEY, "noise"), truth, 20, noise.uniform())
    graph, table = recipes.sample(KEY, Recipe(equations=equations, noise="uniform"), 5, 20)
    np.testing.assert_array_equal(graph, truth)
    np.testing.assert_array_equal(table, np.asarray(drawn))


@pytest.mark.slow
@pytest.mark.parametrize("law", recipes.NOISES)
def test_unequal_variances_scale_the_noise_of_each_node(law):
    """Without edges a table is its noise."""
    _, equal = recipes.sample(KEY, Recipe(degree=0, noise=law), 6, 40)
    _, unequal = recipes.sample(KEY, Recipe(degree=0, noise=law, variances="unequal"), 6, 40)
    scales = unequal / equal
    np.testing.assert_allclose(scales, np.broadcast_to(scales[0], scales.shape))
    assert len(set(scales[0].round(6))) == 6
    assert np.all((scales >= 1) & (scales <= 2))


@pytest.mark.slow
def test_laws_differ_and_keep_the_graph():
    drawn = [recipes.sample(KEY, Recipe(noise=law), 6, 20) for law in recipes.NOISES]
    for (first, table), (second, other) in itertools.combinations(drawn, 2):
        np.testing.assert_array_equal(first, second)
        assert not np.allclose(table, other)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"graph": "ba"}, "recipe: graph must be one of er, sf, got 'ba'"),
        ({"equations": "cubic"}, "equations must be one of linear, mlp, gaussian_process, iscm, got 'cubic'"),
        ({"noise": "cauchy"}, "noise must be one of gaussian, exponential, gumbel, uniform, got 'cauchy'"),
        ({"variances": "some"}, "variances must be one of equal, unequal, got 'some'"),
        ({"degree": -1}, "degree must be a number of edges, at least 0, got -1"),
        ({"degree": float("nan")}, "at least 0, got nan"),
        ({"degree": float("inf")}, "at least 0, got inf"),
        ({"degree": "2"}, "at least 0, got '2'"),
        ({"degree": True}, "at least 0, got True"),
        ({"graph": "sf", "degree": 2.5}, r"a whole number for a scale-free graph \(sf\), got 2.5"),
    ],
)
def test_a_bad_recipe_is_refused(fields, what):
    with pytest.raises(ValueError, match=what):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("nodes", "samples", "what"),
    [(0, 5, "nodes must be .* got 0"), (5, 0, "samples must be .* got 0"), (5.5, 5, "nodes must be .* got 5.5")],
)
def test_a_table_of_nothing_is_refused(nodes, samples, what):
    with pytest.raises(ValueError, match=what):
        recipes.sample(KEY, Recipe(), nodes, samples)


def test_a_whole_degree_may_come_as_a_float():
    graph, _ = recipes.sample(KEY, Recipe("sf", 2.0), 5, 3)
    np.testing.assert_array_equal(graph, recipes.sample(KEY, Recipe("sf", 2), 5, 3)[0])


def test_a_recipe_is_static_under_a_transformation():
    recipe = Recipe()
    assert jax.tree.leaves(recipe) == []
    assert {recipe: 1}[Recipe()] == 1
