import re
from itertools import pairwise, permutations

import jax
import numpy as np
import pytest
from scipy import stats

from framework import causal
from framework.causal import diagnostics


def named(x):
    return [f"c{j}" for j in range(x.shape[1])]


def autoregressive(seed, rows, columns, phi):
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    for t in range(1, rows):
        x[t] += phi * x[t - 1]
    return x


NOISES = {
    "gaussian": lambda rng, shape: rng.normal(size=shape),
    "cauchy": lambda rng, shape: rng.standard_cauchy(size=shape),
    "counts": lambda rng, shape: rng.poisson(2, size=shape),
    "rare": lambda rng, shape: rng.random(shape) < 0.08,
    "few levels": lambda rng, shape: rng.integers(0, 5, size=shape),
}


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_independent_rows_give_no_warning(noise):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows, columns = int(rng.integers(4, 200)), int(rng.integers(2, 25))
        x = noise(rng, (rows, columns)) @ (np.eye(columns) + np.triu(rng.integers(-1, 2, size=(columns, columns)), 1))
        x = x[:, np.ptp(x, axis=0) > 0].astype(float)
        assert x.shape[1] == 0 or diagnostics.doubts(x, named(x)) == [], seed


def test_the_probability_is_that_of_all_orders():
    """The oracle: every order of seven rows; and runs of a value that is in most of them."""
    for values, tolerance in (
        (np.array([0.3, 1.2, 2.0, 5.0, 5.5, 7.0, 9.0]), 0.05),
        (np.array([0, 0, 0, 0, 0, 1, 2]), 1e-9),
    ):
        x = values[:, None].astype(float)
        lagged, probability = diagnostics.autocorrelation(x[[0, 2, 1, 3, 4, 6, 5]])
        orders = [np.array(order) for order in permutations(values)]
        if tolerance > 1e-6:
            share = np.mean([diagnostics.autocorrelation(o[:, None])[0][0] >= lagged[0] - 1e-9 for o in orders[::7]])
        else:
            runs = lambda o: sum((a == 0) != (b == 0) for a, b in pairwise(o))
            share = np.mean([runs(o) <= runs(x[[0, 2, 1, 3, 4, 6, 5], 0]) for o in orders])
        assert probability[0] == pytest.approx(share, abs=tolerance)


def test_probabilities_of_independent_rows_are_spread_evenly():
    x = np.random.default_rng(0).normal(size=(300, 400))
    _, probability = diagnostics.autocorrelation(x)
    for level in (0.1, 0.5, 0.9):
        assert np.mean(probability < level) == pytest.approx(level, abs=0.08)


@pytest.mark.parametrize(("phi", "rows"), [(0.5, 200), (0.7, 100), (1.0, 50)])
def test_a_time_series_is_found_with_its_columns_by_name(phi, rows):
    for seed in range(5):
        x = np.concatenate([autoregressive(seed, rows, 2, phi), autoregressive(seed + 9, rows, 3, 0)], axis=1)
        (message,) = diagnostics.doubts(x, ("prices", "wages", "a", "b", "c"))
        assert "the rows are not in random order" in message
        assert {"prices", "wages"} & set(re.findall("[a-z]+", message.partition(")")[0]))
        shuffled = np.random.default_rng(0).permutation(x)
        assert diagnostics.doubts(shuffled, named(x)) == []


def test_long_runs_of_the_most_frequent_value_are_reported():
    rain = (np.arange(300) % 30 < 8).astype(float)
    x = np.stack([rain, np.random.default_rng(0).normal(size=300)], axis=1)
    (message,) = diagnostics.doubts(x, ("rain", "other"))
    assert "(lag-1 autocorrelation: rain " in message


@pytest.mark.parametrize("descending", [False, True])
def test_a_table_sorted_by_a_column_gives_no_warning(descending):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a = rng.exponential(size=400)
        b = np.sin(2 * a) + 0.3 * rng.normal(size=400)
        x = np.stack([b, a, a * b + rng.normal(size=400)], axis=1)[np.argsort(a)[:: -1 if descending else 1]]
        assert diagnostics.doubts(x, named(x)) == []


def test_a_table_that_was_sorted_by_a_group_is_not_doubted():
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 100)
    x = np.stack([3 * group + rng.normal(size=200), group, rng.normal(size=200)], axis=1)
    assert diagnostics.doubts(x, named(x)) == []


def test_sorting_excuses_no_time_series():
    """Two years of a random walk, the year among the columns."""
    walk = autoregressive(0, 300, 2, 1.0)
    x = np.concatenate([np.repeat([2023.0, 2024.0, 2025.0], 100)[:, None], walk], axis=1)
    (message,) = diagnostics.doubts(x, ("year", "x", "y"))
    assert "x " in message.partition(")")[0]


def test_an_index_is_named_and_is_no_sorted_measurement():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.arange(100.0)[:, None], rng.normal(size=(100, 2))], axis=1)
    (message,) = diagnostics.doubts(x, ("row", "x", "y"))
    assert message.startswith("row: changes by the same step from row to row")
    x[:, 1:] = autoregressive(0, 100, 2, 0.95)
    assert [" not in random order" in message for message in diagnostics.doubts(x, ("t", "x", "y"))] == [False, True]


