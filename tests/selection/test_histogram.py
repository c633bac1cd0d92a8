import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework import selection
from framework.selection import entropy_file
from framework.selection.histogram import RULES, histogram, histogram_probabilities


def reference(entropy, width, rule):
    """The oracle: the released sampler's edges and weights, in plain NumPy."""
    logarithms = np.log10(entropy)
    low, high = np.round(logarithms.min()), np.round(logarithms.max())
    while low > logarithms.min():
        low -= width
    while high < logarithms.max():
        high += width
    edges = np.arange(low, high + width, width)
    bins = np.searchsorted(edges, logarithms) - 1
    heights = np.bincount(bins, minlength=len(edges) - 1)
    with np.errstate(divide="ignore"):
        weight = {"P1": heights.max() - heights + 1, "P2": np.full(len(heights), 1 / len(heights)), "P3": 1 / heights}
    mass = np.where(heights > 0, weight[rule], 0.0)
    probabilities = (mass / mass.sum())[bins] / heights[bins]
    return edges, heights, probabilities / probabilities.sum()


@pytest.fixture(scope="module")
def entropies():
    return 10 ** np.random.default_rng(0).uniform(-6.3, 0.36, 400).round(6)


@pytest.fixture
def published(shared):
    return entropy_file.read_entropy_list(
        shared("proxy_nas", "entropy_list", "cifar10_resnet20_index_entropy_class.txt")
    )


@pytest.mark.parametrize("width", [0.5, 0.25, 0.2])
@pytest.mark.parametrize("rule", RULES)
def test_probabilities_equal_the_released_samplers(entropies, width, rule):
    edges, heights, probabilities = reference(entropies, width, rule)
    result = histogram(entropies, width)
    np.testing.assert_allclose(result.edges, edges, atol=1e-13)
    np.testing.assert_array_equal(result.heights, heights)
    np.testing.assert_allclose(histogram_probabilities(entropies, rule, width), probabilities, rtol=1e-12)


@pytest.mark.slow
def test_the_published_list_has_the_golden_histogram(published, shared):
    golden = json.loads(shared("proxy_nas", "golden_histograms.json").read_text())["cifar10_resnet20"]
    result = histogram(published.entropy, 0.5)
    np.testing.assert_array_equal(result.edges, np.arange(golden["lo"], golden["hi"] + 0.5, 0.5))
    assert np.asarray(result.heights).tolist() == golden["hist"]
    assert (len(result.heights), np.count_nonzero(result.heights)) == (golden["nbins"], golden["nonempty"])
    for rule in RULES:
        probabilities = np.asarray(histogram_probabilities(published.entropy, rule, 0.5))
        mass = np.bincount(result.bins, probabilities, golden["nbins"])
        np.testing.assert_allclose(mass, golden[f"{rule}_bin_mass"], atol=5.01e-7)
        np.testing.assert_allclose(probabilities, reference(published.entropy, 0.5, rule)[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("least", "greatest", "width", "low", "high", "bins"),
    [(-16.60, 0.5012, 0.25, -17, 1.0, 72), (-5.80, 0.3437, 0.2, -6.0, 0.4, 32), (-20.77, 0.2076, 0.5, -21, 0.5, 43)],
)
def test_edges_of_the_other_published_ranges(least, greatest, width, low, high, bins):
    result = histogram(10 ** np.array([least, greatest]), width)
    assert len(result.heights) == bins
    np.testing.assert_allclose(result.edges[jnp.array([0, -1])], [low, high], atol=1e-12)


def test_a_point_on_an_edge_belongs_to_the_bin_above():
    result = histogram(np.array([1e-2, 1e-1, 10**-0.5, 1.0]), 0.5)
    np.testing.assert_array_equal(result.edges, [-2, -1.5, -1, -0.5, 0])
    np.testing.assert_array_equal(result.bins, [0, 2, 3, 3])
    assert len(histogram(np.array([1.0, 1.0]), 0.5).heights) == 1


def test_a_rule_is_the_same_under_transformations(entropies):
    table = np.stack([entropies, entropies[::-1] ** 1.5])
    rows = np.stack([histogram_probabilities(row, "P1") for row in table])
    swept = jax.jit(jax.vmap(histogram_probabilities))(table)
    np.testing.assert_allclose(swept, rows, rtol=1e-4)  # the caller's 32 bits
    assert np.isnan(jax.jit(histogram_probabilities)(jnp.array([0.1, 0.0, 1.0]))).all()


@pytest.mark.parametrize("bad", [0.0, -1e-3, np.nan, np.inf])
def test_an_entropy_without_a_logarithm_is_refused(bad):
    with pytest.raises(ValueError, match=r"the entropy of point 1 is .*all must be positive and finite"):
        histogram_probabilities(np.array([0.1, bad]))


def test_other_bad_input_is_refused(entropies):
    with pytest.raises(ValueError, match="must be one of P1, P2, P3, got 'P4'"):
        histogram_probabilities(entropies, "P4")
    with pytest.raises(ValueError, match=r"at least 0\.01 decades wide, got 0"):
        histogram_probabilities(entropies, bin_width=0)
    with pytest.raises(ValueError, match="N at least 1, got shape"):
        selection.histogram_probabilities(np.zeros(0))