def nominal(rows=400, seed=0, means=(0.0, 2.0, 0.0), codes=(0, 1, 2)):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, len(means), size=rows)
    dose = np.array(means)[group] + rng.normal(size=rows)
    return np.stack([np.array(codes)[group], dose, dose + rng.normal(size=rows)], axis=1).astype(float)


@pytest.mark.parametrize("codes", [(0, 1, 2), (10, 20, 30), (7, 3, 5)])
def test_group_codes_are_recognised_by_another_column(codes):
    x = nominal(codes=codes, means=(0.0, 2.0, 0.0) if codes[0] < codes[1] else (0.0, 0.0, 2.0))
    (message,) = diagnostics.doubts(x, ("group", "dose", "reaction"))
    assert message.startswith("group: few whole numbers that look like codes of groups, but are read as amounts")
    assert "the mean of dose goes up and down" in message or "the mean of reaction goes" in message


@pytest.mark.parametrize(
    "make",
    [
        lambda x: np.concatenate([np.sort(x[:, :1] > 0), x[:, 1:]], axis=1),  # two levels are a line whatever they mean
        lambda x: x + [[0.5, 0, 0]],  # no whole numbers
        lambda x: np.concatenate([x[:, :1], x[:, :1] + x[:, 1:] * 0.01 + 0 * x[:, 1:]], axis=1),  # rises
        lambda x: x[:12],  # too few of each
    ],
)
def test_what_is_no_sign_of_codes_gives_no_doubt(make):
    x = make(np.random.default_rng(1).permutation(nominal()))
    assert not [message for message in diagnostics.doubts(x, named(x)) if "codes" in message]


def test_ordered_counts_with_any_rising_effect_are_amounts():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        count = rng.integers(0, 6, size=500)
        shape = np.sort(rng.choice([0, 0, 1, 3], size=6)) * rng.choice([-1, 1])  # flat, and in jumps
        x = np.stack([count, shape[count] + rng.normal(size=500) * (1 + count)], axis=1).astype(float)
        assert diagnostics.doubts(x, named(x)) == [], seed


@pytest.mark.slow
def test_every_way_into_a_fit_warns_at_the_callers_line():
    walk, config = autoregressive(0, 120, 3, 1.0), causal.Config(finish="cut")
    for call in (
        lambda: causal.fit(walk, None, config),
        lambda: causal.bootstrap(jax.random.key(0), walk, 2, None, config),
        lambda: causal.choose(walk, None, config, penalties=(0.1,)),
    ):
        with pytest.warns(causal.AssumptionWarning, match="column 0") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]
    jax.vmap(causal.fit, in_axes=(0, None, None))(walk[None], None, config)


def test_names_of_the_knowledge_stand_in_warnings_and_results():
    known = causal.Knowledge(names=("x", "y", "z"), forbidden=[("x", "y")])
    with pytest.warns(causal.AssumptionWarning, match="autocorrelation: [xyz] "):
        result = causal.fit(autoregressive(0, 120, 3, 1.0), known, causal.Config(finish="cut"))
    assert result.names == ("x", "y", "z")


def test_only_so_many_rows_are_looked_at_as_are_needed():
    x = np.random.default_rng(0).normal(size=(3 * diagnostics.MOST_ROWS, 2))
    x[: diagnostics.MOST_ROWS] = autoregressive(0, diagnostics.MOST_ROWS, 2, 0.9)
    assert len(diagnostics.doubts(x, named(x))) == 1


def test_many_columns_are_counted_and_not_all_named():
    many = autoregressive(0, 300, 9, 0.99)
    assert " and 3 more): in a time series" in diagnostics.doubts(many, named(many))[0]


def test_residuals_of_several_variances_are_doubted():
    """The oracle: SciPy's test by Bartlett, where every residual has the same degrees of freedom."""
    x = np.random.default_rng(0).normal(size=(400, 3))
    none = np.zeros(3, int)
    assert diagnostics.variance_doubts(x, none, "abc") == []
    assert diagnostics.variance_doubts(x * [1, 1.3, 1], none, "abc") == []  # told, but of no weight
    (doubt,) = diagnostics.variance_doubts(x * [1, 30, 1], none, "abc")
    ratio = np.var(30 * x[:, 1]) / min(np.var(x[:, 0]), np.var(x[:, 2]))
    assert f"that of b is {ratio:.3g} times that of " in doubt
    few = x[:12] * [1, 1, 2.5]
    assert bool(diagnostics.variance_doubts(few, none, "abc")) == (stats.bartlett(*few.T).pvalue < diagnostics.ALPHA)
    far = x[:12] * [1, 1, 40]
    assert stats.bartlett(*far.T).pvalue < diagnostics.ALPHA
    assert diagnostics.variance_doubts(far, none, "abc")


@pytest.mark.slow
def test_an_equal_variance_fit_of_mixed_units_warns():
    dose, e = np.random.default_rng(1).normal(size=(2, 2000))
    table = np.stack([dose, 0.8 * dose + e], axis=1)
    assert causal.fit(table, None, causal.Config.equal_variance()).graph[0, 1]
    with pytest.warns(causal.AssumptionWarning, match="no single variance"):
        causal.fit(table * [1000, 1], None, causal.Config.equal_variance())
    np.testing.assert_array_equal(causal.fit(table * [1000, 1]).graph, causal.fit(table).graph)
